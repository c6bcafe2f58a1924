package stripekit

import (
	"context"
	"slices"
	"sync"

	"github.com/stripekit/stripekit/internal/filestore"
)

// CheckpointStore keeps the checkpoints of Pollers and Backfills. An
// implementation must be safe for concurrent use. Save and Delete must be atomic
// and durable: once one has returned, Load returns the new data (none after a
// Delete). After a crash during one, Load returns the old or the new data, never
// a mixture.
//
// A revision is a number that identifies the data of one Save. It should not be
// used again for the same key, not even after a Delete: otherwise a poller with
// an old revision could overwrite the checkpoint of its successor.
type CheckpointStore interface {
	// Load returns the data last saved under key and its revision, or nil and 0 if
	// there is none.
	Load(ctx context.Context, key string) (data []byte, revision uint64, err error)
	// Save replaces the data if the stored revision equals revision (0: nothing is
	// stored), and returns the new revision. Otherwise it returns an
	// ErrCheckpointConflict. It does not keep the slice data.
	Save(ctx context.Context, key string, data []byte, revision uint64) (uint64, error)
	// Delete removes the checkpoint under key. It returns nil if there is none.
	// Then Load returns nil and 0, and a Save with an earlier revision returns an
	// ErrCheckpointConflict. A Poller begins anew at its next Start.
	Delete(ctx context.Context, key string) error
}

// ErrCheckpointConflict: the stored revision differs from the expected one. A
// Poller ends with this error when another Poller has taken over its checkpoint.
var ErrCheckpointConflict = filestore.ErrConflict

// ErrCheckpointInvalid: a stored checkpoint is damaged, was written by a newer
// version of this library, or belongs to another flow, account or mode. It is not
// overwritten; Delete removes it.
var ErrCheckpointInvalid = filestore.ErrInvalid

// MemoryStore is a CheckpointStore that keeps checkpoints in memory, as long as
// the process runs. The zero value is ready for use.
type MemoryStore struct {
	mu       sync.Mutex
	stored   map[string]memoryCheckpoint
	revision uint64 // of the last Save of any key, so that no revision is reused
}

type memoryCheckpoint struct {
	data     []byte
	revision uint64
}

// Load returns the data last saved under key, as CheckpointStore defines it.
func (s *MemoryStore) Load(_ context.Context, key string) (data []byte, revision uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.stored[key]
	return slices.Clone(c.data), c.revision, nil
}

// Save replaces the data, or returns ErrCheckpointConflict.
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

// Delete removes the checkpoint under key.
func (s *MemoryStore) Delete(_ context.Context, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.stored, key)
	return nil
}
