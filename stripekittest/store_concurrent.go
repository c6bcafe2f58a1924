package stripekittest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stripekit/stripekit"
)

// spell is how long a check repeats something with a slow store.
const spell = 2 * time.Second

// rounds yields 0 to most-1. After a spell it yields no more, but always some.
func rounds(most int) iter.Seq[int] {
	const least = 4
	return func(yield func(int) bool) {
		began := time.Now()
		for i := range most {
			if i >= least && time.Since(began) > spell || !yield(i) {
				return
			}
		}
	}
}

// racers is how many goroutines save at the same time.
const racers = 100

func checkRace(t *storeTest) {
	stores := t.openAll(4)
	revision := uint64(0)
	for round := range rounds(12) {
		winner, next := t.race(stores, revision, round)
		if t.Failed() {
			return
		}
		stores[round%4].has(storeKey, winner, next)
		if revision = next; round%4 == 3 {
			stores[0].remove(storeKey)
			revision = 0
		}
	}
}

// race has all racers save with one revision, through the stores in turn. It returns
// the data and the revision of the only one that may succeed.
func (t *storeTest) race(stores []*openStore, revision uint64, round int) (winner []byte, next uint64) {
	ctx, cancel := t.timeout()
	defer cancel()
	var mu sync.Mutex
	won := 0
	start := make(chan struct{})
	var all sync.WaitGroup
	for racer := range racers {
		data := fmt.Appendf(nil, "round %d, racer %d", round, racer)
		all.Go(func() {
			<-start
			saved, err := stores[racer%len(stores)].Save(ctx, storeKey, data, revision)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				won++
				winner, next = data, saved
			case !errors.Is(err, stripekit.ErrCheckpointConflict):
				t.failf("one of %d saves at the same time: want an error that wraps ErrCheckpointConflict, got %v", racers, err)
			}
		})
	}
	close(start)
	all.Wait()
	if won != 1 {
		t.failf("%d of %d saves with the revision %d have succeeded: want 1", won, racers, revision)
	}
	return winner, next
}

func checkCounter(t *storeTest) {
	stores := t.openAll(4)
	ctx, cancel := t.timeout()
	defer cancel()
	var counted atomic.Int64
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range rounds(12) {
				if err := stores[i%4].count(ctx, storeKey); err != nil {
					t.failf("counting: %v", err)
					return
				}
				counted.Add(1)
			}
		})
	}
	all.Wait()
	data, _ := stores[0].load(storeKey)
	if want := strconv.FormatInt(counted.Load(), 10); string(data) != want {
		t.failf("%s increments were saved, and the counter is %s", want, brief(data))
	}
}

// count adds one to a counter.
func (s *openStore) count(ctx context.Context, key string) error {
	for {
		data, revision, err := s.Load(ctx, key)
		if err != nil {
			return err
		}
		n := 0
		if revision != 0 {
			if n, err = strconv.Atoi(string(data)); err != nil {
				return err
			}
		}
		_, err = s.Save(ctx, key, strconv.AppendInt(nil, int64(n+1), 10), revision)
		if !errors.Is(err, stripekit.ErrCheckpointConflict) {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

func checkKeysAtOnce(t *storeTest) {
	const keys = 64
	stores := t.openAll(2)
	ctx, cancel := t.timeout()
	defer cancel()
	var last [keys]struct {
		data     []byte
		revision uint64
	}
	keyOf := func(i int) string { return fmt.Sprintf("test///charges//flow%%20%d", i) }
	var all sync.WaitGroup
	for i := range keys {
		all.Go(func() {
			for n := range 3 {
				data := fmt.Appendf(nil, "flow %d, data %d", i, n)
				revision, err := stores[(i+n)%2].Save(ctx, keyOf(i), data, last[i].revision)
				if err != nil {
					t.failf("Save(%q), the only one with that key, among those with others: %v", keyOf(i), err)
					return
				}
				last[i].data, last[i].revision = data, revision
			}
		})
	}
	all.Wait()
	if t.Failed() {
		return
	}
	for i := range keys {
		stores[i%2].has(keyOf(i), last[i].data, last[i].revision)
	}
}

// numbered returns data that has a number in each part, and a size that changes with
// the number, so that a mixture is noticed.
func numbered(n int) []byte {
	line := fmt.Appendf(nil, "data %d\n", n)
	return bytes.Repeat(line, 1+n*7919%3000)
}

// number returns the number of numbered data, or false for anything else.
func number(data []byte) (int, bool) {
	line, _, _ := bytes.Cut(data, []byte("\n"))
	n, err := strconv.Atoi(string(bytes.TrimPrefix(line, []byte("data "))))
	return n, err == nil && n >= 0 && bytes.Equal(data, numbered(n))
}

// sightings are the revisions of numbered data, as savers and loaders have seen them.
type sightings struct {
	t *storeTest

	mu        sync.Mutex
	revisions map[int]uint64
	numbers   map[uint64]int
}

// add records that data n has a revision.
func (s *sightings) add(n int, revision uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.revisions == nil {
		s.revisions, s.numbers = map[int]uint64{}, map[uint64]int{}
	}
	if before, ok := s.revisions[n]; ok && before != revision {
		s.t.failf("data %d was seen with the revisions %d and %d", n, before, revision)
	}
	if before, ok := s.numbers[revision]; ok && before != n {
		s.t.failf("the revision %d was seen with data %d and data %d", revision, before, n)
	}
	s.revisions[n], s.numbers[revision] = revision, n
}

func checkLoadsAmongSaves(t *storeTest) {
	stores := t.openAll(3)
	ctx, cancel := t.timeout()
	defer cancel()
	w := &watched{sightings: sightings{t: t}}
	revision := stores[0].save(storeKey, numbered(0), 0)
	w.add(0, revision)

	loading, stop := context.WithCancel(ctx)
	var all, started sync.WaitGroup
	for i := range 6 {
		started.Add(1)
		all.Go(func() {
			last, ok := stores[i%3].watch(ctx, w, 0)
			started.Done()
			for ok && loading.Err() == nil {
				last, ok = stores[i%3].watch(ctx, w, last)
			}
		})
	}
	started.Wait()
	for n := range rounds(200) {
		next, err := stores[0].Save(ctx, storeKey, numbered(n+1), revision)
		if err != nil {
			t.failf("the only saver: %v", err)
			break
		}
		revision = next
		w.add(n+1, next)
		w.saved.Store(int64(n + 1))
		if _, ok := stores[n%3].watch(ctx, w, n+1); !ok {
			break
		}
	}
	stop()
	all.Wait()
}

// watched is a checkpoint with numbered data that is saved and loaded at the same time.
type watched struct {
	sightings
	saved atomic.Int64 // the data of the last Save that has returned
}

// watch loads once. It requires that the data is not older than the last data that was
// saved, or loaded by the caller. It returns what it has loaded.
func (s *openStore) watch(ctx context.Context, w *watched, last int) (n int, ok bool) {
	last = max(last, int(w.saved.Load()))
	data, revision, err := s.Load(ctx, storeKey)
	if err != nil {
		s.t.failf("Load during a Save: %v", err)
		return 0, false
	}
	switch n, ok = number(data); {
	case !ok:
		s.t.failf("Load during a Save: got %s: want the old or the new data, and no mixture", brief(data))
	case n < last:
		s.t.failf("Load has returned data %d after data %d was saved or loaded", n, last)
		return n, false
	default:
		w.add(n, revision)
	}
	return n, ok
}

// successions are what savers and deleters have done to one checkpoint.
type successions struct {
	t *storeTest

	mu      sync.Mutex
	next    map[uint64]uint64 // the revision saved on top of another one; not of 0
	saved   map[uint64]string // the data of each revision
	firsts  int               // saves with the revision 0
	deletes int
}

func (s *successions) add(data string, before, revision uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.saved[revision]; ok {
		s.t.failf("the revision %d was returned by two saves", revision)
	}
	s.saved[revision] = data
	if before == 0 {
		s.firsts++
		return
	}
	if other, ok := s.next[before]; ok {
		s.t.failf("the revisions %d and %d were both saved on top of %d: one update is lost", other, revision, before)
	}
	s.next[before] = revision
}

func checkDeletesAmongSaves(t *storeTest) {
	stores := t.openAll(4)
	done := &successions{t: t, next: map[uint64]uint64{}, saved: map[uint64]string{}}
	ctx, cancel := t.timeout()
	defer cancel()
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() { stores[i].saveAndDelete(ctx, i, done) })
	}
	all.Wait()
	if done.firsts > done.deletes+1 {
		t.failf("%d saves with the revision 0 have succeeded, after %d deletes", done.firsts, done.deletes)
	}
	data, revision := stores[0].load(storeKey)
	if want := done.saved[revision]; revision != 0 && string(data) != want {
		t.failf("the revision %d has the data %s: want %q", revision, brief(data), want)
	}
	if _, replaced := done.next[revision]; replaced {
		t.failf("the revision %d is stored, although it was replaced", revision)
	}
	stores[1].remove(storeKey)
	for old := range done.saved {
		stores[2].refuses(storeKey, old)
	}
	stores[3].lacks(storeKey)
}

// saveAndDelete loads and saves again and again, and deletes at times.
func (s *openStore) saveAndDelete(ctx context.Context, saver int, done *successions) {
	for n := range rounds(40) {
		if n%4 == 3 {
			if err := s.Delete(ctx, storeKey); err != nil {
				s.t.failf("Delete among saves: %v", err)
				return
			}
			done.mu.Lock()
			done.deletes++
			done.mu.Unlock()
		}
		_, revision, err := s.Load(ctx, storeKey)
		if err != nil {
			s.t.failf("Load among saves and deletes: %v", err)
			return
		}
		data := fmt.Sprintf("saver %d, data %d", saver, n)
		next, err := s.Save(ctx, storeKey, []byte(data), revision)
		switch {
		case err == nil:
			done.add(data, revision, next)
		case !errors.Is(err, stripekit.ErrCheckpointConflict):
			s.t.failf("Save among saves and deletes: %v", err)
			return
		}
	}
}
