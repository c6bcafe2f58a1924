package stripekit_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
)

// hostilePage makes a page of objects with these seconds.
func hostilePage(more bool, field string, from int, seconds ...int64) string {
	var objects []string
	for i, second := range seconds {
		objects = append(objects, fmt.Sprintf(`{"id":"po_%d","%s":%d}`, from+i, field, second))
	}
	return fmt.Sprintf(`{"data":[%s],"has_more":%t}`, strings.Join(objects, ","), more)
}

// A Backfill ends with an error for any response.
func TestBackfillIsNotLedInCircles(t *testing.T) {
	full := make([]int64, 100)
	for i := range full {
		full[i] = 2000 - int64(i)
	}
	same := make([]int64, 100)
	for i := range same {
		same[i] = 1500
	}
	for name, list := range map[string]func(field string) func(r *http.Request, n int) string{
		"the same page again and again": func(field string) func(*http.Request, int) string {
			return func(*http.Request, int) string { return hostilePage(true, field, 0, full...) }
		},
		"the same page of one second": func(field string) func(*http.Request, int) string {
			return func(*http.Request, int) string { return hostilePage(true, field, 0, same...) }
		},
		"two pages in turn": func(field string) func(*http.Request, int) string {
			return func(_ *http.Request, n int) string { return hostilePage(true, field, n%2*100, same...) }
		},
		"an object again and again": func(field string) func(*http.Request, int) string {
			return func(*http.Request, int) string { return hostilePage(true, field, 0, 1500) }
		},
		"has_more without objects": func(field string) func(*http.Request, int) string {
			return func(*http.Request, int) string { return hostilePage(true, field, 0) }
		},
		"has_more without objects behind a page": func(field string) func(*http.Request, int) string {
			return func(_ *http.Request, n int) string {
				if n == 0 {
					return hostilePage(true, field, 0, same...)
				}
				return hostilePage(true, field, 0)
			}
		},
		"objects without ids": func(string) func(*http.Request, int) string {
			return func(*http.Request, int) string { return `{"data":[{"created":5,"date":5}],"has_more":false}` }
		},
		"null": func(string) func(*http.Request, int) string {
			return func(*http.Request, int) string { return `{"data":[null],"has_more":false}` }
		},
	} {
		for _, field := range []string{"created", "date"} {
			for _, anyOrder := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, by %s, any order %t", name, field, anyOrder), func(t *testing.T) {
					bubble(t, func(t *testing.T) {
						l := newFakeList(t)
						answers, page := 0, list(field)
						l.interfere(func(r *http.Request) (*http.Response, error) {
							l.mu.Lock()
							n := answers
							answers++
							l.mu.Unlock()
							require.Less(t, n, 1000, "it goes on for ever")
							return response(r, 200, page(r, n)), nil
						})
						l.latency = time.Millisecond
						got, err := taken(l.backfill(stripekit.BackfillConfig{AnyOrder: anyOrder}))
						require.ErrorIs(t, err, stripekit.ErrAPI)
						require.ErrorContains(t, err, "/v1/payouts")
						seen := map[string]bool{}
						for _, id := range got {
							require.False(t, seen[id], "%s twice", id)
							seen[id] = true
						}
					})
				})
			}
		}
	}
}

// The has_more of a list is wrong in both directions. If it is wrongly false, no
// reader can know.
func TestBackfillIsNotMisledByHasMore(t *testing.T) {
	for _, undated := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			l := newFakeList(t, steady(1000, 60)...)
			l.undated = undated
			l.interfere(func(r *http.Request) (*http.Response, error) {
				l.mu.Lock()
				defer l.mu.Unlock()
				l.requests++
				require.Less(t, l.requests, 1000)
				page, _, _ := l.page(r.URL.Query())
				return response(r, 200, l.body(page, true)), nil
			})
			got, err := taken(l.backfill(stripekit.BackfillConfig{}))
			if err != nil {
				require.ErrorIs(t, err, stripekit.ErrAPI)
				return
			}
			l.requireAll(l.ids(), got)
		})
	}
}

func TestBackfillIsNotLedInCirclesOnItsWayUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newFakeList(t)
		seconds, n := make([]int64, 100), 0
		l.interfere(func(r *http.Request) (*http.Response, error) {
			if r.URL.Query().Get("ending_before") == "" {
				return response(r, 200, hostilePage(false, "date", 1000, 5)), nil
			}
			n++
			require.Less(t, n, 1000, "it goes on for ever")
			return response(r, 200, hostilePage(true, "date", n%2*100, seconds...)), nil
		})
		got, err := taken(l.backfill(stripekit.BackfillConfig{}))
		require.ErrorIs(t, err, stripekit.ErrAPI)
		require.LessOrEqual(t, len(got), 401)
	})
}
