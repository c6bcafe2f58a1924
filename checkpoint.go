package stripekit

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// CheckpointStore keeps the checkpoints of pollers. An implementation must be
// safe for concurrent use, and Save must be atomic and durable: after it
// returns, Load gives the new data, and after a crash in the middle of it the
// old or the new, never a mixture.
type CheckpointStore interface {
	// Load returns the data last saved under key and its revision; nil and 0
	// where there is none.
	Load(ctx context.Context, key string) (data []byte, revision uint64, err error)
	// Save replaces the data if the revision stored is still the one given (0:
	// nothing is stored), and returns the new one; else an
	// ErrCheckpointConflict. It does not hold on to data.
	Save(ctx context.Context, key string, data []byte, revision uint64) (uint64, error)
}

// ErrCheckpointConflict: another poller saved the same checkpoint meanwhile.
// The one that gets it has ended, and the other goes on.
var ErrCheckpointConflict = errors.New("checkpoint was changed by another poller")

// ErrCheckpointInvalid: a stored checkpoint is damaged, of a newer version of
// this library, or another poller's. It is not overwritten.
var ErrCheckpointInvalid = errors.New("checkpoint cannot be used")

// MemoryStore keeps checkpoints as long as the process lives. The zero value is
// ready for use.
type MemoryStore struct {
	mu     sync.Mutex
	stored map[string]memoryCheckpoint
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
	s.stored[key] = memoryCheckpoint{data: slices.Clone(data), revision: revision + 1}
	return revision + 1, nil
}
