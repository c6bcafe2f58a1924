package redpanda_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/stripetest"
)

// TestMain runs a pipeline in place of the tests if a test has started this process for it.
func TestMain(m *testing.M) {
	yaml := os.Getenv("STRIPEKIT_TEST_PIPELINE")
	if yaml == "" {
		os.Exit(m.Run())
	}
	if err := runUntilKilled(yaml); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// refunding is a pipeline that refunds 1 of each charge.
func refunding(server *stripetest.Server, checkpoint string) string {
	return fromBeginning(server, checkpoint) + `
pipeline:
  processors:
    - mapping: 'root = {"charge": this.id, "amount": 1}'
    - stripe:
        api_key: ` + key + `
        base_url: ` + server.URL + `
        action: refunds.create
        idempotency_key: root = @stripe_id + "-refund"
output:
  reject_errored:
    drop: {}
`
}

// kindsOfCheckpoint return lines of an input.
var kindsOfCheckpoint = map[string]func(*testing.T) string{
	"file": func(t *testing.T) string { return checkpointIn(t.TempDir()) },
	"sql": func(t *testing.T) string {
		file := filepath.ToSlash(filepath.Join(t.TempDir(), "checkpoints.db"))
		return "    checkpoint:\n      sql:\n        driver: sqlite\n        dsn: file:" + file +
			"?_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)&_pragma=synchronous(full)"
	},
	"nats": func(t *testing.T) string { return "    checkpoint:\n      nats:\n        url: " + startNATS(t) },
}

// TestKilledPipelinesLoseNothingAndDoNothingTwice kills processes that refund charges, at
// random moments.
func TestKilledPipelinesLoseNothingAndDoNothingTwice(t *testing.T) {
	for name, checkpoint := range kindsOfCheckpoint {
		t.Run(name, func(t *testing.T) {
			server, _ := newServer(t, 1000)
			yaml := refunding(server, checkpoint(t))
			for range kills() {
				before := requests(server)
				child := start(t, yaml)
				require.Eventually(t, func() bool { return requests(server) > before }, soon, time.Millisecond)
				<-time.After(rand.N(200 * time.Millisecond))
				child.kill()
				server.Seed("/v1/charges", stripetest.Seeding{Count: 5})
			}
			last := start(t, yaml)
			require.Eventually(t, func() bool {
				return !slices.Contains(slices.Collect(maps.Values(refunded(t, server))), 0)
			}, soon, 50*time.Millisecond)
			last.kill()
			amounts := refunded(t, server)
			require.Len(t, amounts, 1000+5*kills())
			for id, amount := range amounts {
				require.Equal(t, 1, amount, id)
			}
			t.Logf("%d kills, %d charges, %d requests for a refund", kills(), len(amounts), server.Count("POST /v1/refunds"))
		})
	}
}

// kills is how many processes a test kills for each kind of checkpoint.
func kills() int {
	if n, err := strconv.Atoi(os.Getenv("STRIPEKIT_KILLS")); err == nil {
		return n
	}
	return 12
}

// requests returns how many requests a server has received.
func requests(server *stripetest.Server) (n int) {
	for _, count := range server.Counts() {
		n += count
	}
	return n
}

// process is a process that runs a pipeline.
type process struct {
	t   *testing.T
	cmd *exec.Cmd
}

func start(t *testing.T, yaml string) process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "STRIPEKIT_TEST_PIPELINE="+yaml)
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return process{t, cmd}
}

// kill kills the process, which must not have ended by itself.
func (p process) kill() {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Kill())
	require.Error(p.t, p.cmd.Wait(), "the process has ended by itself")
}

// runUntilKilled is the child process.
func runUntilKilled(yaml string) error {
	builder := service.NewStreamBuilder()
	builder.SetLogger(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	builder.SetHTTPMux(http.NewServeMux())
	if err := builder.SetYAML(yaml); err != nil {
		return err
	}
	stream, err := builder.Build()
	if err != nil {
		return err
	}
	return stream.Run(context.Background())
}

// startNATS starts a NATS server with JetStream until the test ends, and returns its URL.
func startNATS(t *testing.T) string {
	t.Helper()
	server, err := natsserver.NewServer(&natsserver.Options{
		Host: "127.0.0.1", Port: natsserver.RANDOM_PORT, NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir(),
	})
	require.NoError(t, err)
	server.Start()
	t.Cleanup(func() {
		server.Shutdown()
		server.WaitForShutdown()
	})
	require.True(t, server.ReadyForConnections(soon))
	return server.ClientURL()
}
