package tail

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/internal/listing"
)

// Objects created in the second of Start are found, whatever the fraction of
// Start is.
func TestBeginsWithTheSecondOfStart(t *testing.T) {
	for start := range 10 {
		for first := range 20 {
			f := newFlow(t, tenMinutes, false)
			wrong := first < 10
			f.request = time.Duration(100+99*start) * time.Millisecond
			f.date = func(second int64) int64 {
				if wrong {
					wrong = false
					return second + day
				}
				return second
			}
			f.add(1, 3600)
			f.pass(time.Duration(start) * 100 * time.Millisecond)
			f.fromNow()
			want := f.add(1, 0)
			f.pass(time.Duration(first) * 170 * time.Millisecond)
			f.poll()
			require.Equal(t, want, f.found)
		}
	}
}

func TestBeginsAtStartHoweverLateTheFirstResponse(t *testing.T) {
	f := newFlow(t, tenMinutes, false)
	f.add(200, 200)
	f.fromNow()
	require.Zero(t, f.tail.Snapshot().Floor)
	require.False(t, f.tail.Started())
	want := f.add(1, 0)
	f.pass(3 * time.Hour)
	f.crash() // keeps Start
	want = append(want, f.add(1, 0)...)
	f.poll()
	require.True(t, f.tail.Started())
	require.Equal(t, want, f.found)
}

func TestASingleWrongDateIsNotTheBeginning(t *testing.T) {
	for i, wrong := range []int64{
		-1000 * day, -3600, -5, 5, 50, 3600, 1000 * day,
		-3600, -5, 5, 50, 3600,
	} {
		place := 1 + i/7 // the first or the second response
		f := newFlow(t, tenMinutes, false)
		f.add(200, 1000)
		f.fromNow()
		responses := 0
		f.date = func(second int64) int64 {
			if responses++; responses == place {
				return second + wrong
			}
			return second
		}
		want := f.add(1, 0)
		f.pass(time.Minute)
		want = append(want, f.add(1, 50)...)
		f.poll()
		require.Equal(t, want, f.found, "%d", wrong)
	}
}

func TestSaysThatItCannotBeginWithoutDates(t *testing.T) {
	f := newFlow(t, tenMinutes, false)
	f.fromNow()
	f.date = func(int64) int64 { return 0 }
	f.tail.Begin()
	for range maxProbes - 1 {
		require.True(t, f.step(true))
	}
	q, ok := f.tail.Next(f.mono, true)
	require.True(t, ok)
	p, _ := f.list(q)
	_, err := f.tail.Read(p)
	require.ErrorIs(t, err, listing.ErrPage)
	require.False(t, f.tail.Started())
	f.date = func(second int64) int64 { return second }
	f.poll()
	require.True(t, f.tail.Started())
}

// Two Dates can agree and be wrong. Until something above the beginning was
// read, the beginning follows the believed time.
func TestABeginningThatWasAheadIsCorrected(t *testing.T) {
	f := newFlow(t, tenMinutes, false)
	f.add(1, 3600)
	f.fromNow()
	f.date = func(second int64) int64 { return second + 7200 }
	f.poll()
	require.Greater(t, f.tail.Snapshot().Floor, f.service.second())
	f.date = func(second int64) int64 { return second }
	want := f.add(1, 0)
	f.run(5*time.Minute, 15*time.Second)
	require.Equal(t, want, f.found)
}

// In a backlog, the floor can be past the beginning with all marks at one
// place. A Date that is behind must not move it back then, since what was
// acknowledged there is forgotten.
func TestTheBeginningIsNotCorrectedAfterProgress(t *testing.T) {
	f := newFlow(t, time.Minute, false)
	f.fromNow()
	f.poll()
	for range 3 {
		f.pass(time.Second)
		f.add(150, 0)
	}
	f.service.advance(8 * 3600 * 1000)
	f.tail.Begin()
	for n := 0; f.step(true); n++ {
		if n < 6 {
			f.service.advance(3600 * 1000) // the machine is suspended between requests
		}
	}
	f.run(time.Hour, time.Minute)
	require.Len(t, f.found, f.service.created)
}

func TestDatesThatAreAllWrongLoseNothing(t *testing.T) {
	for name, date := range map[string]func(int64) int64{
		"missing": func(int64) int64 { return 0 },
		"behind":  func(s int64) int64 { return s - 100*day },
		"ahead":   func(s int64) int64 { return s + 100*day },
		"stopped": func(int64) int64 { return 1_700_000_000 },
		"fast":    func(s int64) int64 { return s + 10*(s-1_700_000_000) },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFlow(t, tenMinutes, false)
			f.date = date
			for range 40 {
				f.add(5, 0)
				f.service.add(f.service.second(), f.service.now+599_000)
				f.run(time.Minute, 15*time.Second)
			}
			f.run(time.Hour, time.Minute)
			require.Len(t, f.found, 40*6)
		})
	}
}

// After a machine was suspended in a backlog, it knows less of the service's
// time than before, but what it knew is still true.
func TestASleepInABacklogDoesNotStopTheFloor(t *testing.T) {
	f := newFlow(t, tenMinutes, false)
	f.service.traffic.rate = 1
	f.poll()
	f.pass(6 * time.Hour)
	f.tail.Begin()
	for range 30 {
		f.step(true)
	}
	f.service.traffic.rate = 0
	f.service.advance(8 * 3600 * 1000)
	for f.step(true) {
	}
	require.Less(t, f.maxSeen, 2500)
	require.Len(t, f.found, f.service.created)
}

// A response can take longer than the clock's tolerance. An object without a
// created second can be as young as the response.
func TestAnUndatedObjectOfASlowResponseIsFoundOnce(t *testing.T) {
	f := newFlow(t, time.Minute, true)
	f.run(time.Hour, time.Minute)
	q, ok := f.tail.Next(f.mono, true)
	if !ok {
		f.tail.Begin()
		q, ok = f.tail.Next(f.mono, true)
	}
	require.True(t, ok)
	sent := f.mono
	f.pass(300 * time.Second)
	f.add(3, 0)
	heads, more, _ := f.service.list(t, q)
	page := Page{Page: listing.Page{Heads: heads, HasMore: more}, Date: f.service.second() - 300, At: sent, Received: f.mono}
	res, err := f.tail.Read(page)
	require.NoError(t, err)
	f.take(page, res)
	for range 60 {
		f.run(10*time.Second, 5*time.Second)
	}
	require.Len(t, f.found, 3)
}
