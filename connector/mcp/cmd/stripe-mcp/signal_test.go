//go:build unix

package main

import (
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"
)

// TestCommandEndsAtATermination sends SIGTERM while stdin is open.
func TestCommandEndsAtATermination(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		cmd, stderr := command(t, nil, "-demo")
		stdin, err := cmd.StdinPipe()
		require.NoError(t, err)
		stdout, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		session := connect(t, &mcp.IOTransport{Reader: stdout, Writer: stdin})
		call(t, session, "charges_list", nil)
		require.NoError(t, cmd.Process.Signal(signal))
		_ = session.Wait() // the output of the command has ended
		require.NoError(t, cmd.Wait(), "status 0")
		require.NotContains(t, stderr.String(), "stripe-mcp:")
	}
}

// TestCommandEndsThoughACallIsInFlight sends SIGTERM while Stripe does not respond.
func TestCommandEndsThoughACallIsInFlight(t *testing.T) {
	arrived, release := make(chan struct{}, 1), make(chan struct{})
	fake := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-release
	}))
	t.Cleanup(fake.Close)
	t.Cleanup(func() { close(release) })
	cmd, _ := command(t, []string{"STRIPE_API_KEY=sk_test_1", "STRIPE_API_BASE=" + fake.URL})
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	session := connect(t, &mcp.IOTransport{Reader: stdout, Writer: stdin})
	go func() { _, _ = session.CallTool(t.Context(), &mcp.CallToolParams{Name: "charges_list"}) }()
	<-arrived
	began := time.Now()
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	_ = session.Wait()
	require.NoError(t, cmd.Wait(), "status 0")
	require.Less(t, time.Since(began), 30*time.Second, "the call itself would take a minute")
}
