package stripesql_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/stripekit/stripekit/stripesql"
)

func TestStatistics(t *testing.T) {
	db := openDB(t, newServer(t))
	const five = " FROM (SELECT column1 AS x, 25 AS p FROM (VALUES (5), (1), (NULL), (4), (2), (3)))"
	const eight = " FROM (SELECT column1 AS x FROM (VALUES (2), (4), (4), (4), (5), (5), (7), (9)))"
	for query, want := range map[string]string{
		"SELECT median(x)" + five:                                    "3",
		"SELECT median(x)" + eight:                                   "4.5",
		"SELECT median(x + 0.25)" + five:                             "3.25",
		"SELECT median(DISTINCT x)" + eight:                          "5",
		"SELECT median(x)" + five + " WHERE x > 9":                   "NULL",
		"SELECT median(NULL)" + five:                                 "NULL",
		"SELECT median('7')":                                         "7",
		"SELECT percentile(x, p)" + five:                             "2",
		"SELECT percentile(x, 10)" + five:                            "1.4",
		"SELECT percentile_cont(x, 0.1)" + five:                      "1.4",
		"SELECT percentile_disc(x, 0.1)" + five:                      "1",
		"SELECT percentile(x, 0), percentile(x, 100)" + five:         "1|5",
		"SELECT percentile_disc(x, 0), percentile_disc(x, 1)" + five: "1|5",
		"SELECT stddev_pop(x), var_pop(x)" + eight:                   "2|4",
		"SELECT var_samp(x), stddev_samp(x * 2)" + five:              "2.5|3.1622776601683795",
		"SELECT var_pop(1), stddev_pop(1), var_samp(1)":              "0|0|NULL",
		"SELECT var_pop(NULL), stddev_samp(NULL)":                    "NULL|NULL",
		// The squares of these have more digits than a float.
		"SELECT round(stddev_pop(x + 1000000000), 6)" + eight:       "2",
		"SELECT median(x), count(x)" + eight + " WHERE x IN (4, 9)": "4|4",
	} {
		require.Equal(t, []string{want}, mustRun(t, db, query).rows, query)
	}
	for query, want := range map[string]string{
		"SELECT median('x')":                        "median: an argument is not a number",
		"SELECT median(x'00')":                      "median: an argument is not a number",
		"SELECT percentile(1, 101)":                 "percentile: the second argument must be from 0 to 100",
		"SELECT percentile(1, NULL)":                "percentile: the second argument must be from 0 to 100",
		"SELECT percentile_cont(1, 1.5)":            "percentile_cont: the second argument must be from 0 to 1",
		"SELECT percentile_cont(1, -1)":             "percentile_cont: the second argument must be from 0 to 1",
		"SELECT percentile_disc(x, x / 10.)" + five: "percentile_disc: the second argument must be the same for all rows",
		"SELECT percentile(1, 'x')":                 "percentile: an argument is not a number",
		"SELECT mode(1)":                            "no such function: mode",
	} {
		_, err := run(t.Context(), db, query)
		require.ErrorContains(t, err, want, query)
		require.ErrorContains(t, err, "stripesql: ", query)
	}
}

func TestStatisticsOfAWindow(t *testing.T) {
	db := openDB(t, newServer(t))
	got := mustRun(t, db, `SELECT median(x) OVER (ORDER BY i ROWS BETWEEN 2 PRECEDING AND CURRENT ROW)
		FROM (SELECT column1 AS i, column2 AS x FROM (VALUES (1, 9), (2, 1), (3, 5), (4, NULL), (5, 3), (6, 3), (7, 20)))`)
	require.Equal(t, []string{"9", "5", "5", "3", "4", "3", "3"}, got.rows)
	got = mustRun(t, db, "SELECT var_pop(x) OVER (ORDER BY x) FROM (SELECT column1 AS x FROM (VALUES (1), (3), (NULL), (8)))")
	require.Equal(t, []string{"NULL", "0", "1", "8.666666666666666"}, got.rows)
	_, err := run(t.Context(), db, "SELECT stddev_pop(column1) OVER (ROWS 1 PRECEDING) FROM (VALUES (1e12), (1), (2), (3))")
	require.ErrorContains(t, err, "stddev_pop: the frame must begin with the partition", "1e12 would leave only rounding errors")
	got = mustRun(t, db, "SELECT median(x) OVER (PARTITION BY x / 10) FROM (SELECT column1 AS x FROM (VALUES (1), (2), (3), (10), (14)))")
	require.Equal(t, []string{"2", "2", "2", "12", "12"}, got.rows)
}

// upTo is a query of the numbers from 1 to ?1.
const upTo = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) "

// A median holds 8 bytes for each row, and somewhat more than twice that while it
// grows.
func TestPercentilesKeepToTheMemory(t *testing.T) {
	db := openDB(t, newServer(t), stripesql.WithMaxMemory(1<<20))
	db.SetMaxOpenConns(1)
	fits := func() {
		t.Helper()
		require.Equal(t, []string{"15000.5"}, mustRun(t, db, upTo+"SELECT median(i) FROM n", 30_000).rows)
	}
	fits()
	for _, query := range []string{
		"SELECT median(i) FROM n",
		"SELECT percentile(i, 50), percentile_cont(i, 0.5), percentile_disc(i, 0.5), median(i), median(-i) FROM n WHERE i < 30000",
		"SELECT median(i) OVER () FROM n",
	} {
		_, err := run(t.Context(), db, upTo+query, 70_000)
		require.ErrorIs(t, err, stripesql.ErrMemory, query)
		fits()
	}
	// The memory of a group is given back before the next one.
	require.Equal(t, []string{"3000"}, mustRun(t, db, upTo+`SELECT count(*) FROM
		(SELECT median(i) AS m FROM n GROUP BY i / 5 HAVING m > 0) WHERE m < 1e9`, 15_000-1).rows)
}

func TestAmountDecimal(t *testing.T) {
	db := openDB(t, newServer(t))
	for call, want := range map[string]string{
		"1234, 'usd'":                       "12.34",
		"1234, 'USD'":                       "12.34",
		"1234, 'Eur'":                       "12.34",
		"0, 'usd'":                          "0.00",
		"5, 'usd'":                          "0.05",
		"-5, 'usd'":                         "-0.05",
		"-1234, 'gbp'":                      "-12.34",
		"1234, 'jpy'":                       "1234",
		"-7, 'KRW'":                         "-7",
		"0, 'xpf'":                          "0",
		"5120, 'kwd'":                       "5.120",
		"10, 'bhd'":                         "0.010",
		"-1, 'tnd'":                         "-0.001",
		"500, 'isk'":                        "5.00",
		"500, 'ugx'":                        "5.00",
		"1045, 'huf'":                       "10.45",
		"80045, 'twd'":                      "800.45",
		"1234, 'zzz'":                       "12.34",
		"9007199254740993, 'usd'":           "90071992547409.93",
		"9223372036854775807, 'jod'":        "9223372036854775.807",
		"-9223372036854775807 - 1, 'x'":     "NULL",
		"(-9223372036854775807 - 1), 'omr'": "-9223372036854775.808",
		"NULL, 'usd'":                       "NULL",
		"1234, NULL":                        "NULL",
		"1234, ''":                          "NULL",
		"1234, 'dollars'":                   "NULL",
		"1234, 'é$'":                        "NULL",
		"1234, 123":                         "NULL",
	} {
		require.Equal(t, []string{want}, mustRun(t, db, "SELECT amount_decimal("+call+")").rows, call)
	}
	for _, amount := range []string{"12.5", "'1234'", "x'00'"} {
		_, err := run(t.Context(), db, "SELECT amount_decimal("+amount+", 'usd')")
		require.ErrorContains(t, err, "amount_decimal: the amount must be an integer", amount)
	}
}

func TestAmountsOfCharges(t *testing.T) {
	server := newServer(t)
	seedCharges(server, 3)
	db := openDB(t, server)
	got := mustRun(t, db, "SELECT amount_decimal(amount, currency), typeof(amount_decimal(amount, currency)) FROM charges LIMIT 1")
	require.Equal(t, []string{"10.00|text"}, got.rows)
	got = mustRun(t, db, `SELECT currency, amount_decimal(sum(amount), currency), median(amount)
		FROM charges GROUP BY currency ORDER BY CAST(amount_decimal(sum(amount), currency) AS REAL)`)
	require.Equal(t, []string{"usd|30.00|1000"}, got.rows)
}
