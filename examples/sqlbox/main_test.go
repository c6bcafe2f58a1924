package main

import (
	"bytes"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/stripekittest"
	"github.com/stripekit/stripekit/stripesql"
	"github.com/stripekit/stripekit/stripetest"
)

// newBox returns a box without a prompt, with three charges and a customer.
func newBox(t *testing.T) (b *box, out, errs *bytes.Buffer) {
	client, server := stripekittest.NewClient(t)
	server.Seed("/v1/charges", stripetest.Seeding{Count: 3})
	server.Seed("/v1/customers", stripetest.Seeding{})
	connector, err := stripesql.Connector(client)
	require.NoError(t, err)
	out, errs = new(bytes.Buffer), new(bytes.Buffer)
	b = &box{db: sql.OpenDB(connector), out: out, err: errs}
	t.Cleanup(func() { require.NoError(t, b.db.Close()) })
	return b, out, errs
}

func openConnector(t *testing.T, connector driver.Connector) *sql.DB {
	db := sql.OpenDB(connector)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func scriptOf(text string) input { return newScript(strings.NewReader(text), nil) }

func TestScriptPrintsItsResults(t *testing.T) {
	b, out, errs := newBox(t)
	script := `.tables;
-- a comment; with a semicolon
SELECT amount, currency AS "cur;rency",
  NULL AS missing, 'it''s; fine' AS text
FROM charges; SELECT count(*) AS n FROM customers;
.explain SELECT id FROM charges WHERE id = 'ch_1';
.schema refunds
SELECT 1 AS last`
	err := b.serve(t.Context(), scriptOf(script), nil)
	require.NoError(t, err, errs.String())
	got := out.String()
	require.True(t, strings.HasPrefix(got, "balance_transactions charges customers "), got)
	require.Contains(t, got, `amount  cur;rency  missing  text
------  ---------  -------  ----------
  1000  usd        NULL     it's; fine
  1000  usd        NULL     it's; fine
  1000  usd        NULL     it's; fine
3 rows, 1 call, 3 objects read, `)
	require.Contains(t, got, "n\n-\n1\n1 row, 1 call, 1 object read, ")
	require.Contains(t, got, "GET /v1/charges/ch_1")
	require.Contains(t, got, "receipt_number                                TEXT\n")
	require.Contains(t, got, "last\n----\n   1\n1 row, 0 calls, 0 objects read, ")
}

func TestStatementEndsAtItsSemicolon(t *testing.T) {
	for text, want := range map[string]string{
		"SELECT 1; rest":                         "SELECT 1",
		"SELECT 'it''s; fine'; rest":             "SELECT 'it''s; fine'",
		"-- it's a comment;\nSELECT 1; rest":     "-- it's a comment;\nSELECT 1",
		"/* it's; */ SELECT 1; rest":             "/* it's; */ SELECT 1",
		"/*/ it's; */ SELECT 1; rest":            "/*/ it's; */ SELECT 1",
		"SELECT 1 AS [a;b], 2 AS `c;'d`; rest":   "SELECT 1 AS [a;b], 2 AS `c;'d`",
		`SELECT 1 AS "a;'b", 4/2 - 1 AS c; rest`: `SELECT 1 AS "a;'b", 4/2 - 1 AS c`,
		";; SELECT 1; rest":                      "SELECT 1",
	} {
		statement, rest, ended := cut(text)
		require.True(t, ended, text)
		require.Equal(t, want, statement)
		require.Equal(t, " rest", rest)
	}
	for _, text := range []string{"SELECT 1", "SELECT ';", "SELECT 1 /* ;", "SELECT 1 -- ;", "SELECT [;", "SELECT 'a;''"} {
		_, _, ended := cut(text)
		require.False(t, ended, text)
	}
}

func TestScriptGoesOnAfterAnErrorAndFails(t *testing.T) {
	b, out, errs := newBox(t)
	err := b.serve(t.Context(), scriptOf("SELECT nothing FROM charges;\n.nothing\nSELECT 'go on';\nSELECT 'open"), nil)
	require.ErrorIs(t, err, errFailed)
	require.Contains(t, errs.String(), "nothing")
	require.Contains(t, errs.String(), ".nothing is no command")
	require.Contains(t, errs.String(), "no end")
	require.Contains(t, out.String(), "go on")
}

func TestUnknownTableHasNoSchema(t *testing.T) {
	b, _, errs := newBox(t)
	require.ErrorIs(t, b.serve(t.Context(), scriptOf(".schema nothing"), nil), errFailed)
	require.Contains(t, errs.String(), `there is no table "nothing"; .tables lists them`)
}

func TestInputThatCannotBeReadFails(t *testing.T) {
	b, out, errs := newBox(t)
	script := "SELECT 'good' AS a;\nSELECT '" + strings.Repeat("x", 2<<20) + "';\n"
	require.ErrorIs(t, b.serve(t.Context(), scriptOf(script), nil), errFailed)
	require.Contains(t, out.String(), "good")
	require.Contains(t, errs.String(), "error: bufio.Scanner: token too long")
}

// A statement whose end could not be read is not executed.
func TestPartOfAStatementIsNotExecuted(t *testing.T) {
	b, out, errs := newBox(t)
	in := io.MultiReader(strings.NewReader("SELECT 'a part'\n"), iotest.ErrReader(errors.New("the disk is gone")))
	require.ErrorIs(t, b.serve(t.Context(), newScript(in, nil), nil), errFailed)
	require.Empty(t, out.String())
	require.Equal(t, "error: the disk is gone\n", errs.String())
}

func TestInterruptEndsTheQueryAlone(t *testing.T) {
	b, out, errs := newBox(t)
	b.prompt = true
	lines, interrupts, done := make(chan scriptLine), make(chan os.Signal), make(chan error)
	go func() { done <- b.serve(t.Context(), &script{lines, interrupts}, interrupts) }()
	lines <- scriptLine{text: "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n;"}
	interrupts <- os.Interrupt
	lines <- scriptLine{text: "SELECT 'half of a"}
	interrupts <- os.Interrupt // discards the line
	lines <- scriptLine{text: "SELECT 'all is well';"}
	close(lines)
	require.NoError(t, <-done)
	require.Contains(t, errs.String(), "error: cancelled\n")
	require.Contains(t, out.String(), "all is well")
}

func TestProgressIsShownAndErased(t *testing.T) {
	b, _, errs := newBox(t)
	b.progress = &progress{out: errs}
	require.NoError(t, b.serve(t.Context(), scriptOf("SELECT count(*) FROM charges"), nil))
	require.Contains(t, errs.String(), "100 % read, 1 of 1000 calls")
	require.True(t, strings.HasSuffix(errs.String(), "\r\x1b[K"))
}

func TestTheShopSells(t *testing.T) {
	client, err := openShop()
	require.NoError(t, err)
	connector, err := stripesql.Connector(client)
	require.NoError(t, err)
	b, out, errs := newBox(t)
	b.db = sql.OpenDB(connector)
	t.Cleanup(func() { require.NoError(t, b.db.Close()) })
	require.NoError(t, b.serve(t.Context(), scriptOf(
		"SELECT b.name, a.amount, a.status FROM charges a JOIN customers b ON b.id = a.customer ORDER BY a.created DESC LIMIT 20"), nil))
	require.Empty(t, errs.String())
	require.Contains(t, out.String(), "\n20 rows, 1 call, ")
	require.Contains(t, out.String(), "succeeded")
}
