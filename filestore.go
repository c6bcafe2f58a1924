package stripekit

import (
	"context"
	"errors"
	"strings"

	"github.com/stripekit/stripekit/internal/filestore"
	"github.com/stripekit/stripekit/internal/transport"
)

// FileStore is a CheckpointStore that keeps one file in a folder for each key. Any
// number of goroutines, stores and processes of one machine may use the same
// folder: a lock file beside each checkpoint serializes them. NewFileStore makes
// one.
//
// Save and Delete are durable when they return: the file and then the folder
// have been flushed to the disk. Windows cannot flush a folder: after a power
// failure there, the last Save or Delete may be undone. After any failure a
// checkpoint is the old or the new one, never a mixture. A file that is damaged,
// or was written by a newer version of this library, is reported as
// ErrCheckpointInvalid and not changed. To begin anew, call Delete.
//
// Only the owner of a file can read it (mode 0600).
type FileStore struct{ store *filestore.Store }

// NewFileStore returns a store that keeps its checkpoints in the folder dir. It
// makes a missing folder, readable by its owner alone (mode 0700). It returns an
// error if the folder cannot be made, read, written or locked, and
// errors.ErrUnsupported on systems without file locks.
func NewFileStore(dir string) (*FileStore, error) {
	if strings.Contains(dir, "://") || transport.HasKey(dir) {
		return nil, errors.New("stripe: NewFileStore: a URL or an API key is not the name of a folder")
	}
	store, err := filestore.New(dir)
	if err != nil {
		return nil, err
	}
	return &FileStore{store}, nil
}

// Load returns the data last saved under key and its revision, or nil and 0 if
// there is none. It waits while the checkpoint is being saved, until the context
// ends. A file that cannot be used is an ErrCheckpointInvalid that names the file.
func (s *FileStore) Load(ctx context.Context, key string) (data []byte, revision uint64, err error) {
	return s.store.Load(ctx, key)
}

// Save replaces the data if the stored revision equals revision (0: nothing is
// stored), and returns the new revision, which is greater. Otherwise it returns an
// ErrCheckpointConflict. A file that cannot be used is an ErrCheckpointInvalid that
// names the file, and is not changed. Save waits for other users of the checkpoint
// until the context ends. Once it has begun to write, it ignores the context.
//
// After any other error the old or the new checkpoint is stored. The same FileStore
// then accepts another Save with the same revision, unless another store has saved
// since. Save does not keep the slice data.
func (s *FileStore) Save(ctx context.Context, key string, data []byte, revision uint64) (uint64, error) {
	return s.store.Save(ctx, key, data, revision)
}

// Delete removes the checkpoint under key, even a file that cannot be used. It
// returns nil if there is none. A Poller then begins anew at its next Start, and a
// Save with an earlier revision returns an ErrCheckpointConflict. Delete waits for
// other users of the checkpoint until the context ends.
//
// After an error the old checkpoint or none is stored, and Delete may be repeated.
// The empty lock file is not removed.
func (s *FileStore) Delete(ctx context.Context, key string) error {
	return s.store.Delete(ctx, key)
}
