package fleettest_test

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
)

// testRun is a test whose end and messages are observed. Its other methods are those of
// the test around it.
type testRun struct {
	testing.TB

	mu       sync.Mutex // guards what follows
	messages []string   // of failures
	cleanups []func()
}

// runTest runs a test function up to its end, with its cleanups.
func runTest(t *testing.T, test func(testing.TB)) *testRun {
	t.Helper()
	r := &testRun{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		test(r)
	}()
	<-done
	for _, cleanup := range slices.Backward(r.cleanups) {
		cleanup()
	}
	return r
}

func (r *testRun) Cleanup(cleanup func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cleanups = append(r.cleanups, cleanup)
}

func (r *testRun) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.messages = append(r.messages, fmt.Sprintf(format, args...))
}

func (r *testRun) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

func (r *testRun) Failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.messages) > 0
}

func (r *testRun) Logf(string, ...any) {}
