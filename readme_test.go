package stripekit_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestREADMEShowsCompiledCode holds each Go block of the README against the
// file that the line above it names: it is a part of that file, or all of it.
func TestREADMEShowsCompiledCode(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?s)<!-- (\\S+) -->\n```go\n(.*?)```").FindAllStringSubmatch(string(readme), -1)
	require.Len(t, blocks, strings.Count(string(readme), "```go"), "every Go block names its file")
	require.NotEmpty(t, blocks)
	for _, block := range blocks {
		source, err := os.ReadFile(block[1])
		require.NoError(t, err)
		require.Contains(t, string(source), block[2], block[1])
		require.LessOrEqual(t, strings.Count(block[2], "\n"), 25, "%s is longer than a first program should be", block[1])
	}
}
