package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/fleet"
)

// observed is a call of observe.
type observed struct {
	Key      string
	Value    string
	Removed  bool
	Revision uint64
}

// startWatch begins a Watch that ends with the test. The function returns what was
// observed since it was called before, once nothing more happens.
func startWatch(t *testing.T, e *fleet.MemoryEngine, during func(key string)) (since func() []observed) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context())) // that one ends before Cleanup
	var all []observed
	done := make(chan error)
	go func() {
		done <- e.Watch(ctx, func(key string, value []byte, revision uint64) {
			all = append(all, observed{key, string(value), value == nil, revision})
			if during != nil {
				during(key)
			}
		})
	}()
	synctest.Wait()
	t.Cleanup(func() {
		before := e.Watchers()
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
		require.Equal(t, before-1, e.Watchers(), "a Watch that has ended is forgotten")
	})
	return func() []observed {
		synctest.Wait()
		news := slices.Clone(all)
		all = nil
		return news
	}
}

func memoryPut(t *testing.T, e *fleet.MemoryEngine, key, value string, revision uint64, ttl time.Duration) uint64 {
	t.Helper()
	next, err := e.Put(t.Context(), key, []byte(value), revision, ttl)
	require.NoError(t, err)
	return next
}

func TestMemoryEngineRemovesARecordExactlyAtItsTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := new(fleet.MemoryEngine)
		since := startWatch(t, e, nil)
		began := time.Now()
		memoryPut(t, e, "other", "stays", 0, 0)
		memoryPut(t, e, "session/a", "x", 0, 3*time.Second)
		require.Len(t, since(), 3) // with the empty key

		time.Sleep(3*time.Second - 1) // of the bubble
		require.Empty(t, since())
		_, revision, err := e.Get(t.Context(), "session/a")
		require.NoError(t, err)
		require.EqualValues(t, 2, revision)

		time.Sleep(time.Nanosecond)
		require.Equal(t, []observed{{"session/a", "", true, 3}}, since())
		value, revision, err := e.Get(t.Context(), "session/a")
		require.NoError(t, err)
		require.Nil(t, value)
		require.Zero(t, revision)
		require.Equal(t, 3*time.Second, time.Since(began))
	})
}

// A bubble ends when its goroutines have, so nothing may wait for the ttl of an hour.
func TestMemoryEngineLeavesNoGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := new(fleet.MemoryEngine)
		began := time.Now()
		startWatch(t, e, nil)
		revision := memoryPut(t, e, "session/a", "x", 0, time.Hour)
		memoryPut(t, e, "session/a", "x", revision, time.Hour)
		t.Cleanup(func() { require.Zero(t, time.Since(began)) })
	})
}

func TestMemoryEnginePutDoesNotWaitForASlowObserver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := new(fleet.MemoryEngine)
		release := make(chan struct{})
		slow := startWatch(t, e, func(key string) {
			if key == "first" {
				<-release
			}
		})
		fast := startWatch(t, e, nil)
		memoryPut(t, e, "first", "x", 0, 0)
		synctest.Wait() // now the slow observer is called
		revisions := map[string]uint64{}
		for n := range 1000 {
			key := fmt.Sprint("claim/", n%3)
			revisions[key] = memoryPut(t, e, key, fmt.Sprint(n), revisions[key], 0)
		}
		require.NoError(t, e.Delete(t.Context(), "claim/2", revisions["claim/2"]))
		last := []observed{{"claim/0", "999", false, 1001}, {"claim/1", "997", false, 999}, {"claim/2", "", true, 1002}}
		news := fast()
		require.Subset(t, news, last)
		require.NotContains(t, news, observed{"claim/0", "999", true, 1001})

		close(release)
		want := append([]observed{{"", "", true, 0}, {"first", "x", false, 1}}, last...)
		require.Equal(t, want, slow(), "only the last change of each key is kept")
	})
}

func TestMemoryEngineObserveMayCallTheEngine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := new(fleet.MemoryEngine)
		var calls []error
		since := startWatch(t, e, func(key string) {
			if key != "first" {
				return
			}
			_, _, getErr := e.Get(t.Context(), key)
			revision, putErr := e.Put(t.Context(), "second", []byte("y"), 0, time.Minute)
			calls = append(calls, getErr, putErr, e.Delete(t.Context(), "second", revision))
		})
		memoryPut(t, e, "first", "x", 0, 0)
		require.Equal(t, []observed{{"", "", true, 0}, {"first", "x", false, 1}, {"second", "", true, 3}}, since())
		require.Len(t, calls, 3)
		require.NoError(t, errors.Join(calls...))
	})
}

func TestMemoryEngineWatchEndsBetweenRecords(t *testing.T) {
	e := new(fleet.MemoryEngine)
	for n := range 10 {
		memoryPut(t, e, fmt.Sprint("claim/", n), "x", 0, 0)
	}
	ctx, cancel := context.WithCancel(t.Context())
	calls := 0
	err := e.Watch(ctx, func(string, []byte, uint64) {
		if calls++; calls == 3 {
			cancel()
		}
	})
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 3, calls)
	require.Zero(t, e.Watchers())
}

func TestMemoryEngineRefusesBadInput(t *testing.T) {
	e := new(fleet.MemoryEngine)
	ctx := t.Context()
	for _, key := range []string{
		"", "-a", "a-", ".a", "a.", "/a", "a/", "_", "a b", "a*", "a>b", "a\x00b", "é", "aéb", "a:b", "a=b", "a\nb", strings.Repeat("k", 201),
	} {
		_, err := e.Put(ctx, key, []byte("x"), 0, 0)
		require.ErrorContains(t, err, "invalid key", "%q", key)
		require.NotErrorIs(t, err, stripekit.ErrCheckpointConflict)
		_, _, err = e.Get(ctx, key)
		require.ErrorContains(t, err, "invalid key", "%q", key)
		require.ErrorContains(t, e.Delete(ctx, key, 1), "invalid key", "%q", key)
	}
	_, err := e.Put(ctx, "a", nil, 0, 0)
	require.ErrorContains(t, err, "must not be nil")
	_, err = e.Put(ctx, "a", []byte("x"), 0, -time.Second)
	require.ErrorContains(t, err, "ttl -1s is negative")
	_, revision, err := e.Get(ctx, "a")
	require.NoError(t, err)
	require.Zero(t, revision, "nothing is stored")
}

func TestMemoryEngineDoesNothingInAContextThatIsOver(t *testing.T) {
	e := new(fleet.MemoryEngine)
	revision := memoryPut(t, e, "a", "x", 0, 0)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := e.Get(over, "a")
	require.ErrorIs(t, err, context.Canceled)
	_, err = e.Put(over, "a", []byte("y"), revision, 0)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, e.Delete(over, "a", revision), context.Canceled)
	require.ErrorIs(t, e.Watch(over, func(string, []byte, uint64) { t.Error("observe was called") }), context.Canceled)
	_, stored, err := e.Get(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, revision, stored)
}
