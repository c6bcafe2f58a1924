package tail

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// steady returns a flow on a list that grows at a constant rate, after a time
// that is long enough to reach a steady state.
func steady(t *testing.T, overlap, interval time.Duration, perSecond float64, undated bool) *flow {
	f := newFlow(t, overlap, undated)
	f.service.traffic.rate = perSecond
	f.run(overlap+90*time.Minute, interval)
	return f
}

// perPoll returns how many requests a poll makes on average.
func perPoll(f *flow, d, interval time.Duration) float64 {
	requests, polls := f.run(d, interval)
	return float64(requests) / float64(polls)
}

func TestAQuietListCostsARequestAPoll(t *testing.T) {
	for _, undated := range []bool{false, true} {
		f := steady(t, 10*time.Minute, 15*time.Second, 1.0/3600, undated)
		require.Equal(t, 1.0, perPoll(f, 6*time.Hour, 15*time.Second))
	}
}

func TestABusyListCostsSixRequestsAPoll(t *testing.T) {
	f := steady(t, 10*time.Minute, 15*time.Second, 10, false)
	require.LessOrEqual(t, perPoll(f, 2*time.Hour, 15*time.Second), 6.0)
	require.Less(t, len(f.tail.Snapshot().Seen), 10*(600+300))
}

func TestALongOverlapCostsLittleMore(t *testing.T) {
	const rate, interval = 5.0 / 60, 15 * time.Second
	short := steady(t, 10*time.Minute, interval, rate, false)
	long := steady(t, 24*time.Hour, interval, rate, false)
	a, b := perPoll(short, 12*time.Hour, interval), perPoll(long, 12*time.Hour, interval)
	require.LessOrEqual(t, b, 1.3*a)
}

func TestABacklogCostsARequestAPage(t *testing.T) {
	const n, span = 200_000, 45 * day
	f := newFlow(t, 10*time.Minute, false)
	first := f.service.second() - span
	for i := range int64(n) {
		f.service.happen((first*n+span*i)*1000/n, false)
	}
	f.tail = New(Config{Overlap: 10 * time.Minute, From: first, Start: f.mono})
	requests := f.poll()
	require.Len(t, f.found, n)
	require.Less(t, requests, n/100*5/4+200)
	require.Less(t, f.maxSeen, 3000)
}

// An undated list needs more pages than a dated one: more than the budget of a
// poll.
func TestABusyUndatedListStaysBounded(t *testing.T) {
	f := steady(t, 10*time.Minute, 15*time.Second, 10, true)
	f.run(4*time.Hour, 15*time.Second)
	require.Less(t, len(f.tail.Snapshot().Seen), 10*(600+300)+1000)
	require.LessOrEqual(t, perPoll(f, time.Hour, 15*time.Second), 10.0)
}

// A reader that cannot keep up falls behind, at once or so slowly that it is
// within the overlap for hours. Its memory does not grow. Polls that are never
// done in time have no sweeps.
func TestAReaderSlowerThanTheListStaysBounded(t *testing.T) {
	for _, request := range []time.Duration{8 * time.Second, 9 * time.Second, 10 * time.Second, 15 * time.Second, time.Minute} {
		f := newFlow(t, 10*time.Minute, false)
		f.service.traffic.rate, f.request = 10, request
		f.pass(time.Minute)
		for end := f.mono.Add(6 * time.Hour); f.mono.Before(end); {
			f.tail.Begin()
			for f.mono.Before(end) && f.step(false) {
			}
		}
		require.Less(t, f.maxSeen, 10*(600+300)+3000, "%v", request)
		require.Greater(t, len(f.found), 20_000, "%v", request)
	}
}

// A few objects dated far ahead do not distort the estimate of how dense the
// list is.
func TestAnObjectOfTheFutureDoesNotSpoilTheWindows(t *testing.T) {
	f := newFlow(t, 10*time.Minute, false)
	f.poll()
	f.service.traffic.rate = 1
	f.pass(time.Hour)
	f.service.add(f.service.second()+30*day, f.service.now)
	require.Less(t, f.poll(), 48)
}

// If the newest pages are sparse and what is older is dense, that is found out
// once, and not with an extra page for every window.
func TestADenseBacklogBelowASparseTopIsReadOnce(t *testing.T) {
	f := newFlow(t, 10*time.Minute, false)
	f.poll()
	f.service.traffic.rate = 3
	f.pass(time.Hour)
	f.service.traffic.rate = 1.0 / 600
	f.pass(7 * 24 * time.Hour)
	requests := f.poll()
	require.Less(t, requests, 2*len(f.found)/100+100)
}
