package stripekit

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// checkpointStores returns an empty store of each kind.
func checkpointStores(t *testing.T) map[string]CheckpointStore {
	t.Helper()
	files, err := NewFileStore(t.TempDir())
	require.NoError(t, err)
	return map[string]CheckpointStore{"memory": new(MemoryStore), "files": files}
}

// requireStored requires that a store holds want under key; nil is no checkpoint.
func requireStored(t *testing.T, store CheckpointStore, key string, want []byte, revision uint64) {
	t.Helper()
	data, got, err := store.Load(t.Context(), key)
	require.NoError(t, err)
	require.Equal(t, string(want), string(data))
	require.Equal(t, want == nil, data == nil)
	require.Equal(t, revision, got)
}

func TestCheckpointStoreReplacesOnlyTheRevisionGiven(t *testing.T) {
	for name, store := range checkpointStores(t) {
		t.Run(name, func(t *testing.T) {
			requireStored(t, store, "a", nil, 0)
			data := []byte("one")
			first, err := store.Save(t.Context(), "a", data, 0)
			require.NoError(t, err)
			require.NotZero(t, first)
			data[0] = 'X'
			requireStored(t, store, "a", []byte("one"), first)

			second, err := store.Save(t.Context(), "a", []byte("two"), first)
			require.NoError(t, err)
			require.Greater(t, second, first)
			for _, stale := range []uint64{0, first, second + 1} {
				_, err = store.Save(t.Context(), "a", []byte("stale"), stale)
				require.ErrorIs(t, err, ErrCheckpointConflict)
			}
			requireStored(t, store, "a", []byte("two"), second)
			requireStored(t, store, "b", nil, 0)
		})
	}
}

func TestCheckpointStoreDeletes(t *testing.T) {
	for name, store := range checkpointStores(t) {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, store.Delete(t.Context(), "a"), "there is none")
			revision, err := store.Save(t.Context(), "a", []byte("one"), 0)
			require.NoError(t, err)
			other, err := store.Save(t.Context(), "b", []byte("other"), 0)
			require.NoError(t, err)

			require.NoError(t, store.Delete(t.Context(), "a"))
			requireStored(t, store, "a", nil, 0)
			requireStored(t, store, "b", []byte("other"), other)
			require.NoError(t, store.Delete(t.Context(), "a"), "a second time")
			_, err = store.Save(t.Context(), "a", []byte("stale"), revision)
			require.ErrorIs(t, err, ErrCheckpointConflict)
			requireStored(t, store, "a", nil, 0)
		})
	}
}

// TestCheckpointStoreRefusesRevisionsFromBeforeDelete: a poller that has not
// noticed a Delete cannot overwrite the checkpoint of the poller that began anew.
func TestCheckpointStoreRefusesRevisionsFromBeforeDelete(t *testing.T) {
	for name, store := range checkpointStores(t) {
		t.Run(name, func(t *testing.T) {
			var before []uint64 // the revisions of deleted checkpoints
			for range 3 {
				var line []uint64
				var revision uint64
				for range 3 {
					var err error
					revision, err = store.Save(t.Context(), "a", []byte("mine"), revision)
					require.NoError(t, err)
					line = append(line, revision)
					for _, stale := range before {
						_, err := store.Save(t.Context(), "a", []byte("stale"), stale)
						require.ErrorIs(t, err, ErrCheckpointConflict)
					}
				}
				before = append(before, line...)
				require.NoError(t, store.Delete(t.Context(), "a"))
			}
		})
	}
}
