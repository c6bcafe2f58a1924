package main

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestBothSidesOfARowDoItsWork checks what each side found. A side that skipped
// its work would be the fastest.
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

// TestRowsAreMeasured runs every row once. Rows that measure themselves check
// their own work.
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

// TestABacklogRespondsAsTheServiceDoes checks the pages of a drain.
func TestABacklogRespondsAsTheServiceDoes(t *testing.T) {
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
		body := string(b.response(r).body)
		require.Equal(t, string(b.mold.page(nil, want.low, want.high, want.more, b.created)), body, query)
	}
}

func TestDensitiesAreAscending(t *testing.T) {
	for _, d := range densities {
		created := d.created(50_000)
		require.Len(t, created, 50_000, d.name)
		require.True(t, slices.IsSorted(created), d.name)
		require.Less(t, created[len(created)-1], time.Now().Unix(), d.name)
	}
}

func TestAnArchiveRefusesWhatIsAboveTheRate(t *testing.T) {
	a, err := newArchive(steady(10), site{rate: 1})
	require.NoError(t, err)
	status := map[int]int{}
	for range 20 {
		w := httptest.NewRecorder()
		a.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/charges", nil))
		status[w.Code]++
		if w.Code == http.StatusTooManyRequests {
			require.Equal(t, "global-rate", w.Header().Get("Stripe-Rate-Limited-Reason"))
		}
	}
	require.GreaterOrEqual(t, status[http.StatusOK], 2)
	require.GreaterOrEqual(t, status[http.StatusTooManyRequests], 10)
}

func TestACensusFindsWhatIsWrong(t *testing.T) {
	created := []int64{epoch, epoch, epoch + 1}
	for name, c := range map[string]struct {
		order order
		found []int
		want  string
	}{
		"all":                    {oldestFirst, []int{1, 0, 2}, ""},
		"all, the newest first":  {newestFirst, []int{2, 0, 1}, ""},
		"all, in any order":      {anyOrder, []int{0, 2, 1}, ""},
		"one is missing":         {oldestFirst, []int{0, 2}, "2 of 3 charges were read"},
		"one comes twice":        {anyOrder, []int{0, 2, 0}, "twice"},
		"one comes late":         {oldestFirst, []int{0, 2, 1}, "came after"},
		"the oldest come first":  {newestFirst, []int{0, 1, 2}, "came after"},
		"one is not in the list": {anyOrder, []int{3}, "there is no charge"},
	} {
		t.Run(name, func(t *testing.T) {
			census := census{archive: &archive{created: created}, order: c.order, seen: make([]bool, len(created))}
			var err error
			for _, number := range c.found {
				if err == nil {
					err = census.found(chargeID(number), created[min(number, 2)])
				}
			}
			if err == nil {
				err = census.complete()
			}
			if c.want == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, c.want)
			}
		})
	}
}
