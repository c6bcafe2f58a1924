package lease

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const testTTL = 8 * time.Second

// fixture is a Worker with a clock.
type fixture struct {
	*Worker
	t        *testing.T
	now      time.Time
	revision uint64
}

// newFixture returns a worker with the name "a.b" that has done nothing yet. Its
// sessions are "a.b.1", "a.b.2" and so on.
func newFixture(t *testing.T, shards int) *fixture {
	ids := 0
	return &fixture{t: t, now: moment(1.7e18, int64(time.Hour)), revision: 100, Worker: New(Config{
		Name: "a.b", Shards: shards, TTL: testTTL, Rand: rand.New(rand.NewPCG(1, 2)),
		NewID: func() string { ids++; return fmt.Sprint(ids) },
	})}
}

// newReady returns a worker whose session has begun, has settled and was renewed.
func newReady(t *testing.T, shards int) *fixture {
	f := newFixture(t, shards)
	f.done(f.one(Renew))
	f.Watching()
	f.Synced()
	f.none()
	f.now = f.now.Add(testTTL / 4)
	return f
}

// newRunning returns a worker that runs all shards.
func newRunning(t *testing.T, shards int) *fixture {
	f := newReady(t, shards)
	for _, op := range f.next(Claim, shards) {
		require.Len(t, f.done(op), 1)
	}
	return f
}

// ops calls Next. Renewals are Done at once.
func (f *fixture) ops() (ops []Op) {
	for _, op := range f.Next(f.now) {
		if op.Kind == Renew {
			f.done(op)
		} else {
			ops = append(ops, op)
		}
	}
	return ops
}

// next calls ops, and wants n operations of a kind and no other ones.
func (f *fixture) next(kind Kind, n int) []Op {
	f.t.Helper()
	ops := f.ops()
	require.Len(f.t, ops, n, "%v", ops)
	for _, op := range ops {
		require.Equal(f.t, kind, op.Kind, "%v", ops)
	}
	return ops
}

// one calls Next, and wants one operation.
func (f *fixture) one(kind Kind) Op {
	f.t.Helper()
	ops := f.Next(f.now)
	require.Len(f.t, ops, 1)
	require.Equal(f.t, kind, ops[0].Kind)
	return ops[0]
}

// none wants no operation but renewals.
func (f *fixture) none() {
	f.t.Helper()
	require.Empty(f.t, f.ops())
}

func (f *fixture) done(op Op) []Op {
	f.revision++
	return f.Ended(op, Done, f.revision, f.now)
}

func (f *fixture) pass(d time.Duration) {
	for end := f.now.Add(d); f.now.Before(end); f.now = f.now.Add(testTTL / 16) {
		f.none()
	}
}

func TestRightEndsByEitherClock(t *testing.T) {
	const valid = testTTL - testTTL/10
	tests := map[string]struct {
		monotonic, wall time.Duration
		want            bool
	}{
		"at once":                      {0, 0, true},
		"shortly before":               {valid - 1, valid - 1, true},
		"after the time":               {valid, valid, false},
		"after a suspension":           {time.Second, valid, false},
		"the wall clock was set back":  {valid, -time.Hour, false},
		"set back and still in time":   {valid - 1, -time.Hour, true},
		"the wall clock stands still":  {valid, 0, false},
		"the wall clock was put ahead": {0, time.Hour, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := Right{since: moment(1.7e18, int64(time.Hour)), ttl: testTTL}
			require.Equal(t, test.want, r.Valid(moment(1.7e18+int64(test.wall), int64(time.Hour+test.monotonic))))
		})
	}
	require.False(t, Right{}.Valid(time.Now()))
}

func TestRightIsCountedFromTheSendingOfARenewal(t *testing.T) {
	f := newFixture(t, 1)
	op := f.one(Renew)
	sent := f.now
	f.now = f.now.Add(testTTL / 2)
	f.done(op)
	require.True(t, f.Right().Valid(sent.Add(testTTL-testTTL/10-1)))
	require.False(t, f.Right().Valid(sent.Add(testTTL-testTTL/10)))
}

func TestWorkerClaimsNothingYet(t *testing.T) {
	tests := map[string]func(f *fixture){
		"before its session is stored":  func(f *fixture) { f.Synced(); f.Next(f.now) },
		"before it has observed all":    func(f *fixture) { f.done(f.one(Renew)) },
		"while it observes anew":        func(f *fixture) { f.Synced(); f.done(f.one(Renew)); f.Watching() },
		"after it was told to leave":    func(f *fixture) { f.Synced(); f.done(f.one(Renew)); f.Leaves(); f.one(Leave) },
		"after its session has expired": func(f *fixture) { f.Synced(); f.done(f.one(Renew)); f.now = f.now.Add(testTTL) },
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, 4)
			test(f)
			f.now = f.now.Add(testTTL / 4)
			for _, op := range f.Next(f.now) {
				require.Equal(t, Renew, op.Kind)
			}
		})
	}
	t.Run("before others can be known", func(t *testing.T) {
		f := newFixture(t, 4)
		f.Synced()
		f.done(f.one(Renew))
		f.now = f.now.Add(testTTL/4 - 1)
		f.none()
		f.now = f.now.Add(1)
		f.next(Claim, 4)
	})
}

func TestWorkerClaimsUpToItsShare(t *testing.T) {
	tests := map[string]struct {
		others []string
		gone   []string
		want   int
	}{
		"alone":                          {nil, nil, 10},
		"one of two":                     {[]string{"a.c.1"}, nil, 5},
		"rounded up":                     {[]string{"a.c.1", "d.1"}, nil, 4},
		"more workers than shards":       {[]string{"1.x", "2.x", "3.x", "4.x", "5.x", "6.x", "7.x", "8.x", "9.x", "10.x", "11.x"}, nil, 1},
		"two sessions of one name":       {[]string{"a.c.1", "a.c.2"}, nil, 5},
		"another process of its name":    {[]string{"a.b.x"}, nil, 10},
		"another one that is gone":       {[]string{"a.c.1", "d.1"}, []string{"d.1"}, 5},
		"a session of a name in another": {[]string{"a.1"}, nil, 5},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := newReady(t, 10)
			for _, id := range test.others {
				f.ObserveSession(id, false, f.now)
			}
			for _, id := range test.gone {
				f.ObserveSession(id, true, f.now)
			}
			for _, op := range f.next(Claim, test.want) {
				require.Equal(t, "a.b.1", op.Session)
				require.Zero(t, op.Revision)
			}
			f.none()
		})
	}
}

func TestWorkerRunsWhatItHasClaimed(t *testing.T) {
	run := []Op{{Kind: Run}}
	tests := map[string]struct {
		before  func(f *fixture)
		outcome Outcome
		want    []Op
	}{
		"after Done":           {nil, Done, run},
		"not after a conflict": {nil, Conflict, nil},
		"not in doubt":         {nil, Unknown, nil},
		"if the right has ended": {func(f *fixture) {
			f.now = f.now.Add(testTTL)
		}, Done, nil},
		"not for another session": {func(f *fixture) {
			f.ObserveSession("a.b.1", true, f.now)
			f.now = f.now.Add(testTTL / 4)
			f.done(f.one(Renew))
			require.True(f.t, f.Right().Valid(f.now))
		}, Done, nil},
		"not if another one has taken over": {func(f *fixture) {
			f.ObserveClaim(0, "z.1", 200)
		}, Done, nil},
		"if it has observed an earlier claim": {func(f *fixture) {
			f.ObserveClaim(0, "z.1", 50)
		}, Done, run},
		"if it has observed its claim": {func(f *fixture) {
			f.ObserveClaim(0, "a.b.1", 102)
		}, Done, run},
		"not if all is observed anew without it": {func(f *fixture) {
			f.Watching()
			f.Synced()
		}, Done, nil},
		"not before all is observed anew": {func(f *fixture) {
			f.Watching()
		}, Done, nil},
		"if all is observed anew with it": {func(f *fixture) {
			f.Watching()
			f.ObserveClaim(0, "a.b.1", 102)
			f.Synced()
		}, Done, run},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := newReady(t, 1)
			f.revision = 101
			op := f.next(Claim, 1)[0]
			f.revision = 101
			if test.before != nil {
				test.before(f)
			}
			require.Equal(t, test.want, f.Ended(op, test.outcome, 102, f.now))
			require.Equal(t, test.want != nil, f.Holds(0))
		})
	}
}

// A Claim in doubt may have been stored. Before its end is known, the shard must not
// run, because an earlier Free with the same revision could still arrive.
func TestWorkerClaimsAgainWhatItHasClaimedInDoubt(t *testing.T) {
	f := newReady(t, 1)
	op := f.next(Claim, 1)[0]
	require.Empty(t, f.Ended(op, Unknown, 0, f.now))
	f.none()
	require.Empty(t, f.ObserveClaim(0, "a.b.1", 120))
	again := f.next(Claim, 1)[0]
	require.EqualValues(t, 120, again.Revision)
	require.Equal(t, []Op{{Kind: Run, Shard: 0}}, f.Ended(again, Done, 130, f.now))
	f.none()
}

func TestWorkerFreesAClaimInDoubtAboveItsShare(t *testing.T) {
	f := newReady(t, 2)
	ops := f.next(Claim, 2)
	f.Ended(ops[0], Unknown, 0, f.now)
	f.done(ops[1])
	f.ObserveSession("z.1", false, f.now)
	f.ObserveClaim(ops[0].Shard, ops[0].Session, 120)
	free := f.next(Free, 1)[0]
	require.Equal(t, ops[0].Shard, free.Shard)
	require.EqualValues(t, 120, free.Revision)
}

func TestWorkerAfterAFree(t *testing.T) {
	tests := map[string]struct {
		before   func(f *fixture, shard int) // the Free ends
		outcome  Outcome
		after    func(f *fixture, shard int)
		want     []Kind // if it may have another shard
		revision uint64 // of the Claim
	}{
		"that was done, it may claim the shard": {nil, Done, nil, []Kind{Claim}, 150},
		"that was done, before its Claim is observed": {nil, Done, func(f *fixture, shard int) {
			f.ObserveClaim(shard, "a.b.1", 103)
		}, []Kind{Claim}, 150},
		"in doubt, it claims the shard again": {nil, Unknown, nil, []Kind{Claim}, 103},
		"in doubt, which was stored": {nil, Unknown, func(f *fixture, shard int) {
			f.ObserveClaim(shard, "", 150)
		}, []Kind{Claim}, 150},
		"in doubt, while another one has claimed the shard": {nil, Unknown, func(f *fixture, shard int) {
			f.ObserveClaim(shard, "y.1", 160)
		}, nil, 0},
		"that was refused, because another one has claimed the shard": {func(f *fixture, shard int) {
			f.ObserveClaim(shard, "y.1", 140)
		}, Conflict, nil, nil, 0},
		"that a failover has undone": {func(f *fixture, shard int) {
			f.Watching()
			f.ObserveClaim(shard, "a.b.1", 103)
			f.ObserveClaim(1-shard, "a.b.1", 103)
			f.Synced()
		}, Done, nil, []Kind{Claim}, 103},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := newReady(t, 2)
			for _, op := range f.next(Claim, 2) {
				f.Ended(op, Done, 103, f.now)
			}
			f.ObserveSession("z.1", false, f.now)
			shard := f.next(Drain, 1)[0].Shard
			free := f.Stopped(shard)
			require.Equal(t, []Op{{Kind: Free, Session: "a.b.1", Shard: shard, Revision: 103}}, free)
			if test.before != nil {
				test.before(f, shard)
			}
			require.Empty(t, f.Ended(free[0], test.outcome, 150, f.now))
			if test.after != nil {
				test.after(f, shard)
			}
			f.ObserveSession("z.1", true, f.now)
			f.now = f.now.Add(testTTL / 16)
			if test.want == nil {
				f.ObserveSession("y.1", false, f.now)
				f.none()
				return
			}
			ops := f.ops()
			require.Equal(t, test.want, kinds(ops))
			require.Equal(t, test.revision, ops[0].Revision)
		})
	}
}

func kinds(ops []Op) (kinds []Kind) {
	for _, op := range ops {
		kinds = append(kinds, op.Kind)
	}
	return kinds
}

func TestWorkerDrainsOnlyItsSurplus(t *testing.T) {
	f := newRunning(t, 10)
	f.ObserveSession("z.1", false, f.now)
	drained := f.next(Drain, 5)
	f.none()
	for _, op := range drained {
		require.True(t, f.Holds(op.Shard), "it may still save")
		free := f.Stopped(op.Shard)
		require.Len(t, free, 1)
		require.Equal(t, Free, free[0].Kind)
		require.False(t, f.Holds(op.Shard))
		f.none()
		require.Empty(t, f.done(free[0]))
	}
	f.none()
	f.ObserveSession("z.1", true, f.now)
	f.next(Claim, 5)
}

func TestWorkerLosesAShard(t *testing.T) {
	lose := func(f *fixture) []Op { return f.Next(f.now) }
	tests := map[string]func(f *fixture) []Op{
		"that another one has claimed": func(f *fixture) []Op { return f.ObserveClaim(0, "z.1", 200) },
		"that another one has freed":   func(f *fixture) []Op { return f.ObserveClaim(0, "", 200) },
		"that the engine has lost":     func(f *fixture) []Op { f.Watching(); return f.Synced() },
		"when its session was removed": func(f *fixture) []Op { f.ObserveSession("a.b.1", true, f.now); return lose(f) },
		"when its right has ended":     func(f *fixture) []Op { f.now = f.now.Add(testTTL); return lose(f) },
		"when its renewal is refused": func(f *fixture) []Op {
			f.now = f.now.Add(testTTL / 4)
			f.Ended(f.one(Renew), Conflict, 0, f.now)
			return lose(f)
		},
	}
	for name, test := range tests {
		for _, drains := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, draining %v", name, drains), func(t *testing.T) {
				f := newRunning(t, 1)
				if drains {
					f.Leaves()
					f.next(Drain, 1)
				}
				ops := slices.DeleteFunc(test(f), func(op Op) bool { return op.Kind == Renew })
				require.Equal(t, []Op{{Kind: Lose, Shard: 0}}, ops)
				require.False(t, f.Holds(0))
				require.NotContains(t, kinds(f.Next(f.now)), Lose)
				require.Empty(t, f.Stopped(0), "what is lost is not freed")
			})
		}
	}
}

func TestWorkerKeepsAShard(t *testing.T) {
	tests := map[string]func(f *fixture) []Op{
		"after an old claim of another one": func(f *fixture) []Op { return f.ObserveClaim(0, "z.1", 7) },
		"after its own claim":               func(f *fixture) []Op { return f.ObserveClaim(0, "a.b.1", f.holdings[0].revision) },
		"when all is observed anew": func(f *fixture) []Op {
			f.Watching()
			f.ObserveClaim(0, "a.b.1", f.holdings[0].revision)
			return f.Synced()
		},
		"when the removal of its old session is observed": func(f *fixture) []Op {
			f.ObserveSession("a.b.0", true, f.now)
			return f.ops()
		},
		"when it knows of no such shard": func(f *fixture) []Op { return append(f.ObserveClaim(1, "z.1", 7), f.ObserveClaim(-1, "z.1", 7)...) },
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := newRunning(t, 1)
			require.Empty(t, test(f))
			require.True(t, f.Holds(0))
		})
	}
}

// The engine fails over to a state in which the shard has an earlier claim of the same
// session. It can only be freed with that revision.
func TestWorkerFreesTheClaimThatAFailoverHasLeft(t *testing.T) {
	f := newRunning(t, 1)
	f.Watching()
	f.ObserveClaim(0, "a.b.1", 50)
	require.Empty(t, f.Synced())
	f.Leaves()
	f.next(Drain, 1)
	require.EqualValues(t, 50, f.Stopped(0)[0].Revision)
}

func TestWorkerTakesOver(t *testing.T) {
	probed := func(outcome Outcome) func(f *fixture) {
		return func(f *fixture) {
			op := f.next(Probe, 1)[0]
			require.Equal(f.t, "z.1", op.Session)
			f.Ended(op, outcome, 0, f.now)
		}
	}
	tests := map[string]struct {
		observe func(f *fixture)
		claims  bool
	}{
		"not from a session that it knows":           {func(f *fixture) { f.ObserveSession("z.1", false, f.now) }, false},
		"after it has observed the removal":          {func(f *fixture) { f.ObserveSession("z.1", true, f.now) }, true},
		"if the engine knows no such session":        {probed(Conflict), true},
		"not if the engine knows it":                 {probed(Done), false},
		"not if the engine does not respond":         {probed(Unknown), false},
		"not before the engine has responded":        {func(f *fixture) { f.next(Probe, 1) }, false},
		"not if the session appears after the claim": {func(f *fixture) { f.next(Probe, 1); f.ObserveSession("z.1", false, f.now) }, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := newReady(t, 1)
			f.ObserveClaim(0, "z.1", 90)
			test.observe(f)
			if !test.claims {
				f.none()
				return
			}
			require.EqualValues(t, 90, f.next(Claim, 1)[0].Revision)
		})
	}
}

func TestWorkerProbes(t *testing.T) {
	t.Run("again if the engine has not responded", func(t *testing.T) {
		f := newReady(t, 1)
		f.ObserveClaim(0, "z.1", 90)
		f.Ended(f.next(Probe, 1)[0], Unknown, 0, f.now)
		f.pass(testTTL / 4)
		f.next(Probe, 1)
		f.pass(testTTL) // one at a time
	})
	t.Run("a session that it has not observed for 2 TTL", func(t *testing.T) {
		f := newReady(t, 2)
		f.ObserveSession("z.1", false, f.now)
		f.next(Claim, 1)
		f.pass(2 * testTTL)
		f.Ended(f.next(Probe, 1)[0], Conflict, 0, f.now)
		f.next(Claim, 1) // the share of one worker
		require.Empty(t, f.others)
	})
	t.Run("a session that the engine knows again after 2 TTL", func(t *testing.T) {
		f := newReady(t, 2)
		f.ObserveSession("z.1", false, f.now)
		f.next(Claim, 1)
		f.pass(2 * testTTL)
		f.Ended(f.next(Probe, 1)[0], Done, 0, f.now)
		f.pass(2 * testTTL)
		f.next(Probe, 1)
	})
}

func TestWorkerTriesAgainLater(t *testing.T) {
	for _, outcome := range []Outcome{Conflict, Unknown} {
		t.Run(fmt.Sprintf("after a Claim with outcome %d", outcome), func(t *testing.T) {
			f := newReady(t, 1)
			f.Ended(f.next(Claim, 1)[0], outcome, 0, f.now)
			f.now = f.now.Add(testTTL/16 - 1)
			f.none()
			f.now = f.now.Add(1)
			f.next(Claim, 1)
		})
		t.Run(fmt.Sprintf("after a Free with outcome %d", outcome), func(t *testing.T) {
			f := newRunning(t, 2)
			f.ObserveSession("z.1", false, f.now)
			f.Ended(f.Stopped(f.next(Drain, 1)[0].Shard)[0], outcome, 0, f.now)
			f.now = f.now.Add(testTTL/16 - 1)
			f.none()
			f.now = f.now.Add(1)
			f.next(Free, 1)
		})
	}
}

func TestWorkerTakesOverAllShards(t *testing.T) {
	f := newReady(t, 4)
	f.ObserveSession("z.1", false, f.now)
	for shard := range 4 {
		f.ObserveClaim(shard, "z.1", 90)
	}
	f.none()
	f.ObserveSession("z.1", true, f.now)
	f.next(Claim, 4) // the share of one worker
}

func TestWorkersWithOneNameShareNothing(t *testing.T) {
	f := newReady(t, 4)
	f.ObserveSession("a.b.x", false, f.now)
	f.ObserveClaim(0, "a.b.x", 90)
	f.ObserveClaim(1, "a.b.x", 91)
	f.next(Claim, 2)
	require.Empty(t, f.ObserveClaim(0, "a.b.x", 92))
	f.none()
}

func TestWorkerForgetsSessions(t *testing.T) {
	f := newRunning(t, 1)
	for i := range 1000 {
		id := fmt.Sprintf("z.%d", i)
		f.ObserveSession(id, false, f.now)
		f.ObserveSession(id, true, f.now)
		f.none()
		require.Empty(t, f.others)
	}
}

// Holds reports whether the worker runs the shard by a claim that stands.
func (w *Worker) Holds(shard int) bool {
	h := w.holdings[shard]
	return h != nil && (h.state == running || h.state == draining)
}
