package fleettest_test

import (
	"context"
	"maps"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// skips loses each change for which the condition is true, counted per Watch after the
// empty key.
func skips(condition func(n int, value []byte) bool) func(e *hookedEngine) {
	return func(e *hookedEngine) {
		e.mapObserver(func(observe observer) observer {
			n, synced := 0, false
			return func(key string, value []byte, revision uint64) {
				if n++; key != "" && synced && condition(n, value) {
					return
				}
				synced = synced || key == ""
				observe(key, value, revision)
			}
		})
	}
}

// skipsOldRemovals loses the removals of records that were stored before Watch began.
func skipsOldRemovals(e *hookedEngine) {
	e.mapObserver(func(observe observer) observer {
		old, synced := map[string]bool{}, false
		return func(key string, value []byte, revision uint64) {
			synced = synced || key == ""
			old[key] = old[key] || !synced
			if value != nil || !old[key] {
				observe(key, value, revision)
			}
		}
	})
}

// throttles loses each change of a key that follows another one at once.
func throttles(e *hookedEngine) {
	e.mapObserver(func(observe observer) observer {
		last := map[string]time.Time{}
		return func(key string, value []byte, revision uint64) {
			if time.Since(last[key]) > 10*time.Millisecond {
				last[key] = time.Now()
				observe(key, value, revision)
			}
		}
	})
}

// marks changes when the empty key is observed: never, at once, or n times.
func marks(first bool, n int) func(e *hookedEngine) {
	return func(e *hookedEngine) {
		e.mapObserver(func(observe observer) observer {
			begun := false
			return func(key string, value []byte, revision uint64) {
				if !begun && first {
					observe("", nil, 0)
				}
				begun = true
				if key != "" {
					observe(key, value, revision)
				} else if !first {
					for range n {
						observe(key, value, revision)
					}
				}
			}
		})
	}
}

// marksAgain repeats the empty key, and all that it has observed, as after a new
// connection.
func marksAgain(e *hookedEngine) {
	e.mapObserver(func(observe observer) observer {
		n := 0
		return func(key string, value []byte, revision uint64) {
			observe(key, value, revision)
			if n++; n == 5 {
				observe("", nil, 0)
			}
		}
	})
}

// observesOld repeats the change of a key before the last one.
func observesOld(e *hookedEngine) {
	type change struct {
		value    []byte
		revision uint64
	}
	e.mapObserver(func(observe observer) observer {
		last := map[string]change{}
		return func(key string, value []byte, revision uint64) {
			observe(key, value, revision)
			if before, ok := last[key]; ok {
				observe(key, before.value, before.revision)
				observe(key, value, revision)
			}
			last[key] = change{value, revision}
		}
	})
}

// mapRemovals replaces what is observed of a removal.
func mapRemovals(mapped func(stored uint64, value []byte, revision uint64) ([]byte, uint64)) func(e *hookedEngine) {
	return func(e *hookedEngine) {
		e.mapObserver(func(observe observer) observer {
			last := map[string]uint64{}
			return func(key string, value []byte, revision uint64) {
				if key != "" && value == nil {
					value, revision = mapped(last[key], value, revision)
				}
				last[key] = revision
				observe(key, value, revision)
			}
		})
	}
}

// mapObserved replaces the values that are observed.
func mapObserved(mapped func(value []byte) []byte) func(e *hookedEngine) {
	return func(e *hookedEngine) {
		e.mapObserver(func(observe observer) observer {
			return func(key string, value []byte, revision uint64) {
				if key != "" {
					value = mapped(value)
				}
				observe(key, value, revision)
			}
		})
	}
}

// late observes each change after the empty key late.
func late(delay time.Duration) func(e *hookedEngine) {
	return func(e *hookedEngine) {
		e.mapObserver(func(observe observer) observer {
			synced := false
			return func(key string, value []byte, revision uint64) {
				if synced {
					pause(delay)
				}
				synced = synced || key == ""
				observe(key, value, revision)
			}
		})
	}
}

// oneBuffer uses one buffer for the values of all changes.
func oneBuffer(e *hookedEngine) {
	e.mapObserver(func(observe observer) observer {
		buffer := make([]byte, 0, 1<<20)
		return func(key string, value []byte, revision uint64) {
			if value != nil {
				value = append(buffer, value...)
			}
			observe(key, value, revision)
		}
	})
}

// manyGoroutines calls observe by a goroutine for each change.
func manyGoroutines(e *hookedEngine) {
	e.mapObserver(func(observe observer) observer {
		return func(key string, value []byte, revision uint64) { go observe(key, value, revision) }
	})
}

// tombstones observes removals from before Watch began.
func tombstones(e *hookedEngine) {
	var mu sync.Mutex
	removed := map[string]uint64{}
	e.onPut = func(ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration) (uint64, error) {
		next, err := e.MemoryEngine.Put(ctx, key, value, revision, ttl)
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			removed[key] = next
		}
		return next, err
	}
	e.onWatch = func(ctx context.Context, observe observer) error {
		mu.Lock()
		all := maps.Clone(removed)
		mu.Unlock()
		for key, revision := range all {
			if e.stored(key) == 0 {
				observe(key, nil, revision+1)
			}
		}
		return e.MemoryEngine.Watch(ctx, observe)
	}
}

// gap reads what is stored, and what changes a little later.
func gap(e *hookedEngine) {
	var puts atomic.Int64
	e.onPut = func(ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration) (uint64, error) {
		puts.Add(1)
		return e.MemoryEngine.Put(ctx, key, value, revision, ttl)
	}
	e.onWatch = func(ctx context.Context, observe observer) error {
		reading, end := context.WithCancel(ctx)
		_ = e.MemoryEngine.Watch(reading, func(key string, value []byte, revision uint64) {
			if key == "" {
				end()
				return
			}
			observe(key, value, revision)
		})
		end()
		observe("", nil, 0)
		before := puts.Load()
		for i := 0; i < 1000 && puts.Load() < before+10; i++ {
			runtime.Gosched()
		}
		synced := false
		return e.MemoryEngine.Watch(ctx, func(key string, value []byte, revision uint64) {
			if key == "" {
				synced = true
			} else if synced {
				observe(key, value, revision)
			}
		})
	}
}

// ownChanges observes the changes that were made by the same engine only.
func ownChanges(e *hookedEngine) {
	var own sync.Map
	e.onPut = func(ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration) (uint64, error) {
		own.Store(key, true)
		return e.MemoryEngine.Put(ctx, key, value, revision, ttl)
	}
	e.mapObserver(func(observe observer) observer {
		return func(key string, value []byte, revision uint64) {
			if _, ok := own.Load(key); ok || key == "" {
				observe(key, value, revision)
			}
		}
	})
}

// shared gives each change to one Watch.
func shared(e *hookedEngine) {
	var taken sync.Map
	e.mapObserver(func(observe observer) observer {
		synced := false
		return func(key string, value []byte, revision uint64) {
			if synced {
				if _, twice := taken.LoadOrStore(revision, true); twice {
					return
				}
			}
			synced = synced || key == ""
			observe(key, value, revision)
		}
	})
}

// fewRecords observes a page of what is stored.
func fewRecords(e *hookedEngine) {
	e.mapObserver(func(observe observer) observer {
		n, synced := 0, false
		return func(key string, value []byte, revision uint64) {
			synced = synced || key == ""
			if n++; n <= 256 || synced {
				observe(key, value, revision)
			}
		}
	})
}

// endsItself ends after some changes.
func endsItself(e *hookedEngine) {
	e.onWatch = func(ctx context.Context, observe observer) error {
		watching, end := context.WithCancel(ctx)
		defer end()
		n := 0
		return e.MemoryEngine.Watch(watching, func(key string, value []byte, revision uint64) {
			observe(key, value, revision)
			if n++; n == 30 {
				end()
			}
		})
	}
}

// neverEnds goes on after the end of the context.
func neverEnds(e *hookedEngine) {
	e.onWatch = func(ctx context.Context, observe observer) error {
		watching, end := context.WithCancel(context.WithoutCancel(ctx))
		defer end()
		go func() { <-e.over; end() }()
		return e.MemoryEngine.Watch(watching, observe)
	}
}

// endsWithoutError returns nil at the end of the context.
func endsWithoutError(e *hookedEngine) {
	e.onWatch = func(ctx context.Context, observe observer) error {
		_ = e.MemoryEngine.Watch(ctx, observe)
		return nil
	}
}

// observesAfterEnd leaves a goroutine that goes on.
func observesAfterEnd(e *hookedEngine) {
	e.onWatch = func(ctx context.Context, observe observer) error {
		watching, end := context.WithCancel(context.WithoutCancel(ctx))
		go func() { _ = e.MemoryEngine.Watch(watching, observe) }()
		go func() { <-e.over; end() }()
		<-ctx.Done()
		return ctx.Err()
	}
}
