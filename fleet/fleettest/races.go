package fleettest

import (
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

// spell is how long a check repeats something with a slow engine.
const spell = time.Second

// rounds yields 0 to most-1. After a spell it yields no more, but always some.
func rounds(most int) iter.Seq[int] { return roundsFor(spell, 4, most) }

func roundsFor(spell time.Duration, least, most int) iter.Seq[int] {
	return func(yield func(int) bool) {
		began := time.Now()
		for i := range most {
			if i >= least && time.Since(began) > spell || !yield(i) {
				return
			}
		}
	}
}

// racers is how many goroutines put at the same time.
const racers = 64

func checkRace(t *engineTest) {
	engines := t.openAll(4)
	w := engines[0].watchSynced()
	revision := uint64(0)
	for round := range rounds(12) {
		winner, next := t.race(engines, revision, round)
		t.stopIfFailed()
		engines[round%4].has(testKey, winner, next)
		if round < 2 {
			w.sees(watchTimeout, testKey, winner, next)
		}
		if revision = next; round%4 == 3 {
			engines[0].remove(testKey, next)
			revision = 0
		}
	}
}

// race has all racers put with one revision, through the engines in turn. It returns
// the value and the revision of the only one that may succeed.
func (t *engineTest) race(engines []*engine, revision uint64, round int) (winner []byte, next uint64) {
	ctx, cancel := t.limit()
	defer cancel()
	var mu sync.Mutex
	won := 0
	start := make(chan struct{})
	var all sync.WaitGroup
	for racer := range racers {
		value := fmt.Appendf(nil, "round %d, racer %d", round, racer)
		all.Go(func() {
			<-start
			stored, err := engines[racer%len(engines)].Put(ctx, testKey, value, revision, time.Duration(racer%2)*time.Hour)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				won++
				winner, next = value, stored
			case !errors.Is(err, stripekit.ErrCheckpointConflict):
				t.failf("one of %d Puts at the same time: want an error that wraps ErrCheckpointConflict, got %v", racers, err)
			}
		})
	}
	close(start)
	all.Wait()
	if won != 1 {
		t.failf("%d of %d Puts with the revision %d at the same time have succeeded: want 1", won, racers, revision)
	}
	return winner, next
}

func checkPutAndDelete(t *engineTest) {
	engines := t.openAll(2)
	ctx, cancel := t.limit()
	defer cancel()
	for round := range rounds(60) {
		key := fmt.Sprint("claim/", round%7)
		_, before := engines[0].get(key)
		revision := engines[0].put(key, []byte("before"), before, 0)
		var next uint64
		var putErr, deleteErr error
		var all sync.WaitGroup
		start := make(chan struct{})
		calls := []func(){
			func() { next, putErr = engines[round%2].Put(ctx, key, []byte("after"), revision, 0) },
			func() { deleteErr = engines[(round+1)%2].Delete(ctx, key, revision) },
		}
		for i := range calls {
			call := calls[(i+round/2)%2] // the last one that is started is often the first one that runs
			all.Go(func() { <-start; call() })
		}
		close(start)
		all.Wait()
		conflicted := errors.Is(putErr, stripekit.ErrCheckpointConflict)
		kept := errors.Is(deleteErr, stripekit.ErrCheckpointConflict)
		switch {
		case putErr == nil && kept:
			engines[0].has(key, []byte("after"), next)
		case deleteErr == nil && conflicted:
			engines[0].lacks(key)
		default:
			t.Fatalf("of a Put and a Delete with the same revision at the same time one must succeed, and the other one be a conflict: Put: %v, Delete: %v", putErr, deleteErr)
		}
	}
}

func checkCounter(t *engineTest) {
	engines := t.openAll(4)
	ctx, cancel := t.limit()
	defer cancel()
	var counted atomic.Int64
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range rounds(12) {
				if err := engines[i%4].count(ctx, testKey); err != nil {
					t.failf("counting: %v", err)
					return
				}
				counted.Add(1)
			}
		})
	}
	all.Wait()
	value, _ := engines[0].get(testKey)
	if want := strconv.FormatInt(counted.Load(), 10); string(value) != want {
		t.failf("%s increments were put by compare-and-set, and the counter is %s", want, brief(value))
	}
}

// count adds one to a counter.
func (e *engine) count(ctx context.Context, key string) error {
	const tries = 1000
	for range tries {
		value, revision, err := e.Get(ctx, key)
		if err != nil {
			return err
		}
		n := 0
		if revision != 0 {
			if n, err = strconv.Atoi(string(value)); err != nil {
				return err
			}
		}
		_, err = e.Put(ctx, key, strconv.AppendInt(nil, int64(n+1), 10), revision, 0)
		if !errors.Is(err, stripekit.ErrCheckpointConflict) {
			return err
		}
	}
	return fmt.Errorf("%d times, Put with the revision that Get had just returned was a conflict", tries)
}

// history is what one writer does to a record: it counts the steps. Every third step is
// a Delete.
type history struct {
	mu       sync.Mutex
	steps    map[uint64]int // of each revision that was put, as far as it is known
	finished atomic.Int64   // the last step that has ended
}

// checkGetAmongPuts: no Get returns less than what had ended before it was called.
func checkGetAmongPuts(t *engineTest) {
	engines := t.openAll(4)
	ctx, cancel := t.limit()
	defer cancel()
	var h history
	h.finished.Store(-1) // nothing has ended, and nothing is stored
	reading, stop := context.WithCancel(ctx)
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() {
			for reading.Err() == nil && engines[i%4].getStep(ctx, &h) {
			}
		})
	}
	revision := uint64(0)
	for step := range rounds(150) {
		var err error
		if step%3 == 2 {
			err, revision = engines[step%4].Delete(ctx, testKey, revision), 0
		} else {
			revision, err = engines[step%4].Put(ctx, testKey, strconv.AppendInt(nil, int64(step), 10), revision, 0)
		}
		if err != nil {
			t.failf("the only writer, at step %d: %v", step, err)
			break
		}
		h.finished.Store(int64(step))
		if !engines[(step+1)%4].getStep(ctx, &h) {
			break
		}
	}
	stop()
	all.Wait()
}

// getStep calls Get, and requires that it knows of what had ended before.
func (e *engine) getStep(ctx context.Context, h *history) bool {
	before := h.finished.Load()
	value, revision, err := e.Get(ctx, testKey)
	after := h.finished.Load() + 1 // it may have begun
	if err != nil {
		e.t.failf("Get among Puts: %v", err)
		return false
	}
	if revision == 0 {
		for step := before; step <= after; step++ {
			if (step+1)%3 == 0 { // -1 too
				return true
			}
		}
		e.t.failf("Get has found no record after step %d had ended, and before step %d: every third one is a Delete", before, after+1)
		return false
	}
	step, err := strconv.ParseInt(string(value), 10, 64)
	switch {
	case err != nil:
		e.t.failf("Get among Puts: got %s", brief(value))
	case step < before:
		e.t.failf("Get has returned the value of step %d, although step %d had ended before Get was called", step, before)
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.steps == nil {
		h.steps = map[uint64]int{}
	}
	if other, ok := h.steps[revision]; ok && other != int(step) {
		e.t.failf("Get has returned the revision %d with the values of the steps %d and %d", revision, other, step)
	}
	h.steps[revision] = int(step)
	return err == nil
}
