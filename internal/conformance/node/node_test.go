// Package node runs Stripe's own client for Node against the fake service, in its
// version 23 and in version 8, and the documented programs in Node and Python.
// It needs npm and its registry, and Python with the package stripe.
package node

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/stripetest"
)

// install returns a folder with the scripts of testdata and the packages that they
// need. Without npm or its registry the test is skipped, unless
// STRIPEKIT_REQUIRE_SERVERS is 1.
func install(t *testing.T) string {
	t.Helper()
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			missing(t)("%s is not installed: the checks of stripe-node are left out", program)
		}
	}
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS("testdata")))
	if out, err := command(t, dir, "npm", "install", "--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error"); err != nil {
		missing(t)("npm cannot install stripe-node, and its checks are left out: %v\n%s", err, out)
	}
	return dir
}

// missing returns the function to call where a program is not installed.
func missing(t *testing.T) func(format string, args ...any) {
	if os.Getenv("STRIPEKIT_REQUIRE_SERVERS") == "1" {
		return t.Fatalf
	}
	return t.Skipf
}

func command(t *testing.T, dir, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.WaitDelay = 10 * time.Second
	cmd.Env = append(os.Environ(), "NODE_NO_WARNINGS=1")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestStripeNode(t *testing.T) {
	dir := install(t)
	for _, client := range []string{"stripe", "stripe-8"} {
		t.Run("checks of "+client, func(t *testing.T) {
			server := stripetest.New(stripetest.WithControl())
			defer server.Close()
			out, err := command(t, dir, "node", "core.cjs", client, server.URL)
			require.NoError(t, err, out)
			passed := requireChecks(t, out)
			require.GreaterOrEqual(t, passed, 50)
			t.Logf("stripe-node %s: %d checks", versionOf(t, dir, client), passed)
		})
	}
	t.Run("documented program", func(t *testing.T) {
		program, err := os.ReadFile(filepath.Join(fakestripe, "shop.mjs"))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "shop.mjs"), program, 0o600))
		withFakestripe(t)
		out, err := command(t, dir, "node", "shop.mjs")
		require.NoError(t, err, out)
		require.Equal(t, shopOutput+"true\n", out)
	})
}

// requireChecks makes a test of each check that a script has printed, and returns
// how many passed.
func requireChecks(t *testing.T, out string) (passed int) {
	t.Helper()
	require.Contains(t, out, "\ndone ", "the script came to its end")
	for line := range strings.Lines(out) {
		result, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch result {
		case "ok":
			passed++
		case "FAIL":
			t.Error(name)
		case "done":
		default:
			t.Errorf("the script printed %q", line)
		}
	}
	return passed
}

func versionOf(t *testing.T, dir, client string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "node_modules", client, "VERSION"))
	require.NoError(t, err)
	return strings.TrimSpace(string(raw))
}
