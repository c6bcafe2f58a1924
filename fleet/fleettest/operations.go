package fleettest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/fleet"
)

// errHangs is the error of an operation that has not ended with its context.
var errHangs = errors.New("has not returned, although its context is over")

// engine is an Engine whose operations end with their context, even if those of the
// Engine do not. What they return is held to the sentences that are about every result.
// The methods without a context are for the goroutine of the test: they end the test if
// the Engine does something wrong.
type engine struct {
	fleet.Engine
	t *engineTest
}

// result is what an operation returns.
type result struct {
	value    []byte
	revision uint64
	err      error
}

func (e *engine) call(ctx context.Context, operation, key string, call func() result) result {
	done := make(chan result, 1)
	go func() { done <- call() }()
	select {
	case r := <-done:
		return r
	case <-ctx.Done():
	}
	timer := time.NewTimer(e.t.patience)
	defer timer.Stop()
	select {
	case r := <-done:
		return r
	case <-timer.C:
		e.t.failf("%s(%.40q) has not returned within %v, although its context is over", operation, key, e.t.patience)
		return result{err: fmt.Errorf("%s(%.40q) %w", operation, key, errHangs)}
	}
}

func (e *engine) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	r := e.call(ctx, "Get", key, func() (r result) {
		r.value, r.revision, r.err = e.Engine.Get(ctx, key)
		return r
	})
	switch {
	case r.err != nil:
	case r.revision == 0 && r.value != nil:
		e.t.failf("Get(%.40q): got %s and revision 0: want nil and 0 if there is no record", key, brief(r.value))
	case r.revision != 0 && r.value == nil:
		e.t.failf("Get(%.40q): got nil and revision %d: a value is never nil, it may be empty", key, r.revision)
	}
	return r.value, r.revision, r.err
}

func (e *engine) Put(ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration) (uint64, error) {
	r := e.call(ctx, "Put", key, func() (r result) {
		r.revision, r.err = e.Engine.Put(ctx, key, value, revision, ttl)
		return r
	})
	if r.err == nil && r.revision <= revision {
		e.t.failf("Put(%.40q) with the revision %d has returned the revision %d: it must grow", key, revision, r.revision)
	}
	return r.revision, r.err
}

func (e *engine) Delete(ctx context.Context, key string, revision uint64) error {
	return e.call(ctx, "Delete", key, func() result { return result{err: e.Engine.Delete(ctx, key, revision)} }).err
}

// limit returns a context for one operation.
func (t *engineTest) limit() (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), timeout)
}

// get returns a record.
func (e *engine) get(key string) (value []byte, revision uint64) {
	e.t.Helper()
	ctx, cancel := e.t.limit()
	defer cancel()
	value, revision, err := e.Get(ctx, key)
	if err != nil {
		e.t.Fatalf("Get(%.40q): %v", key, err)
	}
	return value, revision
}

// put stores a record, which must succeed.
func (e *engine) put(key string, value []byte, revision uint64, ttl time.Duration) uint64 {
	e.t.Helper()
	ctx, cancel := e.t.limit()
	defer cancel()
	next, err := e.Put(ctx, key, value, revision, ttl)
	if err != nil {
		e.t.Fatalf("Put(%.40q) of %d bytes with the stored revision %d and the ttl %v: %v", key, len(value), revision, ttl, err)
	}
	return next
}

// remove deletes a record, or nothing, which must succeed.
func (e *engine) remove(key string, revision uint64) {
	e.t.Helper()
	ctx, cancel := e.t.limit()
	defer cancel()
	if err := e.Delete(ctx, key, revision); err != nil {
		e.t.Fatalf("Delete(%.40q) with the revision %d, which is stored, or nothing is: %v", key, revision, err)
	}
}

// refuses requires that a Put with a revision that is not the stored one is a conflict.
// why says what is stored.
func (e *engine) refuses(key string, revision uint64, why string) {
	e.t.Helper()
	ctx, cancel := e.t.limit()
	defer cancel()
	next, err := e.Put(ctx, key, []byte("must not be stored"), revision, 0)
	e.mustConflict("Put", key, revision, why, next, err)
}

// keeps requires that a Delete with a revision that is not the stored one is a conflict.
func (e *engine) keeps(key string, revision uint64) {
	e.t.Helper()
	ctx, cancel := e.t.limit()
	defer cancel()
	e.mustConflict("Delete", key, revision, "which is not the stored one", 0, e.Delete(ctx, key, revision))
}

func (e *engine) mustConflict(operation, key string, revision uint64, why string, next uint64, err error) {
	e.t.Helper()
	switch {
	case err == nil && operation == "Put":
		e.t.Fatalf("Put(%.40q) with the revision %d, %s, has returned the revision %d: want ErrCheckpointConflict", key, revision, why, next)
	case err == nil:
		e.t.Fatalf("%s(%.40q) with the revision %d, %s, has returned no error: want ErrCheckpointConflict", operation, key, revision, why)
	case !errors.Is(err, stripekit.ErrCheckpointConflict):
		e.t.Fatalf("%s(%.40q) with the revision %d, %s: want an error that wraps ErrCheckpointConflict, got %v", operation, key, revision, why, err)
	}
}

// has requires that a record is stored.
func (e *engine) has(key string, value []byte, revision uint64) {
	e.t.Helper()
	gotValue, gotRevision := e.get(key)
	if !bytes.Equal(gotValue, value) || gotRevision != revision {
		e.t.Fatalf("Get(%.40q): got %s and revision %d, want %s and revision %d",
			key, brief(gotValue), gotRevision, brief(value), revision)
	}
}

// lacks requires that no record is stored.
func (e *engine) lacks(key string) {
	e.t.Helper()
	if value, revision := e.get(key); value != nil || revision != 0 {
		e.t.Fatalf("Get(%.40q): got %s and revision %d, want nil and 0, since nothing is stored", key, brief(value), revision)
	}
}

// brief returns a value for a message.
func brief(value []byte) string {
	const most = 40
	switch {
	case value == nil:
		return "nil"
	case len(value) > most:
		return fmt.Sprintf("%q… (%d bytes)", value[:most], len(value))
	}
	return fmt.Sprintf("%q", value)
}

// until waits for a moment.
func (t *engineTest) until(moment time.Time) {
	t.Helper()
	timer := time.NewTimer(time.Until(moment))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
		t.Fatalf("the test has ended: %v", t.Context().Err())
	}
}
