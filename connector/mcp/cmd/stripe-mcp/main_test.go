package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripetest"
)

// program is the path of the command, which TestMain builds.
var program string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "stripe-mcp")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "stripe-mcp")
	if runtime.GOOS == "windows" {
		program += ".exe"
	}
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%s%v\n", out, err)
		return 1
	}
	return m.Run()
}

// command returns the command with an environment that has no key but that in env.
func command(t *testing.T, env []string, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "STRIPE_") {
			cmd.Env = append(cmd.Env, variable)
		}
	}
	cmd.Env = append(cmd.Env, env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	return cmd, &stderr
}

func connect(t *testing.T, transport mcp.Transport) *mcp.ClientSession {
	t.Helper()
	session, err := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil).Connect(t.Context(), transport, nil)
	require.NoError(t, err)
	return session
}

// call calls a tool that must succeed, and returns its structured content.
func call(t *testing.T, session *mcp.ClientSession, tool string, input any) map[string]any {
	t.Helper()
	result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: input})
	require.NoError(t, err, tool)
	text := result.Content[0].(*mcp.TextContent).Text
	require.False(t, result.IsError, "%s: %s", tool, text)
	require.True(t, json.Valid([]byte(text)))
	return result.StructuredContent.(map[string]any)
}

// TestEveryReadToolOfTheDemo runs the command as a client does.
func TestEveryReadToolOfTheDemo(t *testing.T) {
	cmd, stderr := command(t, nil, "-demo")
	session := connect(t, &mcp.CommandTransport{Command: cmd})
	list, err := session.ListTools(t.Context(), nil)
	require.NoError(t, err)

	queries := map[string]string{"charges": "amount>1", "customers": "created>1", "products": "active:'true'"}
	pages := map[string]map[string]any{}
	for _, tool := range list.Tools {
		require.True(t, tool.Annotations.ReadOnlyHint, tool.Name)
		if object, isList := strings.CutSuffix(tool.Name, "_list"); isList {
			pages[object] = call(t, session, tool.Name, map[string]any{"limit": 1})
		}
	}
	for _, tool := range list.Tools {
		object, verb := tool.Name, ""
		if i := strings.LastIndexByte(tool.Name, '_'); i > 0 {
			object, verb = tool.Name[:i], tool.Name[i+1:]
		}
		switch {
		case verb == "get":
			data := pages[object]["data"].([]any)
			require.Len(t, data, 1, "the demo has none of %s", object)
			id := data[0].(map[string]any)["id"]
			require.Equal(t, id, call(t, session, tool.Name, map[string]any{"id": id})["id"])
		case verb == "search":
			require.NotEmpty(t, call(t, session, tool.Name, map[string]any{"query": queries[object]})["data"])
		case tool.Name == "sql":
			rows := call(t, session, "sql", map[string]any{"query": "SELECT count(*), max(created_unix) <= unixepoch() FROM charges"})["rows"]
			require.Equal(t, []any{[]any{201.0, 1.0}}, rows, "charges, none in the future")
		case tool.Name == "sql_tables":
			require.Len(t, call(t, session, tool.Name, nil), 14)
		default:
			require.Equal(t, "list", verb, tool.Name)
		}
	}
	require.NoError(t, session.Close(), "the command ends by itself, with status 0")
	require.True(t, cmd.ProcessState.Success())
	require.Contains(t, stderr.String(), `msg="tool call" tool=charges_get`)
}

func TestWriteToolsOfTheDemo(t *testing.T) {
	cmd, _ := command(t, nil, "-demo", "-write", "-max-calls", "2", "-max-bytes", "2000")
	session := connect(t, &mcp.CommandTransport{Command: cmd})
	charge := call(t, session, "charges_create", map[string]any{"amount": 700, "currency": "usd", "source": "tok_visa"})
	refund := call(t, session, "refunds_create", map[string]any{"charge": charge["id"]})
	require.Equal(t, "succeeded", refund["status"])
	require.Contains(t, charge, "truncated", "-max-bytes holds")

	result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "sql", Arguments: map[string]any{"query": "SELECT count(*) FROM charges"}})
	require.NoError(t, err)
	require.True(t, result.IsError, "-max-calls holds")
	require.NoError(t, session.Close())
}

func TestCommandUsesTheEnvironment(t *testing.T) {
	const key = "sk_test_MARKEDSECRET"
	fake := stripetest.New(stripetest.WithKeys(key), stripetest.WithConnectedAccounts("acct_1"))
	t.Cleanup(fake.Close)
	fake.Seed("/v1/charges", stripetest.Seeding{Account: "acct_1"})
	cmd, stderr := command(t, []string{"STRIPE_API_KEY=" + key, "STRIPE_API_BASE=" + fake.URL}, "-account", "acct_1")
	session := connect(t, &mcp.CommandTransport{Command: cmd})
	require.Len(t, call(t, session, "charges_list", nil)["data"], 1)
	require.NoError(t, session.Close())
	require.Equal(t, "acct_1", fake.Requests()[0].Header.Get("Stripe-Account"))
	require.NotContains(t, stderr.String(), "MARKED")
}

func TestCommandRefusesToStart(t *testing.T) {
	fake := stripetest.New()
	t.Cleanup(fake.Close)
	for name, c := range map[string]struct {
		key  string
		args []string
		want string
	}{
		"no key":                {want: "STRIPE_API_KEY is not set"},
		"a live key":            {key: "sk_live_MARKEDSECRET", want: "allow it with -live"},
		"a restricted live key": {key: "rk_live_MARKEDSECRET", args: []string{"-write"}, want: "allow it with -live"},
		"another key":           {key: "MARKEDSECRET", want: "api_key: must start with sk_test_"},
		"a key as an argument":  {args: []string{"sk_test_MARKEDSECRET"}, want: "the key is read from STRIPE_API_KEY"},
		"an unknown flag":       {args: []string{"-key"}, want: "not defined: -key"},
		"a key as a number":     {args: []string{"-max-calls", "sk_test_MARKEDSECRET"}, want: "invalid value"},
		"a key as a switch":     {args: []string{"-live=sk_test_MARKEDSECRET"}, want: "invalid boolean value"},
		"a key as a flag":       {args: []string{"-sk_test_MARKEDSECRET"}, want: "not defined"},
		"no account":            {key: "sk_test_MARKEDSECRET", args: []string{"-account", ""}, want: "-account must be"},
		"another account":       {key: "sk_test_MARKEDSECRET", args: []string{"-account", "acct_1/../x"}, want: "-account must be"},
		"no calls":              {key: "sk_test_MARKEDSECRET", args: []string{"-max-calls", "0"}, want: "-max-calls must be"},
		"no bytes":              {key: "sk_test_MARKEDSECRET", args: []string{"-max-bytes", "0"}, want: "-max-bytes must be"},
		"too small results":     {key: "sk_test_MARKEDSECRET", args: []string{"-max-bytes", "5"}, want: "MaxBytes: must be at least 1024"},
		"a base without TLS":    {key: "sk_test_MARKEDSECRET", args: []string{"-account", "acct_1"}, want: "base_url"},
	} {
		t.Run(name, func(t *testing.T) {
			base := fake.URL
			if c.want == "base_url" {
				base = "http://stripe.example"
			}
			cmd, stderr := command(t, []string{"STRIPE_API_KEY=" + c.key, "STRIPE_API_BASE=" + base}, c.args...)
			var stdout bytes.Buffer
			cmd.Stdout = &stdout
			_, hasFailed := errors.AsType[*exec.ExitError](cmd.Run())
			require.True(t, hasFailed)
			require.Contains(t, stderr.String(), c.want)
			require.NotContains(t, stderr.String(), "MARKED")
			require.Empty(t, stdout.String())
		})
	}
	require.Empty(t, fake.Requests())
}

func TestLiveKeyIsAllowedByLive(t *testing.T) {
	fake := stripetest.New()
	t.Cleanup(fake.Close)
	for _, key := range []string{"sk_live_1", "rk_live_1"} {
		client, err := config{key: key, base: fake.URL, live: true}.open()
		require.NoError(t, err)
		require.Equal(t, stripekit.ModeLive, client.Mode())
	}
}

func TestClientIsReadOnlyWithoutWrite(t *testing.T) {
	fake := httptest.NewServer(stripetest.New(stripetest.InMemory()))
	t.Cleanup(fake.Close)
	for _, write := range []bool{false, true} {
		client, err := config{key: "sk_test_1", base: fake.URL, write: write}.open()
		require.NoError(t, err)
		_, err = client.Customers.Create(t.Context(), stripekit.CustomerCreateParams{})
		require.Equal(t, !write, errors.Is(err, stripekit.ErrReadOnly), "%v", err)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	clientSide, serverSide := mcp.NewInMemoryTransports()
	ended := make(chan error, 1)
	go func() {
		cfg, err := parseFlags([]string{"-demo"}, new(bytes.Buffer))
		if err == nil {
			err = run(ctx, cfg, serverSide, new(bytes.Buffer))
		}
		ended <- err
	}()
	session := connect(t, clientSide)
	call(t, session, "charges_list", nil)
	cancel()
	require.NoError(t, <-ended)
	_ = session.Close() // the other side is gone
}

// TestFlagsAreDocumented compares the help with README.md, too.
func TestFlagsAreDocumented(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	var help bytes.Buffer
	_, err = parseFlags([]string{"-h"}, &help)
	require.ErrorIs(t, err, flag.ErrHelp)
	for _, name := range []string{"-write", "-live", "-demo", "-account", "-max-calls", "-max-bytes"} {
		require.Contains(t, help.String(), "  "+name)
		require.Regexp(t, "\n\\| `"+name+"[` ]", string(readme))
	}
	require.NotContains(t, help.String(), "-key")

	_, block, _ := strings.Cut(string(readme), "```json\n")
	block, _, _ = strings.Cut(block, "```")
	require.True(t, json.Valid([]byte(block)), block)
}

// TestWriteInFlightIsLoggedWhenTheClientLeaves: the log is what remains of the call.
func TestWriteInFlightIsLoggedWhenTheClientLeaves(t *testing.T) {
	arrived := make(chan struct{})
	fake := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // the context ends with the connection once the body is read
		arrived <- struct{}{}
		<-r.Context().Done()
	}))
	t.Cleanup(fake.Close)
	for name, leave := range map[string]func(io.WriteCloser) error{
		"stdin ends":                    func(stdin io.WriteCloser) error { return stdin.Close() },
		"a message not of the protocol": func(stdin io.WriteCloser) error { _, err := io.WriteString(stdin, "hello\n"); return err },
	} {
		t.Run(name, func(t *testing.T) {
			cmd, stderr := command(t, []string{"STRIPE_API_KEY=sk_test_1", "STRIPE_API_BASE=" + fake.URL}, "-write")
			stdin, err := cmd.StdinPipe()
			require.NoError(t, err)
			stdout, err := cmd.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			session := connect(t, &mcp.IOTransport{Reader: stdout, Writer: stdin})
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				_, _ = session.CallTool(t.Context(), &mcp.CallToolParams{Name: "charges_create", Arguments: map[string]any{
					"amount": 500, "currency": "usd", "source": "tok_visa", "idempotency_key": "order-7",
				}})
			}()
			<-arrived
			require.NoError(t, leave(stdin))
			<-ended
			_ = cmd.Wait() // a message not of the protocol is an error
			require.Contains(t, stderr.String(), "outcome unknown, idempotency key order-7")
		})
	}
}

// blocked is a writer that never returns, like a pipe that is full and not read.
type blocked struct{}

func (blocked) Write([]byte) (int, error) { select {} }

func TestLogNeverBlocks(t *testing.T) {
	log := newLog(blocked{})
	for range 10_000 {
		n, err := log.Write([]byte("line"))
		require.NoError(t, err)
		require.Equal(t, 4, n)
	}
	log.flush()
}
