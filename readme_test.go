package stripekit_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestREADMEShowsCompiledPrograms holds each Go block of the README against the
// file that the line above it names, less the file's first comment.
func TestREADMEShowsCompiledPrograms(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?s)<!-- (\\S+) -->\n```go\n(.*?)```").FindAllStringSubmatch(string(readme), -1)
	require.Len(t, blocks, strings.Count(string(readme), "```go"), "every Go block names its file")
	require.NotEmpty(t, blocks)
	for _, block := range blocks {
		source, err := os.ReadFile(block[1])
		require.NoError(t, err)
		program := regexp.MustCompile(`(?s)\A(//[^\n]*\n)+`).ReplaceAllString(string(source), "")
		require.Equal(t, program, block[2], block[1])
		require.LessOrEqual(t, strings.Count(program, "\n"), 25, "%s is longer than a first program should be", block[1])
	}
}
