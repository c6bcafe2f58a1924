package stripekit_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripetest"
)

// backfillLists are lists, given by the created seconds of their objects.
func backfillLists() map[string][]int64 {
	lists := map[string][]int64{"bursts": nil, "one second": make([]int64, 750), "years, and then a busy day": steady(40, 1e6)}
	for _, n := range []int{0, 1, 99, 100, 101, 200, 1234} {
		lists[fmt.Sprint(n, " objects")] = steady(n, 37)
	}
	lists["100 in one second"] = make([]int64, 100)
	for burst := range int64(6) {
		lists["bursts"] = append(lists["bursts"], slices.Repeat([]int64{burst * 86400}, int(burst)*90)...)
		lists["bursts"] = append(lists["bursts"], burst*86400+50_000)
	}
	for i := range int64(1500) {
		lists["years, and then a busy day"] = append(lists["years, and then a busy day"], 39e6+i*3)
	}
	return lists
}

func TestBackfillReadsAListOnceAndOldestFirst(t *testing.T) {
	for name, seconds := range backfillLists() {
		for _, concurrency := range []int{0, 1, 2, 16} {
			for _, buffered := range []int{0, 1} {
				t.Run(fmt.Sprintf("%s, concurrency %d, buffered %d", name, concurrency, buffered), func(t *testing.T) {
					bubble(t, func(t *testing.T) {
						l := newFakeList(t, seconds...)
						l.latency = 100 * time.Millisecond
						got, err := taken(l.backfill(stripekit.BackfillConfig{Concurrency: concurrency, MaxBuffered: buffered}))
						require.NoError(t, err)
						l.requireAll(l.ids(), got)
						require.LessOrEqual(t, l.most, cmp.Or(concurrency, 16))
					})
				})
			}
		}
	}
}

func TestBackfillReadsAListOnceInAnyOrder(t *testing.T) {
	for name, seconds := range backfillLists() {
		for _, concurrency := range []int{1, 5} {
			t.Run(fmt.Sprintf("%s, concurrency %d", name, concurrency), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					l := newFakeList(t, seconds...)
					l.latency = 100 * time.Millisecond
					got, err := taken(l.backfill(stripekit.BackfillConfig{AnyOrder: true, Concurrency: concurrency, MaxBuffered: 1}))
					require.NoError(t, err)
					requireDeliveredOnce(t, l.ids(), got)
				})
			})
		}
	}
}

func TestBackfillChoosesByFromAndToToTheSecond(t *testing.T) {
	at := func(d time.Duration) time.Time { return time.Unix(listStart, 0).Add(d) }
	zone := time.FixedZone("far east", 13*3600)
	for name, tt := range map[string]struct {
		from, to         time.Time
		wantFrom, wantTo int64
	}{
		"all":                              {wantTo: 1000},
		"from a second":                    {from: at(300 * time.Second), wantFrom: 300, wantTo: 1000},
		"to a second":                      {to: at(300 * time.Second), wantTo: 300},
		"both, in another zone":            {from: at(100 * time.Second).In(zone), to: at(900 * time.Second).In(zone), wantFrom: 100, wantTo: 900},
		"from a nanosecond later":          {from: at(300*time.Second + 1), wantFrom: 301, wantTo: 1000},
		"from a nanosecond before":         {from: at(300*time.Second - 1), wantFrom: 300, wantTo: 1000},
		"to a nanosecond later":            {to: at(300*time.Second + 1), wantTo: 301},
		"to a nanosecond before":           {to: at(300*time.Second - 1), wantTo: 300},
		"the same second":                  {from: at(300 * time.Second), to: at(300 * time.Second)},
		"one second":                       {from: at(300 * time.Second), to: at(301 * time.Second), wantFrom: 300, wantTo: 301},
		"a part of a second":               {from: at(300*time.Second + 1), to: at(300*time.Second + 2)},
		"from behind everything":           {from: at(5000 * time.Second)},
		"from the last":                    {from: at(999 * time.Second), wantFrom: 999, wantTo: 1000},
		"to before everything":             {to: at(-5000 * time.Second)},
		"to the first":                     {to: at(0)},
		"before 1970 up to behind the end": {from: time.Unix(-5, 0), to: time.Date(30000, 1, 1, 0, 0, 0, 0, time.UTC), wantTo: 1000},
		"before 1970 alone":                {from: time.Unix(-500, 0), to: time.Unix(-5, 0)},
		"1970":                             {to: time.Unix(0, 0)},
	} {
		for _, anyOrder := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, any order %t", name, anyOrder), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					l := newFakeList(t, steady(1500, 2./3)...)
					got, err := taken(l.backfill(stripekit.BackfillConfig{From: tt.from, To: tt.to, AnyOrder: anyOrder}))
					require.NoError(t, err)
					requireDeliveredOnce(t, l.between(tt.wantFrom, tt.wantTo), got)
				})
			})
		}
	}
}

func TestBackfillRefusesAConfigThatIsWrong(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newFakeList(t, 1, 2, 3)
		now := time.Now()
		for field, cfg := range map[string]stripekit.BackfillConfig{
			"Concurrency": {Concurrency: -1},
			"MaxBuffered": {MaxBuffered: -1},
			"To":          {From: now, To: now.Add(-1)},
		} {
			got, err := taken(l.backfill(cfg))
			require.ErrorContains(t, err, "BackfillConfig."+field)
			require.Empty(t, got)
		}
		_, err := taken(stripekit.Backfill(t.Context(), payoutsOf[payoutObject](t, l.client()), stripekit.BackfillConfig{}))
		require.NoError(t, err)
		where := l.client().Charges.Where(stripekit.ChargeListParams{ListParams: stripekit.ListParams{Limit: 5}})
		for charge, err := range stripekit.Backfill(t.Context(), where, stripekit.BackfillConfig{}) {
			require.Nil(t, charge)
			_, ok := errors.AsType[*stripekit.ParamError](err)
			require.True(t, ok, "%v", err)
		}
	})
}

// backfilledIDs returns the ids of the objects of a source, the oldest first.
func backfilledIDs[T any](t *testing.T, source stripekit.Source[T], id func(*T) string) (ids []string) {
	t.Helper()
	for object, err := range stripekit.Backfill(t.Context(), source, stripekit.BackfillConfig{}) {
		require.NoError(t, err)
		ids = append(ids, id(object))
	}
	return ids
}

func TestBackfillReadsTheListOfEveryService(t *testing.T) {
	for path, read := range map[string]func(*testing.T, *stripekit.Client) []string{
		"/v1/charges": func(t *testing.T, c *stripekit.Client) []string {
			return backfilledIDs(t, c.Charges, func(o *stripekit.Charge) string { return o.ID })
		},
		"/v1/customers": func(t *testing.T, c *stripekit.Client) []string {
			return backfilledIDs(t, c.Customers, func(o *stripekit.Customer) string { return o.ID })
		},
		"/v1/products": func(t *testing.T, c *stripekit.Client) []string {
			return backfilledIDs(t, c.Products, func(o *stripekit.Product) string { return o.ID })
		},
		"/v1/invoiceitems": func(t *testing.T, c *stripekit.Client) []string {
			return backfilledIDs(t, c.InvoiceItems, func(o *stripekit.InvoiceItem) string { return o.ID })
		},
		"/v1/orders": func(t *testing.T, c *stripekit.Client) []string {
			return backfilledIDs(t, c.Orders, func(o *stripekit.Order) string { return o.ID })
		},
	} {
		t.Run(path, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newShop(t, stripetest.WithCursorAndCreated(stripetest.EmptyPage))
				first := time.Now().Add(-1000 * time.Hour)
				want := s.server.Seed(path, stripetest.Seeding{Count: 320, First: first, Every: time.Hour})
				require.Equal(t, want, read(t, s.client))
			})
		})
	}
}

func TestBackfillReadsRefundsOfAConnectedAccount(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newShop(t)
		client := s.client.WithAccount("acct_1Connected")
		charge, err := client.Charges.Create(t.Context(), stripekit.ChargeCreateParams{Amount: 1000, Currency: "usd", Source: new("tok_visa")})
		require.NoError(t, err)
		var want []string
		for range 3 {
			refund, err := client.Refunds.Create(t.Context(), stripekit.RefundCreateParams{Charge: &charge.ID, Amount: new(int64(10))})
			require.NoError(t, err)
			want = append(want, refund.ID)
			pass(time.Second)
		}
		id := func(r *stripekit.Refund) string { return r.ID }
		require.Equal(t, want, backfilledIDs(t, client.Refunds, id))
		require.Empty(t, backfilledIDs(t, s.client.Refunds, id))
	})
}

func TestBackfillKeepsTheFiltersOfWhere(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newShop(t)
		customer := s.sell(1)[0]
		_, err := s.client.Customers.Update(t.Context(), customer, stripekit.CustomerUpdateParams{Source: new("tok_visa")})
		require.NoError(t, err)
		first := time.Now().Add(-1000 * time.Hour)
		s.server.Seed("/v1/charges", stripetest.Seeding{Count: 250, First: first, Every: time.Hour})
		want := s.server.Seed("/v1/charges", stripetest.Seeding{
			Count: 250, First: first, Every: time.Minute,
			Params: map[string][]string{"amount": {"500"}, "currency": {"usd"}, "customer": {customer}},
		})
		where := s.client.Charges.Where(stripekit.ChargeListParams{Customer: &customer}, stripekit.WithExpand("customer"))
		var got []string
		for charge, err := range stripekit.Backfill(t.Context(), where, stripekit.BackfillConfig{}) {
			require.NoError(t, err)
			require.NotNil(t, charge.Customer.Object, "expanded")
			got = append(got, charge.ID)
		}
		require.Equal(t, want, got)
	})
}

func TestBackfillBeginsAnewEachTimeItIsRangedOver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newFakeList(t, steady(700, 60)...)
		all := l.backfill(stripekit.BackfillConfig{})
		require.Zero(t, l.listRequests(), "nothing is requested before the loop")
		got, err := firstOf(150, all)
		require.NoError(t, err)
		require.Len(t, got, 150)
		for range 2 {
			got, err := taken(all)
			require.NoError(t, err)
			l.requireAll(l.ids(), got)
			l.add(int64(len(got)) * 60)
		}
		// At the same time, too.
		done := make(chan []string)
		for range 3 {
			go func() {
				got, _ := taken(all)
				done <- got
			}()
		}
		for range 3 {
			l.requireAll(l.ids(), <-done)
		}
	})
}

// A list is changed in all ways while it is read. The objects that are there the
// whole time are yielded once, all others at most once.
func TestBackfillOfAListThatChangesMissesNothingThatStays(t *testing.T) {
	for seed := range uint64(40) {
		for _, anyOrder := range []bool{false, true} {
			t.Run(fmt.Sprintf("seed %d, any order %t", seed, anyOrder), func(t *testing.T) {
				bubble(t, func(t *testing.T) { readWhileItChanges(t, seed, anyOrder) })
			})
		}
	}
}

func readWhileItChanges(t *testing.T, seed uint64, anyOrder bool) {
	random := rand.New(rand.NewPCG(seed, 1))
	lists := backfillLists()
	names := []string{"1234 objects", "bursts", "one second", "years, and then a busy day"}
	l := newFakeList(t, lists[names[seed%4]]...)
	l.latency = 50 * time.Millisecond
	newest := l.entries[0].created - listStart
	stays := map[string]bool{}
	for _, id := range l.ids() {
		stays[id] = true
	}
	l.during = func(q url.Values) {
		for range random.IntN(4) {
			switch random.IntN(4) {
			case 0: // late
				l.add(random.Int64N(newest + 1))
			case 1: // new
				newest += random.Int64N(3)
				l.add(newest)
			case 2: // the cursor
				id := cmp.Or(q.Get("starting_after"), q.Get("ending_before"))
				l.remove(id)
				delete(stays, id)
			case 3: // many that follow each other
				ids := l.ids()
				at := random.IntN(len(ids))
				for _, id := range ids[at:min(at+random.IntN(20), len(ids))] {
					l.remove(id)
					delete(stays, id)
				}
			}
		}
	}
	got, err := taken(l.backfill(stripekit.BackfillConfig{AnyOrder: anyOrder, Concurrency: 1 + random.IntN(8), MaxBuffered: 400 + random.IntN(2000)}))
	require.NoError(t, err)
	times := map[string]int{}
	for _, id := range got {
		times[id]++
		require.Equal(t, 1, times[id], "%s came twice", id)
	}
	for id := range stays {
		require.Equal(t, 1, times[id], "%s was there all the while", id)
	}
	if !anyOrder {
		l.requireOldestFirst(got)
	}
}

func TestBackfillHandsOutNothingFromToOn(t *testing.T) {
	for _, anyOrder := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			l := newFakeList(t, steady(2000, 10)...)
			l.latency = 100 * time.Millisecond
			want, got := l.ids(), []string(nil)
			for object, err := range l.backfill(stripekit.BackfillConfig{
				Concurrency: 2, AnyOrder: anyOrder, To: time.Unix(listStart+19_991, 0),
			}) {
				require.NoError(t, err)
				if got = append(got, object.ID); len(got)%100 == 50 {
					l.add(20_000 + int64(len(got)))
				}
			}
			requireDeliveredOnce(t, want, got)
		})
	}
}

func TestBackfillReturnsTheContextsErrorBeforeAnythingElse(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newFakeList(t, 1, 2, 3)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for _, store := range []stripekit.CheckpointStore{nil, new(stripekit.MemoryStore)} {
			got, err := taken(stripekit.Backfill(ctx, l.source(), stripekit.BackfillConfig{Checkpoints: store}))
			require.ErrorIs(t, err, context.Canceled)
			require.Empty(t, got)
			require.Zero(t, l.listRequests())
		}
	})
}
