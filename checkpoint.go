package stripekit

import (
	"context"
	"slices"
	"sync"

	"github.com/stripekit/stripekit/internal/filestore"
)

// CheckpointStore keeps the checkpoints of pollers. An implementation must be
// safe for concurrent use, and Save and Delete must be atomic and durable: once
// one has returned, Load gives the new data (none after a Delete), and after a
// crash in the middle of it the old or the new, never a mixture.
//
// A revision is a number that stands for the data of one Save. It should not be
// used again for the same key, not after a Delete either: a poller that holds a
// revision from before could overwrite the checkpoint of its successor.
type CheckpointStore interface {
	// Load returns the data last saved under key and its revision; nil and 0
	// where there is none.
	Load(ctx context.Context, key string) (data []byte, revision uint64, err error)
	// Save replaces the data if the revision stored is still the one given (0:
	// nothing is stored), and returns the new one; else an
	// ErrCheckpointConflict. It does not hold on to data.
	Save(ctx context.Context, key string, data []byte, revision uint64) (uint64, error)
	// Delete removes the checkpoint under key, and returns nil where there is
	// none. A Poller begins anew at its next Start. Load then returns nil and 0,
	// and a Save with a revision from before is an ErrCheckpointConflict.
	Delete(ctx context.Context, key string) error
}

// ErrCheckpointConflict: another poller saved the same checkpoint meanwhile.
// The one that gets it has ended, and the other goes on.
var ErrCheckpointConflict = filestore.ErrConflict

// ErrCheckpointInvalid: a stored checkpoint is damaged, of a newer version of
// this library, or another poller's. It is not overwritten; Delete removes it.
var ErrCheckpointInvalid = filestore.ErrInvalid

// MemoryStore keeps checkpoints as long as the process lives. The zero value is
// ready for use.
type MemoryStore struct {
	mu       sync.Mutex
	stored   map[string]memoryCheckpoint
	revision uint64 // of the last Save of any key, so that none comes again
}

type memoryCheckpoint struct {
	data     []byte
	revision uint64
}

// Load returns what was saved.
func (s *MemoryStore) Load(_ context.Context, key string) (data []byte, revision uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.stored[key]
	return slices.Clone(c.data), c.revision, nil
}

// Save replaces what was saved, or returns ErrCheckpointConflict.
func (s *MemoryStore) Save(_ context.Context, key string, data []byte, revision uint64) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stored[key].revision != revision {
		return 0, ErrCheckpointConflict
	}
	if s.stored == nil {
		s.stored = map[string]memoryCheckpoint{}
	}
	s.revision++
	s.stored[key] = memoryCheckpoint{data: slices.Clone(data), revision: s.revision}
	return s.revision, nil
}

// Delete removes what was saved.
func (s *MemoryStore) Delete(_ context.Context, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.stored, key)
	return nil
}
