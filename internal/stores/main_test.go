package stores_test

import (
	"os"
	"testing"

	"github.com/stripekit/stripekit/internal/stores/servers"
)

// TestMain also runs the child processes of the kill tests.
func TestMain(m *testing.M) {
	if job := os.Getenv(killJobVariable); job != "" {
		os.Exit(runKillJob(job))
	}
	os.Exit(servers.Run(m))
}
