//go:build unix

package fleet_test

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/stripekit/stripekit/internal/stores/servers"
)

// The environment variables that make this program a child process: what they have is
// its task.
const (
	workerVariable = "STRIPEKIT_TEST_FLEET_WORKER" // a job
	natsVariable   = "STRIPEKIT_TEST_FLEET_NATS"   // a servers.NATSConfig
)

// saysReady is the line that a child process prints when it has begun.
const saysReady = "ready"

// exitFailed is the exit code of a child process that has failed.
const exitFailed = 3

// TestMain also runs the child processes of the tests.
func TestMain(m *testing.M) {
	switch {
	case os.Getenv(workerVariable) != "":
		os.Exit(childMain(os.Getenv(workerVariable), runWorker))
	case os.Getenv(natsVariable) != "":
		os.Exit(childMain(os.Getenv(natsVariable), runNATS))
	}
	os.Exit(servers.Run(m))
}

// childMain is the main function of a child process. It returns the exit code.
func childMain[T any](task string, run func(T) error) int {
	// The parent holds the other end of stdin. It ends with the parent.
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(exitFailed)
	}()
	var decoded T
	err := json.Unmarshal([]byte(task), &decoded)
	if err == nil {
		err = run(decoded)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "child process:", err)
		return exitFailed
	}
	return 0
}

// runNATS is a NATS server, until it is killed.
func runNATS(cfg servers.NATSConfig) error {
	if _, err := cfg.Start(); err != nil {
		return err
	}
	fmt.Println(saysReady)
	select {}
}
