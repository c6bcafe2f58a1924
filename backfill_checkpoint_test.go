package stripekit_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
)

// life is the record of one of several Backfills on a checkpoint.
type life struct {
	saved []string // ids yielded before the last save
	since []string // ids yielded since then
	err   error
}

// lived runs a Backfill, leaves the loop after n objects, and spends a time on each
// object. A crash ends it without a save.
func (l *fakeList) lived(store stripekit.CheckpointStore, cfg stripekit.BackfillConfig, n int, each time.Duration, crash bool) (a life) {
	l.t.Helper()
	mortal := &mortalStore{CheckpointStore: store}
	cfg.Checkpoints = &heardStore{mortal, func() { a.saved, a.since = append(a.saved, a.since...), nil }}
	for object, err := range l.backfill(cfg) {
		if err != nil {
			a.err = err
			return a
		}
		if n--; n < 0 {
			mortal.dead.Store(crash)
			if crash {
				cfg.Checkpoints.(*heardStore).saved = func() {}
			}
			return a
		}
		pass(each)
		a.since = append(a.since, object.ID)
	}
	return a
}

// heardStore calls a function after each successful save.
type heardStore struct {
	stripekit.CheckpointStore
	saved func()
}

func (s *heardStore) Save(ctx context.Context, key string, data []byte, revision uint64) (uint64, error) {
	next, err := s.CheckpointStore.Save(ctx, key, data, revision)
	if err == nil {
		s.saved()
	}
	return next, err
}

func TestBackfillGoesOnWhereItWas(t *testing.T) {
	for name, seconds := range backfillLists() {
		for _, crash := range []bool{false, true} {
			for _, anyOrder := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, crash %t, any order %t", name, crash, anyOrder), func(t *testing.T) {
					bubble(t, func(t *testing.T) { liveAndLiveAgain(t, seconds, crash, anyOrder) })
				})
			}
		}
	}
}

func liveAndLiveAgain(t *testing.T, seconds []int64, crash, anyOrder bool) {
	random := rand.New(rand.NewPCG(uint64(len(seconds)), 1))
	l := newFakeList(t, seconds...)
	l.latency = 100 * time.Millisecond
	store := new(stripekit.MemoryStore)
	all := map[string]bool{}
	done := map[string]bool{} // ids that were saved
	again := int64(0)         // the second from which on objects may be yielded again
	for n := 0; ; n++ {
		cfg := stripekit.BackfillConfig{AnyOrder: anyOrder, MaxBuffered: 1000}
		length := random.IntN(700)
		if n == 12 {
			length = 1_000_000
		}
		now := l.lived(store, cfg, length, 7*time.Millisecond, crash)
		require.NoError(t, now.err)
		had := slices.Concat(now.saved, now.since)
		if !anyOrder {
			l.requireOldestFirst(had)
		}
		for i, id := range had {
			require.NotContains(t, had[:i], id, "twice in one life")
			if done[id] && !anyOrder {
				require.GreaterOrEqual(t, l.second(id), again, "%s came again", id)
			}
			all[id] = true
		}
		for _, id := range now.saved {
			done[id], again = true, l.second(id)
		}
		if length == 1_000_000 {
			break
		}
	}
	require.ElementsMatch(t, l.ids(), slices.Collect(maps.Keys(all)))
}

// If each object has its own second, few objects are yielded again.
func TestBackfillRepeatsLittleOfWhatWasSaved(t *testing.T) {
	for _, anyOrder := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			l := newFakeList(t, steady(5000, 3)...)
			l.latency = 100 * time.Millisecond
			cfg := stripekit.BackfillConfig{AnyOrder: anyOrder, To: time.Unix(listStart+15_000, 0), MaxBuffered: 1000}
			store, random := new(stripekit.MemoryStore), rand.New(rand.NewPCG(1, 2))
			done, repeated := map[string]bool{}, 0
			const lives = 20
			for n := range lives + 1 {
				length, crash := random.IntN(500), random.IntN(2) == 0
				if n == lives {
					length, crash = 1_000_000, false
				}
				a := l.lived(store, cfg, length, time.Duration(random.IntN(20))*time.Millisecond, crash)
				require.NoError(t, a.err)
				for _, id := range a.saved {
					if done[id] {
						repeated++
					}
					done[id] = true
				}
			}
			require.Len(t, done, 5000)
			if anyOrder { // at both ends of each part that was not read
				require.Less(t, repeated, lives*20)
			} else {
				require.LessOrEqual(t, repeated, lives)
			}
		})
	}
}

// Regardless of the speed of the loop, the objects of about one second are yielded
// again.
func TestBackfillSavesEverySecondHoweverSlowItsLoopIs(t *testing.T) {
	for _, each := range []time.Duration{10 * time.Millisecond, 300 * time.Millisecond, 3 * time.Second} {
		for _, undated := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v, undated %t", each, undated), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					l := newFakeList(t, steady(500, 60)...)
					l.undated = undated
					a := l.lived(new(stripekit.MemoryStore), stripekit.BackfillConfig{}, 250, each, true)
					require.NoError(t, a.err)
					require.LessOrEqual(t, time.Duration(len(a.since))*each, 2*time.Second+each)
				})
			})
		}
	}
}

func TestBackfillThatEndedHandsOutWhatIsNew(t *testing.T) {
	for _, anyOrder := range []bool{false, true} {
		for _, from := range []int64{0, 30_000, 90_000} {
			t.Run(fmt.Sprintf("from %d, any order %t", from, anyOrder), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					l := newFakeList(t, steady(1000, 60)...)
					cfg := stripekit.BackfillConfig{AnyOrder: anyOrder, Checkpoints: new(stripekit.MemoryStore)}
					if from > 0 {
						cfg.From = time.Unix(listStart+from, 0)
					}
					got, err := taken(l.backfill(cfg))
					require.NoError(t, err)
					requireDeliveredOnce(t, l.between(from, 1e6), got)
					last := l.ids()[999:]
					if from == 90_000 {
						last = nil
					}
					// The object of the newest second may be yielded again.
					cfg.From = time.Time{}
					got, err = taken(l.backfill(cfg))
					require.NoError(t, err)
					require.Subset(t, last, got)
					if len(last) > 0 {
						l.remove(last...)
					}
					for round := range int64(4) {
						got, err = taken(l.backfill(cfg))
						require.NoError(t, err)
						require.Subset(t, last, got, "round %d", round)
						last = l.add(100_000 + 100*round)
						added := append(l.add(100_000+100*round-50), last...)
						got, err = taken(l.backfill(cfg))
						require.NoError(t, err)
						require.Subset(t, got, added)
						require.LessOrEqual(t, len(got), 3)
					}
				})
			})
		}
	}
}

func TestBackfillFollowsToWhereItIsMoved(t *testing.T) {
	at := func(second int64) time.Time { return time.Unix(listStart+second, 0) }
	for name, moves := range map[string][]int64{
		"on":                     {10_000, 20_000, 20_000, 59_000},
		"on, and then away":      {10_000, 20_000, 0},
		"back and on":            {20_000, 10_000, 20_000, 30_000},
		"back, on, and then off": {20_000, 10_000, 0},
	} {
		for _, anyOrder := range []bool{false, true} {
			for _, undated := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, any order %t, undated %t", name, anyOrder, undated), func(t *testing.T) {
					bubble(t, func(t *testing.T) {
						l := newFakeList(t, steady(1000, 60)...)
						l.undated = undated
						cfg := stripekit.BackfillConfig{AnyOrder: anyOrder, Checkpoints: new(stripekit.MemoryStore)}
						var all []string
						reached := int64(0)
						for _, to := range moves {
							if cfg.To = at(to); to == 0 {
								cfg.To, to = time.Time{}, 1e6
							}
							got, err := taken(l.backfill(cfg))
							require.NoError(t, err)
							require.Equal(t, append([]string(nil), l.between(reached, to)...), sortedAs(l, got))
							reached = max(reached, to)
							all = append(all, got...)
						}
						requireDeliveredOnce(t, l.between(0, reached), all)
					})
				})
			}
		}
	}
}

// sortedAs sorts ids in the order of the list, the oldest first.
func sortedAs(l *fakeList, ids []string) []string {
	ids = slices.Clone(ids)
	slices.SortFunc(ids, func(a, b string) int { return newestFirst(l.byID[b], l.byID[a]) })
	return ids
}

// Half of a range is read, and then To is moved. In any order, a page may be yielded
// before the page above it. The last second of that page is not complete then.
func TestBackfillFollowsToThoughItWasLeft(t *testing.T) {
	for _, anyOrder := range []bool{false, true} {
		for _, undated := range []bool{false, true} {
			for seed := range uint64(20) {
				t.Run(fmt.Sprintf("any order %t, undated %t, seed %d", anyOrder, undated, seed), func(t *testing.T) {
					bubble(t, func(t *testing.T) {
						random := rand.New(rand.NewPCG(seed, 4))
						l := newFakeList(t, steady(1000, 60)...)
						l.undated = undated
						store, done := new(stripekit.MemoryStore), map[string]bool{}
						again := 0
						const lives = 10
						for n := range lives {
							to, length := 1+random.Int64N(60_000), random.IntN(400)
							if n == lives-1 {
								to, length = 60_000, 2000
							}
							a := l.lived(store, stripekit.BackfillConfig{AnyOrder: anyOrder, To: time.Unix(listStart+to, 0)}, length, 0, false)
							require.NoError(t, a.err)
							require.Empty(t, a.since)
							for _, id := range a.saved {
								require.Less(t, l.second(id), to)
								if done[id] {
									again++
								}
								done[id] = true
							}
						}
						require.Len(t, done, 1000)
						if anyOrder && !undated {
							require.LessOrEqual(t, again, 2*lives)
						} else {
							require.Zero(t, again)
						}
					})
				})
			}
		}
	}
}

// The rest of a page that was left is one range.
func TestBackfillInAnyOrderGoesOnWithFewRequests(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newFakeList(t, steady(1000, 60)...)
		store, had := new(stripekit.MemoryStore), map[string]bool{}
		for _, length := range []int{50, 300, 2000} {
			a := l.lived(store, stripekit.BackfillConfig{AnyOrder: true, To: time.Unix(listStart+60_000, 0)}, length, 0, false)
			require.NoError(t, a.err)
			for _, id := range a.saved {
				had[id] = true
			}
		}
		require.Len(t, had, 1000)
		require.Less(t, l.listRequests(), 40)
	})
}

func TestBackfillKeepsFromAndOrderOfTheFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newFakeList(t, steady(1000, 60)...)
		store := new(stripekit.MemoryStore)
		a := l.lived(store, stripekit.BackfillConfig{From: time.Unix(listStart+6000, 0)}, 300, 0, false)
		require.NoError(t, a.err)
		rest := l.lived(store, stripekit.BackfillConfig{From: time.Unix(listStart+50_000, 0), AnyOrder: true}, 2000, 0, false)
		require.NoError(t, rest.err)
		l.requireAll(l.between(6000, 1e6), append(a.saved, rest.saved...))
	})
}

func TestBackfillsOfOtherListsAndNamesDoNotMeet(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newShop(t)
		s.sell(5)
		store := new(stripekit.MemoryStore)
		n := 0
		for _, source := range []stripekit.Source[stripekit.Customer]{
			s.client.Customers, s.client.Customers.Where(stripekit.CustomerListParams{Email: new("a@b.test")}),
		} {
			for _, name := range []string{"", "a", "b/c", "../x"} {
				want := 0
				if source == stripekit.Source[stripekit.Customer](s.client.Customers) {
					want = 5
				}
				for customer, err := range stripekit.Backfill(t.Context(), source, stripekit.BackfillConfig{Checkpoints: store, Name: name, To: time.Now().Add(time.Hour)}) {
					require.NoError(t, err)
					require.NotNil(t, customer)
					want--
				}
				require.Zero(t, want, "%q", name)
				n++
			}
		}
		require.Equal(t, 8, n)
		// A Poller with the same Name and store has another checkpoint.
		for range 2 {
			events, stop := s.watch(s.poller(stripekit.PollConfig{Checkpoints: store, From: stripekit.FromBeginning, Name: "a"}))
			collect(events, time.Hour)
			stop()
		}
		for range stripekit.Backfill(t.Context(), s.client.Customers, stripekit.BackfillConfig{Checkpoints: store, Name: "a", To: time.Now().Add(-time.Hour)}) {
			t.Fatal("an object, or an error")
		}
	})
}

func TestBackfillRefusesACheckpointThatIsNotItsOwn(t *testing.T) {
	for name, change := range map[string]func(l *fakeList, data string) string{
		"none": func(_ *fakeList, data string) string { return data },
		"another account": func(l *fakeList, data string) string {
			l.account = "acct_other"
			return data
		},
		"damaged":         func(_ *fakeList, data string) string { return data[:len(data)/2] },
		"empty":           func(*fakeList, string) string { return "" },
		"null":            func(*fakeList, string) string { return "null" },
		"an empty object": func(*fakeList, string) string { return "{}" },
		"more behind it":  func(_ *fakeList, data string) string { return data + "{}" },
		"another version": func(_ *fakeList, data string) string {
			return strings.Replace(data, `"backfill":1`, `"backfill":2`, 1)
		},
		"an unknown field": func(_ *fakeList, data string) string {
			return strings.Replace(data, `{`, `{"tenant":1,`, 1)
		},
		"another key":  func(_ *fakeList, data string) string { return strings.Replace(data, "payouts", "charges", 1) },
		"a Poller's":   func(*fakeList, string) string { return "\x01\x02 not JSON" },
		"spans turned": func(_ *fakeList, data string) string { return spansOf(data, `[{"Low":9,"High":5}]`) },
		"spans that overlap": func(_ *fakeList, data string) string {
			return spansOf(data, `[{"Low":5,"High":9},{"Low":7,"High":12}]`)
		},
		"spans that end early": func(_ *fakeList, data string) string { return spansOf(data, `[{"Low":5,"High":9}]`) },
		"less than nothing done": func(_ *fakeList, data string) string {
			return strings.Replace(data, `"done":`, `"done":-`, 1)
		},
		"a span before time": func(_ *fakeList, data string) string { return spansOf(data, `[{"Low":-5,"High":9}]`) },
		"a number too big": func(_ *fakeList, data string) string {
			return spansOf(data, `[{"Low":5,"High":9223372036854775807}]`)
		},
		"undated without anything": func(_ *fakeList, data string) string {
			return strings.Replace(spansOf(data, `[]`), `"spans"`, `"undated":true,"spans"`, 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := newFakeList(t, steady(1000, 60)...)
				store := new(stripekit.MemoryStore)
				var key string
				keyed := &keyedStore{store, &key}
				a := l.lived(keyed, stripekit.BackfillConfig{}, 300, 0, false)
				require.NoError(t, a.err)
				data, revision, err := store.Load(t.Context(), key)
				require.NoError(t, err)
				changed := []byte(change(l, string(data)))
				_, err = store.Save(t.Context(), key, changed, revision)
				require.NoError(t, err)
				rest := l.lived(store, stripekit.BackfillConfig{}, 2000, 0, false)
				switch name {
				case "none":
					require.NoError(t, rest.err)
					l.requireAll(l.ids(), append(a.saved, rest.saved...))
					return
				}
				require.ErrorIs(t, rest.err, stripekit.ErrCheckpointInvalid)
				require.Empty(t, rest.saved)
				require.Empty(t, rest.since)
				kept, _, err := store.Load(t.Context(), key)
				require.NoError(t, err)
				require.Equal(t, string(changed), string(kept), "it is not overwritten")
			})
		})
	}
}

func spansOf(data, spans string) string {
	from := strings.Index(data, `"spans":`) + len(`"spans":`)
	to := from + strings.Index(data[from:], "]") + 1
	return data[:from] + spans + data[to:]
}

type keyedStore struct {
	stripekit.CheckpointStore
	key *string
}

func (s *keyedStore) Load(ctx context.Context, key string) ([]byte, uint64, error) {
	*s.key = key
	return s.CheckpointStore.Load(ctx, key)
}

func TestBackfillEndsWhereAnotherSavesTheSameCheckpoint(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newFakeList(t, steady(5000, 60)...)
		store := new(stripekit.MemoryStore)
		lives := make([]life, 2)
		var group sync.WaitGroup
		for i := range lives {
			group.Go(func() {
				pass(time.Duration(i) * 300 * time.Millisecond)
				lives[i] = l.lived(store, stripekit.BackfillConfig{}, 1_000_000, 5*time.Millisecond, false)
			})
		}
		group.Wait()
		conflicts := 0
		for _, a := range lives {
			if a.err != nil {
				require.ErrorIs(t, a.err, stripekit.ErrCheckpointConflict)
				require.Less(t, len(a.saved)+len(a.since), 500, "found out too late")
				conflicts++
				continue
			}
			l.requireAll(l.ids(), append(a.saved, a.since...))
		}
		require.Equal(t, 1, conflicts)
	})
}

// unluckyStore fails, hangs, or saves and returns an error.
type unluckyStore struct {
	stripekit.MemoryStore
	saves atomic.Int64
	luck  func(n int64) string // of the nth save
}

var errUnlucky = errors.New("the line is dead")

func (s *unluckyStore) Save(ctx context.Context, key string, data []byte, revision uint64) (uint64, error) {
	switch s.luck(s.saves.Add(1)) {
	case "fails":
		return 0, errUnlucky
	case "hangs":
		<-ctx.Done()
		return 0, ctx.Err()
	case "loses the response":
		if _, err := s.MemoryStore.Save(ctx, key, data, revision); err != nil {
			return 0, err
		}
		return 0, errUnlucky
	}
	return s.MemoryStore.Save(ctx, key, data, revision)
}

func TestBackfillGoesOnThoughSavesFail(t *testing.T) {
	kinds := []string{"", "fails", "hangs", "loses the response"}
	for seed := range uint64(60) {
		bubble(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 3))
			l := newFakeList(t, steady(2000, 60)...)
			store := &unluckyStore{luck: func(n int64) string {
				return kinds[random.IntN(len(kinds))]
			}}
			var got []string
			for object, err := range l.backfill(stripekit.BackfillConfig{Checkpoints: store}) {
				if err != nil {
					require.Len(t, got, 2000, "%v", err)
					require.NotErrorIs(t, err, stripekit.ErrCheckpointConflict, "seed %d", seed)
					break
				}
				got = append(got, object.ID)
				pass(10 * time.Millisecond)
			}
			l.requireAll(l.ids(), got)
		})
	}
}

func TestBackfillSaysThatItsLastSaveFailed(t *testing.T) {
	for _, kind := range []string{"fails", "hangs"} {
		bubble(t, func(t *testing.T) {
			l := newFakeList(t, steady(200, 60)...)
			store := &unluckyStore{luck: func(int64) string { return kind }}
			start := time.Now()
			got, err := taken(l.backfill(stripekit.BackfillConfig{Checkpoints: store}))
			l.requireAll(l.ids(), got)
			require.ErrorContains(t, err, "checkpoint")
			require.LessOrEqual(t, time.Since(start), 11*time.Second)
			// After the loop was left, no error can be yielded.
			for _, err := range l.backfill(stripekit.BackfillConfig{Checkpoints: store}) {
				require.NoError(t, err)
				break
			}
		})
	}
}

func TestBackfillEndsWithAStoreThatCannotBeLoaded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newFakeList(t, 1)
		_, err := taken(l.backfill(stripekit.BackfillConfig{Checkpoints: unloadable{}}))
		require.ErrorIs(t, err, errUnlucky)
		require.Zero(t, l.listRequests())
	})
}

type unloadable struct{ stripekit.CheckpointStore }

func (unloadable) Load(context.Context, string) ([]byte, uint64, error) { return nil, 0, errUnlucky }

func TestBackfillKeepsItsCheckpointInAFolder(t *testing.T) {
	dir := t.TempDir()
	bubble(t, func(t *testing.T) {
		l := newFakeList(t, steady(1000, 60)...)
		var got []string
		for range 5 {
			store, err := stripekit.NewFileStore(dir)
			require.NoError(t, err)
			a := l.lived(store, stripekit.BackfillConfig{To: time.Unix(listStart+1e6, 0)}, 240, 0, false)
			require.NoError(t, a.err)
			got = append(got, a.saved...)
		}
		l.requireAll(l.ids(), got)
	})
}

// The checkpoint is small for any list.
func TestBackfillCheckpointIsSmall(t *testing.T) {
	for name, seconds := range backfillLists() {
		for _, anyOrder := range []bool{false, true} {
			bubble(t, func(t *testing.T) {
				l := newFakeList(t, seconds...)
				l.latency = 100 * time.Millisecond
				store := &sizedStore{}
				a := l.lived(store, stripekit.BackfillConfig{AnyOrder: anyOrder}, 1_000_000, 3*time.Millisecond, false)
				require.NoError(t, a.err)
				require.Less(t, store.most, 10_000, name)
			})
		}
	}
}

type sizedStore struct {
	stripekit.MemoryStore
	most int
}

func (s *sizedStore) Save(ctx context.Context, key string, data []byte, revision uint64) (uint64, error) {
	s.most = max(s.most, len(data))
	return s.MemoryStore.Save(ctx, key, data, revision)
}
