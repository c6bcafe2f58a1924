package stripekit

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
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
type FileStore struct {
	dir    string
	writer string // marks the files this store wrote
	files  fileSystem

	mu   sync.Mutex
	keys map[string]*keyFile
}

// keyFile is the file of one key. The one whose turn it is may use the rest.
type keyFile struct {
	path string
	turn chan struct{} // holds one value while it is somebody's turn

	// A Save may fail when its file is, or may be, in place already:
	//
	//	1. Save(revision 5) renames the file of revision 6 into place
	//	2. flushing the folder fails, Save returns an error
	//	3. the caller tries again, with the revision it knows: 5
	//
	// To refuse that as a conflict would end the only poller there is. So what
	// this store wrote and never acknowledged counts as the revision before it.
	doubt bool
	base  uint64 // the revision given in step 1
}

// fileCheckpoint is what a file holds.
type fileCheckpoint struct {
	revision uint64 // 0: there is no file
	writer   string
	data     []byte
}

const (
	fileMagic   = "stripekit-checkpoint"
	fileVersion = 1 // a change that an older reader would misread raises it

	fileSuffix = ".checkpoint"
	tempSuffix = ".tmp"  // what Save is writing
	lockSuffix = ".lock" // empty, stays

	maxLockWait = 32 * time.Millisecond // between two tries
)

// fileSystem is what a FileStore needs of the operating system.
type fileSystem interface {
	// mkdir makes a folder, and returns fs.ErrExist where there is one.
	mkdir(path string) error
	list(dir string) ([]string, error)
	read(path string) ([]byte, error)
	// create makes a file that must not exist.
	create(path string) (flushFile, error)
	rename(from, to string) error
	remove(path string) error
	// syncDir flushes the names in a folder, where the system can.
	syncDir(path string) error
	// tryLock locks a file, made if missing, against all others until it is
	// closed or the process dies. It returns errLocked at once if it is taken.
	tryLock(path string) (io.Closer, error)
}

type flushFile interface {
	io.WriteCloser
	Sync() error
}

var errLocked = errors.New("locked by another")

// NewFileStore returns a store that keeps its checkpoints in the folder dir,
// which it makes, readable by its owner alone (mode 0700), if it is missing. It
// returns an error if the folder cannot be made, read, written or locked, and
// errors.ErrUnsupported on systems without file locks.
func NewFileStore(dir string) (*FileStore, error) {
	// Where a system has no locks, osFiles lacks the methods.
	files, ok := any(osFiles{}).(fileSystem)
	if !ok {
		return nil, fmt.Errorf("checkpoint folder %s: file locks: %w", dir, errors.ErrUnsupported)
	}
	if dir == "" {
		return nil, errors.New("checkpoint folder has no name")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("checkpoint folder: %w", err)
	}
	return newFileStore(dir, files)
}

func newFileStore(dir string, files fileSystem) (*FileStore, error) {
	s := &FileStore{dir: dir, writer: rand.Text(), files: files, keys: map[string]*keyFile{}}
	if err := s.makeFolder(dir); err != nil {
		return nil, fmt.Errorf("checkpoint folder %s: %w", dir, err)
	}
	if err := s.sweep(); err != nil {
		return nil, fmt.Errorf("checkpoint folder %s: %w", dir, err)
	}
	return s, nil
}

// makeFolder makes the folder and what is missing above it, and flushes the
// names all the way up: a checkpoint is not durable in a folder that may vanish,
// and one that exists may have been made by a process that died right then.
func (s *FileStore) makeFolder(dir string) error {
	made, err := s.mkdirAll(dir)
	if err != nil {
		return err
	}
	for parent := filepath.Dir(dir); parent != dir; dir, parent = parent, filepath.Dir(parent) {
		err := s.files.syncDir(parent)
		// What is another's, and stood there before, is not ours to flush.
		if err != nil && (made > 0 || !errors.Is(err, fs.ErrPermission)) {
			return err
		}
		made--
	}
	return nil
}

// mkdirAll returns how many folders it has made, the last of them dir.
func (s *FileStore) mkdirAll(dir string) (made int, err error) {
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

// sweep finds out if the folder can be used, and removes what crashed processes
// have left of their Saves.
func (s *FileStore) sweep() error {
	held, err := s.files.tryLock(filepath.Join(s.dir, "stripekit"+lockSuffix))
	switch {
	case err == nil:
		defer func() { _ = held.Close() }()
	case !errors.Is(err, errLocked): // else another store starts too
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
			continue // it is being written
		}
		_ = s.files.remove(path + tempSuffix) // it harms nobody
		_ = held.Close()
	}
	return nil
}

// Load returns the data last saved under key and its revision; nil and 0 where
// there is none. It waits while the checkpoint is being saved, until the context
// is over. A file that cannot be used is an ErrCheckpointInvalid that names it.
func (s *FileStore) Load(ctx context.Context, key string) (data []byte, revision uint64, err error) {
	// Without the lock, Windows could not replace the file while it is read.
	f, unlock, err := s.lock(ctx, key)
	if err != nil {
		return nil, 0, err
	}
	defer unlock()
	c, err := s.read(f, key)
	return c.data, c.revision, err
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
			f.path, ErrCheckpointConflict, stored.revision, revision)
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

// revisionAfter returns the revision of what replaces the one stored: always a
// new number, because somebody may have loaded the one in doubt. The first of a
// file is random. Were it 1, a deletion could go unnoticed:
//
//  1. poller A saves revision 1
//  2. the checkpoint is deleted, and the file with it
//  3. poller B begins anew, and saves revision 1 as well
//  4. A saves again, with the revision it knows: 1, and B's work is lost
//
// The space above the range is for more saves than any file will see.
func revisionAfter(stored uint64) uint64 {
	const firsts = 1 << 62
	if stored == 0 {
		return 1 + mathrand.Uint64N(firsts)
	}
	return stored + 1
}

// Delete removes the checkpoint under key, and returns nil where there is none.
// It removes a file that cannot be used as well: a Poller begins anew at its
// next Start. A Save with a revision from before is an ErrCheckpointConflict.
// Delete waits for others that use the checkpoint, until the context is over.
//
// After an error the old checkpoint or none is stored; another Delete is safe.
// The empty lock file stays.
func (s *FileStore) Delete(ctx context.Context, key string) error {
	f, unlock, err := s.lock(ctx, key)
	if err != nil {
		return err
	}
	defer unlock()
	_ = s.files.remove(f.path + tempSuffix) // what a crash left: it holds data too
	if err := s.files.remove(f.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("checkpoint file %s: not deleted: %w", f.path, err)
	}
	f.doubt = false // not before: while the file stays, so does the doubt about it
	// Also where there is no file: an earlier Delete may have failed right here.
	if err := s.files.syncDir(s.dir); err != nil {
		return fmt.Errorf("checkpoint file %s: deleted, but it may come back: flushing the folder: %w", f.path, err)
	}
	return nil
}

// writeTemp writes and flushes the temporary file. There is one name for each
// key, which the lock guards, so that crashes leave at most one behind.
func (s *FileStore) writeTemp(path string, content []byte) error {
	_ = s.files.remove(path) // what a crash left; if it cannot be removed, create says so
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

// read reads the file. The caller has locked it.
func (s *FileStore) read(f *keyFile, key string) (fileCheckpoint, error) {
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

// lock waits for the file of key: first among the goroutines of this store, then
// among stores and processes. unlock must be called.
func (s *FileStore) lock(ctx context.Context, key string) (f *keyFile, unlock func(), err error) {
	f = s.file(key)
	if err := ctx.Err(); err != nil {
		return nil, nil, fmt.Errorf("checkpoint file %s: %w", f.path, err)
	}
	select {
	case f.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, fmt.Errorf("checkpoint file %s: waiting for the lock: %w", f.path, ctx.Err())
	}
	held, err := s.waitLock(ctx, f.path+lockSuffix)
	if err != nil {
		<-f.turn
		return nil, nil, fmt.Errorf("checkpoint file %s: waiting for the lock: %w", f.path, err)
	}
	return f, func() {
		_ = held.Close() // the system lets go of the lock even then
		<-f.turn
	}, nil
}

// waitLock tries until it has the lock: no system waits for one and heeds a
// context.
func (s *FileStore) waitLock(ctx context.Context, path string) (io.Closer, error) {
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

func (s *FileStore) file(key string) *keyFile {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.keys[key]
	if f == nil {
		f = &keyFile{path: filepath.Join(s.dir, fileName(key)), turn: make(chan struct{}, 1)}
		s.keys[key] = f
	}
	return f
}

// fileName returns the name of a key's file. What can be read of the key comes
// first; the hash tells apart what reads the same, in upper and lower case too.
// No dot comes before the suffix and no name is without a hash, so that none is
// a device of Windows (con, nul.txt).
func fileName(key string) string {
	const readable = 48
	var name strings.Builder
	for _, r := range strings.ToLower(key) {
		if r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') {
			r = '-'
		}
		if name.Len() == readable {
			break
		}
		if name.Len() > 0 || r != '-' {
			name.WriteRune(r)
		}
	}
	hash := sha256.Sum256([]byte(key))
	fmt.Fprintf(&name, "-%x"+fileSuffix, hash[:16])
	return strings.TrimPrefix(name.String(), "-")
}

// encodeFile returns what stands in the file of key: one line, then the data.
// The checksum is over the line, the key and the data, so that a file under
// another's name is found out too.
func encodeFile(key string, c fileCheckpoint) []byte {
	head := fmt.Sprintf("%s %d revision=%d writer=%s", fileMagic, fileVersion, c.revision, c.writer)
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\n%q\n", head, key)
	sum.Write(c.data)
	return append(fmt.Appendf(nil, "%s sha256=%x\n", head, sum.Sum(nil)), c.data...)
}

// decodeFile reads what encodeFile wrote, byte for byte; all else is an
// ErrCheckpointInvalid.
func decodeFile(key string, content []byte) (fileCheckpoint, error) {
	refuse := func(reason string) (fileCheckpoint, error) {
		return fileCheckpoint{}, fmt.Errorf("%w: %s", ErrCheckpointInvalid, reason)
	}
	line, data, whole := bytes.Cut(content, []byte("\n"))
	fields := strings.Split(string(line), " ")
	if !whole || fields[0] != fileMagic || len(fields) < 2 {
		return refuse("it is damaged: its first line is not a checkpoint's")
	}
	switch version, err := strconv.ParseUint(fields[1], 10, 64); {
	case err != nil:
		return refuse("it is damaged: its format version is no number")
	case version != fileVersion:
		return refuse(fmt.Sprintf("its format is version %d, and this library reads %d", version, fileVersion))
	case len(fields) != 5:
		return refuse("it is damaged: its first line has too few fields or too many")
	}
	revision, err := strconv.ParseUint(strings.TrimPrefix(fields[2], "revision="), 10, 64)
	if err != nil || revision == 0 || revision == math.MaxUint64 {
		return refuse("it is damaged: its revision cannot be")
	}
	c := fileCheckpoint{revision: revision, writer: strings.TrimPrefix(fields[3], "writer="), data: data}
	if !bytes.Equal(encodeFile(key, c), content) {
		return refuse("it is damaged, or another key's: the checksum is wrong")
	}
	return c, nil
}

// osFiles is the operating system's fileSystem. What differs between systems is
// in files of their own.
type osFiles struct{}

func (osFiles) mkdir(path string) error {
	// Asked first, as a folder nobody may make can be there all the same.
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return fs.ErrExist
	}
	return os.Mkdir(path, 0o700)
}

func (osFiles) list(dir string) ([]string, error) {
	folder, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = folder.Close() }()
	return folder.Readdirnames(-1)
}

func (osFiles) create(path string) (flushFile, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return file, nil
}

func (osFiles) read(path string) ([]byte, error) { return os.ReadFile(path) }
func (osFiles) rename(from, to string) error     { return os.Rename(from, to) }
func (osFiles) remove(path string) error         { return os.Remove(path) }
