package stripesql

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripekittest"
)

// TestReplicaIsAStore opens the file once: a second time, it would be locked.
func TestReplicaIsAStore(t *testing.T) {
	stripekittest.TestStore(t, func(t *testing.T) func() stripekit.CheckpointStore {
		r, err := openReplica(t.Context(), filepath.Join(t.TempDir(), "a.db"))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, r.close()) })
		return func() stripekit.CheckpointStore { return r }
	})
}
