package stripekit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

const fileTestKey = "acct_1/test/charges/my flow"

// filesIn returns the names in a folder that end with suffix.
func filesIn(t *testing.T, dir, suffix string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, entry := range entries {
		if strings.HasSuffix(entry.Name(), suffix) {
			names = append(names, entry.Name())
		}
	}
	return names
}

func TestFileStoreKeepsCheckpoints(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "there yet")
	s, err := NewFileStore(dir)
	require.NoError(t, err)
	var store CheckpointStore = s

	data, revision, err := store.Load(t.Context(), fileTestKey)
	require.NoError(t, err)
	require.Nil(t, data)
	require.Zero(t, revision)

	mine := []byte("first\nsecond\n")
	first, err := store.Save(t.Context(), fileTestKey, mine, 0)
	require.NoError(t, err)
	mine[0] = 'F'
	_, err = store.Save(t.Context(), "another", nil, 0)
	require.NoError(t, err)

	for _, stale := range []uint64{0, first - 1, first + 1, math.MaxUint64} {
		_, err = store.Save(t.Context(), fileTestKey, []byte("stale"), stale)
		require.ErrorIs(t, err, ErrCheckpointConflict)
	}
	reopened, err := NewFileStore(dir)
	require.NoError(t, err)
	data, revision, err = reopened.Load(t.Context(), fileTestKey)
	require.NoError(t, err)
	require.Equal(t, "first\nsecond\n", string(data))
	require.Equal(t, first, revision)

	second, err := reopened.Save(t.Context(), fileTestKey, []byte("next"), first)
	require.NoError(t, err)
	require.Greater(t, second, first)
	data, revision, err = store.Load(t.Context(), fileTestKey)
	require.NoError(t, err)
	require.Equal(t, "next", string(data))
	require.Equal(t, second, revision)

	data, revision, err = store.Load(t.Context(), "another")
	require.NoError(t, err)
	require.Empty(t, data)
	require.NotZero(t, revision)
	require.Len(t, filesIn(t, dir, fileSuffix), 2)
	require.Empty(t, filesIn(t, dir, tempSuffix))
}

func TestFileStoreStaysInItsFolder(t *testing.T) {
	t.Chdir(t.TempDir())
	s, err := NewFileStore("checkpoints")
	require.NoError(t, err)
	saved, err := s.Save(t.Context(), fileTestKey, []byte("x"), 0)
	require.NoError(t, err)
	t.Chdir(t.TempDir())
	_, revision, err := s.Load(t.Context(), fileTestKey)
	require.NoError(t, err)
	require.Equal(t, saved, revision)
}

func TestFileStoreIsItsOwnersAlone(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has access lists in place of modes")
	}
	dir := filepath.Join(t.TempDir(), "a", "b")
	s, err := NewFileStore(dir)
	require.NoError(t, err)
	_, err = s.Save(t.Context(), fileTestKey, []byte("x"), 0)
	require.NoError(t, err)
	for path, want := range map[string]fs.FileMode{
		filepath.Dir(dir): fs.ModeDir | 0o700,
		dir:               fs.ModeDir | 0o700,
		filepath.Join(dir, fileName(fileTestKey)):            0o600,
		filepath.Join(dir, fileName(fileTestKey)+lockSuffix): 0o600,
		filepath.Join(dir, "stripekit"+lockSuffix):           0o600,
	} {
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, want, info.Mode(), path)
	}
}

func TestFileStoreRefusesFolderItCannotUse(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for _, dir := range []string{"", file, filepath.Join(file, "below"), "nul\x00"} {
		_, err := NewFileStore(dir)
		require.ErrorContains(t, err, "checkpoint folder", "%q", dir)
	}
}

func TestFileStoreWithoutItsFolderIsNotEmpty(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	s, err := NewFileStore(dir)
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(dir))
	_, _, err = s.Load(t.Context(), fileTestKey)
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = s.Save(t.Context(), fileTestKey, nil, 0)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorIs(t, s.Delete(t.Context(), fileTestKey), fs.ErrNotExist)
}

func TestFileStoreDeletesAllButTheLock(t *testing.T) {
	dir := t.TempDir()
	s, err := NewFileStore(dir)
	require.NoError(t, err)
	_, err = s.Save(t.Context(), fileTestKey, []byte("x"), 0)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, fileName(fileTestKey)+tempSuffix), []byte("torn"), 0o600))

	require.NoError(t, s.Delete(t.Context(), fileTestKey))
	require.Empty(t, filesIn(t, dir, fileSuffix))
	require.Empty(t, filesIn(t, dir, tempSuffix))
	require.FileExists(t, filepath.Join(dir, fileName(fileTestKey)+lockSuffix))
}

func TestFileStoreNames(t *testing.T) {
	require.Equal(t, "acct_1-test-charges-my-flow-f28e1ac7831df94f17ee06fd64086e4a.checkpoint", fileName(fileTestKey))

	long := strings.Repeat("long", 5000)
	keys := []string{
		"", "a", "A", "a/b", "a-b", "a b", "a\\b", "a:b", "a/B", "a//b", "/a", "a/", ".", "..", "../a", "...", "-rf", "con", "CON",
		"nul.txt", "com1", "aux/x", "a.", "a ", "~", "$HOME", "%2f", "ü", "Ü", "u\u0308", "\x00", "\xff", "\xfe", "\n", "*?<>|\"",
		"K", "\u212a", "k", long, long + "a", long + "A", fileTestKey, strings.ToUpper(fileTestKey),
	}
	seen := map[string]string{}
	for _, key := range keys {
		name := fileName(key)
		require.Regexp(t, `^([a-z0-9_][a-z0-9_-]{0,47}-)?[0-9a-f]{32}\.checkpoint$`, name, "%q", key)
		require.NotContains(t, seen, name, "%q and %q", key, seen[name])
		seen[name] = key
	}

	s, err := NewFileStore(t.TempDir())
	require.NoError(t, err)
	for _, key := range keys {
		_, err := s.Save(t.Context(), key, []byte("of "+key), 0)
		require.NoError(t, err, "%q", key)
	}
	for _, key := range keys {
		data, _, err := s.Load(t.Context(), key)
		require.NoError(t, err)
		require.Equal(t, "of "+key, string(data))
	}
}

func TestFileStoreNeverReplacesDamagedFileUntilDeleted(t *testing.T) {
	good := encodeFile(fileTestKey, fileCheckpoint{revision: 7, writer: "W", data: []byte("the data\n")})
	replace := func(from, to string) []byte { return bytes.Replace(good, []byte(from), []byte(to), 1) }
	flipped := slices.Clone(good)
	flipped[len(flipped)-3] ^= 1
	for name, content := range map[string][]byte{
		"empty":              {},
		"zeros":              make([]byte, len(good)),
		"half":               good[:len(good)/2],
		"without the data":   good[:bytes.IndexByte(good, '\n')+1],
		"without its end":    good[:len(good)-1],
		"with more":          append(slices.Clone(good), '\n'),
		"one bit":            flipped,
		"another's":          encodeFile("another", fileCheckpoint{revision: 7, writer: "W"}),
		"newer format":       replace(" 1 ", " 2 "),
		"newer, other shape": []byte("stripekit-checkpoint 12\n"),
		"older format":       replace(" 1 ", " 0 "),
		"no format":          replace(" 1 ", " x "),
		"other program's":    []byte("[section]\nkey = 1\n"),
		"other revision":     replace("revision=7", "revision=8"),
		"revision 0":         encodeFile(fileTestKey, fileCheckpoint{writer: "W"}),
		"last revision":      encodeFile(fileTestKey, fileCheckpoint{revision: math.MaxUint64, writer: "W"}),
		"writer with spaces": encodeFile(fileTestKey, fileCheckpoint{revision: 7, writer: "W W"}),
		"sign in a number":   replace("revision=7", "revision=+7"),
		"zero in a number":   replace("revision=7", "revision=07"),
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s, err := NewFileStore(dir)
			require.NoError(t, err)
			path := filepath.Join(dir, fileName(fileTestKey))
			require.NoError(t, os.WriteFile(path, content, 0o600))

			data, revision, err := s.Load(t.Context(), fileTestKey)
			require.ErrorIs(t, err, ErrCheckpointInvalid)
			require.ErrorContains(t, err, path)
			require.Nil(t, data)
			require.Zero(t, revision)
			if strings.HasPrefix(name, "newer") {
				require.ErrorContains(t, err, "this library reads 1")
			}
			for _, revision := range []uint64{0, 7, 8} {
				_, err := s.Save(t.Context(), fileTestKey, []byte("new"), revision)
				require.ErrorIs(t, err, ErrCheckpointInvalid)
				require.NotErrorIs(t, err, ErrCheckpointConflict)
			}
			kept, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, content, kept)

			require.NoError(t, s.Delete(t.Context(), fileTestKey))
			data, revision, err = s.Load(t.Context(), fileTestKey)
			require.NoError(t, err)
			require.Nil(t, data)
			require.Zero(t, revision)
			_, err = s.Save(t.Context(), fileTestKey, []byte("new"), 0)
			require.NoError(t, err)
		})
	}
}

func FuzzFileStoreReads(f *testing.F) {
	good := encodeFile(fileTestKey, fileCheckpoint{revision: 7, writer: "W", data: []byte(`{"version":1}`)})
	for _, seed := range [][]byte{good, good[:40], {}, []byte("stripekit-checkpoint 2\n"), []byte("stripekit-checkpoint 1 a b c\n")} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		c, err := decodeFile(fileTestKey, content)
		if err != nil {
			require.ErrorIs(t, err, ErrCheckpointInvalid)
			require.Zero(t, c)
			return
		}
		require.NotZero(t, c.revision)
		require.Equal(t, content, encodeFile(fileTestKey, c))
	})
}

// TestFileStoreOneOfManyWins has two stores, which the file lock keeps apart,
// and many goroutines, which the store does.
func TestFileStoreOneOfManyWins(t *testing.T) {
	const each, rounds = 64, 3
	dir := t.TempDir()
	var stores [2]*FileStore
	for i := range stores {
		var err error
		stores[i], err = NewFileStore(dir)
		require.NoError(t, err)
	}
	var revision uint64
	for range rounds {
		var winners, conflicts atomic.Int64
		var wonData, wonRevision atomic.Value
		var all sync.WaitGroup
		for i := range each * len(stores) {
			all.Go(func() {
				data := fmt.Sprint("saved by ", i)
				switch next, err := stores[i%len(stores)].Save(t.Context(), fileTestKey, []byte(data), revision); {
				case err == nil:
					winners.Add(1)
					wonData.Store(data)
					wonRevision.Store(next)
				case errors.Is(err, ErrCheckpointConflict):
					conflicts.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		all.Wait()
		require.Equal(t, int64(1), winners.Load())
		require.Equal(t, int64(each*len(stores)-1), conflicts.Load())
		for _, s := range stores {
			data, next, err := s.Load(t.Context(), fileTestKey)
			require.NoError(t, err)
			require.Equal(t, wonData.Load(), string(data))
			require.Equal(t, wonRevision.Load(), next)
		}
		revision = wonRevision.Load().(uint64)
	}
}

// TestFileStoreTwoProcessesLoseNoUpdate runs itself in two processes that count
// together.
func TestFileStoreTwoProcessesLoseNoUpdate(t *testing.T) {
	const variable, each = "STRIPEKIT_TEST_COUNT_IN", 40
	if dir := os.Getenv(variable); dir != "" {
		countTogether(t, dir, each)
		return
	}
	dir := t.TempDir()
	self, err := os.Executable()
	require.NoError(t, err)
	var outputs [2]bytes.Buffer
	var processes [2]*exec.Cmd
	for i := range processes {
		cmd := exec.CommandContext(t.Context(), self, "-test.run=^"+t.Name()+"$", "-test.count=1")
		cmd.Env = append(os.Environ(), variable+"="+dir)
		cmd.Stdout, cmd.Stderr = &outputs[i], &outputs[i]
		require.NoError(t, cmd.Start())
		processes[i] = cmd
	}
	for i, cmd := range processes {
		require.NoError(t, cmd.Wait(), "%s", &outputs[i])
	}
	s, err := NewFileStore(dir)
	require.NoError(t, err)
	data, _, err := s.Load(t.Context(), fileTestKey)
	require.NoError(t, err)
	require.Equal(t, strconv.Itoa(each*len(processes)), string(data))
}

// countTogether adds one to a number, again where another was faster.
func countTogether(t *testing.T, dir string, times int) {
	s, err := NewFileStore(dir)
	require.NoError(t, err)
	for done := 0; done < times; {
		data, revision, err := s.Load(t.Context(), fileTestKey)
		require.NoError(t, err)
		n := 0
		if revision != 0 {
			n, err = strconv.Atoi(string(data))
			require.NoError(t, err)
		}
		_, err = s.Save(t.Context(), fileTestKey, []byte(strconv.Itoa(n+1)), revision)
		if errors.Is(err, ErrCheckpointConflict) {
			continue
		}
		require.NoError(t, err)
		done++
	}
}

// disk is a file system that keeps, at a crash, only what was flushed for sure.
// What was not may be there, in part or not at all: see crash.
type disk struct {
	mu     sync.Mutex
	names  map[string]*node   // what the running system sees
	past   map[string][]*node // what a name stood for since its folder was flushed, oldest first
	locked map[string]bool
	tries  int // of tryLock

	steps   int
	log     []string
	failAt  int  // this step returns an error,
	halfway bool // when it has done its work, or half of it
	crashAt int  // from this step on nothing works
	dead    bool
}

type node struct {
	dir     bool
	content []byte
	flushed []byte
	dirty   bool
}

var (
	errDiskFault = errors.New("disk fault")
	errDiskCrash = errors.New("the system is down")
)

const diskRoot = string(filepath.Separator)

func newDisk() *disk {
	return &disk{names: map[string]*node{diskRoot: {dir: true}}, past: map[string][]*node{}, locked: map[string]bool{}}
}

// step counts an operation, and returns if it takes place, and its error. The
// caller holds mu.
func (d *disk) step(op, path string) (do bool, err error) {
	d.steps++
	d.log = append(d.log, op+" "+path)
	switch {
	case d.dead || d.steps == d.crashAt:
		d.dead = true
		return false, errDiskCrash
	case d.steps == d.failAt:
		return d.halfway, errDiskFault
	}
	return true, nil
}

func (d *disk) set(path string, n *node) {
	if d.past[path] == nil {
		d.past[path] = []*node{d.names[path]}
	}
	d.past[path] = append(d.past[path], n)
	if n == nil {
		delete(d.names, path)
	} else {
		d.names[path] = n
	}
}

func (d *disk) mkdir(path string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	do, err := d.step("mkdir", path)
	switch {
	case do && d.names[path] != nil:
		return fs.ErrExist
	case do && d.names[filepath.Dir(path)] == nil:
		return fs.ErrNotExist
	case do:
		d.set(path, &node{dir: true})
	}
	return err
}

func (d *disk) list(dir string) (names []string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.step("list", dir); err != nil {
		return nil, err
	}
	for path := range d.names {
		if filepath.Dir(path) == dir {
			names = append(names, filepath.Base(path))
		}
	}
	slices.Sort(names)
	return names, nil
}

func (d *disk) read(path string) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.step("read", path); err != nil {
		return nil, err
	}
	if n := d.names[path]; n != nil {
		return slices.Clone(n.content), nil
	}
	return nil, fs.ErrNotExist
}

func (d *disk) create(path string) (flushFile, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	do, err := d.step("create", path)
	n := &node{dirty: true}
	if do {
		if d.names[path] != nil {
			return nil, fs.ErrExist
		}
		d.set(path, n)
	}
	if err != nil {
		return nil, err
	}
	return &diskFile{d, n, path}, nil
}

func (d *disk) rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	do, err := d.step("rename", to)
	if do {
		n := d.names[from]
		if n == nil {
			return fs.ErrNotExist
		}
		d.set(to, n)
		d.set(from, nil)
	}
	return err
}

func (d *disk) remove(path string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	do, err := d.step("remove", path)
	if do {
		if d.names[path] == nil {
			return fs.ErrNotExist
		}
		d.set(path, nil)
	}
	return err
}

func (d *disk) syncDir(dir string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	do, err := d.step("syncDir", dir)
	if do {
		for path := range d.past {
			if filepath.Dir(path) == dir {
				delete(d.past, path)
			}
		}
	}
	return err
}

func (d *disk) tryLock(path string) (io.Closer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.step("lock", path); err != nil {
		return nil, err
	}
	d.tries++
	switch {
	case d.names[filepath.Dir(path)] == nil:
		return nil, fs.ErrNotExist
	case d.locked[path]:
		return nil, errLocked
	case d.names[path] == nil:
		d.set(path, &node{dirty: true})
	}
	d.locked[path] = true
	return closer(func() error {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.locked, path) // by the system, whatever close returns
		_, err := d.step("unlock", path)
		return err
	}), nil
}

type closer func() error

func (c closer) Close() error { return c() }

type diskFile struct {
	d    *disk
	n    *node
	path string
}

func (f *diskFile) Write(b []byte) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	do, err := f.d.step("write", f.path)
	if err != nil {
		b = b[:len(b)/2]
	}
	if !do {
		return 0, err
	}
	f.n.content, f.n.dirty = append(f.n.content, b...), true
	return len(b), err
}

func (f *diskFile) Sync() error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	do, err := f.d.step("sync", f.path)
	if do {
		f.n.flushed, f.n.dirty = slices.Clone(f.n.content), false
	}
	return err
}

func (f *diskFile) Close() error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	_, err := f.d.step("close", f.path)
	return err
}

// crashes calls visit with every disk that may be found after a crash: each name
// not flushed stands for anything it stood for since it was, and each content not
// flushed is what was, nothing, half, zeros or all.
func (d *disk) crashes(visit func(*disk)) {
	var picks, limits []int
	for {
		i := 0
		visit(d.crash(func(n int) int {
			if i == len(picks) {
				picks, limits = append(picks, 0), append(limits, n)
			}
			i++
			return picks[i-1]
		}))
		for len(picks) > 0 && picks[len(picks)-1] == limits[len(picks)-1]-1 {
			picks, limits = picks[:len(picks)-1], limits[:len(picks)-1]
		}
		if len(picks) == 0 {
			return
		}
		picks[len(picks)-1]++
	}
}

func (d *disk) crash(pick func(n int) int) *disk {
	found := newDisk()
	paths := slices.Sorted(func(yield func(string) bool) { // what is above comes first
		for path := range d.names {
			if d.past[path] == nil && !yield(path) {
				return
			}
		}
		for path := range d.past {
			if !yield(path) {
				return
			}
		}
	})
	contents := map[*node][]byte{}
	for _, path := range paths {
		n := d.names[path]
		// A lock file is empty whatever becomes of it.
		if past := d.past[path]; past != nil && !strings.HasSuffix(path, lockSuffix) {
			n = past[pick(len(past))]
		}
		if n == nil || found.names[filepath.Dir(path)] == nil {
			continue
		}
		if _, ok := contents[n]; !ok {
			contents[n] = n.content
			if n.dirty && len(n.content) > 0 {
				half := n.content[:len(n.content)/2]
				contents[n] = [][]byte{n.flushed, nil, half, make([]byte, len(n.content)), n.content}[pick(5)]
			}
		}
		found.names[path] = &node{dir: n.dir, content: contents[n], flushed: contents[n]}
	}
	return found
}

// saver is a user of a store: it saves and deletes, each until that succeeds or
// nothing works any more, and knows what may be stored.
type saver struct {
	t        *testing.T
	d        *disk
	store    *FileStore
	revision uint64
	may      []string // the last acknowledged, and what was tried since; "" is nothing
	vary     bool     // another try has other data
}

var saverDir = filepath.Join(diskRoot, "srv", "checkpoints")

// run opens the store and saves each of these in turn; it deletes for "".
func (u *saver) run(saves ...string) {
	u.may = []string{""}
	for u.store == nil && !u.d.dead {
		u.store, _ = newFileStore(saverDir, u.d)
	}
	for _, data := range saves {
		for try := 0; !u.d.dead; try++ {
			err := u.try(data, try)
			if err == nil {
				break
			}
			require.Less(u.t, try, 2, "%v", err)
			u.requireFailure(err)
		}
	}
}

func (u *saver) try(data string, try int) error {
	if data != "" && u.vary {
		data += fmt.Sprint(" try ", try)
	}
	u.may = append(u.may, data)
	if data == "" {
		before := u.revision
		if err := u.store.Delete(u.t.Context(), fileTestKey); err != nil {
			return err
		}
		u.revision, u.may = 0, []string{""}
		u.requireConflict(before)
		return nil
	}
	revision, err := u.store.Save(u.t.Context(), fileTestKey, []byte(data), u.revision)
	if err != nil {
		return err
	}
	require.Greater(u.t, revision, u.revision)
	u.revision, u.may = revision, []string{data}
	return nil
}

// requireConflict: a Save with the revision that was deleted is refused.
func (u *saver) requireConflict(deleted uint64) {
	_, err := u.store.Save(u.t.Context(), fileTestKey, []byte("stale"), deleted)
	require.Error(u.t, err)
	if !u.d.dead && !errors.Is(err, errDiskFault) {
		require.ErrorIs(u.t, err, ErrCheckpointConflict)
	}
}

// requireFailure: what failed did not for any other reason than the disk, and
// the checkpoint is one of those it may be.
func (u *saver) requireFailure(err error) {
	if u.d.dead {
		return // the error may be a consequence of it
	}
	require.ErrorIs(u.t, err, errDiskFault)
	data, _, err := u.store.Load(u.t.Context(), fileTestKey)
	if u.d.dead {
		return
	}
	require.NoError(u.t, err)
	require.Contains(u.t, u.may, string(data))
}

// requireAfterCrash: whatever the crash left, one of what may be stored is, and
// can be replaced.
func (u *saver) requireAfterCrash() {
	u.d.crashes(func(found *disk) {
		story := fmt.Sprintf("step %d fails (halfway: %v), crash at %d of\n%s",
			u.d.failAt, u.d.halfway, u.d.crashAt, strings.Join(u.d.log, "\n"))
		s, err := newFileStore(saverDir, found)
		require.NoError(u.t, err, story)
		for path := range found.names {
			require.NotContains(u.t, path, tempSuffix, story)
		}
		data, revision, err := s.Load(u.t.Context(), fileTestKey)
		require.NoError(u.t, err, story)
		require.Contains(u.t, u.may, string(data), story)
		require.Equal(u.t, revision == 0, len(data) == 0, story)
		if string(data) == u.may[0] {
			require.Equal(u.t, u.revision, revision, story)
		}
		next, err := s.Save(u.t.Context(), fileTestKey, []byte("after"), revision)
		require.NoError(u.t, err, story)
		data, revision, err = s.Load(u.t.Context(), fileTestKey)
		require.NoError(u.t, err, story)
		require.Equal(u.t, "after", string(data), story)
		require.Equal(u.t, next, revision, story)
	})
}

func TestFileStoreSurvivesCrashAtEveryStep(t *testing.T) {
	for crashAt := 1; ; crashAt++ {
		d := newDisk()
		d.crashAt = crashAt
		u := &saver{t: t, d: d}
		u.run("1", "2", "", "3")
		u.requireAfterCrash()
		if !d.dead {
			require.Equal(t, []string{"3"}, u.may)
			require.Greater(t, crashAt, 30, "the steps were not counted")
			return
		}
	}
}

func TestFileStoreSurvivesFaultAtEveryStepAndThenCrash(t *testing.T) {
	for _, vary := range []bool{false, true} {
		for _, halfway := range []bool{false, true} {
			for failAt, last := 1, false; !last; failAt++ {
				for crashAt := failAt + 1; ; crashAt++ {
					d := newDisk()
					d.failAt, d.halfway, d.crashAt = failAt, halfway, crashAt
					u := &saver{t: t, d: d, vary: vary}
					u.run("1", "2")
					u.requireAfterCrash()
					if !d.dead {
						require.Len(t, u.may, 1) // the last Save has succeeded
						last = d.steps < failAt
						break
					}
				}
			}
		}
	}
}

func TestFileStoreDeleteSurvivesFaultAtEveryStepAndThenCrash(t *testing.T) {
	for _, halfway := range []bool{false, true} {
		for failAt, last := 1, false; !last; failAt++ {
			for crashAt := failAt + 1; ; crashAt++ {
				d := newDisk()
				d.failAt, d.halfway, d.crashAt = failAt, halfway, crashAt
				u := &saver{t: t, d: d}
				u.run("1", "", "2")
				u.requireAfterCrash()
				if !d.dead {
					require.Equal(t, []string{"2"}, u.may)
					last = d.steps < failAt
					break
				}
			}
		}
	}
}

func TestFileStoreDeleteIsDurableWhenItReturns(t *testing.T) {
	for _, op := range []string{"no fault", "remove", "syncDir"} {
		t.Run(op, func(t *testing.T) {
			d, one, _ := twoStores(t)
			_, err := one.Save(t.Context(), fileTestKey, []byte("a"), 0)
			require.NoError(t, err)
			deleteOne := func(s *FileStore) error { return s.Delete(t.Context(), fileTestKey) }
			if op != "no fault" {
				d.failNextOf(t, one, op+" "+filepath.Dir(one.file(fileTestKey).path), deleteOne)
				d.halfway = op == "remove" // so the second Delete finds no file, and the folder not flushed
				require.ErrorIs(t, deleteOne(one), errDiskFault)
			}
			require.NoError(t, deleteOne(one))
			d.crashes(func(found *disk) {
				s, err := newFileStore(saverDir, found)
				require.NoError(t, err)
				_, revision, err := s.Load(t.Context(), fileTestKey)
				require.NoError(t, err)
				require.Zero(t, revision, "it came back")
			})
		})
	}
}

func TestFileStoreDeleteEndsTheDoubt(t *testing.T) {
	d, one, other := twoStores(t)
	first, err := one.Save(t.Context(), fileTestKey, []byte("a"), 0)
	require.NoError(t, err)
	d.failNext(t, one, "syncDir", first)
	_, err = one.Save(t.Context(), fileTestKey, []byte("b"), first)
	require.ErrorIs(t, err, errDiskFault)

	// A Delete that did nothing leaves the doubt: the retry is still taken.
	path := one.file(fileTestKey).path
	d.failNextOf(t, one, "remove "+path, func(s *FileStore) error { return s.Delete(t.Context(), fileTestKey) })
	d.halfway = false
	require.ErrorContains(t, one.Delete(t.Context(), fileTestKey), "not deleted")
	second, err := one.Save(t.Context(), fileTestKey, []byte("b"), first)
	require.NoError(t, err)

	d.failNext(t, one, "syncDir", second)
	_, err = one.Save(t.Context(), fileTestKey, []byte("c"), second)
	require.ErrorIs(t, err, errDiskFault)
	require.NoError(t, one.Delete(t.Context(), fileTestKey))
	_, err = one.Save(t.Context(), fileTestKey, []byte("c"), second)
	require.ErrorIs(t, err, ErrCheckpointConflict)
	third, err := one.Save(t.Context(), fileTestKey, []byte("new"), 0)
	require.NoError(t, err)
	for _, stale := range []uint64{0, first, second} {
		for _, s := range []*FileStore{one, other} {
			_, err = s.Save(t.Context(), fileTestKey, []byte("stale"), stale)
			require.ErrorIs(t, err, ErrCheckpointConflict)
		}
	}
	_, err = other.Save(t.Context(), fileTestKey, []byte("next"), third)
	require.NoError(t, err)
}

// failNext makes the next operation of this kind fail, once it has done its work,
// in a Save.
func (d *disk) failNext(t *testing.T, s *FileStore, op string, revision uint64) {
	t.Helper()
	d.failNextOf(t, s, op+" ", func(s *FileStore) error {
		_, err := s.Save(t.Context(), fileTestKey, nil, revision)
		return err
	})
}

// failNextOf makes the last step of an act fail that begins with these words, once
// it has done its work: the step is found on a copy of the disk.
func (d *disk) failNextOf(t *testing.T, s *FileStore, words string, act func(*FileStore) error) {
	t.Helper()
	probe := &disk{names: map[string]*node{}, past: map[string][]*node{}, locked: map[string]bool{}}
	for path, n := range d.names {
		probe.names[path] = n
	}
	copied := &FileStore{dir: s.dir, writer: s.writer, files: probe, keys: map[string]*keyFile{}}
	require.NoError(t, act(copied))
	at := len(probe.log) - 1
	for ; at >= 0 && !strings.HasPrefix(probe.log[at], words); at-- {
	}
	require.NotEqual(t, -1, at)
	d.failAt, d.halfway = d.steps+at+1, true
}

func twoStores(t *testing.T) (d *disk, one, other *FileStore) {
	t.Helper()
	d = newDisk()
	one, err := newFileStore(saverDir, d)
	require.NoError(t, err)
	other, err = newFileStore(saverDir, d)
	require.NoError(t, err)
	return d, one, other
}

func TestFileStoreTakesRetryOfSaveThatWasInPlace(t *testing.T) {
	for _, op := range []string{"rename", "syncDir"} {
		t.Run(op, func(t *testing.T) {
			d, one, other := twoStores(t)
			d.failNext(t, one, op, 0)
			_, err := one.Save(t.Context(), fileTestKey, []byte("a"), 0)
			require.ErrorIs(t, err, errDiskFault)
			require.NotErrorIs(t, err, ErrCheckpointConflict)
			if op == "syncDir" {
				require.ErrorContains(t, err, "replaced, but it may not last")
			}
			_, err = other.Save(t.Context(), fileTestKey, []byte("a"), 0)
			require.ErrorIs(t, err, ErrCheckpointConflict, "another store's, with the same data")
			_, inDoubt, err := other.Load(t.Context(), fileTestKey)
			require.NoError(t, err)

			revision, err := one.Save(t.Context(), fileTestKey, []byte("a"), 0)
			require.NoError(t, err)
			_, err = one.Save(t.Context(), fileTestKey, []byte("a"), 0)
			require.ErrorIs(t, err, ErrCheckpointConflict, "once it has succeeded it is not in doubt")
			_, err = other.Save(t.Context(), fileTestKey, []byte("b"), inDoubt)
			require.ErrorIs(t, err, ErrCheckpointConflict, "what was in doubt has been replaced")
			_, err = other.Save(t.Context(), fileTestKey, []byte("b"), revision)
			require.NoError(t, err)
		})
	}
}

func TestFileStoreRefusesRetryAfterAnotherSaved(t *testing.T) {
	d, one, other := twoStores(t)
	d.failNext(t, one, "rename", 0)
	d.halfway = false
	_, err := one.Save(t.Context(), fileTestKey, []byte("a"), 0)
	require.ErrorIs(t, err, errDiskFault)
	first, err := other.Save(t.Context(), fileTestKey, []byte("a"), 0)
	require.NoError(t, err, "nothing was in place")
	_, err = one.Save(t.Context(), fileTestKey, []byte("a"), 0)
	require.ErrorIs(t, err, ErrCheckpointConflict)

	// In place, in doubt, and then loaded and replaced by the other.
	d.failNext(t, one, "syncDir", first)
	_, err = one.Save(t.Context(), fileTestKey, []byte("b"), first)
	require.ErrorIs(t, err, errDiskFault)
	_, revision, err := other.Load(t.Context(), fileTestKey)
	require.NoError(t, err)
	_, err = other.Save(t.Context(), fileTestKey, []byte("c"), revision)
	require.NoError(t, err)
	_, err = one.Save(t.Context(), fileTestKey, []byte("b"), first)
	require.ErrorIs(t, err, ErrCheckpointConflict)
}

// guarded is a disk on which the folders of others cannot be flushed.
type guarded struct{ *disk }

func (g guarded) syncDir(path string) error {
	if path != saverDir {
		return fs.ErrPermission
	}
	return g.disk.syncDir(path)
}

func TestFileStoreFlushesNoFolderOfOthers(t *testing.T) {
	d, _, _ := twoStores(t)
	s, err := newFileStore(saverDir, guarded{d})
	require.NoError(t, err, "the folder is there")
	_, err = s.Save(t.Context(), fileTestKey, nil, 0)
	require.NoError(t, err)

	_, err = newFileStore(filepath.Join(diskRoot, "new"), guarded{d})
	require.ErrorIs(t, err, fs.ErrPermission, "a folder it made may vanish")
}

func TestFileStoreWaitsForTheLockAsLongAsTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, one, _ := twoStores(t)
		held, err := d.tryLock(one.file(fileTestKey).path + lockSuffix)
		require.NoError(t, err)
		tries := d.tries

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		var all sync.WaitGroup
		for range 3 { // one waits for the lock, the others for their turn
			all.Go(func() {
				if _, err := one.Save(ctx, fileTestKey, nil, 0); !errors.Is(err, context.DeadlineExceeded) {
					t.Error("not ended by the context:", err)
				}
			})
		}
		all.Go(func() {
			if err := one.Delete(ctx, fileTestKey); !errors.Is(err, context.DeadlineExceeded) {
				t.Error("not ended by the context:", err)
			}
		})
		all.Wait()
		require.Equal(t, time.Second, time.Since(start))
		require.Less(t, d.tries-tries, 50, "a busy loop")
		require.Greater(t, d.tries-tries, 10, "too long between two tries")

		all.Go(func() {
			if revision, err := one.Save(t.Context(), fileTestKey, nil, 0); err != nil || revision == 0 {
				t.Error("not saved:", revision, err)
			}
		})
		synctest.Wait()
		require.NoError(t, held.Close())
		all.Wait()
		require.LessOrEqual(t, time.Since(start), time.Second+maxLockWait)
	})
}

func TestFileStoreDoesNothingInContextThatIsOver(t *testing.T) {
	d, one, _ := twoStores(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	steps := d.steps
	_, err := one.Save(ctx, fileTestKey, nil, 0)
	require.ErrorIs(t, err, context.Canceled)
	_, _, err = one.Load(ctx, fileTestKey)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, one.Delete(ctx, fileTestKey), context.Canceled)
	require.Equal(t, steps, d.steps)
}

func TestFileStoreRemovesWhatCrashesLeft(t *testing.T) {
	dir := t.TempDir()
	s, err := NewFileStore(dir)
	require.NoError(t, err)
	left := filepath.Join(dir, fileName(fileTestKey)+tempSuffix)
	busy := filepath.Join(dir, fileName("being saved")+tempSuffix)
	foreign := filepath.Join(dir, "letter"+tempSuffix)
	for _, path := range []string{left, busy, foreign} {
		require.NoError(t, os.WriteFile(path, []byte("torn"), 0o600))
	}

	_, revision, err := s.Load(t.Context(), fileTestKey)
	require.NoError(t, err)
	require.Zero(t, revision)
	_, err = s.Save(t.Context(), fileTestKey, []byte("x"), 0)
	require.NoError(t, err)
	require.NoFileExists(t, left, "the next Save removes it")

	require.NoError(t, os.WriteFile(left, []byte("torn"), 0o600))
	_, unlock, err := s.lock(t.Context(), "being saved")
	require.NoError(t, err)
	defer unlock()
	_, err = NewFileStore(dir)
	require.NoError(t, err)
	require.NoFileExists(t, left, "so does the next start")
	require.FileExists(t, busy)
	require.FileExists(t, foreign)
}
