package fleettest

import (
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/stripekit/stripekit/fleet"
)

// TestEngine tests an implementation of fleet.Engine against all that the interface
// promises, also while many use the engine at the same time. Each promise is a subtest.
//
//	func TestEngine(t *testing.T) {
//		fleettest.TestEngine(t, func(t *testing.T) func() fleet.Engine {
//			bucket := newBucket(t)
//			return func() fleet.Engine {
//				engine, err := myengine.Open(bucket)
//				if err != nil {
//					t.Fatal(err)
//				}
//				t.Cleanup(func() { engine.Close() })
//				return engine
//			}
//		})
//	}
//
// newEngine is called once in each subtest, and returns a function that opens an engine
// on new, empty records: a table, a bucket. That function is called up to four times, on
// the goroutine of the subtest. It should open another engine on the same records each
// time, as another process would. If it can only return the same engine, as one in
// memory, all subtests run with that engine, and a log line says so.
//
// The subtests that wait for a ttl run at the same time. The others follow, four at a
// time. So newEngine is called by several goroutines, and about 25 engines are open at
// the same time.
//
// TestEngine uses real time, and ttls of a second and more. It takes about 6 s with a
// fast engine, and about 20 s if Watch observes a change after a quarter of a second.
func TestEngine(t *testing.T, newEngine func(t *testing.T) (open func() fleet.Engine)) {
	t.Helper()
	var onlyEngine sync.Once
	run := func(check engineCheck) {
		t.Run(check.name, func(t *testing.T) {
			check.run(&engineTest{TB: t, openEngine: newEngine(t), patience: patience, onlyEngine: &onlyEngine})
		})
	}
	var waiting sync.WaitGroup
	for _, check := range engineChecks {
		if check.waits { // t.Parallel would run no more of them than there are processors
			waiting.Go(func() { run(check) })
		}
	}
	waiting.Wait()
	checks := make(chan engineCheck)
	var others sync.WaitGroup
	for range lanes {
		others.Go(func() {
			for check := range checks {
				run(check)
			}
		})
	}
	for _, check := range engineChecks {
		if !check.waits {
			checks <- check
		}
	}
	close(checks)
	others.Wait()
}

// engineCheck is a subtest of TestEngine.
type engineCheck struct {
	name  string
	run   func(t *engineTest)
	waits bool // mostly for a ttl to pass
}

var engineChecks = []engineCheck{
	{"a record is removed between ttl and ttl + 2 s", checkWindow, true},
	{"a removal by ttl is known to every engine", checkRemovalKnown, true},
	{"a removal by ttl is final", checkRemovalFinal, true},
	{"a doubtful Put does not bring a removed record back", checkDoubtAfterRemoval, true},
	{"renewals keep a record", checkRenewals, true},
	{"a renewal at the end of the ttl is in time or a conflict", checkLateRenewals, true},
	{"the ttl is that of the last Put", checkLastTTL, true},
	{"a record removed by ttl before Watch is not observed", checkWatchAfterRemoval, true},
	{"Watch begins among removals by ttl", checkWatchAmongRemovals, true},
	{"a change is observed within a second", checkWatchDelay, true},

	{"an empty engine has no record", checkEmpty, false},
	{"a Put is known to every engine", checkPuts, false},
	{"a Put with another revision is a conflict", checkConflicts, false},
	{"the revisions of a key grow", checkRevisions, false},
	{"every key is kept", checkKeys, false},
	{"every value is kept", checkValues, false},
	{"the slices are the caller's", checkSlices, false},
	{"Delete removes the record with its revision", checkDelete, false},
	{"a context that is over ends an operation", checkContextOver, false},
	{"after a doubtful Put the same engine puts again", checkDoubt, false},
	{"after a doubtful Put and another change the Put is a conflict", checkDoubtAmongOthers, false},
	{"of 64 Puts at the same time one succeeds", checkRace, false},
	{"of a Put and a Delete at the same time one succeeds", checkPutAndDelete, false},
	{"no update is lost", checkCounter, false},
	{"Get knows of every Put and Delete before it", checkGetAmongPuts, false},
	{"Watch observes each record, then an empty key", checkWatchState, false},
	{"Watch observes each last change", checkWatchChanges, false},
	{"Watch observes a Delete", checkWatchDelete, false},
	{"Watch observes the last of many changes, in order", checkWatchLoad, false},
	{"Watch begins among changes", checkWatchBegins, false},
	{"Watch observes what Get knows", checkWatchAndGet, false},
	{"Watch ends with its context", checkWatchEnd, false},
}

const (
	// lanes is how many subtests that do not wait for a ttl run at the same time.
	lanes = 4
	// timeout bounds the operations of an engine.
	timeout = 30 * time.Second
	// watchTimeout bounds the wait for a change where its delay is not measured.
	watchTimeout = 10 * time.Second
	// patience is how long an operation may go on after its context is over.
	patience = 2 * time.Second
	// watchDelay is the time within which Watch observes the last change of a key.
	watchDelay = time.Second
	// removalDelay is the time within which a record is removed after its ttl.
	removalDelay = 2 * time.Second
	// slack is for the scheduler: how much later than promised may be noticed.
	slack = 250 * time.Millisecond
	// drift is how much two clocks may differ in measuring a ttl.
	drift = 5 * time.Millisecond
)

// engineTest is one subtest, with records of its own.
type engineTest struct {
	testing.TB
	openEngine func() fleet.Engine
	first      fleet.Engine  // that was opened
	patience   time.Duration // for operations whose context is over
	onlyEngine *sync.Once    // logs that the same engine is opened each time
	failed     sync.Once
}

// failf fails the test. It is for goroutines: what the first one finds is enough.
func (t *engineTest) failf(format string, args ...any) {
	t.Helper()
	t.failed.Do(func() { t.Errorf(format, args...) })
}

// stopIfFailed ends the test if a goroutine has failed it.
func (t *engineTest) stopIfFailed() {
	t.Helper()
	if t.Failed() {
		t.Fatalf("the subtest ends here")
	}
}

// open opens an engine on the records. It must be called by the goroutine of the test.
func (t *engineTest) open() *engine {
	t.Helper()
	opened := t.openEngine()
	if opened == nil {
		t.Fatalf("the function that opens an engine has returned nil")
	}
	if t.first == nil {
		t.first = opened
	} else if reflect.TypeOf(opened).Comparable() && opened == t.first {
		t.onlyEngine.Do(func() {
			t.Logf("the same engine is opened each time: the subtests show nothing about several processes with the same records")
		})
	}
	return &engine{t: t, Engine: opened}
}

// openAll opens n engines on the records.
func (t *engineTest) openAll(n int) []*engine {
	t.Helper()
	engines := make([]*engine, n)
	for i := range engines {
		engines[i] = t.open()
	}
	return engines
}
