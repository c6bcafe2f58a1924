package tail

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/internal/listing"
)

const tenMinutes = 10 * time.Minute

func TestFindsTheOldestFirst(t *testing.T) {
	f := newFlow(t, tenMinutes, false)
	f.pass(time.Hour)
	var want []string
	for ago := int64(1800); ago >= 0; ago -= 5 {
		want = append(want, f.add(1, ago)...)
	}
	f.poll()
	require.Empty(t, cmp.Diff(want, f.found))
	require.Empty(t, f.late)
}

func TestFindsWhatAppearsLateUpToTheOverlap(t *testing.T) {
	for _, undated := range []bool{false, true} {
		f := newFlow(t, tenMinutes, undated)
		f.run(2*tenMinutes, 15*time.Second)
		f.add(1, 0)
		f.poll()
		last := f.service.add(f.service.second()-600, f.service.now).id
		f.run(2*tenMinutes, 15*time.Second)
		require.Len(t, f.found, 2)
		require.Contains(t, f.found, last)
		if !undated {
			require.Equal(t, []string{last}, f.late)
		}
	}
}

func TestFindsWhatAppearsLateAfterASleep(t *testing.T) {
	f := newFlow(t, tenMinutes, false)
	f.add(1, 0)
	f.run(2*tenMinutes, 15*time.Second)
	f.service.advance(8 * 3600 * 1000) // the monotonic clock stands still
	f.add(1, 30)
	f.run(time.Minute, 15*time.Second)
	f.add(1, 590)
	f.run(2*tenMinutes, 15*time.Second)
	require.Len(t, f.found, 3)
}

func TestReadsASecondOfManyPages(t *testing.T) {
	for _, undated := range []bool{false, true} {
		f := newFlow(t, tenMinutes, undated)
		f.pass(time.Minute)
		f.add(50, 20)
		f.add(5000, 10)
		f.add(50, 5)
		requests := f.poll()
		require.Len(t, f.found, 5100)
		require.Less(t, requests, 150)
	}
}

// The page on which a full second ends can be the last of the list. The objects
// below the second on it are still read.
func TestReadsBelowAFullSecondOnTheLastPageOfTheList(t *testing.T) {
	f := newFlow(t, tenMinutes, false)
	f.pass(time.Minute)
	f.add(3, 20)
	f.add(150, 10)
	f.poll()
	require.Len(t, f.found, 153)
}

func TestACursorDeletedWithinASecondLosesNothing(t *testing.T) {
	f := newFlow(t, tenMinutes, false)
	f.pass(time.Minute)
	ids := f.add(500, 10)
	f.tail.Begin()
	lost := 0
	for {
		q, ok := f.tail.Next(f.mono, true)
		if !ok {
			break
		}
		if q.After != "" && lost < 3 {
			f.service.delete(f.service.byID[q.After])
			lost++
		}
		require.True(t, f.step(true))
	}
	require.Equal(t, 3, lost)
	for _, id := range ids {
		if !f.service.byID[id].deleted {
			require.Contains(t, f.found, id)
		}
	}
	slices.Sort(f.found)
	require.Len(t, slices.Compact(f.found), len(f.found))
}

// The anchors show where an undated second ends. After they were read, and
// before the page on which the second ends, an object of an earlier second can
// appear there. It does not belong to the second, and a sweep finds it.
func TestAnObjectThatAppearsAtTheEndOfAnUndatedSecond(t *testing.T) {
	f := newFlow(t, tenMinutes, true)
	f.pass(time.Minute)
	f.add(5, 50)
	f.add(150, 10)
	f.tail.Begin()
	var late string
	for {
		q, ok := f.tail.Next(f.mono, true)
		if !ok {
			break
		}
		if q.After != "" && late == "" {
			late = f.add(1, 20)[0]
			f.hold[late] = true
		}
		f.step(true)
	}
	require.Len(t, f.found, 155)
	f.run(20*time.Minute, time.Minute)
	require.Len(t, f.found, 156)
	require.LessOrEqual(t, f.held[0].From, f.service.byID[late].created)
	require.GreaterOrEqual(t, f.held[0].Second, f.service.byID[late].created)
	f.crash()
	f.poll()
	require.Equal(t, []string{late}, f.found)
}

func TestGivesUpAReadingWhoseCursorsAreAllUnknown(t *testing.T) {
	f := newFlow(t, tenMinutes, false)
	f.pass(time.Minute)
	f.add(500, 10)
	f.tail.Begin()
	for range 100 {
		q, _ := f.tail.Next(f.mono, true)
		if q.After == "" {
			f.step(true)
			continue
		}
		if res, err := f.tail.Lost(); err != nil {
			require.ErrorIs(t, err, listing.ErrPage)
			require.True(t, res.Dropped)
			return
		}
	}
	require.Fail(t, "it never gives up")
}

func TestGivesUpAReadingWhosePagesRepeat(t *testing.T) {
	f := newFlow(t, tenMinutes, false)
	f.pass(time.Minute)
	f.add(500, 10)
	f.tail.Begin()
	q, _ := f.tail.Next(f.mono, true)
	for q.After == "" {
		f.step(true)
		q, _ = f.tail.Next(f.mono, true)
	}
	p, _ := f.list(q)
	_, err := f.tail.Read(p)
	require.NoError(t, err)
	_, ok := f.tail.Next(f.mono, true)
	require.True(t, ok)
	res, err := f.tail.Read(p)
	require.ErrorIs(t, err, listing.ErrPage)
	require.ErrorContains(t, err, "repeats an earlier one")
	require.True(t, res.Dropped)
	clear(f.refs)
	f.poll()
	require.Len(t, f.found, 500)
}

func TestAReusedIDIsAnotherObject(t *testing.T) {
	f := newFlow(t, tenMinutes, false)
	id := f.add(1, 0)[0]
	f.poll()
	f.service.delete(f.service.byID[id])
	f.pass(5 * time.Second)
	again := f.service.add(f.service.second(), f.service.now)
	delete(f.service.byID, again.id)
	again.id, f.service.byID[id] = id, again
	f.poll()
	require.Equal(t, []string{id, id}, f.found)
}

func TestAnObjectOfTheFutureHidesNothing(t *testing.T) {
	f := newFlow(t, tenMinutes, false)
	future := f.service.add(f.service.second()+day, f.service.now).id
	f.run(time.Hour, 15*time.Second)
	f.service.add(f.service.second()-590, f.service.now)
	f.run(time.Hour, 15*time.Second)
	require.Len(t, f.found, 2)
	require.Equal(t, future, f.found[0])
}

func TestResumeRedeliversTheUnacknowledged(t *testing.T) {
	for _, undated := range []bool{false, true} {
		f := newFlow(t, tenMinutes, undated)
		f.pass(time.Minute)
		ids := f.add(250, 10)
		f.hold[ids[7]], f.hold[ids[200]] = true, true
		f.poll()
		require.Len(t, f.held, 2)
		f.pass(time.Hour)
		f.poll()
		f.crash()
		f.hold = nil
		f.run(time.Hour, time.Minute)
		require.ElementsMatch(t, []string{ids[7], ids[200]}, f.found)
	}
}

func TestSnapshotWithMoreAcknowledged(t *testing.T) {
	f := newFlow(t, tenMinutes, false)
	ids := f.add(2, 0)
	f.hold[ids[0]], f.hold[ids[1]] = true, true
	f.poll()
	s := f.tail.Snapshot(f.held[1])
	require.Equal(t, []Key{f.held[1]}, s.Seen)
	require.Empty(t, f.tail.Snapshot().Seen, "it is as if, not so")
	f.tail = Resume(f.config, s)
	f.hold = nil
	want := f.found[0]
	f.found = nil
	f.poll()
	require.Equal(t, []string{want}, f.found)
}

func TestResumeLeavesTheSnapshotAsItIs(t *testing.T) {
	f := newFlow(t, tenMinutes, false)
	f.holes(1)
	s := f.tail.Snapshot()
	require.NotEmpty(t, s.Holes)
	was := Snapshot{Seed: s.Seed, Floor: s.Floor, Holes: slices.Clone(s.Holes), Seen: slices.Clone(s.Seen)}
	f.tail = Resume(f.config, s)
	f.run(2*time.Hour, time.Minute)
	require.Empty(t, cmp.Diff(was, s))
}

// holes leaves n objects unacknowledged before thousands of others.
func (f *flow) holes(n int) (ids []string) {
	for range n {
		ids = append(ids, f.add(10, 0)[0])
		f.hold[ids[len(ids)-1]] = true
		f.pass(20 * time.Second)
		f.add(maxBehind, 0)
		f.pass(20 * time.Second)
	}
	f.pass(10 * time.Second)
	f.poll()
	f.run(2*time.Hour, time.Minute)
	return ids
}

func TestOneNeverAcknowledgedDoesNotHoldTheFloor(t *testing.T) {
	for _, undated := range []bool{false, true} {
		f := newFlow(t, tenMinutes, undated)
		id := f.holes(1)[0]
		s := f.tail.Snapshot()
		require.Len(t, s.Holes, 1)
		require.Greater(t, s.Floor, f.service.second()-900)
		require.Less(t, len(s.Seen), 100)
		f.crash()
		f.hold = nil
		f.poll()
		require.Equal(t, []string{id}, f.found)
	}
}

// A hole of the snapshot is read first, and its objects are found again. It
// must not lower the floor, because what was between has been forgotten.
func TestAHoleOfAnEarlierLifeDoesNotLowerTheFloor(t *testing.T) {
	f := newFlow(t, tenMinutes, false)
	ids := f.holes(2)
	floor := f.tail.Snapshot().Floor
	f.crash()
	f.poll()
	require.ElementsMatch(t, ids, f.found)
	require.GreaterOrEqual(t, f.tail.Snapshot().Floor, floor)
	require.Len(t, f.tail.Snapshot().Holes, 2)
	f.crash()
	f.hold = nil
	f.poll()
	require.ElementsMatch(t, ids, f.found)
	f.poll()
	require.Empty(t, f.tail.Snapshot().Holes)
}

// A hole of more than one second can hold more than a reading may have.
func TestAHoleOfManyPagesIsReadToItsEnd(t *testing.T) {
	f := newFlow(t, tenMinutes, true)
	f.pass(time.Hour)
	for ago := range int64(1000) {
		f.add(2, 1000-ago)
	}
	from := f.service.second() - 1000
	f.tail = Resume(f.config, Snapshot{Floor: f.service.second(), Holes: []Span{{from, from + 899}}})
	f.poll()
	require.Len(t, f.found, 1800)
	require.Empty(t, f.tail.Snapshot().Holes)
}

func TestAcknowledgementClosesAHole(t *testing.T) {
	f := newFlow(t, tenMinutes, false)
	f.holes(1)
	f.tail.Ack(f.held[0])
	require.Empty(t, f.tail.Snapshot().Holes)
	require.True(t, slices.ContainsFunc(f.tail.Snapshot().Seen, func(k Key) bool { return k == f.held[0] }) ==
		(f.held[0].Second >= f.tail.Snapshot().Floor), "a key is kept for no reason")
}

func TestDropForgetsTheReading(t *testing.T) {
	f := newFlow(t, tenMinutes, false)
	f.pass(time.Minute)
	for ago := range int64(50) {
		f.add(5, ago)
	}
	f.tail.Begin()
	f.step(true)
	require.NotEmpty(t, f.refs)
	require.Empty(t, f.found)
	f.tail.Drop()
	clear(f.refs)
	f.poll()
	require.Len(t, f.found, 250)
}

func TestRefusesPagesThatMakeNoSense(t *testing.T) {
	for name, garble := range map[string]func(*Page){
		"no id":      func(p *Page) { p.Heads[1].ID = "" },
		"more of 0":  func(p *Page) { p.Heads, p.HasMore = nil, true },
		"only no id": func(p *Page) { p.Heads = []listing.Head{{}} },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFlow(t, tenMinutes, false)
			f.pass(time.Minute)
			f.add(30, 1)
			f.tail.Begin()
			q, _ := f.tail.Next(f.mono, true)
			p, _ := f.list(q)
			garble(&p)
			res, err := f.tail.Read(p)
			require.ErrorIs(t, err, listing.ErrPage)
			require.True(t, res.Dropped)
			f.poll()
			require.Len(t, f.found, 30)
		})
	}
}

func TestReadsAPageInAnyOrder(t *testing.T) {
	f := newFlow(t, tenMinutes, false)
	f.pass(time.Minute)
	f.add(30, 30)
	f.add(30, 20)
	f.tail.Begin()
	q, _ := f.tail.Next(f.mono, true)
	p, _ := f.list(q)
	slices.Reverse(p.Heads)
	res, err := f.tail.Read(p)
	require.NoError(t, err)
	require.Len(t, res.Found, 60)
	require.True(t, slices.IsSortedFunc(res.Found, func(a, b Found) int { return int(a.Key.Second - b.Key.Second) }))
}

func TestWithoutSweepAPollEndsAfterWhatIsNew(t *testing.T) {
	f := newFlow(t, tenMinutes, false)
	f.service.traffic.rate = 1
	f.run(time.Hour, time.Minute)
	f.pass(time.Minute)
	f.tail.Begin()
	for f.step(false) {
	}
	before := f.service.requests
	require.False(t, f.step(false))
	require.True(t, f.step(true))
	require.Equal(t, before+1, f.service.requests)
}
