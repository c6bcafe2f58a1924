package fleettest_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/fleet"
)

// The names of subtests, as far as broken engines fail them.
const (
	window        = "a record is removed between ttl and ttl + 2 s"
	removalKnown  = "a removal by ttl is known to every engine"
	removalFinal  = "a removal by ttl is final"
	doubtRemoved  = "a doubtful Put does not bring a removed record back"
	renewals      = "renewals keep a record"
	lateRenewals  = "a renewal at the end of the ttl is in time or a conflict"
	lastTTL       = "the ttl is that of the last Put"
	removedBefore = "a record removed by ttl before Watch is not observed"
	amongRemovals = "Watch begins among removals by ttl"
	delay         = "a change is observed within a second"
	empty         = "an empty engine has no record"
	puts          = "a Put is known to every engine"
	conflicts     = "a Put with another revision is a conflict"
	revisions     = "the revisions of a key grow"
	keys          = "every key is kept"
	values        = "every value is kept"
	slicesKept    = "the slices are the caller's"
	deletes       = "Delete removes the record with its revision"
	contextOver   = "a context that is over ends an operation"
	doubt         = "after a doubtful Put the same engine puts again"
	doubtOthers   = "after a doubtful Put and another change the Put is a conflict"
	race          = "of 64 Puts at the same time one succeeds"
	putAndDelete  = "of a Put and a Delete at the same time one succeeds"
	counter       = "no update is lost"
	getAmongPuts  = "Get knows of every Put and Delete before it"
	watchState    = "Watch observes each record, then an empty key"
	watchChanges  = "Watch observes each last change"
	watchDelete   = "Watch observes a Delete"
	watchLoad     = "Watch observes the last of many changes, in order"
	watchBegins   = "Watch begins among changes"
	watchAndGet   = "Watch observes what Get knows"
	watchEnd      = "Watch ends with its context"
)

// brokenEngine breaks a sentence, so that subtests must fail.
type brokenEngine struct {
	fault   string
	changes func(e *hookedEngine)
	checks  []string

	// perProcess changes each engine that is opened on its own.
	perProcess bool
}

// open returns the function that opens engines, for new records. over is closed when the
// test has ended.
func (b brokenEngine) open(over <-chan struct{}) func() fleet.Engine {
	records := new(fleet.MemoryEngine)
	hooked := func() *hookedEngine {
		e := &hookedEngine{MemoryEngine: records, over: over}
		b.changes(e)
		return e
	}
	if b.perProcess {
		return func() fleet.Engine { return hooked() }
	}
	e := hooked()
	return func() fleet.Engine { return e }
}

func (b brokenEngine) inEachProcess() brokenEngine {
	b.perProcess = true
	return b
}

func broken(fault string, changes func(e *hookedEngine), checks ...string) brokenEngine {
	return brokenEngine{fault: fault, changes: changes, checks: checks}
}

func brokenEngines() []brokenEngine {
	return slices.Concat(
		brokenPuts(), brokenRevisions(), brokenRecords(), brokenDeletes(), brokenRemovals(),
		brokenGets(), brokenDoubts(), brokenWatches(), brokenObservations(),
	)
}

func brokenPuts() []brokenEngine {
	return []brokenEngine{
		broken("Put compares nothing", func(e *hookedEngine) {
			e.putIf(func(_, _ uint64) bool { return true })
		}, empty, conflicts, revisions, race, counter),
		broken("Put compares, and then puts", func(e *hookedEngine) {
			e.putIf(func(stored, revision uint64) bool { return stored == revision })
		}, race, counter, putAndDelete),
		broken("Put compares 32 bits", func(e *hookedEngine) {
			e.putIf(func(stored, revision uint64) bool { return uint32(stored) == uint32(revision) })
		}, conflicts, empty),
		broken("Put takes 0 for any revision", func(e *hookedEngine) {
			e.putIf(func(stored, revision uint64) bool { return revision == 0 || stored == revision })
		}, conflicts),
		broken("Put accepts later revisions", func(e *hookedEngine) {
			e.putIf(func(stored, revision uint64) bool { return stored == revision || stored != 0 && revision > stored })
		}, conflicts),
		broken("Put accepts earlier revisions", func(e *hookedEngine) {
			e.putIf(func(stored, revision uint64) bool { return stored == revision || revision != 0 && revision < stored })
		}, conflicts),
		broken("Put puts before it compares", func(e *hookedEngine) {
			e.onPut = func(ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration) (uint64, error) {
				if stored := e.stored(key); stored != revision && stored != 0 {
					_, _ = e.force(key, value, ttl)
				}
				return e.MemoryEngine.Put(ctx, key, value, revision, ttl)
			}
		}, conflicts),
		broken("a conflict is another error", func(e *hookedEngine) {
			e.onPut = func(ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration) (uint64, error) {
				next, err := e.MemoryEngine.Put(ctx, key, value, revision, ttl)
				if err != nil {
					err = errors.New("wrong last sequence")
				}
				return next, err
			}
		}, empty, conflicts, race),
	}
}

func brokenRevisions() []brokenEngine {
	return []brokenEngine{
		broken("revisions in no order", shuffledRevisions, revisions),
		broken("revisions begin again after a Delete", restartedRevisions(true, false), revisions, deletes),
		broken("revisions begin again after a removal by ttl", restartedRevisions(false, true), removalFinal),
		broken("the same value has the same revision", func(e *hookedEngine) {
			e.onPut = func(ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration) (uint64, error) {
				if old, stored, _ := e.MemoryEngine.Get(ctx, key); stored != 0 && stored == revision && bytes.Equal(old, value) {
					return stored, nil
				}
				return e.MemoryEngine.Put(ctx, key, value, revision, ttl)
			}
		}, revisions, watchChanges),
		broken("each process has records of its own", func(e *hookedEngine) {
			e.MemoryEngine = new(fleet.MemoryEngine)
		}, puts, race).inEachProcess(),
	}
}

func brokenRecords() []brokenEngine {
	return []brokenEngine{
		broken("keys in lower case", lowerKeys, keys),
		broken("/ is a dot", flatKeys, keys),
		broken("keys of up to 199 bytes", cutKeys, keys),
		broken("values of up to 64 KB", func(e *hookedEngine) {
			e.mapValues(func(value []byte) []byte { return value[:min(len(value), 64<<10)] })
		}, values),
		broken("values are text", func(e *hookedEngine) {
			e.mapValues(func(value []byte) []byte { return bytes.ToValidUTF8(value, []byte("?")) })
		}, values),
		broken("values without white space around", func(e *hookedEngine) {
			e.mapValues(func(value []byte) []byte { return append([]byte{}, bytes.TrimSpace(value)...) })
		}, values),
		broken("values up to a NUL byte", func(e *hookedEngine) {
			e.mapValues(func(value []byte) []byte { before, _, _ := bytes.Cut(value, []byte{0}); return before })
		}, values),
		broken("Put keeps the slice", sharedSlices(true, false), slicesKept),
		broken("Get lends its slice", sharedSlices(false, true), slicesKept),
	}
}

func brokenDeletes() []brokenEngine {
	return []brokenEngine{
		broken("Delete ignores the revision", func(e *hookedEngine) {
			e.onDelete = func(ctx context.Context, key string, _ uint64) error {
				return e.MemoryEngine.Delete(ctx, key, e.stored(key))
			}
		}, deletes, putAndDelete),
		broken("Delete takes 0 for any revision", func(e *hookedEngine) {
			e.onDelete = func(ctx context.Context, key string, revision uint64) error {
				if revision == 0 {
					revision = e.stored(key)
				}
				return e.MemoryEngine.Delete(ctx, key, revision)
			}
		}, deletes),
		broken("Delete with another revision does nothing", func(e *hookedEngine) {
			e.onDelete = func(ctx context.Context, key string, revision uint64) error {
				if err := e.MemoryEngine.Delete(ctx, key, revision); !errors.Is(err, stripekit.ErrCheckpointConflict) {
					return err
				}
				return nil
			}
		}, deletes, putAndDelete),
		broken("Delete of nothing is a conflict", func(e *hookedEngine) {
			e.onDelete = func(ctx context.Context, key string, revision uint64) error {
				if e.stored(key) == 0 {
					return stripekit.ErrCheckpointConflict
				}
				return e.MemoryEngine.Delete(ctx, key, revision)
			}
		}, empty, deletes, removalFinal),
		broken("Delete does nothing", func(e *hookedEngine) {
			e.onDelete = func(_ context.Context, key string, revision uint64) error {
				if stored := e.stored(key); stored != 0 && stored != revision {
					return stripekit.ErrCheckpointConflict
				}
				return nil
			}
		}, deletes, watchDelete, getAmongPuts, watchState),
		broken("Delete compares, and then deletes", func(e *hookedEngine) {
			e.onDelete = func(ctx context.Context, key string, revision uint64) error {
				if stored := e.stored(key); stored != revision && stored != 0 {
					return stripekit.ErrCheckpointConflict
				}
				pause(time.Microsecond)
				return e.MemoryEngine.Delete(ctx, key, e.stored(key))
			}
		}, putAndDelete),
	}
}

func brokenRemovals() []brokenEngine {
	const quarter = 250 * time.Millisecond
	return []brokenEngine{
		broken("a removal comes early", func(e *hookedEngine) {
			e.withTTL(func(ttl time.Duration) time.Duration { return ttl - quarter })
		}, window, lateRenewals),
		broken("ttls of whole seconds, rounded down", func(e *hookedEngine) {
			e.withTTL(func(ttl time.Duration) time.Duration { return ttl.Truncate(time.Second) })
		}, window),
		broken("a removal comes late", func(e *hookedEngine) {
			e.withTTL(func(ttl time.Duration) time.Duration { return ttl + 2*time.Second + 2*quarter })
		}, window, removalFinal),
		broken("a removal never comes", func(e *hookedEngine) {
			e.withTTL(func(time.Duration) time.Duration { return 0 })
		}, window, removalKnown, removalFinal, doubtRemoved, lastTTL, removedBefore),
		broken("a removal comes when somebody asks", lazyRemoval, window, lastTTL, removedBefore),
		broken("a removal is known to Get only", hiddenRemoval, window, removalFinal),
		broken("Put accepts the revision of a removed record", acceptsRemoved, empty, removalFinal, lateRenewals, doubtRemoved, deletes, revisions),
		broken("Put accepts the revision of a removal", acceptsRemoval, deletes),
		broken("any ttl of a key removes what is stored", keyTimers(false), renewals, lateRenewals, lastTTL),
		broken("a ttl is not ended by a Put without one", keyTimers(true), lastTTL),
		broken("a ttl is for new records", func(e *hookedEngine) {
			e.onPut = func(ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration) (uint64, error) {
				if revision != 0 {
					ttl = 0
				}
				return e.MemoryEngine.Put(ctx, key, value, revision, ttl)
			}
		}, lastTTL, removalFinal),
		broken("Get finds a removed record for a while", lateRemovals, removalKnown),
	}
}

func brokenGets() []brokenEngine {
	get := func(change func(value []byte, revision uint64) ([]byte, uint64)) func(e *hookedEngine) {
		return func(e *hookedEngine) {
			e.onGet = func(ctx context.Context, key string) ([]byte, uint64, error) {
				value, revision, err := e.MemoryEngine.Get(ctx, key)
				if err == nil {
					value, revision = change(value, revision)
				}
				return value, revision, err
			}
		}
	}
	return []brokenEngine{
		broken("Get returns nil for an empty value", get(func(value []byte, revision uint64) ([]byte, uint64) {
			if len(value) == 0 {
				value = nil
			}
			return value, revision
		}), values),
		broken("Get returns an empty value for none", get(func(value []byte, revision uint64) ([]byte, uint64) {
			return append([]byte{}, value...), revision
		}), empty, deletes),
		broken("Get keeps what it has read", cachingEngine, puts, counter, getAmongPuts).inEachProcess(),
		broken("Get reads from a copy that is late", lateReplica(3*time.Microsecond), puts, conflicts, getAmongPuts),
		broken("Get fails if there is no record", func(e *hookedEngine) {
			e.onGet = func(ctx context.Context, key string) ([]byte, uint64, error) {
				value, revision, err := e.MemoryEngine.Get(ctx, key)
				if revision == 0 && err == nil {
					err = errors.New("key not found")
				}
				return value, revision, err
			}
		}, empty, deletes, getAmongPuts),
	}
}

func brokenDoubts() []brokenEngine {
	return []brokenEngine{
		broken("Get ignores the context", ignoresContext(true, false, false), contextOver),
		broken("Put ignores the context", ignoresContext(false, true, false), contextOver),
		broken("Delete ignores the context", ignoresContext(false, false, true), contextOver),
		broken("a doubtful Put that was stored is a conflict later", storesCancelled, doubt, contextOver).inEachProcess(),
		broken("a cancelled Put is a conflict", conflictsCancelled, doubt, contextOver).inEachProcess(),
		broken("a cancelled Put is stored late, over another one", lateOverwrite, doubt, doubtOthers).inEachProcess(),
		broken("after a doubtful Put anything is accepted", trustsDoubt(func(uint64) bool { return true }), doubtOthers, doubtRemoved).inEachProcess(),
		broken("after a doubtful Put nothing is stored, so Put is accepted", trustsDoubt(func(stored uint64) bool { return stored == 0 }), doubtOthers, doubtRemoved).inEachProcess(),
		broken("a cancelled Put does not return", hangs, doubt).inEachProcess(),
	}
}

func brokenWatches() []brokenEngine {
	return []brokenEngine{
		broken("Watch skips changes", skips(func(n int, _ []byte) bool { return n%3 == 2 }), watchChanges, watchLoad),
		broken("Watch skips removals", skips(func(_ int, value []byte) bool { return value == nil }), window, watchDelete, removalKnown, removedBefore, deletes),
		broken("Watch skips removals of what was stored before", skipsOldRemovals, amongRemovals, watchDelete),
		broken("Watch skips a change at once after another one", throttles, watchChanges),
		broken("Watch observes its own changes", ownChanges, watchChanges).inEachProcess(),
		broken("Watch observes what no other Watch has", shared, watchChanges, watchLoad),
		broken("Watch observes a page of the records", fewRecords, watchState),
	}
}

func brokenObservations() []brokenEngine {
	return []brokenEngine{
		broken("Watch observes no empty key", marks(false, 0), watchState, empty),
		broken("Watch observes two empty keys", marks(false, 2), watchState),
		broken("Watch observes an empty key first", marks(true, 1), watchState),
		broken("Watch observes an empty key again", marksAgain, watchLoad, watchChanges),
		broken("Watch observes old revisions", observesOld, watchChanges, watchBegins),
		broken("a removal has the revision of the record", mapRemovals(func(stored uint64, value []byte, _ uint64) ([]byte, uint64) {
			return value, stored
		}), watchDelete, removedBefore),
		broken("a removal has the revision 0", mapRemovals(func(_ uint64, value []byte, _ uint64) ([]byte, uint64) {
			return value, 0
		}), watchDelete),
		broken("a removal has an empty value", mapRemovals(func(_ uint64, _ []byte, revision uint64) ([]byte, uint64) {
			return []byte{}, revision
		}), watchDelete, window),
		broken("an empty value is observed as nil", mapObserved(func(value []byte) []byte {
			if len(value) == 0 {
				value = nil
			}
			return value
		}), values, watchDelete),
		broken("Watch is late", late(1500*time.Millisecond), delay),
		broken("Watch uses one buffer", oneBuffer, slicesKept, watchChanges),
		broken("Watch has a goroutine for each change", manyGoroutines, watchState, watchLoad),
		broken("Watch observes earlier removals", tombstones, watchDelete, removedBefore, watchState),
		broken("Watch begins with a gap", gap, watchBegins),
		broken("Watch ends by itself", endsItself, watchLoad),
		broken("Watch does not end", neverEnds, watchEnd),
		broken("Watch ends without an error", endsWithoutError, watchEnd),
		broken("observe is called after the end", observesAfterEnd, watchEnd),
		broken("Watch is earlier than Get", lateReplica(3*time.Millisecond), watchAndGet),
	}
}
