//go:build unix

package main

import (
	"syscall"
	"testing"

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
