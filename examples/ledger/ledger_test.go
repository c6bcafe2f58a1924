package main

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripetest"
)

// TestMain lets the simulation start the test program as its bookkeeper.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "-shop" {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestBooksBalanceThoughBookkeepersAreKilled(t *testing.T) {
	for name, options := range map[string]func(*testing.T) options{"SQLite": sqliteOptions, "PostgreSQL": postgreSQLOptions} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			o := options(t)
			o.duration, o.kills = 4*time.Second, 8
			require.NoError(t, simulate(t.Context(), o, &out), &out)
			require.Regexp(t, `bookkeeper 8 killed after +\d+ ms`, out.String())
			require.Regexp(t, `each booked once, after 8 kills\.\n$`, out.String())
			for _, row := range []string{"  charges eur ", "  charges jpy ", "  refunds usd ", "open charges ", "sum   "} {
				require.Contains(t, out.String(), row)
			}
			require.NotContains(t, out.String(), "differs")

			// The same database again: the entries of another shop would be in the way.
			require.ErrorContains(t, simulate(t.Context(), o, &out), "the books are not empty")
		})
	}
}

func sqliteOptions(t *testing.T) options {
	return options{path: filepath.Join(t.TempDir(), "ledger.db")}
}

// postgreSQLOptions names a new schema in the database of DATABASE_URL.
func postgreSQLOptions(t *testing.T) options {
	name := os.Getenv("DATABASE_URL")
	if name == "" {
		t.Skip("DATABASE_URL is not set: it names the PostgreSQL database for this test")
	}
	db, err := sql.Open("pgx", name)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	schema := fmt.Sprintf("ledger_test_%d", rand.Uint64())
	_, err = db.ExecContext(t.Context(), `CREATE SCHEMA `+schema)
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := db.ExecContext(context.Background(), `DROP SCHEMA `+schema+` CASCADE`)
		require.NoError(t, err)
	})
	if u, err := url.Parse(name); err == nil && u.Scheme != "" {
		query := u.Query()
		query.Set("search_path", schema)
		u.RawQuery = query.Encode()
		return options{databaseURL: u.String()}
	}
	return options{databaseURL: name + " search_path=" + schema}
}

func TestSimulationFailsWhereTheBookkeeperFails(t *testing.T) {
	b := openTestBooks(t)
	shop, server, err := newShop()
	require.NoError(t, err)
	defer server.Close()
	var out bytes.Buffer
	s := &simulation{out: &out, books: b, shop: shop, url: "not a URL"}
	s.duration, s.kills, s.path = time.Minute, 1, filepath.Join(t.TempDir(), "other.db")
	_, err = s.run(t.Context())
	require.ErrorContains(t, err, "ended by itself")
}

func openTestBooks(t *testing.T) *books {
	b, err := openBooks(t.Context(), "", filepath.Join(t.TempDir(), "a ledger? #1.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.close()) })
	return b
}

// insert books entries in one transaction.
func (b *books) insert(t *testing.T, entries ...*entry) {
	tx, err := b.db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	for _, e := range entries {
		require.NoError(t, e.insert(t.Context(), tx))
	}
	require.NoError(t, tx.Commit())
}

// threeObjects are in the books and in the record of a shop.
func threeObjects(t *testing.T) (*books, map[string]sale) {
	b := openTestBooks(t)
	now := time.Now()
	b.insert(
		t,
		&entry{id: "ch_1", kind: kindCharge, date: now, debit: stripeBalance, credit: sales, amount: 1205, currency: "usd"},
		&entry{id: "ch_2", kind: kindCharge, date: now, debit: stripeBalance, credit: sales, amount: 700, currency: "jpy"},
		&entry{id: "re_1", kind: kindRefund, date: now, debit: refunds, credit: stripeBalance, amount: 205, currency: "usd"},
	)
	return b, map[string]sale{
		"ch_1": {kindCharge, "usd", 1205}, "ch_2": {kindCharge, "jpy", 700}, "re_1": {kindRefund, "usd", 205},
	}
}

func TestCheckNoticesWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		damage  []string
		problem string // as a regular expression; empty if the books are right
	}{
		"nothing": {nil, ""},
		"a missing entry": {[]string{
			`DELETE FROM lines WHERE entry = 2`, `DELETE FROM entries WHERE number = 2`,
		}, "ch_2 is not booked"},
		"a doubled entry": {[]string{
			`INSERT INTO entries (number, stripe_id, kind, date) SELECT 9, stripe_id, kind, date FROM entries WHERE number = 1`,
			`INSERT INTO lines SELECT 9, account, amount, currency FROM lines WHERE entry = 1`,
		}, "ch_1 is booked more than once"},
		"one entry missing and another doubled": {[]string{
			`UPDATE entries SET stripe_id = 'ch_1' WHERE number = 2`,
		}, "(?s)ch_1 is booked more than once.*ch_2 is not booked"},
		"a wrong amount": {[]string{
			`UPDATE lines SET amount = amount * 2 WHERE entry = 1`,
		}, "ch_1 is booked as charge of 24.10 usd, and must be charge of 12.05 usd"},
		"a cent too little": {[]string{
			`UPDATE lines SET amount = amount - 1 WHERE entry = 1 AND account = 'sales'`,
		}, "ch_1 has lines whose sum is not zero"},
		"a wrong currency": {[]string{
			`UPDATE lines SET currency = 'eur' WHERE entry = 2`,
		}, "ch_2 is booked as charge of 7.00 eur, and must be charge of 700 jpy"},
		"two currencies": {[]string{
			`UPDATE lines SET currency = 'eur' WHERE entry = 2 AND account = 'sales'`,
		}, "ch_2 has lines whose sum is not zero"},
		"a refund as a charge": {[]string{
			`UPDATE entries SET kind = 'charge' WHERE number = 3`,
		}, "re_1 is booked as charge"},
		"an entry without lines": {[]string{
			`DELETE FROM lines WHERE entry = 3`,
		}, "re_1 is booked as refund of 0.00 , and must be refund of 2.05 usd"},
		"an entry that the shop does not know": {[]string{
			`UPDATE entries SET stripe_id = 're_2' WHERE number = 3`,
		}, "(?s)re_1 is not booked.*re_2 is booked, and the shop does not know it"},
	} {
		t.Run(name, func(t *testing.T) {
			b, record := threeObjects(t)
			for _, statement := range c.damage {
				_, err := b.db.ExecContext(t.Context(), statement)
				require.NoError(t, err)
			}
			var out bytes.Buffer
			s := &simulation{out: &out, books: b, shop: &shop{record: record}}
			err := s.report(t.Context(), 3)
			if c.problem == "" {
				require.NoError(t, err, &out)
				require.Contains(t, out.String(), "3 objects, each booked once, after 3 kills")
				return
			}
			require.EqualError(t, err, "the books differ from the shop after 3 kills")
			require.Regexp(t, c.problem, out.String())
			require.NotContains(t, out.String(), "each booked once")
		})
	}
}

func TestReportShowsBothSidesAndTheTrialBalance(t *testing.T) {
	b, record := threeObjects(t)
	_, err := b.db.ExecContext(t.Context(), `UPDATE lines SET amount = -300 WHERE entry = 2 AND account = 'sales'`)
	require.NoError(t, err)
	record["ch_3"] = sale{kindCharge, "eur", 1}
	var out bytes.Buffer
	s := &simulation{out: &out, books: b, shop: &shop{record: record}}
	require.Error(t, s.report(t.Context(), 0))
	for _, row := range []string{
		`charges eur +1 +0\.01 +0 +0\.00 +differs`,
		`charges usd +1 +12\.05 +1 +12\.05 *\n`,
		`trial balance +jpy +usd`,
		`Stripe balance +700 +10\.00`,
		`sales +-300 +-12\.05`,
		`sum +400 +0\.00`,
	} {
		require.Regexp(t, regexp.MustCompile(row), out.String())
	}
}

func TestChargesAreBookedAsWhatTheyAreWhenTheyAreNew(t *testing.T) {
	for name, c := range map[string]struct {
		charge stripekit.Charge
		want   *entry
	}{
		"captured": {
			stripekit.Charge{Status: stripekit.ChargeSucceeded, Captured: true},
			&entry{kind: kindCharge, debit: stripeBalance, credit: sales},
		},
		"authorized": {
			stripekit.Charge{Status: stripekit.ChargeSucceeded},
			&entry{kind: kindOpen, debit: openCharges, credit: openChargesContra},
		},
		"a bank debit that is not settled": {
			stripekit.Charge{Status: stripekit.ChargePending, Captured: true},
			&entry{kind: kindOpen, debit: openCharges, credit: openChargesContra},
		},
		"failed": {stripekit.Charge{Status: stripekit.ChargeFailed}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			charge := c.charge
			charge.ID, charge.Amount, charge.Currency, charge.Created = "ch_1", 500, "usd", 1_700_000_000
			requireEntry(t, c.want, chargeEntry(&charge), "ch_1")
		})
	}
}

func TestRefundsAreBookedAsWhatTheyAreWhenTheyAreNew(t *testing.T) {
	captured, open := &stripekit.Charge{Captured: true}, &stripekit.Charge{}
	for name, c := range map[string]struct {
		status string
		charge *stripekit.Charge
		want   *entry
	}{
		"of a charge":           {"succeeded", captured, &entry{kind: kindRefund, debit: refunds, credit: stripeBalance}},
		"not through yet":       {"pending", captured, &entry{kind: kindRefund, debit: refunds, credit: stripeBalance}},
		"of no charge":          {"succeeded", nil, &entry{kind: kindRefund, debit: refunds, credit: stripeBalance}},
		"of an authorization":   {"succeeded", open, &entry{kind: kindRelease, debit: openChargesContra, credit: openCharges}},
		"failed from the start": {"failed", captured, nil},
		"canceled":              {"canceled", captured, nil},
	} {
		t.Run(name, func(t *testing.T) {
			refund := stripekit.Refund{
				ID: "re_1", Amount: 500, Currency: "usd", Created: 1_700_000_000, Status: c.status,
				Charge: stripekit.Ref[stripekit.Charge]{ID: "ch_1", Object: c.charge},
			}
			requireEntry(t, c.want, refundEntry(&refund), "re_1")
		})
	}
}

// requireEntry compares an entry of 5.00 usd with the kind and the accounts wanted.
func requireEntry(t *testing.T, want, got *entry, id string) {
	t.Helper()
	if want != nil {
		want.id, want.amount, want.currency, want.date = id, 500, "usd", time.Unix(1_700_000_000, 0)
	}
	require.Empty(t, cmp.Diff(want, got, cmp.AllowUnexported(entry{})))
}

func TestHandlerBooksAllOfItsEventsOrNone(t *testing.T) {
	b := openTestBooks(t)
	handle := book(chargeEntry)
	charge := func(id string, status stripekit.ChargeStatus) stripekit.Event[stripekit.Charge] {
		return stripekit.Event[stripekit.Charge]{ID: id, Object: &stripekit.Charge{
			ID: id, Status: status, Captured: true, Amount: 100, Currency: "eur", Created: 1_700_000_000,
		}}
	}
	events := []stripekit.Event[stripekit.Charge]{
		charge("ch_1", stripekit.ChargeSucceeded), charge("ch_2", stripekit.ChargeFailed), charge("ch_3", stripekit.ChargeSucceeded),
	}
	for _, end := range []func(*sql.Tx) error{(*sql.Tx).Rollback, (*sql.Tx).Commit} {
		n, err := b.count(t.Context())
		require.NoError(t, err)
		require.Zero(t, n)
		tx, err := b.db.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		require.NoError(t, handle(t.Context(), tx, events))
		require.NoError(t, end(tx))
	}
	wrong, err := b.check(t.Context(), map[string]sale{"ch_1": {kindCharge, "eur", 100}, "ch_3": {kindCharge, "eur", 100}})
	require.NoError(t, err)
	require.Empty(t, wrong)
	var date string
	require.NoError(t, b.db.QueryRowContext(t.Context(), `SELECT min(date) FROM entries`).Scan(&date))
	require.Equal(t, "2023-11-14T22:13:20Z", date)

	tx, err := b.db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	require.NoError(t, tx.Rollback())
	require.ErrorContains(t, handle(t.Context(), tx, events), "booking ch_1: ")
}

func TestAccountIsBookedFromNowOnAndOverARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := stripetest.New(stripetest.InMemory())
		defer server.Close()
		o := options{path: filepath.Join(t.TempDir(), "ledger.db")}
		charge := func() { server.Seed("/v1/charges", stripetest.Seeding{}) }
		charge()
		time.Sleep(time.Hour)
		for life := 1; life <= 2; life++ {
			ctx, stop := context.WithTimeout(t.Context(), 5*time.Minute)
			var out bytes.Buffer
			done := make(chan error)
			go func() {
				done <- keepAccount(ctx, o, "sk_test_account", &out, stripekit.WithHTTPClient(server.Client()))
			}()
			time.Sleep(time.Minute)
			charge()
			require.NoError(t, <-done)
			stop()
			require.Contains(t, out.String(), "in test mode")
			require.Regexp(t, fmt.Sprintf(`Stripe balance +%d\.00`, life*20-10), out.String())
			charge() // while no program runs
		}
	})
}

func TestBadOptionsAreRefused(t *testing.T) {
	for _, o := range []options{{duration: 0}, {duration: time.Second, kills: -1}} {
		require.Error(t, run(t.Context(), o, "", &bytes.Buffer{}))
	}
	o := options{duration: time.Second, path: filepath.Join(t.TempDir(), "no folder", "ledger.db")}
	require.Error(t, run(t.Context(), o, "", &bytes.Buffer{}))
	require.ErrorContains(t, run(t.Context(), o, "sk_nonsense", &bytes.Buffer{}), "key")
}

func TestMoneyKnowsCurrenciesWithoutDecimals(t *testing.T) {
	require.Equal(t, "12.05", money(1205, "usd"))
	require.Equal(t, "-0.05", money(-5, "eur"))
	require.Equal(t, "-1205", money(-1205, "jpy"))
}
