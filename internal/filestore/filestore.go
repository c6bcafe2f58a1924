// Package filestore keeps checkpoints as files in a folder. A file is locked
// while it is used, replaced as a whole, and flushed to the disk.
package filestore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	mathrand "math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// The errors of a Store. The stripekit package exports them under its own
// names.
var (
	ErrConflict = errors.New("checkpoint was changed by another poller")
	ErrInvalid  = errors.New("checkpoint cannot be used")
)

// Store keeps checkpoints in a folder. See stripekit.FileStore.
type Store struct {
	dir    string
	writer string // random text that marks the files written by this store
	files  fileSystem

	mu   sync.Mutex
	keys map[string]*keyFile
}

// keyFile is the file of one key. The goroutine that holds the slot may use the rest.
type keyFile struct {
	path string
	slot chan struct{} // holds one value while a goroutine holds the slot

	// A Save may fail when its file is, or may be, in place already:
	//
	//	1. Save(revision 5) renames the file of revision 6 into place
	//	2. flushing the folder fails, Save returns an error
	//	3. the caller tries again, with the revision it knows: 5
	//
	// A conflict in step 3 would end the only poller there is. So a file whose
	// Save returned an error counts as having the revision before it.
	doubt bool
	base  uint64 // the revision passed in step 1
}

const (
	fileSuffix = ".checkpoint"
	tempSuffix = ".tmp"  // the file that Save is writing
	lockSuffix = ".lock" // an empty file that is never removed

	maxLockWait = 32 * time.Millisecond // between two tries
)

// New returns a store in the folder dir, which it creates if it is missing.
func New(dir string) (*Store, error) {
	files, err := systemFiles()
	if err != nil {
		return nil, fmt.Errorf("checkpoint folder %s: file locks: %w", dir, err)
	}
	if dir == "" {
		return nil, errors.New("checkpoint folder has no name")
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("checkpoint folder: %w", err)
	}
	return open(dir, files)
}

func open(dir string, files fileSystem) (*Store, error) {
	s := &Store{dir: dir, writer: rand.Text(), files: files, keys: map[string]*keyFile{}}
	if err := s.makeFolder(dir); err != nil {
		return nil, fmt.Errorf("checkpoint folder %s: %w", dir, err)
	}
	if err := s.sweep(); err != nil {
		return nil, fmt.Errorf("checkpoint folder %s: %w", dir, err)
	}
	return s, nil
}

// makeFolder creates the folder and its missing parents, and flushes all
// parents up to the root. A checkpoint is not durable in a folder that may
// vanish, and a folder that exists may have been created by a process that died
// before flushing.
func (s *Store) makeFolder(dir string) error {
	made, err := s.mkdirAll(dir)
	if err != nil {
		return err
	}
	for parent := filepath.Dir(dir); parent != dir; dir, parent = parent, filepath.Dir(parent) {
		err := s.files.syncDir(parent)
		// A parent that existed before, and that we may not open, is not ours
		// to flush.
		if err != nil && (made > 0 || !errors.Is(err, fs.ErrPermission)) {
			return err
		}
		made--
	}
	return nil
}

// mkdirAll creates dir and its missing parents. It returns how many folders it
// has created.
func (s *Store) mkdirAll(dir string) (made int, err error) {
	err = s.files.mkdir(dir)
	if parent := filepath.Dir(dir); errors.Is(err, fs.ErrNotExist) && parent != dir {
		if made, err = s.mkdirAll(parent); err != nil {
			return made, err
		}
		err = s.files.mkdir(dir)
	}
	switch {
	case err == nil:
		return made + 1, nil
	case errors.Is(err, fs.ErrExist):
		return made, nil
	}
	return made, err
}

// sweep checks that the folder can be used, and removes the temporary files
// that crashed processes have left.
func (s *Store) sweep() error {
	held, err := s.files.tryLock(filepath.Join(s.dir, "stripekit"+lockSuffix))
	switch {
	case err == nil:
		defer func() { _ = held.Close() }()
	case !errors.Is(err, errLocked): // errLocked: another store is starting too
		return err
	}
	names, err := s.files.list(s.dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if !strings.HasSuffix(name, fileSuffix+tempSuffix) {
			continue
		}
		path := filepath.Join(s.dir, strings.TrimSuffix(name, tempSuffix))
		held, err := s.files.tryLock(path + lockSuffix)
		if err != nil {
			continue // a Save is writing the file
		}
		_ = s.files.remove(path + tempSuffix) // a file that cannot be removed does no harm
		_ = held.Close()
	}
	return nil
}

// Load returns the data last saved under a key, and its revision. The revision
// is 0 if there is none.
func (s *Store) Load(ctx context.Context, key string) (data []byte, revision uint64, err error) {
	// The lock is needed because Windows cannot replace a file while it is
	// read.
	f, unlock, err := s.lock(ctx, key)
	if err != nil {
		return nil, 0, err
	}
	defer unlock()
	c, err := s.read(f, key)
	return c.data, c.revision, err
}

// Save replaces the data and returns the new revision, if revision is the
// stored one. Otherwise it returns ErrConflict.
func (s *Store) Save(ctx context.Context, key string, data []byte, revision uint64) (uint64, error) {
	f, unlock, err := s.lock(ctx, key)
	if err != nil {
		return 0, err
	}
	defer unlock()
	stored, err := s.read(f, key)
	if err != nil {
		return 0, err
	}
	ours := f.doubt && f.base == revision && stored.writer == s.writer
	if stored.revision != revision && !ours {
		return 0, fmt.Errorf("checkpoint file %s: %w: it has revision %d, not %d",
			f.path, ErrConflict, stored.revision, revision)
	}
	next := fileCheckpoint{revision: revisionAfter(stored.revision), writer: s.writer, data: data}
	if err := s.writeTemp(f.path+tempSuffix, encodeFile(key, next)); err != nil {
		return 0, fmt.Errorf("checkpoint file %s: not saved: %w", f.path, err)
	}
	f.doubt, f.base = true, revision
	if err := s.files.rename(f.path+tempSuffix, f.path); err != nil {
		_ = s.files.remove(f.path + tempSuffix)
		return 0, fmt.Errorf("checkpoint file %s: not saved: %w", f.path, err)
	}
	if err := s.files.syncDir(s.dir); err != nil {
		return 0, fmt.Errorf("checkpoint file %s: replaced, but it may not last: flushing the folder: %w", f.path, err)
	}
	f.doubt = false
	return next.revision, nil
}

// revisionAfter returns the revision that follows the stored one. It is always
// a new number, because somebody may have loaded a revision in doubt. The first
// revision of a file is random. If it were 1, a deletion could go unnoticed:
//
//  1. poller A saves revision 1
//  2. the checkpoint is deleted, and the file with it
//  3. poller B begins anew, and saves revision 1 as well
//  4. A saves again, with the revision it knows: 1, and B's work is lost
//
// The numbers above the range of first revisions suffice for any number of
// saves.
func revisionAfter(stored uint64) uint64 {
	const firsts = 1 << 62
	if stored == 0 {
		return 1 + mathrand.Uint64N(firsts)
	}
	return stored + 1
}

// Delete removes the data of a key.
func (s *Store) Delete(ctx context.Context, key string) error {
	f, unlock, err := s.lock(ctx, key)
	if err != nil {
		return err
	}
	defer unlock()
	_ = s.files.remove(f.path + tempSuffix) // a crash may have left it: it holds data too
	if err := s.files.remove(f.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("checkpoint file %s: not deleted: %w", f.path, err)
	}
	f.doubt = false // only now: while the file exists, its revision stays in doubt
	// Flush even if there was no file: an earlier Delete may have failed right
	// here.
	if err := s.files.syncDir(s.dir); err != nil {
		return fmt.Errorf("checkpoint file %s: deleted, but it may come back: flushing the folder: %w", f.path, err)
	}
	return nil
}

// writeTemp writes and flushes the temporary file. Each key has one name for
// it, guarded by the lock, so crashes leave at most one file per key.
func (s *Store) writeTemp(path string, content []byte) error {
	_ = s.files.remove(path) // a crash may have left it; if it cannot be removed, create fails
	file, err := s.files.create(path)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		_ = s.files.remove(path)
	}
	return err
}

// read reads the file. The caller holds the lock.
func (s *Store) read(f *keyFile, key string) (fileCheckpoint, error) {
	content, err := s.files.read(f.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fileCheckpoint{}, nil
	case err != nil:
		return fileCheckpoint{}, fmt.Errorf("checkpoint file %s: %w", f.path, err)
	}
	c, err := decodeFile(key, content)
	if err != nil {
		return fileCheckpoint{}, fmt.Errorf("checkpoint file %s: %w", f.path, err)
	}
	return c, nil
}

// lock locks the file of a key: first against the goroutines of this store,
// then against other stores and processes. The caller must call unlock.
func (s *Store) lock(ctx context.Context, key string) (f *keyFile, unlock func(), err error) {
	f = s.file(key)
	if err := ctx.Err(); err != nil {
		return nil, nil, fmt.Errorf("checkpoint file %s: %w", f.path, err)
	}
	select {
	case f.slot <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, fmt.Errorf("checkpoint file %s: waiting for the lock: %w", f.path, ctx.Err())
	}
	held, err := s.waitLock(ctx, f.path+lockSuffix)
	if err != nil {
		<-f.slot
		return nil, nil, fmt.Errorf("checkpoint file %s: waiting for the lock: %w", f.path, err)
	}
	return f, func() {
		_ = held.Close() // the system releases the lock even if this fails
		<-f.slot
	}, nil
}

// waitLock tries until it has the lock. It polls because a blocking lock of the
// operating system could not be cancelled by ctx.
func (s *Store) waitLock(ctx context.Context, path string) (io.Closer, error) {
	for wait := time.Millisecond; ; wait = min(2*wait, maxLockWait) {
		held, err := s.files.tryLock(path)
		if !errors.Is(err, errLocked) {
			return held, err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		}
	}
}

func (s *Store) file(key string) *keyFile {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.keys[key]
	if f == nil {
		f = &keyFile{path: filepath.Join(s.dir, fileName(key)), slot: make(chan struct{}, 1)}
		s.keys[key] = f
	}
	return f
}
