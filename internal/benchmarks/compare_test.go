package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTwoBuildsAreCompared compares this one with itself.
func TestTwoBuildsAreCompared(t *testing.T) {
	binary, err := os.Executable()
	require.NoError(t, err)
	both := [2]*commit{{name: "a", binary: binary, figures: map[string][]float64{}}, {name: "b", binary: binary, figures: map[string][]float64{}}}
	o := options{row: "decode-(indented|fields)|rest", quick: true}
	wanted, err := o.wanted()
	require.NoError(t, err)
	var table strings.Builder
	require.NoError(t, compareBuilds(t.Context(), o, &table, wanted, both))
	require.Regexp(t, `(?m)^\| decode a page of 100 charges \| [\d.]+ .s \| [\d.]+ .s \| [\d.]+ \|$`, table.String())
	require.Equal(t, 4, strings.Count(table.String(), "\n"), "the header and two rows: %s", &table)
}

// TestACommitIsCheckedOutWithTheseBenchmarks checks the worktree of a comparison.
func TestACommitIsCheckedOutWithTheseBenchmarks(t *testing.T) {
	if _, err := output(t.Context(), "", nil, "git", "rev-parse", "HEAD"); err != nil {
		t.Skipf("this is no clone: %v", err)
	}
	c := &commit{name: "HEAD", tree: filepath.Join(t.TempDir(), "tree")}
	require.NoError(t, c.checkout(t.Context()))
	for _, name := range []string{"go.work", "client.go", "internal/benchmarks/compare.go", "internal/benchmarks/benchmarks_test.go"} {
		require.FileExists(t, filepath.Join(c.tree, name))
	}
	repository, err := os.Getwd()
	require.NoError(t, err)
	t.Chdir(t.TempDir()) // as with GOWORK in the directory of another repository
	c.remove()
	require.NoDirExists(t, c.tree)
	left, err := output(t.Context(), repository, nil, "git", "worktree", "list")
	require.NoError(t, err)
	require.NotContains(t, left, c.tree)
}
