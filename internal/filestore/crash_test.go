package filestore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// saver is a user of a store. It saves and deletes, repeating each until it
// succeeds or the disk is dead, and knows what may be stored.
type saver struct {
	t        *testing.T
	d        *disk
	store    *Store
	revision uint64
	may      []string // the last acknowledged data, and what was tried since; "" if deleted
	vary     bool     // a repeated Save has other data
}

var saverDir = filepath.Join(diskRoot, "srv", "checkpoints")

// run opens the store and saves the given data one after another; for "" it
// deletes.
func (u *saver) run(saves ...string) {
	u.may = []string{""}
	for u.store == nil && !u.d.dead {
		u.store, _ = open(saverDir, u.d)
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

// requireConflict checks that a Save with the revision that was deleted is
// refused.
func (u *saver) requireConflict(deleted uint64) {
	_, err := u.store.Save(u.t.Context(), fileTestKey, []byte("stale"), deleted)
	require.Error(u.t, err)
	if !u.d.dead && !errors.Is(err, errDiskFault) {
		require.ErrorIs(u.t, err, ErrConflict)
	}
}

// requireFailure checks that an operation failed only because of the disk, and
// that the checkpoint is one of those that may be stored.
func (u *saver) requireFailure(err error) {
	if u.d.dead {
		return // the error may be a consequence of the crash
	}
	require.ErrorIs(u.t, err, errDiskFault)
	data, _, err := u.store.Load(u.t.Context(), fileTestKey)
	if u.d.dead {
		return
	}
	require.NoError(u.t, err)
	require.Contains(u.t, u.may, string(data))
}

// requireAfterCrash checks that after a crash the checkpoint is one of those
// that may be stored, and that it can be replaced.
func (u *saver) requireAfterCrash() {
	u.d.crashes(func(found *disk) {
		story := fmt.Sprintf("step %d fails (halfway: %v), crash at %d of\n%s",
			u.d.failAt, u.d.halfway, u.d.crashAt, strings.Join(u.d.log, "\n"))
		s, err := open(saverDir, found)
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

func TestStoreSurvivesCrashAtEveryStep(t *testing.T) {
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

func TestStoreSurvivesFaultAtEveryStepAndThenCrash(t *testing.T) {
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

func TestStoreDeleteSurvivesFaultAtEveryStepAndThenCrash(t *testing.T) {
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

func TestStoreDeleteIsDurableWhenItReturns(t *testing.T) {
	for _, op := range []string{"no fault", "remove", "syncDir"} {
		t.Run(op, func(t *testing.T) {
			d, one, _ := twoStores(t)
			_, err := one.Save(t.Context(), fileTestKey, []byte("a"), 0)
			require.NoError(t, err)
			deleteOne := func(s *Store) error { return s.Delete(t.Context(), fileTestKey) }
			if op != "no fault" {
				d.failNextOf(t, one, op+" "+filepath.Dir(one.file(fileTestKey).path), deleteOne)
				d.halfway = op == "remove" // so the second Delete finds no file, in a folder that is not flushed
				require.ErrorIs(t, deleteOne(one), errDiskFault)
			}
			require.NoError(t, deleteOne(one))
			d.crashes(func(found *disk) {
				s, err := open(saverDir, found)
				require.NoError(t, err)
				_, revision, err := s.Load(t.Context(), fileTestKey)
				require.NoError(t, err)
				require.Zero(t, revision, "it came back")
			})
		})
	}
}

func TestStoreDeleteEndsTheDoubt(t *testing.T) {
	d, one, other := twoStores(t)
	first, err := one.Save(t.Context(), fileTestKey, []byte("a"), 0)
	require.NoError(t, err)
	d.failNext(t, one, "syncDir", first)
	_, err = one.Save(t.Context(), fileTestKey, []byte("b"), first)
	require.ErrorIs(t, err, errDiskFault)

	// A Delete that did nothing leaves the revision in doubt: the retry is
	// still accepted.
	path := one.file(fileTestKey).path
	d.failNextOf(t, one, "remove "+path, func(s *Store) error { return s.Delete(t.Context(), fileTestKey) })
	d.halfway = false
	require.ErrorContains(t, one.Delete(t.Context(), fileTestKey), "not deleted")
	second, err := one.Save(t.Context(), fileTestKey, []byte("b"), first)
	require.NoError(t, err)

	d.failNext(t, one, "syncDir", second)
	_, err = one.Save(t.Context(), fileTestKey, []byte("c"), second)
	require.ErrorIs(t, err, errDiskFault)
	require.NoError(t, one.Delete(t.Context(), fileTestKey))
	_, err = one.Save(t.Context(), fileTestKey, []byte("c"), second)
	require.ErrorIs(t, err, ErrConflict)
	third, err := one.Save(t.Context(), fileTestKey, []byte("new"), 0)
	require.NoError(t, err)
	for _, stale := range []uint64{0, first, second} {
		for _, s := range []*Store{one, other} {
			_, err = s.Save(t.Context(), fileTestKey, []byte("stale"), stale)
			require.ErrorIs(t, err, ErrConflict)
		}
	}
	_, err = other.Save(t.Context(), fileTestKey, []byte("next"), third)
	require.NoError(t, err)
}

// failNext makes the next operation of a kind in a Save fail, after it was
// carried out.
func (d *disk) failNext(t *testing.T, s *Store, op string, revision uint64) {
	t.Helper()
	d.failNextOf(t, s, op+" ", func(s *Store) error {
		_, err := s.Save(t.Context(), fileTestKey, nil, revision)
		return err
	})
}

// failNextOf makes the last step of act that begins with words fail, after it
// was carried out. It finds the step by running act on a copy of the disk.
func (d *disk) failNextOf(t *testing.T, s *Store, words string, act func(*Store) error) {
	t.Helper()
	probe := &disk{names: map[string]*node{}, past: map[string][]*node{}, locked: map[string]bool{}}
	maps.Copy(probe.names, d.names)
	copied := &Store{dir: s.dir, writer: s.writer, files: probe, keys: map[string]*keyFile{}}
	require.NoError(t, act(copied))
	at := len(probe.log) - 1
	for ; at >= 0 && !strings.HasPrefix(probe.log[at], words); at-- {
	}
	require.NotEqual(t, -1, at)
	d.failAt, d.halfway = d.steps+at+1, true
}

func twoStores(t *testing.T) (d *disk, one, other *Store) {
	t.Helper()
	d = newDisk()
	one, err := open(saverDir, d)
	require.NoError(t, err)
	other, err = open(saverDir, d)
	require.NoError(t, err)
	return d, one, other
}

func TestStoreTakesRetryOfSaveThatWasInPlace(t *testing.T) {
	for _, op := range []string{"rename", "syncDir"} {
		t.Run(op, func(t *testing.T) {
			d, one, other := twoStores(t)
			d.failNext(t, one, op, 0)
			_, err := one.Save(t.Context(), fileTestKey, []byte("a"), 0)
			require.ErrorIs(t, err, errDiskFault)
			require.NotErrorIs(t, err, ErrConflict)
			if op == "syncDir" {
				require.ErrorContains(t, err, "replaced, but it may not last")
			}
			_, err = other.Save(t.Context(), fileTestKey, []byte("a"), 0)
			require.ErrorIs(t, err, ErrConflict, "another store's, with the same data")
			_, inDoubt, err := other.Load(t.Context(), fileTestKey)
			require.NoError(t, err)

			revision, err := one.Save(t.Context(), fileTestKey, []byte("a"), 0)
			require.NoError(t, err)
			_, err = one.Save(t.Context(), fileTestKey, []byte("a"), 0)
			require.ErrorIs(t, err, ErrConflict, "once it has succeeded it is not in doubt")
			_, err = other.Save(t.Context(), fileTestKey, []byte("b"), inDoubt)
			require.ErrorIs(t, err, ErrConflict, "what was in doubt has been replaced")
			_, err = other.Save(t.Context(), fileTestKey, []byte("b"), revision)
			require.NoError(t, err)
		})
	}
}

func TestStoreRefusesRetryAfterAnotherSaved(t *testing.T) {
	d, one, other := twoStores(t)
	d.failNext(t, one, "rename", 0)
	d.halfway = false
	_, err := one.Save(t.Context(), fileTestKey, []byte("a"), 0)
	require.ErrorIs(t, err, errDiskFault)
	first, err := other.Save(t.Context(), fileTestKey, []byte("a"), 0)
	require.NoError(t, err, "nothing was in place")
	_, err = one.Save(t.Context(), fileTestKey, []byte("a"), 0)
	require.ErrorIs(t, err, ErrConflict)

	// The file is in place and its revision in doubt. Then the other store
	// loads and replaces it.
	d.failNext(t, one, "syncDir", first)
	_, err = one.Save(t.Context(), fileTestKey, []byte("b"), first)
	require.ErrorIs(t, err, errDiskFault)
	_, revision, err := other.Load(t.Context(), fileTestKey)
	require.NoError(t, err)
	_, err = other.Save(t.Context(), fileTestKey, []byte("c"), revision)
	require.NoError(t, err)
	_, err = one.Save(t.Context(), fileTestKey, []byte("b"), first)
	require.ErrorIs(t, err, ErrConflict)
}

// guarded is a disk on which folders of other users cannot be flushed.
type guarded struct{ *disk }

func (g guarded) syncDir(path string) error {
	if path != saverDir {
		return fs.ErrPermission
	}
	return g.disk.syncDir(path)
}

func TestStoreFlushesNoFolderOfOthers(t *testing.T) {
	d, _, _ := twoStores(t)
	s, err := open(saverDir, guarded{d})
	require.NoError(t, err, "the folder is there")
	_, err = s.Save(t.Context(), fileTestKey, nil, 0)
	require.NoError(t, err)

	_, err = open(filepath.Join(diskRoot, "new"), guarded{d})
	require.ErrorIs(t, err, fs.ErrPermission, "a folder it made may vanish")
}

func TestStoreWaitsForTheLockAsLongAsTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, one, _ := twoStores(t)
		held, err := d.tryLock(one.file(fileTestKey).path + lockSuffix)
		require.NoError(t, err)
		tries := d.tries

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		var all sync.WaitGroup
		for range 3 { // one waits for the lock, the others for the slot
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

func TestStoreDoesNothingInContextThatIsOver(t *testing.T) {
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

func TestStoreRemovesWhatCrashesLeft(t *testing.T) {
	dir := t.TempDir()
	s, err := New(dir)
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
	_, err = New(dir)
	require.NoError(t, err)
	require.NoFileExists(t, left, "so does the next start")
	require.FileExists(t, busy)
	require.FileExists(t, foreign)
}
