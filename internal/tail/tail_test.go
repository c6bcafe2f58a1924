package tail

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const overlap = 10 * time.Minute

func newService() *service {
	return &service{rand: rand.New(rand.NewPCG(1, 1)), now: 1_700_000_000, byID: map[string]*object{}}
}

// pass makes one pass and returns the ids found and the requests made.
func onePass(t *testing.T, tail *Tail, s *service, clock time.Time) (ids []string, requests int) {
	t.Helper()
	before := s.asked
	tail.Begin(clock)
	for !tail.Done() {
		a, ok := s.ask(t, tail.Next())
		if !ok {
			require.NoError(t, tail.Lost())
			continue
		}
		found, err := tail.Read(a)
		require.NoError(t, err)
		for _, f := range found {
			ids = append(ids, a.Items[f.Index].ID)
			tail.Ack(f.Seq)
		}
	}
	return ids, s.asked - before
}

func (s *service) createMany(n int, created int64) (ids []string) {
	for range n {
		ids = append(ids, s.create(created, created).id)
	}
	return ids
}

func TestFromTheBeginningFindsTheOldestWithoutReadingDownToIt(t *testing.T) {
	for name, atOnce := range map[string]int{"few in the oldest second": 1, "a thousand in the oldest second": 1000} {
		t.Run(name, func(t *testing.T) {
			s := newService()
			want := s.createMany(atOnce, 1_400_000_000)
			for i := range 5000 {
				want = append(want, s.createMany(1, 1_400_000_001+int64(i)*3600)...)
			}
			got, requests := onePass(t, NewAt(overlap, 1), s, time.Unix(0, 0))
			require.Equal(t, want, got)
			// 60 pages are needed at the best; the search for the oldest, by
			// halves of 50 years, is the rest, and the descent through a second
			// that holds a thousand.
			require.Less(t, requests, 60+35+atOnce/PageSize*2)
		})
	}
}

func TestAQuietListCostsOneRequestAPass(t *testing.T) {
	s := newService()
	tail := New(overlap)
	clock := time.Unix(0, 0)
	_, requests := onePass(t, tail, s, clock)
	require.Equal(t, 2, requests, "two answers to be sure of the time")
	for range 300 {
		_, requests := onePass(t, tail, s, clock)
		require.Equal(t, 1, requests)
		s.now, clock = s.now+15, clock.Add(15*time.Second)
		if s.now%10 == 0 {
			s.createMany(1, s.now)
		}
	}
}

func TestABusyListCostsItsNewPagesAndASweepAMinute(t *testing.T) {
	s := newService()
	tail := New(overlap)
	clock := time.Unix(0, 0)
	onePass(t, tail, s, clock)
	total := 0
	for i := range 240 { // an hour
		for second := range int64(15) {
			s.createMany(10, s.now+second+1) // 10 a second
		}
		s.now, clock = s.now+15, clock.Add(15*time.Second)
		ids, requests := onePass(t, tail, s, clock)
		require.Len(t, ids, 150)
		if i >= 120 {
			total += requests
		}
	}
	// Half an hour: 120 polls of two pages each, the last of them short, and a
	// sweep a minute over 11 minutes of objects.
	require.Less(t, total, 120*2+30*(66+3))
}

func TestLateObjectsAreFoundAndSaidToBeLate(t *testing.T) {
	for _, busy := range []int{0, 500} {
		s := newService()
		tail := New(overlap)
		clock := time.Unix(0, 0)
		onePass(t, tail, s, clock)
		s.createMany(busy, s.now+1)
		late := s.create(s.now+2, s.now+541) // nine minutes
		s.createMany(1, s.now+60)
		s.now, clock = s.now+61, clock.Add(61*time.Second)
		ids, _ := onePass(t, tail, s, clock)
		require.NotContains(t, ids, late.id)

		s.now, clock = s.now+480, clock.Add(480*time.Second)
		tail.Begin(clock)
		var found []Found
		for !tail.Done() {
			a, _ := s.ask(t, tail.Next())
			f, err := tail.Read(a)
			require.NoError(t, err)
			found = append(found, f...)
		}
		require.Len(t, found, 1)
		require.True(t, found[0].Late)
	}
}

func TestALostCursorIsReplacedByTheFloor(t *testing.T) {
	s := newService()
	want := s.createMany(1000, s.now-5000)
	tail := NewAt(overlap, 1)
	tail.Begin(time.Unix(0, 0))
	var got []string
	lost := 0
	for !tail.Done() {
		q := tail.Next()
		if q.EndingBefore != "" && len(got) >= 300*(lost+1) {
			s.byID[q.EndingBefore].deleted = true // delivered already, and gone
			lost++
		}
		a, ok := s.ask(t, q)
		if !ok {
			require.NoError(t, tail.Lost())
			continue
		}
		found, err := tail.Read(a)
		require.NoError(t, err)
		for _, f := range found {
			got = append(got, a.Items[f.Index].ID)
		}
	}
	require.Equal(t, want, got)
	require.Equal(t, 3, lost)
}

func TestCursorsThatAreAlwaysLostEndThePass(t *testing.T) {
	tail := New(overlap)
	tail.Begin(time.Unix(0, 0))
	var err error
	for range maxLost + 1 {
		require.NoError(t, err)
		err = tail.Lost()
	}
	require.ErrorIs(t, err, ErrAnswer)
	require.True(t, tail.Done())
}

func TestAnswersThatMakeNoSenseEndThePassWithoutMovingTheFloor(t *testing.T) {
	full := func(first int) (items []Item) {
		for i := range PageSize {
			items = append(items, Item{ID: fmt.Sprint("o", first-i), Created: 1_700_000_000})
		}
		return items
	}
	for name, answers := range map[string][]Answer{
		"no Date":               {{Items: full(100)}},
		"has_more of nothing":   {{HasMore: true, Asked: 1_700_000_900}},
		"an object without id":  {{Items: []Item{{}}, Asked: 1_700_000_900}},
		"a page repeated":       {{Items: full(100), HasMore: true, Asked: 1_700_000_900}, {Items: full(1), Asked: 1_700_000_900}, {Items: full(200), Asked: 1_700_000_900}, {Items: full(200), Asked: 1_700_000_900}},
		"two pages alternating": {{Items: full(100), HasMore: true, Asked: 1_700_000_900}, {Items: full(1), Asked: 1_700_000_900}, {Items: full(200), Asked: 1_700_000_900}, {Items: full(300), Asked: 1_700_000_900}, {Items: full(200), Asked: 1_700_000_900}},
	} {
		t.Run(name, func(t *testing.T) {
			tail := NewAt(overlap, 1_700_000_000)
			tail.Begin(time.Unix(0, 0))
			var err error
			for _, a := range answers {
				require.NoError(t, err)
				require.False(t, tail.Done())
				_, err = tail.Read(a)
			}
			require.ErrorIs(t, err, ErrAnswer)
			require.True(t, tail.Done())
			require.EqualValues(t, 1_700_000_000, tail.Floor())
		})
	}
}

func TestMemoryIsBoundedDuringABacklog(t *testing.T) {
	s := newService()
	for i := range 20_000 {
		s.createMany(1, s.now-3_000_000+int64(i)*100)
	}
	tail := NewAt(overlap, 1)
	tail.Begin(time.Unix(0, 0))
	most := 0
	for !tail.Done() {
		a, ok := s.ask(t, tail.Next())
		require.True(t, ok)
		found, err := tail.Read(a)
		require.NoError(t, err)
		for _, f := range found {
			tail.Ack(f.Seq)
		}
		most = max(most, len(tail.ledger.seen)+cap(tail.ledger.queue))
	}
	require.Less(t, most, 5*PageSize)
}

func TestClockBelievesNoSingleReading(t *testing.T) {
	type reading struct {
		date int64 // the service's second less that of the monotonic clock
		want int64 // what is believed then
	}
	const day = 86400
	for name, readings := range map[string][]reading{
		"right from the start":          {{0, 0}, {1, 1}, {0, 0}},
		"one from tomorrow":             {{0, 0}, {0, 0}, {day, 0}, {0, 0}},
		"one from yesterday":            {{0, 0}, {0, 0}, {-day, -day}, {0, 0}},
		"the first from tomorrow":       {{day, day}, {0, 0}, {0, 0}, {0, 0}},
		"two apart from tomorrow":       {{0, 0}, {0, 0}, {day, 0}, {0, 0}, {day, 0}, {0, 0}},
		"two that differ":               {{0, 0}, {0, 0}, {0, 0}, {day, 0}, {2 * day, 0}, {0, 0}},
		"a clock that was put right":    {{0, 0}, {0, 0}, {0, 0}, {day, 0}, {day, 0}, {day, day}, {day, day}},
		"a machine that slept":          {{0, 0}, {0, 0}, {3600, 0}, {3600, 3600}, {3600, 3600}},
		"a little off, one way or both": {{0, 0}, {30, 30}, {-20, -20}, {5, 5}},
	} {
		t.Run(name, func(t *testing.T) {
			var c clock
			for i, r := range readings {
				at := time.Unix(int64(i)*15, 0)
				c.read(1_700_000_000+r.date+int64(i)*15, at)
				require.Equal(t, 1_700_000_000+r.want, c.at(at)-int64(i)*15, "reading %d", i)
			}
			require.True(t, c.sure())
		})
	}
}

func TestADateFromTomorrowLosesNothing(t *testing.T) {
	s := newService()
	tail := New(overlap)
	clock := func() time.Time { return time.Unix(s.now, 0) }
	onePass(t, tail, s, clock())
	for i := range 50 {
		s.now += 15
		tail.Begin(clock())
		a, ok := s.ask(t, tail.Next())
		require.True(t, ok)
		if i%10 == 5 {
			a.Asked += 86400
		}
		_, err := tail.Read(a)
		require.NoError(t, err)
		require.LessOrEqual(t, tail.Floor(), s.now)
	}
	s.now++
	want := s.createMany(1, s.now)
	got, _ := onePass(t, tail, s, clock())
	require.Equal(t, want, got)
}
