package stripetest_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/stripetest"
)

func TestCursorWithACreatedFilterCanLoseObjects(t *testing.T) {
	// There are three objects in each of the seconds 100, 101 and 102. Object 0
	// is the newest.
	tests := map[string]struct {
		query               string // @n is the id of object n
		both, empty, second string // the objects listed with each behaviour
	}{
		"older":         {"created[gte]=100&starting_after=@4", "5678", "", "678"},
		"older, exact":  {"created=101&starting_after=@3", "45", "", ""},
		"older, narrow": {"created[lt]=101&starting_after=@1", "678", "", "678"},
		"newer":         {"created[lte]=102&ending_before=@4", "0123", "", "012"},
		"newer, narrow": {"created[gt]=101&ending_before=@7", "012", "", "012"},
		"no filter":     {"starting_after=@4", "5678", "5678", "5678"},
		"no cursor":     {"created[gte]=102", "012", "012", "012"},
	}
	for _, path := range []string{"/v1/charges", "/v1/invoiceitems"} {
		for name, test := range tests {
			t.Run(path+" "+name, func(t *testing.T) {
				for behaviour, want := range map[stripetest.CursorAndCreated]string{
					stripetest.ApplyBoth: test.both, stripetest.EmptyPage: test.empty, stripetest.LoseSecond: test.second,
				} {
					a := memory(t, stripetest.WithCursorAndCreated(behaviour))
					oldest := a.server.Seed(path, stripetest.Seeding{Count: 9, First: time.Unix(100, 0), Every: 334 * time.Millisecond})
					var replace []string
					place := make(map[string]string)
					for i, id := range oldest {
						n := string(rune('8' - i))
						replace, place[id] = append(replace, "@"+n, id), n
					}
					query, err := url.ParseQuery(strings.NewReplacer(replace...).Replace(test.query))
					require.NoError(t, err)
					ids, more := a.page(path, query)
					got := ""
					for _, id := range ids {
						got += place[id]
					}
					require.Empty(t, cmp.Diff(want, got), behaviour)
					require.False(t, more)
				}
			})
		}
	}
}

func TestUnknownCursorIsRefusedWhateverTheBehaviour(t *testing.T) {
	a := memory(t, stripetest.WithCursorAndCreated(stripetest.EmptyPage))
	r := a.do("GET", "/v1/charges?created[gt]=1&starting_after=ch_x", "")
	require.Equal(t, "resource_missing", r.failure()["code"])
}
