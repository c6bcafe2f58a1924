package node

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	fakestripe = "../../../examples/fakestripe"

	// shopOutput is what the documented programs print.
	shopOutput = "listed: 1 succeeded\nseeded: 1769864400\nrefunded once: 500 1\nexpired: "
)

// withFakestripe builds the program, and puts it into PATH.
func withFakestripe(t *testing.T) {
	t.Helper()
	name := "fakestripe"
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	dir := t.TempDir()
	out, err := command(t, fakestripe, "go", "build", "-o", filepath.Join(dir, name), ".")
	require.NoError(t, err, out)
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// TestDocumentedPythonProgramRuns runs where one of the Pythons has stripe.
func TestDocumentedPythonProgramRuns(t *testing.T) {
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.CommandContext(t.Context(), python, "-c", "import stripe").Run() != nil {
			continue
		}
		withFakestripe(t)
		out, err := command(t, fakestripe, python, "shop.py")
		require.NoError(t, err, out)
		require.Equal(t, shopOutput+"True\n", out)
		return
	}
	missing(t)("no Python has stripe: the documented Python program is left out")
}
