package stripekit_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRootLinksOnlyItsTwoDependencies has the list of the modules that a program
// links when it imports this package, beyond the standard library.
func TestRootLinksOnlyItsTwoDependencies(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".").Output()
	require.NoError(t, err)

	linked := map[string]bool{}
	for path := range strings.FieldsSeq(string(out)) {
		switch {
		case strings.HasPrefix(path, "github.com/stripekit/stripekit"):
		case strings.HasPrefix(path, "github.com/go-json-experiment/json"):
			linked["github.com/go-json-experiment/json"] = true
		default:
			linked[path] = true
		}
	}
	require.Equal(t, map[string]bool{
		"github.com/go-json-experiment/json": true,
		"golang.org/x/time/rate":             true,
	}, linked)
}
