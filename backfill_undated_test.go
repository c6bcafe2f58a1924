package stripekit_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripetest"
)

func undatedList(t *testing.T, seconds ...int64) *fakeList {
	l := newFakeList(t, seconds...)
	l.undated = true
	return l
}

func TestBackfillReadsAListWithoutCreatedFromItsEnd(t *testing.T) {
	for name, seconds := range backfillLists() {
		for _, cfg := range []stripekit.BackfillConfig{{}, {Concurrency: 4, AnyOrder: true}} {
			t.Run(fmt.Sprintf("%s, any order %t", name, cfg.AnyOrder), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					l := undatedList(t, seconds...)
					var n atomic.Int64
					l.interfere(func(*http.Request) (*http.Response, error) {
						pass(time.Duration(n.Add(1)*37%500) * time.Millisecond)
						return nil, nil
					})
					source := l.source(stripekit.WithRateLimit(stripekit.RateLimit{Total: 25}))
					var last stripekit.BackfillProgress
					cfg.Progress = func(p stripekit.BackfillProgress) { last = p }
					got, err := taken(stripekit.Backfill(t.Context(), source, cfg))
					require.NoError(t, err)
					require.Equal(t, l.ids(), got)
					require.Equal(t, len(got), last.Done)
				})
			})
		}
	}
}

func TestBackfillLimitsAListWithoutCreatedByTheService(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 5))
	for name, seconds := range backfillLists() {
		last := int64(0)
		for _, s := range seconds {
			last = max(last, s)
		}
		for n := range 6 {
			from, to := random.Int64N(last+2), random.Int64N(last+3)+1
			switch n {
			case 0:
				from = 0
			case 1:
				to = last + 100
			case 2:
				to = max(from, 1)
			}
			if from > to {
				from, to = to, from
			}
			t.Run(fmt.Sprintf("%s from %d to %d", name, from, to), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					l := undatedList(t, seconds...)
					cfg := stripekit.BackfillConfig{From: time.Unix(listStart+from, 0), To: time.Unix(listStart+to, 0)}
					got, err := taken(l.backfill(cfg))
					require.NoError(t, err)
					require.Equal(t, l.between(from, to), got)
				})
			})
		}
	}
}

func TestBackfillOfAListWithoutCreatedThatChanges(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				random := rand.New(rand.NewPCG(seed, 9))
				l := undatedList(t, steady(1000, 60)...)
				newest := int64(60_000)
				stays := map[string]bool{}
				for _, id := range l.ids() {
					stays[id] = true
				}
				l.during = func(q url.Values) {
					switch random.IntN(4) {
					case 0:
						l.add(random.Int64N(newest))
					case 1:
						newest += 30
						l.add(newest)
					case 2:
						id := cmp.Or(q.Get("starting_after"), q.Get("ending_before"))
						l.remove(id)
						delete(stays, id)
					case 3:
						ids := l.ids()
						at := random.IntN(len(ids))
						for _, id := range ids[at:min(at+random.IntN(30), len(ids))] {
							l.remove(id)
							delete(stays, id)
						}
					}
				}
				store := new(stripekit.MemoryStore)
				times := map[string]int{}
				for n := range 5 {
					length := random.IntN(300)
					if n == 4 {
						length = 5000
					}
					a := l.lived(store, stripekit.BackfillConfig{}, length, 0, false)
					require.NoError(t, a.err)
					for _, id := range slices.Concat(a.saved, a.since) {
						times[id]++
						require.Equal(t, 1, times[id], "%s twice", id)
					}
				}
				for id := range stays {
					require.Equal(t, 1, times[id], "%s was there all the while", id)
				}
			})
		})
	}
}

func TestBackfillOfAListWithoutCreatedGoesOnByItsCursors(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := undatedList(t, make([]int64, 1000)...) // all in one second
		store, all := new(stripekit.MemoryStore), l.ids()
		cfg := stripekit.BackfillConfig{From: time.Unix(listStart, 0)}
		var got []string
		for range 5 {
			a := l.lived(store, cfg, 150, 0, false)
			require.NoError(t, a.err)
			got = append(got, a.saved...)
			l.remove(got[len(got)-99:]...) // all cursors but one are gone
		}
		a := l.lived(store, cfg, 1000, 0, false)
		require.NoError(t, a.err)
		got = append(got, a.saved...)
		require.Equal(t, all, got)
		new1 := l.add(100, 200)
		a = l.lived(store, cfg, 1000, 0, false)
		require.NoError(t, a.err)
		require.Equal(t, new1, a.saved, "only what is new")

		// If all are gone, the position is lost.
		l.remove(l.ids()...)
		l.add(300)
		a = l.lived(store, cfg, 1000, 0, false)
		require.ErrorContains(t, a.err, "gone")
	})
}

func TestBackfillOfAListWithoutCreatedGetsOverWhatPasses(t *testing.T) {
	for name, trouble := range passingTroubles {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := undatedList(t, steady(700, 60)...)
				var n atomic.Int64
				l.interfere(func(r *http.Request) (*http.Response, error) {
					if n.Add(1)%3 == 1 {
						return trouble(r)
					}
					return nil, nil
				})
				source := l.source(stripekit.WithTimeout(10 * time.Second))
				got, err := taken(stripekit.Backfill(t.Context(), source, stripekit.BackfillConfig{}))
				require.NoError(t, err)
				require.Equal(t, l.ids(), got)
			})
		})
	}
}

func TestBackfillReadsInvoiceItemsBetweenTwoDays(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newShop(t, stripetest.WithCursorAndCreated(stripetest.LoseSecond))
		first := time.Now().Add(-2000 * time.Hour).Truncate(time.Second)
		ids := s.server.Seed("/v1/invoiceitems", stripetest.Seeding{Count: 1000, First: first, Every: time.Hour})
		cfg := stripekit.BackfillConfig{From: first.Add(250 * time.Hour), To: first.Add(750 * time.Hour), Checkpoints: new(stripekit.MemoryStore)}
		var got []string
		for range 3 {
			n := 0
			for item, err := range stripekit.Backfill(t.Context(), s.client.InvoiceItems, cfg) {
				require.NoError(t, err)
				if n++; n > 200 {
					break
				}
				got = append(got, item.ID)
			}
		}
		require.Equal(t, ids[250:750], got)
	})
}
