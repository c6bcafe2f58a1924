package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWordsAreCompleted(t *testing.T) {
	b, _, _ := newBox(t)
	c, err := readCompleter(t.Context(), b.db)
	require.NoError(t, err)
	for line, want := range map[string]string{ // | is the cursor
		".|":                                  ".explain .help .mode .output .quit .schema .tables",
		".sc|":                                ".schema",
		".mode |":                             "csv json line table",
		".mode t|":                            "table",
		".schema ref|":                        "refunds",
		"SEL|":                                "SELECT",
		"sel|":                                "select",
		"SELECT * FROM cu|":                   "customers",
		"SELECT * FROM charges JOIN re|":      "refunds",
		"SELECT statement_descriptor_s|":      "statement_descriptor_suffix",
		"SELECT receipt_n| FROM refunds":      "receipt_number",
		"SELECT receipt_em| FROM refunds":     "",
		"SELECT c.receipt_em| FROM charges c": "receipt_email",
		"SELECT charges.receipt_em|":          "receipt_email",
		"SELECT 'é' FROM charges WHERE amount_ref|": "amount_refunded",
		".explain SELECT * FROM payo|":              "payouts",
		"zzz|":                                      "",
	} {
		before, after, _ := strings.Cut(line, "|")
		head, words, tail := c.complete(before+after, len([]rune(before)))
		require.Equal(t, want, strings.Join(words, " "), line)
		require.Equal(t, after, tail)
		require.True(t, strings.HasPrefix(before, head))
		for _, word := range words {
			require.True(t, strings.HasPrefix(head+word, before), "what was typed stays")
		}
	}
	c.begun("SELECT receipt_email\nFROM charges WHERE\n")
	_, words, _ := c.complete(".ta", 3)
	require.NotContains(t, words, ".tables", "in the middle of a statement there is no command")
	_, words, _ = c.complete("paym", 4)
	require.Contains(t, words, "payment_intent")
	require.NotContains(t, words, "payment_method_types")
}

func TestStatementIsOneLineOfTheHistory(t *testing.T) {
	for statement, want := range map[string]string{
		"SELECT 1":                            "SELECT 1;",
		"SELECT 1 -- a; comment\n, 2\nFROM x": "SELECT 1  , 2 FROM x;",
		".mode csv":                           ".mode csv",
		"SELECT '--', \"a\n\"":                "",
		"SELECT /* a\n */ 1":                  "",
		"SELECT '" + strings.Repeat("x", maxHistoryLine) + "'": "",
		"SELECT '\xff'": "",
		"SELECT 'sk_test_4eC39HqLyjWDarjtT1zdp7dc'":    "",
		"SELECT 1, -- SK_LIVE_abc\n 2":                 "",
		"SELECT 'rk_live_x'":                           "",
		"SELECT 'whsec_abcdefgh1234'":                  "",
		"SELECT 'pi_3Nq_secret_abcdefgh1234'":          "",
		"SELECT 'sk%5Ftest%5F4eC39HqLyjWDarj'":         "",
		"SELECT 'c2tfdGVzdF80ZUMzOUhxTHlqV0Rhcmo6'":    "",
		"-- postgres://user:word@db\nSELECT 1":         "",
		"SELECT 'xx_sk_4eC39HqLyj'":                    "",
		"SELECT outcome_risk_level, sk_1 FROM charges": "SELECT outcome_risk_level, sk_1 FROM charges;",
	} {
		require.Equal(t, want, historyLine(statement), statement)
	}
}

func TestHistoryIsReadByItsOwnerOnly(t *testing.T) {
	name := filepath.Join(t.TempDir(), "sqlbox", "history")
	file, err := openHistory(name)
	require.NoError(t, err)
	_, err = file.WriteString("SELECT 1;\n")
	require.NoError(t, err)
	require.NoError(t, file.Close())
	require.NoError(t, os.Chmod(name, 0o644))
	file, err = openHistory(name)
	require.NoError(t, err)
	info, err := file.Stat()
	require.NoError(t, err)
	require.NoError(t, file.Close())
	require.Equal(t, int64(10), info.Size())
	if runtime.GOOS != "windows" {
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	}
	_, err = openHistory(t.TempDir())
	require.Error(t, err)
}

// TestPipesKeepTheirModes stands for devices: root, who writes to /dev/null, must not take
// it away from all others.
func TestPipesKeepTheirModes(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("a pipe has a mode of its own on Linux alone")
	}
	reader, pipe, err := os.Pipe()
	require.NoError(t, err)
	defer reader.Close()
	defer pipe.Close()
	require.NoError(t, pipe.Chmod(0o666))
	require.NoError(t, makePrivate(pipe))
	info, err := pipe.Stat()
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o666), info.Mode().Perm())
}

func TestOutputIsReadByItsOwnerOnly(t *testing.T) {
	name := filepath.Join(t.TempDir(), "charges.csv")
	require.NoError(t, os.WriteFile(name, []byte("old"), 0o644))
	output, err := createOutput(name)
	require.NoError(t, err)
	require.NoError(t, output.Close())
	info, err := os.Stat(name)
	require.NoError(t, err)
	require.Zero(t, info.Size())
	if runtime.GOOS != "windows" {
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	}
}
