package stripekit

import (
	"context"

	"github.com/stripekit/stripekit/internal/filestore"
)

// FileStore keeps checkpoints as files in a folder, one for each key. Any number
// of goroutines, stores and processes of one machine may use the same folder: a
// lock file beside each checkpoint keeps them apart. NewFileStore makes one.
//
// Save and Delete are durable when they return: the file and then the folder
// have been flushed to the disk. Windows cannot flush a folder; after a loss of
// power there the checkpoint before the last Save or Delete may come back,
// whole. Whatever fails, a checkpoint is the old or the new one, never a
// mixture; and a file that is damaged, or was written by a newer version of this
// library, is reported as ErrCheckpointInvalid and left alone. To start anew,
// call Delete.
//
// A file is readable by its owner alone (mode 0600).
type FileStore struct{ store *filestore.Store }

// NewFileStore returns a store that keeps its checkpoints in the folder dir,
// which it makes, readable by its owner alone (mode 0700), if it is missing. It
// returns an error if the folder cannot be made, read, written or locked, and
// errors.ErrUnsupported on systems without file locks.
func NewFileStore(dir string) (*FileStore, error) {
	store, err := filestore.New(dir)
	if err != nil {
		return nil, err
	}
	return &FileStore{store}, nil
}

// Load returns the data last saved under key and its revision; nil and 0 where
// there is none. It waits while the checkpoint is being saved, until the context
// is over. A file that cannot be used is an ErrCheckpointInvalid that names it.
func (s *FileStore) Load(ctx context.Context, key string) (data []byte, revision uint64, err error) {
	return s.store.Load(ctx, key)
}

// Save replaces the data if the revision stored is still the one given (0:
// nothing is stored), and returns the new one, which is greater; else an
// ErrCheckpointConflict. A file that cannot be used is an ErrCheckpointInvalid
// that names it, and stays. Save waits for others that use the checkpoint, until
// the context is over; once it writes it goes on to the end.
//
// After any other error the old or the new checkpoint is stored, and the same
// store takes another Save with the same revision, unless another store has
// saved since. It does not hold on to data.
func (s *FileStore) Save(ctx context.Context, key string, data []byte, revision uint64) (uint64, error) {
	return s.store.Save(ctx, key, data, revision)
}

// Delete removes the checkpoint under key, and returns nil where there is none.
// It removes a file that cannot be used as well: a Poller begins anew at its
// next Start. A Save with a revision from before is an ErrCheckpointConflict.
// Delete waits for others that use the checkpoint, until the context is over.
//
// After an error the old checkpoint or none is stored; another Delete is safe.
// The empty lock file stays.
func (s *FileStore) Delete(ctx context.Context, key string) error {
	return s.store.Delete(ctx, key)
}
