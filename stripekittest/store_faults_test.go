package stripekittest_test

import (
	"bytes"
	"context"
	"errors"
	"math"
	"path"
	"slices"
	"strings"

	"github.com/stripekit/stripekit"
)

// brokenStore is a store with a fault, and the subtests that must find it.
type brokenStore struct {
	fault  string
	open   func() func() stripekit.CheckpointStore
	checks []string
}

// broken returns the brokenStore of a fault in a store in memory.
func broken(fault string, breaks func(s *hookedStore), checks ...string) brokenStore {
	return brokenStore{fault, func() func() stripekit.CheckpointStore {
		s := new(hookedStore)
		breaks(s)
		return func() stripekit.CheckpointStore { return s }
	}, checks}
}

// brokenStores returns a store for each fault. An operation that hangs does so until
// the channel over is closed.
func brokenStores(over <-chan struct{}) []brokenStore {
	return slices.Concat(brokenRevisions(), brokenDeletes(), brokenKeys(), brokenData(), brokenAtOnce(),
		brokenContexts(over), brokenCancels())
}

func brokenRevisions() []brokenStore {
	const conflicts, empty = "a save with another revision is refused", "an empty store has no checkpoint"
	equal := func(f func(uint64) uint64) func(s *hookedStore) {
		return func(s *hookedStore) { s.saveIf(func(stored, revision uint64) bool { return f(stored) == f(revision) }) }
	}
	return []brokenStore{
		broken("ignores the revision", func(s *hookedStore) {
			s.saveIf(func(uint64, uint64) bool { return true })
		}, conflicts, "of two Pollers the newer one continues", "no update is lost", empty),
		broken("replaces what is stored at a first save", func(s *hookedStore) {
			s.saveIf(func(stored, revision uint64) bool { return revision == 0 || stored == revision })
		}, conflicts, "of 100 saves at the same time one succeeds", "empty data is stored"),
		broken("takes any revision if nothing is stored", func(s *hookedStore) {
			s.saveIf(func(stored, revision uint64) bool { return stored == 0 || stored == revision })
		}, empty, "a delete removes the checkpoint"),
		broken("takes a later revision", func(s *hookedStore) {
			s.saveIf(func(stored, revision uint64) bool { return revision >= stored && (stored != 0) == (revision != 0) })
		}, conflicts),
		broken("compares 32 bits", equal(func(r uint64) uint64 { return uint64(uint32(r)) }), conflicts),
		broken("compares without a sign", equal(func(r uint64) uint64 { return max(r, -r) }), conflicts),
		broken("compares as a float", func(s *hookedStore) {
			large := func(r uint64) uint64 { return r | 1<<60 }
			s.mapRevisions(large, func(r uint64) uint64 {
				if stored := s.stored(storeKey); float64(large(stored)) == float64(r) {
					return stored
				}
				return math.MaxUint64 // which is never stored
			})
		}, conflicts),
		broken("refuses without ErrCheckpointConflict", func(s *hookedStore) {
			s.onSave = func(ctx context.Context, key string, data []byte, revision uint64) (uint64, error) {
				next, err := s.MemoryStore.Save(ctx, key, data, revision)
				if err != nil {
					err = errors.New(err.Error())
				}
				return next, err
			}
		}, conflicts, "of 100 saves at the same time one succeeds"),
		broken("stores in spite of a conflict", func(s *hookedStore) {
			s.onSave = func(ctx context.Context, key string, data []byte, revision uint64) (uint64, error) {
				next, err := s.MemoryStore.Save(ctx, key, data, revision)
				if err != nil {
					_, _ = s.force(key, data)
				}
				return next, err
			}
		}, conflicts, empty),
	}
}

func brokenDeletes() []brokenStore {
	const empty, deleted = "an empty store has no checkpoint", "a delete removes the checkpoint"
	return []brokenStore{
		broken("begins at revision 0", func(s *hookedStore) {
			s.mapRevisions(func(r uint64) uint64 { return r - 1 }, func(r uint64) uint64 { return r + 1 })
		}, "each save is loaded by every store"),
		broken("has the hash of the data as its revision", hashStore, "each save has a revision of its own", deleted),
		{"restarts its revisions after a delete", func() func() stripekit.CheckpointStore {
			s := newDeletedStore()
			return func() stripekit.CheckpointStore { return s }
		}, []string{deleted, "no revision returns after a delete", "deletes among saves lose nothing else"}},
		broken("deletes nothing", func(s *hookedStore) {
			s.onDelete = func(context.Context, string) error { return nil }
		}, deleted),
		broken("refuses to delete nothing", func(s *hookedStore) {
			s.onDelete = func(ctx context.Context, key string) error {
				if s.stored(key) == 0 {
					return errors.New("not found")
				}
				return s.MemoryStore.Delete(ctx, key)
			}
		}, empty),
		broken("has data where nothing is stored", func(s *hookedStore) {
			s.onLoad = func(ctx context.Context, key string) ([]byte, uint64, error) {
				data, revision, err := s.MemoryStore.Load(ctx, key)
				return append([]byte{}, data...), revision, err
			}
		}, empty),
	}
}

func brokenKeys() []brokenStore {
	const hostile = "every key is kept distinct or refused"
	keys := func(mapped func(string) string) func(*hookedStore) {
		return func(s *hookedStore) { s.mapKeys(mapped) }
	}
	return []brokenStore{
		broken("ignores case", keys(strings.ToLower), "keys of Pollers are kept", hostile),
		broken("cleans paths", keys(path.Clean), "keys of Pollers are kept", hostile),
		broken("ignores spaces at the end", keys(func(key string) string { return strings.TrimRight(key, " ") }), hostile),
		broken("ends at a NUL", keys(func(key string) string { key, _, _ = strings.Cut(key, "\x00"); return key }), hostile),
		broken("replaces what is not UTF-8", keys(func(key string) string { return strings.ToValidUTF8(key, "\ufffd") }), hostile),
		broken("replaces slashes", keys(func(key string) string { return strings.ReplaceAll(key, "/", "_") }), hostile),
		broken("cuts keys off", keys(func(key string) string { return key[:min(len(key), 2048)] }), hostile),
		broken("deletes by a pattern", patternStore, hostile),
		broken("refuses in Save alone", func(s *hookedStore) {
			s.onSave = func(ctx context.Context, key string, data []byte, revision uint64) (uint64, error) {
				if len(key) > 100 {
					return 0, errors.New("the key is too long")
				}
				return s.MemoryStore.Save(ctx, key, data, revision)
			}
		}, hostile, "keys of Pollers are kept"),
		broken("refuses percent signs", func(s *hookedStore) {
			s.onLoad = func(ctx context.Context, key string) ([]byte, uint64, error) {
				if strings.Contains(key, "%") {
					return nil, 0, errors.New("bad key")
				}
				return s.MemoryStore.Load(ctx, key)
			}
			s.onSave = func(ctx context.Context, key string, data []byte, revision uint64) (uint64, error) {
				if strings.Contains(key, "%") {
					return 0, errors.New("bad key")
				}
				return s.MemoryStore.Save(ctx, key, data, revision)
			}
			s.onDelete = func(_ context.Context, key string) error { return errors.New("bad key") }
		}, "keys of Pollers are kept"),
	}
}

func brokenData() []brokenStore {
	const owned, kept = "the slices are the caller's", "data is kept as it is"
	data := func(mapped func([]byte) []byte) func(*hookedStore) {
		return func(s *hookedStore) { s.mapData(mapped) }
	}
	sliced := func(fault string, keeps, lends bool) brokenStore {
		return brokenStore{fault, func() func() stripekit.CheckpointStore {
			s := newSliceStore(keeps, lends)
			return func() stripekit.CheckpointStore { return s }
		}, []string{owned}}
	}
	return []brokenStore{
		sliced("keeps the slice of Save", true, false),
		sliced("lends its slice to Load", false, true),
		broken("writes behind the data", data(func(data []byte) []byte { return append(data, '\n')[:len(data)] }), owned),
		broken("takes nil for nothing", func(s *hookedStore) {
			s.onSave = func(ctx context.Context, key string, data []byte, revision uint64) (uint64, error) {
				next, err := s.MemoryStore.Save(ctx, key, data, revision)
				if err == nil && data == nil {
					err = s.MemoryStore.Delete(ctx, key)
				}
				return next, err
			}
		}, "empty data is stored"),
		broken("keeps text only", data(func(data []byte) []byte { return bytes.ToValidUTF8(data, []byte("?")) }), kept),
		broken("cuts data off", data(func(data []byte) []byte { return data[:min(len(data), 65_535)] }), kept),
		broken("trims spaces", data(bytes.TrimSpace), kept),
	}
}

func brokenAtOnce() []brokenStore {
	const race, counter, deletes = "of 100 saves at the same time one succeeds", "no update is lost", "deletes among saves lose nothing else"
	const loaded, loads = "each save is loaded by every store", "loads among saves are consistent"
	return []brokenStore{
		broken("compares and saves in two steps", func(s *hookedStore) {
			s.saveIf(func(stored, revision uint64) bool { return stored == revision })
		}, race, counter, deletes),
		broken("loads data and revision in two steps", tornStore, loads),
		broken("loads what is not the newest", staleStore, loads),
		broken("has one revision for all keys", globalStore, "keys do not disturb each other"),
		{"does not see the saves of others", func() func() stripekit.CheckpointStore {
			shared := new(stripekit.MemoryStore)
			return func() stripekit.CheckpointStore { return cachingStore(shared) }
		}, []string{loaded, loads}},
		{"is empty when it is opened again", func() func() stripekit.CheckpointStore {
			return func() stripekit.CheckpointStore { return new(stripekit.MemoryStore) }
		}, []string{loaded, race, "a Poller continues where it was stopped", "a Backfill continues where it was left"}},
	}
}

func brokenContexts(over <-chan struct{}) []brokenStore {
	const ends, saves, crowd = "a context that is over ends an operation", "a save that is cancelled takes place or not", "waiting saves end with their context"
	return []brokenStore{
		broken("tries for ever", func(s *hookedStore) {
			s.onSave = func(ctx context.Context, key string, data []byte, revision uint64) (uint64, error) {
				if ctx.Err() != nil {
					<-over
				}
				return s.MemoryStore.Save(ctx, key, data, revision)
			}
		}, ends),
		broken("tries for ever to load", func(s *hookedStore) {
			s.onLoad = func(ctx context.Context, key string) ([]byte, uint64, error) {
				if ctx.Err() != nil {
					<-over
				}
				return s.MemoryStore.Load(ctx, key)
			}
		}, ends),
		broken("returns an error of its own for a context that is over", func(s *hookedStore) {
			s.onDelete = func(ctx context.Context, key string) error {
				if ctx.Err() != nil {
					return errors.New("interrupted")
				}
				return s.MemoryStore.Delete(ctx, key)
			}
		}, ends),
		broken("goes on for ever after a cancel", func(s *hookedStore) {
			s.whenCancelled(func(ctx context.Context, _ string, _ []byte, _ uint64) (uint64, error) {
				<-over
				return 0, ctx.Err()
			})
		}, crowd, saves, ends),
	}
}

func brokenCancels() []brokenStore {
	const ends, saves = "a context that is over ends an operation", "a save that is cancelled takes place or not"
	return []brokenStore{
		broken("leaves half of a cancelled save", func(s *hookedStore) {
			s.whenCancelled(func(ctx context.Context, key string, data []byte, revision uint64) (uint64, error) {
				_, _ = s.MemoryStore.Save(ctx, key, data[:len(data)/2], revision)
				return 0, ctx.Err()
			})
		}, saves),
		broken("reports a cancelled save as done", func(s *hookedStore) {
			s.whenCancelled(func(_ context.Context, _ string, _ []byte, revision uint64) (uint64, error) {
				return revision + 1, nil
			})
		}, saves, ends),
		broken("reports a cancelled save as a conflict", func(s *hookedStore) {
			s.whenCancelled(func(context.Context, string, []byte, uint64) (uint64, error) {
				return 0, stripekit.ErrCheckpointConflict
			})
		}, saves, ends),
		broken("is damaged by a cancelled save", func(s *hookedStore) {
			s.whenCancelled(func(ctx context.Context, key string, _ []byte, _ uint64) (uint64, error) {
				_ = s.MemoryStore.Delete(ctx, key)
				return 0, ctx.Err()
			})
		}, saves),
		broken("reports a cancelled delete as done", func(s *hookedStore) {
			s.onSave = func(ctx context.Context, key string, data []byte, revision uint64) (uint64, error) {
				disturbed(ctx)
				return s.MemoryStore.Save(ctx, key, data, revision)
			}
			s.onDelete = func(ctx context.Context, key string) error {
				if disturbed(ctx) {
					return nil
				}
				return s.MemoryStore.Delete(ctx, key)
			}
		}, "a delete that is cancelled takes place or not", ends),
	}
}
