package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestEveryBuildLinks builds a program twice. The go command does not link a program
// that it finds in place, so that the second build would take less time. It recognises
// the program by its beginning: a byte at the end shows whether it was replaced.
func TestEveryBuildLinks(t *testing.T) {
	module, err := output(t.Context(), "", nil, "go", "list", "-m", "-f", "{{.Dir}}", self)
	require.NoError(t, err)
	b := builder{ctx: t.Context(), module: module, dir: t.TempDir()}
	first, err := b.build(programs[0], "", "")
	require.NoError(t, err)
	file, err := os.OpenFile(filepath.Join(b.dir, programs[0]), os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = file.WriteString("x")
	require.NoError(t, err)
	require.NoError(t, file.Close())
	second, err := b.build(programs[0], "", "")
	require.NoError(t, err)
	require.InDelta(t, first, second, 0)
}
