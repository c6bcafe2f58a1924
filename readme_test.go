package stripekit_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDocsShowCompiledCode requires that each Go block of the README and of docs is
// a part of the file that the line above it names.
func TestDocsShowCompiledCode(t *testing.T) {
	docs, err := filepath.Glob("docs/*.md")
	require.NoError(t, err)
	count := 0
	for _, path := range append(docs, "README.md") {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		blocks := regexp.MustCompile("(?s)<!-- (\\S+) -->\n```go\n(.*?)```").FindAllStringSubmatch(string(text), -1)
		require.Len(t, blocks, strings.Count(string(text), "```go"), "%s: every Go block names its file", path)
		for _, block := range blocks {
			source, err := os.ReadFile(block[1])
			require.NoError(t, err)
			require.Contains(t, string(source), block[2], block[1])
			require.LessOrEqual(t, strings.Count(block[2], "\n"), 30, "%s is longer than a first program should be", block[1])
		}
		count += len(blocks)
	}
	require.GreaterOrEqual(t, count, 5)
}

// TestREADMELinesBuildInAnEmptyFolder runs the shell lines of the README beside a
// clone, which is this one.
func TestREADMELinesBuildInAnEmptyFolder(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(readme), -1)
	require.Len(t, blocks, 3, "what is before the program, what is after it, and the line for another module")
	if runtime.GOOS == "windows" {
		t.Skip("the lines are for a POSIX shell")
	}
	clone, err := os.Getwd()
	require.NoError(t, err)
	parent := t.TempDir()
	require.NoError(t, os.Symlink(clone, filepath.Join(parent, "stripekit")))
	shell := func(dir, lines string) {
		cmd := exec.CommandContext(t.Context(), "sh", "-ec", lines)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	shell(parent, blocks[0][1])
	program, err := os.ReadFile("examples/charge/main.go")
	require.NoError(t, err)
	shop := filepath.Join(parent, "shop")
	require.NoError(t, os.WriteFile(filepath.Join(shop, "main.go"), program, 0o600))
	imports := []byte("package main\n\nimport _ \"github.com/stripekit/stripekit/sqlstore\"\n")
	require.NoError(t, os.WriteFile(filepath.Join(shop, "store.go"), imports, 0o600))
	shell(shop, blocks[2][1])
	shell(shop, blocks[1][1])
	require.FileExists(t, filepath.Join(shop, "shop"))
}
