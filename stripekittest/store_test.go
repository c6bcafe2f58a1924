package stripekittest_test

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripekittest"
)

func TestMemoryStorePassesTestStore(t *testing.T) {
	stripekittest.TestStore(t, func(*testing.T) func() stripekit.CheckpointStore {
		store := new(stripekit.MemoryStore)
		return func() stripekit.CheckpointStore { return store }
	})
}

func TestFileStorePassesTestStore(t *testing.T) {
	stripekittest.TestStore(t, func(t *testing.T) func() stripekit.CheckpointStore {
		dir := t.TempDir()
		return func() stripekit.CheckpointStore {
			store, err := stripekit.NewFileStore(dir)
			require.NoError(t, err)
			return store
		}
	})
}

func TestStoreFindsEachFault(t *testing.T) {
	over := make(chan struct{})
	defer close(over)
	found := map[string]bool{}
	for _, store := range brokenStores(over) {
		for _, check := range store.checks {
			found[check] = true
			t.Run(store.fault+"/"+check, func(t *testing.T) {
				got := runTest(t, func(test testing.TB) {
					stripekittest.CheckStore(test, check, store.open(), 50*time.Millisecond)
				})
				require.True(t, got.Failed(), "the subtest has passed")
				t.Log(append(got.errors, got.fatal))
			})
		}
	}
	for _, check := range stripekittest.StoreChecks() {
		require.True(t, found[check] || check == "speed", "no store is there to fail %q", check)
	}
}

// A store may do what the interface leaves open.
func TestStorePassesWhatIsAllowed(t *testing.T) {
	for name, changes := range map[string]func(s *hookedStore){
		"revisions in no order":             shuffledStore,
		"not nil for empty data":            emptyStore,
		"few keys":                          pickyStore,
		"nothing in a context that is over": strictStore,
		"a cancelled save takes place late": lateStore,
	} {
		store := broken(name, changes)
		for _, check := range stripekittest.StoreChecks() {
			if check == "speed" {
				continue
			}
			t.Run(name+"/"+check, func(t *testing.T) {
				stripekittest.CheckStore(t, check, store.open(), 10*time.Second)
			})
		}
	}
}

func TestStoreKeysAreDifferent(t *testing.T) {
	seen := map[string]bool{}
	for _, key := range stripekittest.HostileKeys() {
		require.False(t, seen[key] && key != "test///charges//orders", "%.60q is there twice", key)
		seen[key] = true
	}
	require.Greater(t, len(seen), 200)
}

// It runs itself in another process, because TestStore fails the test that calls it.
func TestStoreFailsTheTestOfABrokenStore(t *testing.T) {
	const variable, failing, passing = "STRIPEKIT_BROKEN_STORE", "a_save_with_another_revision_is_refused", "data_is_kept_as_it_is"
	if os.Getenv(variable) != "" {
		stripekittest.TestStore(t, func(*testing.T) func() stripekit.CheckpointStore { return brokenStores(nil)[0].open() })
		return
	}
	command := exec.Command(os.Args[0], "-test.v", "-test.run", "^"+t.Name()+"$/^("+failing+"|"+passing+")$")
	command.Env = append(os.Environ(), variable+"=1")
	out, err := command.CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Contains(t, string(out), "--- FAIL: "+t.Name()+"/"+failing)
	require.Contains(t, string(out), "--- PASS: "+t.Name()+"/"+passing)
}
