package lease

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWorkerTakesWhatALeaverFreesBeforeTheLeaverIsGone(t *testing.T) {
	f := newReady(t, 8)
	f.ObserveSession("b.1", false, f.now)
	for shard := range 4 {
		f.ObserveClaim(shard, "b.1", uint64(1+shard))
	}
	for _, op := range f.next(Claim, 4) {
		f.done(op)
	}
	f.ObserveLeaving("b.1")
	f.next(Claim, 0)
	for shard := range 3 {
		f.ObserveClaim(shard, "", uint64(11+shard))
	}
	require.Len(t, f.next(Claim, 3), 3, "the fourth one has a slow handler")
}

func TestWorkerThatLeavesSaysSoAtOnce(t *testing.T) {
	f := newRunning(t, 2)
	f.Leaves()
	f.Leaves()
	ops := f.Next(f.now)
	require.Len(t, ops, 3)
	require.Equal(t, Renew, ops[0].Kind)
	require.True(t, ops[0].Leaving)
	f.done(ops[0])
	require.Empty(t, f.Next(f.now), "once")
}
