package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/fleet"
	"github.com/stripekit/stripekit/internal/shops"
)

// troubled is a fleet with one connection of each trouble:
//
//	shop 0  it has a trigger that no worker watches: parked
//	shop 1  the service fails
//	shop 2  its handler fails
//	shop 3  its handler hangs: lagging
//	shop 4  its first charge is given up
type troubled struct {
	*world
	a, b, c *process
	broken  atomic.Bool
	gaveUp  atomic.Bool
}

const troubledShops = 40

func newTroubled(t *testing.T) *troubled {
	w := &troubled{}
	w.world = newWorld(t, shops.Config{
		Fail: func(account int, _ time.Time) int {
			if account == 1 && w.broken.Load() {
				return http.StatusInternalServerError
			}
			return 0
		},
	})
	w.broken.Store(true)
	w.handle = func(ctx context.Context, _ string) error {
		if !w.broken.Load() {
			return nil
		}
		flow := fleet.FlowFromContext(ctx)
		switch flow.Connection {
		case "shop 2":
			return errors.New("the ledger refuses sk_live_abcdefgh for <b>shop 2</b>")
		case "shop 3":
			<-ctx.Done()
			return ctx.Err()
		case "shop 4":
			if flow.Trigger == "charges" && w.gaveUp.CompareAndSwap(false, true) {
				return errGiveUp
			}
		}
		return nil
	}
	w.a, w.b, w.c = w.run(w.trouble("a")), w.run(w.trouble("b")), w.run(w.trouble("c"))
	w.put(w.a, troubledShops)
	shop0 := spec(0)
	shop0.Triggers[1].Name = "orders"
	require.NoError(t, w.a.Put(t.Context(), shop0))
	return w
}

var errGiveUp = errors.New("this event cannot be handled")

// trouble makes a worker that gives up an event with errGiveUp at once.
func (w *troubled) trouble(name string) *process {
	p := &process{name: name}
	w.process(name, func(cfg *fleet.Config) {
		cfg.Engine = processEngine{&w.engine, p}
		var err error
		p.Fleet, err = fleet.New(*cfg)
		require.NoError(w.t, err)
	})
	require.NoError(w.t, fleet.Watch(p.Fleet, "charges", func(c *stripekit.Client) stripekit.Source[stripekit.Charge] { return c.Charges },
		func(ctx context.Context, e stripekit.Event[stripekit.Charge]) error {
			err := w.deliver(ctx, e.ID)
			if errors.Is(err, errGiveUp) {
				e.Term(err)
			}
			return err
		}))
	require.NoError(w.t, fleet.Watch(p.Fleet, "customers", func(c *stripekit.Client) stripekit.Source[stripekit.Customer] { return c.Customers },
		func(ctx context.Context, e stripekit.Event[stripekit.Customer]) error { return w.deliver(ctx, e.ID) }))
	return p
}

func (w *troubled) all() []*process { return []*process{w.a, w.b, w.c} }

func TestEveryWorkerShowsTheTroubleOfTheWholeFleet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTroubled(t)
		pass(10 * time.Minute)
		for _, p := range w.all() {
			o := p.overview(t)
			require.True(t, o.Running && o.Complete && !o.Stale)
			require.Equal(t, struct{ Total, Unowned int }{32, 0}, o.Shards)
			require.Equal(t, struct{ Total, Run, Unowned int }{troubledShops, troubledShops, 0}, o.Connections)
			require.Equal(t, 2*troubledShops, o.Flows.Total)
			require.Equal(t, 1, o.Flows.Parked, "the orders of shop 0")
			require.Equal(t, 4, o.Flows.Failing, "shops 1 and 2")
			require.Equal(t, 2, o.Flows.Lagging, "shop 3")
			require.Equal(t, 1, o.Flows.GaveUp, "the charges of shop 4")
			require.Equal(t, 2*troubledShops-8, o.Flows.Polling)
			byLag := 0
			for _, l := range o.Lags {
				byLag += l.Flows
			}
			require.Equal(t, 2*troubledShops-1, byLag, "the parked flow has no lag")
			require.Greater(t, o.MaxLag, 300.0)
			require.Positive(t, o.LastHour.GivenUp)
			require.Len(t, o.Workers, 3)
			shards := 0
			for i, name := range []string{"a", "b", "c"} {
				require.Equal(t, name, o.Workers[i].Name)
				require.Equal(t, "alive", o.Workers[i].State)
				require.LessOrEqual(t, o.Workers[i].Heartbeat, 2.0)
				require.Zero(t, o.Workers[i].Unreported)
				shards += o.Workers[i].Shards
			}
			require.Equal(t, 32, shards)

			require.Equal(t, map[string]int{
				"parked": 1, "failing": 2, "lagging": 1, "gave_up": 1, "unowned": 0, "unknown": 0, "starting": 0, "polling": troubledShops - 5,
			}, p.list(t).States)
			for name, want := range map[string]struct{ state, err string }{
				"shop 0": {"parked", "this worker watches no trigger of this name"},
				"shop 1": {"failing", "500"},
				"shop 2": {"failing", "the ledger refuses sk_live_**** for <b>shop 2</b>"},
				"shop 3": {"lagging", ""},
				"shop 4": {"gave_up", ""},
				"shop 5": {"polling", ""},
			} {
				c := p.find(t, name)
				require.Equal(t, want.state, c.State, "%s as %s shows it", name, p.name)
				require.Contains(t, c.Error, want.err)
				require.Equal(t, c.Worker == p.name, c.Exact)
				require.Len(t, c.Flows, 2)
			}
		}
		w.broken.Store(false)
		w.end(w.all()...)
	})
}

func TestTheTotalsOfEventsAreThoseThatWereDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, shops.Config{})
		a, b := w.run(w.process("a")), w.run(w.process("b"))
		w.put(a, 10)
		pass(20*time.Minute + 5*time.Second)
		w.mu.Lock()
		delivered, requests := len(w.events), len(w.requests)
		w.mu.Unlock()
		for _, p := range []*process{a, b} {
			o := p.overview(t)
			require.InDelta(t, delivered, o.LastHour.Events, 0.03*float64(delivered), p.name)
			require.InDelta(t, requests, o.LastHour.Requests, 0.05*float64(requests), p.name)
			require.InDelta(t, 2*10/40.0, o.Events, 1.2, p.name)
			inHistory := 0.0
			for _, point := range o.History {
				inHistory += 30 * point.Events
			}
			require.InDelta(t, delivered, inHistory, 0.1*float64(delivered), "without the first and the last moments")
			require.InDelta(t, 38, len(o.History), 2)
		}
		// A worker that is killed keeps its part in the sums.
		before := a.overview(t).LastHour.Events
		b.dead.Store(true)
		pass(2 * ttl)
		o := a.overview(t)
		require.GreaterOrEqual(t, o.LastHour.Events, before)
		require.Equal(t, "gone", o.Workers[1].State)
		pass(70 * time.Minute)
		o = a.overview(t)
		require.Len(t, o.Workers, 1, "after an hour it is forgotten")
		require.InDelta(t, 3600*2*10/40.0, o.LastHour.Events, 150)
		require.InDelta(t, 119, len(o.History), 1)
		b.dead.Store(false)
		w.end(a, b)
	})
}

// refusedClaims is an Engine that refuses claims for some time.
type refusedClaims struct {
	fleet.Engine
	refused atomic.Bool
}

func (e *refusedClaims) Put(ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration) (uint64, error) {
	if strings.HasPrefix(key, "claim/") && e.refused.Load() {
		return 0, errDead
	}
	return e.Engine.Put(ctx, key, value, revision, ttl)
}

func TestADeadWorkerIsSilentThenGoneAndItsShardsAreUnowned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, shops.Config{})
		claims := &refusedClaims{}
		a := w.run(w.process("a", func(cfg *fleet.Config) { claims.Engine, cfg.Engine = cfg.Engine, claims }))
		b := w.run(w.process("b"))
		w.put(a, 60)
		pass(2 * time.Minute)
		b.dead.Store(true)
		pass(6 * time.Second)
		o := a.overview(t)
		require.Equal(t, "silent", o.Workers[1].State)
		require.Contains(t, a.pageText(t, "/"), "Worker b is silent: its last heartbeat was")
		require.Zero(t, o.Shards.Unowned)

		claims.refused.Store(true)
		pass(ttl)
		o = a.overview(t)
		require.Equal(t, 16, o.Shards.Unowned)
		require.InDelta(t, 30, o.Connections.Unowned, 15)
		require.Equal(t, 60, o.Connections.Total)
		l := a.list(t, "state", "unowned")
		require.Equal(t, o.Connections.Unowned, l.Matches)
		require.Equal(t, "unowned", l.Connections[0].State)
		require.Empty(t, l.Connections[0].Worker)
		require.Contains(t, a.pageText(t, "/"), fmt.Sprintf("No worker holds 16 of 32 shards. Their %d connections are not polled.", o.Connections.Unowned))
		claims.refused.Store(false)

		pass(ttl)
		o = a.overview(t)
		require.Equal(t, "gone", o.Workers[1].State)
		require.Zero(t, o.Shards.Unowned)
		require.Equal(t, 32, o.Workers[0].Shards)
		require.Equal(t, 60, a.list(t, "state", "polling").Matches+a.list(t, "state", "starting").Matches)

		require.True(t, b.overview(t).Stale)
		require.Contains(t, b.pageText(t, "/"), "it does not reach the engine")
		b.dead.Store(false)
		pass(time.Minute)
		require.Equal(t, "alive", a.overview(t).Workers[1].State)
		require.False(t, b.overview(t).Stale)
		w.end(a, b)
	})
}

func TestARemovedConnectionIsNotShownAlthoughItIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTroubled(t)
		pass(5 * time.Minute)
		for _, p := range w.all() {
			require.Equal(t, troubledShops, p.list(t).Matches)
		}
		require.NoError(t, w.a.Remove(t.Context(), "shop 0"))
		pass(100 * time.Millisecond)
		for _, p := range w.all() {
			require.Empty(t, p.list(t, "state", "parked").Connections)
			require.Equal(t, troubledShops-1, p.list(t).Matches)
			require.NotContains(t, p.pageText(t, "/"), "shop 0<")
		}
		pass(12 * time.Second)
		require.Zero(t, w.b.overview(t).Flows.Parked)
		w.broken.Store(false)
		w.end(w.all()...)
	})
}

func TestTheStateOfFlowsBeyondAReportIsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const accounts = 900
		w := newWorld(t, shops.Config{Period: time.Hour})
		a, b := w.run(w.process("a")), w.run(w.process("b"))
		for account := range accounts {
			s := spec(account)
			if account >= 30 {
				s.Triggers = []fleet.Trigger{{Name: "orders"}, {Name: "refunds"}}
			}
			require.NoError(t, a.Put(t.Context(), s))
		}
		pass(time.Minute)
		oa := a.overview(t)
		require.Equal(t, 2*(accounts-30), oa.Flows.Parked, "the totals are not cut off")
		require.Equal(t, oa.Flows, b.overview(t).Flows)
		require.Positive(t, oa.Workers[1].Unreported)
		l := a.list(t)
		require.Equal(t, accounts, l.States["parked"]+l.States["unknown"]+l.States["polling"])
		require.Positive(t, l.States["unknown"])
		own := oa.Workers[0].Connections
		require.InDelta(t, own+250, l.States["parked"], 40, "its own, and those of 500 flows")
		require.Contains(t, a.pageText(t, "/"), "Worker b has ")
		for _, c := range a.list(t, "state", "unknown", "limit", "500").Connections {
			require.Equal(t, "b", c.Worker)
			require.Equal(t, "unknown", c.State)
		}
		_, revision, err := w.engine.Get(t.Context(), "report/b")
		require.NoError(t, err)
		require.NotZero(t, revision)
		w.end(a, b)
	})
}

func TestAReportIsSmall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, shops.Config{Period: 20 * time.Second})
		w.handle = func(context.Context, string) error { return errors.New(strings.Repeat("x", 1000)) }
		a := w.run(w.process("a", func(cfg *fleet.Config) { cfg.Logger = nil }))
		w.put(a, 300)
		pass(time.Minute)
		value, _, err := w.engine.Get(t.Context(), "report/a")
		require.NoError(t, err)
		require.Greater(t, len(value), 50_000)
		require.LessOrEqual(t, len(value), 101_000)
		require.Less(t, len(a.pageText(t, "/")), 100_000)
		w.handle = nil
		w.end(a)
	})
}

func TestPagesHaveEachConnectionOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, shops.Config{Period: time.Hour})
		a := w.run(w.process("a"))
		const accounts = 137
		w.put(a, accounts)
		pass(time.Minute)
		for _, test := range []struct {
			params []string
			want   int
		}{
			{nil, accounts},
			{[]string{"limit", "1"}, accounts},
			{[]string{"limit", "137"}, accounts},
			{[]string{"limit", "10", "q", "SHOP 1"}, 1 + 10 + 37},
			{[]string{"limit", "7", "state", "polling"}, accounts},
		} {
			seen, last, after := map[string]bool{}, "", ""
			for pages := 0; ; pages++ {
				require.LessOrEqual(t, pages, accounts)
				l := a.list(t, append([]string{"after", after}, test.params...)...)
				require.Equal(t, test.want, l.Matches)
				for _, c := range l.Connections {
					require.Greater(t, c.Name, last)
					seen[c.Name], last = true, c.Name
				}
				if after = l.Next; after == "" {
					break
				}
			}
			require.Len(t, seen, test.want, fmt.Sprint(test.params))
		}
		w.end(a)
	})
}
