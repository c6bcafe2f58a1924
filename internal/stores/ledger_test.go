package stores_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/internal/stores/servers"
)

// TestLedgerBalancesInPostgreSQL runs the example as its README line does, with
// DATABASE_URL. Its own tests have SQLite alone where that is not set.
func TestLedgerBalancesInPostgreSQL(t *testing.T) {
	t.Parallel()
	database := servers.PostgreSQL(t)
	cmd := exec.CommandContext(t.Context(), "go", "run", "github.com/stripekit/stripekit/examples/ledger", "-for", "4s", "-kill", "6")
	cmd.Env = append(os.Environ(), "DATABASE_URL="+database.DSN, "STRIPE_API_KEY=")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "The books balance with the shop")
	require.Contains(t, string(out), "after 6 kills")
}
