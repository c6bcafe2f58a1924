//go:build unix

package stripesql_test

import (
	"context"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripesql"
)

// materializeWithoutRoom is the child process, in which no file can have more than 600 kB.
func materializeWithoutRoom(url, file string) error {
	signal.Ignore(syscall.SIGXFSZ)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 600_000, Max: 600_000}); err != nil {
		return err
	}
	client, err := stripekit.New("sk_test_123", stripekit.WithBaseURL(url), stripekit.WithRateLimit(stripekit.RateLimit{}))
	if err != nil {
		return err
	}
	return stripesql.Materialize(context.Background(), client, file, stripesql.MaterializeConfig{Tables: []string{"customers", "charges"}})
}

func TestMaterializeContinuesAfterTheDiskWasFull(t *testing.T) {
	if url := os.Getenv("STRIPEKIT_TEST_WITHOUT_ROOM_OF"); url != "" {
		require.ErrorContains(t, materializeWithoutRoom(url, os.Getenv("STRIPEKIT_TEST_FILE")), "disk I/O error")
		return
	}
	if raceDetector {
		t.Skip("slow under the race detector, and one goroutine writes")
	}
	c := newCopying(t)
	front := httptest.NewServer(c.server)
	defer front.Close()
	c.seed(1500)
	child := exec.Command(os.Args[0], "-test.run=^TestMaterializeContinuesAfterTheDiskWasFull$", "-test.v")
	child.Env = append(os.Environ(), "STRIPEKIT_TEST_WITHOUT_ROOM_OF="+front.URL, "STRIPEKIT_TEST_FILE="+c.file)
	out, err := child.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.NotEmpty(t, c.rows("SELECT id FROM charges"))
	c.requireSound()
	c.mustRun(stripesql.MaterializeConfig{})
	c.requireEqual()
}
