package stripemcp_test

import (
	"encoding/json"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	stripemcp "github.com/stripekit/stripekit/connector/mcp"
)

// connect returns a session of a client with a server for the given account.
func connect(t *testing.T, client *stripekit.Client, o stripemcp.Options) *mcp.ClientSession {
	t.Helper()
	server, err := stripemcp.NewServer(client, o)
	require.NoError(t, err)
	return join(t, server)
}

func join(t *testing.T, server *mcp.Server) *mcp.ClientSession {
	t.Helper()
	clientSide, serverSide := mcp.NewInMemoryTransports()
	serving, err := server.Connect(t.Context(), serverSide, nil)
	require.NoError(t, err)
	session, err := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil).Connect(t.Context(), clientSide, nil)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, session.Close())
		_ = serving.Wait() // an error if it was about to send the response of a cancelled call
	})
	return session
}

// call calls a tool. An input is JSON, or empty.
func call(t *testing.T, session *mcp.ClientSession, tool, input string) *mcp.CallToolResult {
	t.Helper()
	params := &mcp.CallToolParams{Name: tool}
	if input != "" {
		params.Arguments = json.RawMessage(input)
	}
	result, err := session.CallTool(t.Context(), params)
	require.NoError(t, err, "%s %s", tool, input)
	return result
}

// textOf returns the only text of a result.
func textOf(t *testing.T, result *mcp.CallToolResult) string {
	t.Helper()
	require.Len(t, result.Content, 1)
	return result.Content[0].(*mcp.TextContent).Text
}

// output calls a tool that must succeed. It requires that the text of the result is the
// same as the structured content, and returns that.
func output(t *testing.T, session *mcp.ClientSession, tool, input string) map[string]any {
	t.Helper()
	result := call(t, session, tool, input)
	text := textOf(t, result)
	require.False(t, result.IsError, "%s %s: %s", tool, input, text)
	var decoded map[string]any
	require.NoError(t, json.Unmarshal([]byte(text), &decoded), text)
	require.Equal(t, result.StructuredContent, any(decoded))
	return decoded
}

// failure calls a tool that must fail, and returns the text of the error.
func failure(t *testing.T, session *mcp.ClientSession, tool, input string) string {
	t.Helper()
	result := call(t, session, tool, input)
	text := textOf(t, result)
	require.True(t, result.IsError, "%s %s: %s", tool, input, text)
	require.Nil(t, result.StructuredContent)
	return text
}
