package stores_test

import (
	"flag"
	"os"
	"testing"

	"github.com/stripekit/stripekit/internal/stores/servers"
)

// TestMain also runs the child processes of the kill tests.
func TestMain(m *testing.M) {
	if job := os.Getenv(killJobVariable); job != "" {
		os.Exit(runKillJob(job))
	}
	// Most of these tests wait for servers most of the time.
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	os.Exit(servers.Run(m))
}
