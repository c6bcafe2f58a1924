package main

import (
	"bytes"
	"context"
	"io/fs"
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/stretchr/testify/require"
)

func TestPipelinesDeliverWhatTheShopSells(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), 3*time.Second, &out))
	require.Contains(t, out.String(), "nothing is missing")
}

// The files are right for who has only the two variables that they need.
func TestPipelinesAreLintedByTheEngine(t *testing.T) {
	files, err := fs.Glob(pipelines, "*.yaml")
	require.NoError(t, err)
	require.Len(t, files, 3)
	linter := service.GlobalEnvironment().FullConfigSchema("", "").NewStreamConfigLinter().
		SetEnvVarLookupFunc(func(_ context.Context, name string) (string, bool) {
			value, ok := map[string]string{"STRIPE_API_KEY": "rk_test_1", "ALERT_URL": "https://example.com"}[name]
			return value, ok
		})
	for _, file := range files {
		text, err := pipelines.ReadFile(file)
		require.NoError(t, err)
		lints, err := linter.LintYAML(text)
		require.NoError(t, err, file)
		require.Empty(t, lints, file)
	}
	lints, err := linter.LintYAML([]byte("input:\n  stripe:\n    trigger: nothing.new\n"))
	require.NoError(t, err)
	require.NotEmpty(t, lints)
}
