package lease

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWorkerRenewsItsSession(t *testing.T) {
	t.Run("every TTL/4, one at a time", func(t *testing.T) {
		f := newFixture(t, 1)
		op := f.one(Renew)
		require.Equal(t, Op{Kind: Renew, Session: "a.b.1", Sent: f.now}, op)
		require.Empty(t, f.Session())
		require.Empty(t, f.Next(f.now.Add(testTTL/4)))
		f.Ended(op, Done, 7, f.now)
		require.Equal(t, "a.b.1", f.Session())
		require.Empty(t, f.Next(f.now.Add(testTTL/4-1)))
		f.now = f.now.Add(testTTL / 4)
		require.Equal(t, Op{Kind: Renew, Session: "a.b.1", Revision: 7, Sent: f.now}, f.one(Renew))
	})
	t.Run("sooner after a doubtful renewal", func(t *testing.T) {
		f := newRunning(t, 1)
		f.now = f.now.Add(testTTL / 4)
		op := f.one(Renew)
		f.Ended(op, Unknown, 0, f.now)
		require.Empty(t, renewals(f.Next(f.now)))
		f.now = f.now.Add(testTTL / 16)
		again := renewals(f.Next(f.now))
		require.Len(t, again, 1)
		require.Equal(t, op.Session, again[0].Session)
		require.Equal(t, op.Revision, again[0].Revision)
	})
	t.Run("after a suspension, at once", func(t *testing.T) {
		f := newRunning(t, 1)
		f.now = moment(f.now.UnixNano()+int64(testTTL/2), int64(time.Hour+testTTL/4))
		require.Len(t, renewals(f.Next(f.now)), 1)
	})
}

func renewals(ops []Op) []Op {
	return slices.DeleteFunc(slices.Clone(ops), func(op Op) bool { return op.Kind != Renew })
}

func TestWorkerBeginsAnotherSession(t *testing.T) {
	t.Run("if the first Put is in doubt", func(t *testing.T) {
		f := newFixture(t, 1)
		f.Ended(f.one(Renew), Unknown, 0, f.now)
		require.Empty(t, f.Next(f.now))
		f.now = f.now.Add(testTTL / 16)
		require.Equal(t, Op{Kind: Renew, Session: "a.b.2", Sent: f.now}, f.one(Renew))
	})
	t.Run("if the first Put has taken too long", func(t *testing.T) {
		f := newFixture(t, 1)
		op := f.one(Renew)
		f.now = f.now.Add(testTTL)
		f.done(op)
		require.False(t, f.Right().Valid(f.now))
		require.Equal(t, "a.b.2", f.one(Renew).Session)
	})
	t.Run("after a conflict", func(t *testing.T) {
		f := newRunning(t, 1)
		f.now = f.now.Add(testTTL / 4)
		f.Ended(f.one(Renew), Conflict, 0, f.now)
		require.False(t, f.Right().Valid(f.now))
		f.one(Lose)
		f.now = f.now.Add(testTTL / 4)
		require.Equal(t, Op{Kind: Renew, Session: "a.b.2", Sent: f.now}, f.one(Renew))
	})
	t.Run("not before a renewal that is under way has ended", func(t *testing.T) {
		f := newRunning(t, 1)
		f.now = f.now.Add(testTTL / 4)
		op := f.one(Renew)
		f.now = f.now.Add(testTTL)
		f.one(Lose)
		require.Empty(t, f.Next(f.now))
		f.done(op)
		require.False(t, f.Right().Valid(f.now), "it has ended for good")
		require.Equal(t, "a.b.2", f.one(Renew).Session)
	})
	t.Run("which waits for the shards of the old one", func(t *testing.T) {
		f := newRunning(t, 1)
		f.ObserveSession("a.b.1", true, f.now)
		f.next(Lose, 1)
		f.now = f.now.Add(testTTL / 4)
		f.none()
		f.now = f.now.Add(testTTL / 4)
		f.Ended(f.next(Probe, 1)[0], Conflict, 0, f.now)
		f.pass(testTTL)
		require.Equal(t, "a.b.2", f.Session())
		f.Stopped(0)
		claim := f.next(Claim, 1)[0]
		require.Equal(t, "a.b.2", claim.Session)
	})
}

func TestWorkerLeaves(t *testing.T) {
	t.Run("in order", func(t *testing.T) {
		f := newRunning(t, 2)
		f.Leaves()
		f.next(Drain, 2)
		for range 16 { // the Pollers take long
			f.pass(testTTL / 4)
			require.True(t, f.Right().Valid(f.now), "it is renewed")
		}
		first, second := f.Stopped(0), f.Stopped(1)
		f.done(first[0])
		f.none()
		f.done(second[0])
		require.False(t, f.Left())
		leave := f.next(Leave, 1)[0]
		require.Equal(t, Op{Kind: Leave, Session: "a.b.1", Revision: f.self.revision}, leave)
		f.none()
		require.False(t, f.Left())
		f.Ended(leave, Done, 0, f.now)
		require.True(t, f.Left())
		require.False(t, f.Right().Valid(f.now))
		require.Empty(t, f.Next(f.now.Add(testTTL)))
	})
	t.Run("although its session cannot be deleted", func(t *testing.T) {
		for _, outcome := range []Outcome{Conflict, Unknown} {
			f := newReady(t, 1)
			f.Leaves()
			f.Ended(f.next(Leave, 1)[0], outcome, 0, f.now)
			require.True(t, f.Left())
		}
	})
	t.Run("before its session has begun", func(t *testing.T) {
		f := newFixture(t, 1)
		f.Leaves()
		require.Empty(t, f.Next(f.now))
		require.True(t, f.Left())
	})
	t.Run("while its session begins", func(t *testing.T) {
		f := newFixture(t, 1)
		op := f.one(Renew)
		f.Leaves()
		require.Empty(t, f.Next(f.now))
		require.False(t, f.Left())
		f.done(op)
		f.one(Leave)
	})
	t.Run("while it claims", func(t *testing.T) {
		f := newReady(t, 1)
		op := f.next(Claim, 1)[0]
		f.Leaves()
		f.none()
		for _, op := range f.done(op) {
			require.Equal(t, Run, op.Kind)
		}
		f.next(Drain, 1)
		f.done(f.Stopped(0)[0])
		f.next(Leave, 1)
	})
	t.Run("when its session ends while it drains", func(t *testing.T) {
		f := newRunning(t, 1)
		f.Leaves()
		f.next(Drain, 1)
		f.ObserveSession("a.b.1", true, f.now)
		f.next(Lose, 1)
		require.False(t, f.Left())
		require.Empty(t, f.Stopped(0))
		require.Empty(t, f.Next(f.now.Add(testTTL)), "it begins no other session")
		require.True(t, f.Left())
	})
	t.Run("not before a renewal that is under way has ended", func(t *testing.T) {
		f := newReady(t, 1)
		op := f.Next(f.now)[0]
		require.Equal(t, Renew, op.Kind)
		f.Leaves()
		f.Worker.holdings = map[int]*holding{} // as after Conflicts of its claims
		require.Empty(t, f.Next(f.now))
		f.Ended(op, Done, 300, f.now)
		require.EqualValues(t, 300, f.one(Leave).Revision)
	})
}
