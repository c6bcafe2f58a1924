package filestore

import (
	"bytes"
	"errors"
	"fmt"
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

func TestStoreKeepsCheckpoints(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "there yet")
	s, err := New(dir)
	require.NoError(t, err)
	store := s

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
		require.ErrorIs(t, err, ErrConflict)
	}
	reopened, err := New(dir)
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

func TestStoreStaysInItsFolder(t *testing.T) {
	t.Chdir(t.TempDir())
	s, err := New("checkpoints")
	require.NoError(t, err)
	saved, err := s.Save(t.Context(), fileTestKey, []byte("x"), 0)
	require.NoError(t, err)
	t.Chdir(t.TempDir())
	_, revision, err := s.Load(t.Context(), fileTestKey)
	require.NoError(t, err)
	require.Equal(t, saved, revision)
}

func TestStoreIsItsOwnersAlone(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has access lists in place of modes")
	}
	dir := filepath.Join(t.TempDir(), "a", "b")
	s, err := New(dir)
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

func TestStoreRefusesFolderItCannotUse(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for _, dir := range []string{"", file, filepath.Join(file, "below"), "nul\x00"} {
		_, err := New(dir)
		require.ErrorContains(t, err, "checkpoint folder", "%q", dir)
	}
}

func TestStoreWithoutItsFolderIsNotEmpty(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	s, err := New(dir)
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(dir))
	_, _, err = s.Load(t.Context(), fileTestKey)
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = s.Save(t.Context(), fileTestKey, nil, 0)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorIs(t, s.Delete(t.Context(), fileTestKey), fs.ErrNotExist)
}

func TestStoreDeletesAllButTheLock(t *testing.T) {
	dir := t.TempDir()
	s, err := New(dir)
	require.NoError(t, err)
	_, err = s.Save(t.Context(), fileTestKey, []byte("x"), 0)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, fileName(fileTestKey)+tempSuffix), []byte("torn"), 0o600))

	require.NoError(t, s.Delete(t.Context(), fileTestKey))
	require.Empty(t, filesIn(t, dir, fileSuffix))
	require.Empty(t, filesIn(t, dir, tempSuffix))
	require.FileExists(t, filepath.Join(dir, fileName(fileTestKey)+lockSuffix))
}

func TestStoreNames(t *testing.T) {
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

	s, err := New(t.TempDir())
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

func TestStoreNeverReplacesDamagedFileUntilDeleted(t *testing.T) {
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
			s, err := New(dir)
			require.NoError(t, err)
			path := filepath.Join(dir, fileName(fileTestKey))
			require.NoError(t, os.WriteFile(path, content, 0o600))

			data, revision, err := s.Load(t.Context(), fileTestKey)
			require.ErrorIs(t, err, ErrInvalid)
			require.ErrorContains(t, err, path)
			require.Nil(t, data)
			require.Zero(t, revision)
			if strings.HasPrefix(name, "newer") {
				require.ErrorContains(t, err, "this library reads 1")
			}
			for _, revision := range []uint64{0, 7, 8} {
				_, err := s.Save(t.Context(), fileTestKey, []byte("new"), revision)
				require.ErrorIs(t, err, ErrInvalid)
				require.NotErrorIs(t, err, ErrConflict)
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

func FuzzStoreReads(f *testing.F) {
	good := encodeFile(fileTestKey, fileCheckpoint{revision: 7, writer: "W", data: []byte(`{"version":1}`)})
	for _, seed := range [][]byte{good, good[:40], {}, []byte("stripekit-checkpoint 2\n"), []byte("stripekit-checkpoint 1 a b c\n")} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		c, err := decodeFile(fileTestKey, content)
		if err != nil {
			require.ErrorIs(t, err, ErrInvalid)
			require.Zero(t, c)
			return
		}
		require.NotZero(t, c.revision)
		require.Equal(t, content, encodeFile(fileTestKey, c))
	})
}

// TestStoreOneOfManyWins uses two stores, which the file lock excludes from
// each other, and many goroutines, which the store excludes.
func TestStoreOneOfManyWins(t *testing.T) {
	const each, rounds = 64, 3
	dir := t.TempDir()
	var stores [2]*Store
	for i := range stores {
		var err error
		stores[i], err = New(dir)
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
				case errors.Is(err, ErrConflict):
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

// TestStoreTwoProcessesLoseNoUpdate runs itself in two processes that increment
// the same number.
func TestStoreTwoProcessesLoseNoUpdate(t *testing.T) {
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
	s, err := New(dir)
	require.NoError(t, err)
	data, _, err := s.Load(t.Context(), fileTestKey)
	require.NoError(t, err)
	require.Equal(t, strconv.Itoa(each*len(processes)), string(data))
}

// countTogether increments a number, and retries after a conflict.
func countTogether(t *testing.T, dir string, times int) {
	s, err := New(dir)
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
		if errors.Is(err, ErrConflict) {
			continue
		}
		require.NoError(t, err)
		done++
	}
}
