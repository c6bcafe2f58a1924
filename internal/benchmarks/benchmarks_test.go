package main

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestBothSidesOfARowDoItsWork holds what each side found against what the
// service has: a side that skipped its work would be the fastest.
func TestBothSidesOfARowDoItsWork(t *testing.T) {
	for _, r := range rows {
		if r.pair == nil {
			continue
		}
		t.Run(r.name, func(t *testing.T) {
			p, err := r.pair(options{})
			require.NoError(t, err)
			if p.close != nil {
				t.Cleanup(p.close)
			}
			ours, err := p.ours.work()
			require.NoError(t, err)
			require.Equal(t, p.want, ours)
			theirs, err := p.theirs.work()
			require.NoError(t, err)
			require.Equal(t, p.want, theirs)
		})
	}
}

// TestRowsAreMeasured runs every row once. The rows that measure themselves
// check their own work.
func TestRowsAreMeasured(t *testing.T) {
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			lines, err := r.lines(t.Context(), options{rounds: 1, quick: true})
			require.NoError(t, err)
			require.NotEmpty(t, lines)
			for _, l := range lines {
				require.NotEmpty(t, l.ours)
				require.NotEmpty(t, l.theirs)
			}
		})
	}
}

func TestPagesHaveTheSizeOfTheService(t *testing.T) {
	for l, size := range map[layout]int{indented: 500_000, compact: 320_000} {
		s, err := onePage(l)
		require.NoError(t, err)
		require.InEpsilon(t, size, len(s(nil).body), 0.05, l)
	}
}

func TestAStampedChargeIsAnother(t *testing.T) {
	for _, l := range []layout{indented, compact} {
		m, err := newMold(l)
		require.NoError(t, err)
		page := string(m.page(nil, 41, 43, true, func(number int) int64 { return 1780000000 + int64(number) }))
		require.NotRegexp(t, "@[A-Z]+@", page)
		require.Equal(t, 3, strings.Count(page, chargeID(42)), "itself and its refunds")
		require.Equal(t, 2, strings.Count(page, "1780000041"), "itself and its refund")
	}
}

// TestABacklogAnswersAsTheServiceDoes: the pages of a drain.
func TestABacklogAnswersAsTheServiceDoes(t *testing.T) {
	b, err := newBacklog(250, 1)
	require.NoError(t, err)
	for query, want := range map[string]struct {
		low, high int
		more      bool
	}{
		"limit=100": {150, 250, true},
		"limit=100&starting_after=" + chargeID(60):                       {0, 60, false},
		"limit=100&ending_before=" + chargeID(60):                        {61, 161, true},
		"limit=100&ending_before=" + chargeID(200):                       {201, 250, false},
		"limit=100&ending_before=" + chargeID(249):                       {0, 0, false},
		"limit=1&created[lt]=1":                                          {0, 0, false},
		"limit=100&created[lte]=" + strconv.FormatInt(b.created(30), 10): {0, 31, false},
		"limit=100&created[gte]=" + strconv.FormatInt(b.created(0), 10):  {150, 250, true},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/v1/charges?"+query, nil)
		require.NoError(t, err)
		body := string(b.answer(r).body)
		require.Equal(t, string(b.mold.page(nil, want.low, want.high, want.more, b.created)), body, query)
	}
}
