package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/stripekittest"
	"github.com/stripekit/stripekit/stripesql"
	"github.com/stripekit/stripekit/stripetest"
)

const mixed = "SELECT 1 AS n, 0.5 AS x, 'a, \"b\"' AS text, NULL AS missing, '2026-01-31T15:04:05Z' AS at, 'é<' || char(10) || 'z' AS [order] UNION ALL SELECT 9007199254740993, 2.0, '', 7, 'x', 'y';\n"

func serveAll(t *testing.T, b *box, text string) {
	t.Helper()
	require.NoError(t, b.serve(t.Context(), scriptOf(text), nil), "%s", b.err)
}

func TestCSVIsReadBack(t *testing.T) {
	b, out, errs := newBox(t)
	serveAll(t, b, ".mode csv\n"+mixed)
	records, err := csv.NewReader(out).ReadAll()
	require.NoError(t, err)
	require.Equal(t, [][]string{
		{"n", "x", "text", "missing", "at", "order"},
		{"1", "0.5", `a, "b"`, "", "2026-01-31T15:04:05Z", "é<\nz"},
		{"9007199254740993", "2", "", "7", "x", "y"},
	}, records)
	require.Contains(t, errs.String(), "2 rows, 0 calls", "the cost is beside the rows")
}

func TestJSONIsOneArray(t *testing.T) {
	b, out, errs := newBox(t)
	serveAll(t, b, ".mode json\n"+mixed)
	require.Equal(t, `[{"n":1,"x":0.5,"text":"a, \"b\"","missing":null,"at":"2026-01-31T15:04:05Z","order":"é<\nz"},
{"n":9007199254740993,"x":2,"text":"","missing":7,"at":"x","order":"y"}]
`, out.String())
	require.True(t, json.Valid(out.Bytes()))
	require.Contains(t, errs.String(), "2 rows, 0 calls")
}

func TestLinesHaveAValueEach(t *testing.T) {
	b, out, _ := newBox(t)
	serveAll(t, b, ".mode line\nSELECT 1 AS n, NULL AS longer UNION ALL SELECT 2, 'a' || char(10, 27) || 'b';")
	require.True(t, strings.HasPrefix(out.String(), "     n = 1\nlonger = NULL\n\n     n = 2\nlonger = a \uFFFDb\n2 rows"), out.String())
}

func TestResultWithoutRows(t *testing.T) {
	for mode, want := range map[string]string{
		"table": "a  b\n-  -\n0 rows", "csv": "a,b\n", "json": "[]\n", "line": "0 rows",
	} {
		b, out, _ := newBox(t)
		serveAll(t, b, ".mode "+mode+"\nSELECT 1 AS a, 2 AS b WHERE 0;")
		require.True(t, strings.HasPrefix(out.String(), want), "%s: %s", mode, out)
	}
}

func TestUnknownModeIsRefused(t *testing.T) {
	b, out, errs := newBox(t)
	require.ErrorIs(t, b.serve(t.Context(), scriptOf(".mode xml\n.mode\nSELECT 1;"), nil), errFailed)
	require.Contains(t, errs.String(), `"xml" is no mode; there are csv, json, line, table`)
	require.Contains(t, out.String(), "1 row", "the mode is the one before")
}

// A table is written from its 100th row on, and holds no further rows.
func TestTableIsWrittenAsItComes(t *testing.T) {
	var out bytes.Buffer
	p := newPrinter(modeTable, &out, []string{"n", "text"})
	for i := range tableRows - 1 {
		require.NoError(t, p.row([]any{int64(i), "x"}))
	}
	require.Empty(t, out.String())
	require.NoError(t, p.row([]any{nil, "xyz"}))
	require.Equal(t, tableRows+2, strings.Count(out.String(), "\n"))
	out.Reset()
	require.NoError(t, p.row([]any{int64(123456), "y"}))
	require.Equal(t, "123456  y\n", out.String(), "a longer value moves the others")
	require.NoError(t, p.row([]any{int64(7), int64(5)}))
	require.NoError(t, p.end(true))
	require.Equal(t, "123456  y\n   7  5\n", out.String(), "the columns are aligned as before")
}

func TestOtherModesWriteEachRowAtOnce(t *testing.T) {
	for mode, want := range map[string]string{modeCSV: "n\n1\n", modeJSON: `[{"n":1}`, modeLine: "n = 1\n"} {
		var out bytes.Buffer
		require.NoError(t, newPrinter(mode, &out, []string{"n"}).row([]any{int64(1)}))
		require.Equal(t, want, out.String())
	}
}

// failing is a writer that fails after some bytes.
type failing struct{ left int }

func (f *failing) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, errors.New("no space")
	}
	return len(p), nil
}

func TestFailureToWriteIsAnError(t *testing.T) {
	for _, mode := range modes {
		b, _, errs := newBox(t)
		b.mode, b.out = mode, &failing{left: 30}
		err := b.serve(t.Context(), scriptOf("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"), nil)
		require.ErrorIs(t, err, errFailed, mode)
		require.Regexp(t, `error: the result is not complete, after \d+ rows: no space\n`, errs.String(), mode)
	}
}

// What was read before a failure is written, and said to be a part. Of JSON, nothing
// takes a part for the whole.
func TestFailureInTheMiddleOfAResult(t *testing.T) {
	client, server := stripekittest.NewClient(t)
	server.Seed("/v1/charges", stripetest.Seeding{Count: 250})
	connector, err := stripesql.Connector(client, stripesql.WithMaxCalls(2))
	require.NoError(t, err)
	for _, mode := range modes {
		b, out, errs := newBox(t)
		b.db = openConnector(t, connector)
		require.ErrorIs(t, b.serve(t.Context(), scriptOf(".mode "+mode+"\nSELECT id FROM charges"), nil), errFailed)
		require.Contains(t, errs.String(), "error: the result is not complete, after 200 rows: stripesql: the query needs more than its 2 API calls")
		require.Equal(t, 200, strings.Count(out.String(), "ch_"), mode)
		require.False(t, json.Valid(out.Bytes()))
	}
}

func TestOutputGoesToAFile(t *testing.T) {
	b, out, errs := newBox(t)
	first, second := filepath.Join(t.TempDir(), "a file.csv"), filepath.Join(t.TempDir(), "b")
	serveAll(t, b, fmt.Sprintf(`.mode csv
.output '%s'
SELECT 1 AS a;
SELECT 2 AS b;
.output %s
.tables
.output
SELECT 3 AS c;
.output %s
SELECT 4 AS d;`, first, second, second))
	content, err := os.ReadFile(first)
	require.NoError(t, err)
	require.Equal(t, "a\n1\nb\n2\n", string(content))
	content, err = os.ReadFile(second)
	require.NoError(t, err)
	require.Equal(t, "d\n4\n", string(content), "it was emptied, and completed at the end")
	require.Equal(t, "c\n3\n", out.String())
	require.Equal(t, 4, strings.Count(errs.String(), "1 row, "))
	serveAll(t, b, ".mode table\n.output "+second+"\nSELECT 5 AS e;")
	content, err = os.ReadFile(second)
	require.NoError(t, err)
	require.Equal(t, "e\n-\n5\n", string(content), "the cost is not among the rows")
	if runtime.GOOS != "windows" {
		info, err := os.Stat(first)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	}
}

func TestOutputThatFailsIsAnError(t *testing.T) {
	b, out, errs := newBox(t)
	err := b.serve(t.Context(), scriptOf(".output "+t.TempDir()+"\nSELECT 'here' AS x;"), nil)
	require.ErrorIs(t, err, errFailed)
	require.Contains(t, errs.String(), "is a directory")
	require.Contains(t, out.String(), "here")
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("the system has no /dev/full")
	}
	for _, last := range []string{"\n.output", "\n.quit", ""} {
		b, _, errs := newBox(t)
		err := b.serve(t.Context(), scriptOf(".output /dev/full\nSELECT 1;"+last), nil)
		require.ErrorIs(t, err, errFailed)
		require.Contains(t, errs.String(), "error: /dev/full is not complete: ")
	}
}
