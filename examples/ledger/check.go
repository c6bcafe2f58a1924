package main

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"text/tabwriter"
)

// kindOf is a kind of entries in a currency.
type kindOf struct{ kind, currency string }

// total is a number of entries and the sum of their debits.
type total struct {
	count  int
	amount int64
}

// check compares the books with the record of the shop, object by object, and
// returns what is wrong.
func (b *books) check(ctx context.Context, record map[string]sale) (wrong []string, err error) {
	rows, err := b.db.QueryContext(ctx, `SELECT e.stripe_id, e.kind, coalesce(min(l.currency), ''), count(DISTINCT l.currency),
		coalesce(CAST(sum(l.amount) AS BIGINT), 0), coalesce(CAST(sum(CASE WHEN l.amount > 0 THEN l.amount ELSE 0 END) AS BIGINT), 0)
		FROM entries e LEFT JOIN lines l ON l.entry = e.number
		GROUP BY e.number, e.stripe_id, e.kind ORDER BY e.number`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	entries := map[string]int{}
	for rows.Next() {
		var id string
		var got sale
		var currencies int
		var balance int64
		if err := rows.Scan(&id, &got.kind, &got.currency, &currencies, &balance, &got.amount); err != nil {
			return nil, err
		}
		entries[id]++
		want, known := record[id]
		switch {
		case !known:
			wrong = append(wrong, id+" is booked, and the shop does not know it")
		case entries[id] == 2:
			wrong = append(wrong, id+" is booked more than once")
		case balance != 0 || currencies > 1:
			wrong = append(wrong, id+" has lines whose sum is not zero")
		case got != want:
			wrong = append(wrong, fmt.Sprintf("%s is booked as %v, and must be %v", id, got, want))
		}
	}
	for id := range record {
		if entries[id] == 0 {
			wrong = append(wrong, id+" is not booked")
		}
	}
	slices.Sort(wrong)
	return wrong, rows.Err()
}

func (s sale) String() string {
	return fmt.Sprintf("%s of %s %s", s.kind, money(s.amount, s.currency), s.currency)
}

// totals returns the totals of the books.
func (b *books) totals(ctx context.Context) (map[kindOf]total, error) {
	sums := map[kindOf]total{}
	err := b.each(ctx, `SELECT e.kind, l.currency, count(*), CAST(sum(l.amount) AS BIGINT) FROM entries e JOIN lines l ON l.entry = e.number
		WHERE l.amount > 0 GROUP BY e.kind, l.currency`, func(rows *sql.Rows) error {
		var k kindOf
		var t total
		err := rows.Scan(&k.kind, &k.currency, &t.count, &t.amount)
		sums[k] = t
		return err
	})
	return sums, err
}

// totals returns the totals of a record.
func totals(record map[string]sale) map[kindOf]total {
	sums := map[kindOf]total{}
	for _, s := range record {
		k := kindOf{s.kind, s.currency}
		sums[k] = total{sums[k].count + 1, sums[k].amount + s.amount}
	}
	return sums
}

// balances returns the balance of each account by currency: the trial balance.
func (b *books) balances(ctx context.Context) (map[string]map[string]int64, error) {
	accounts := map[string]map[string]int64{}
	err := b.each(ctx, `SELECT account, currency, CAST(sum(amount) AS BIGINT) FROM lines GROUP BY account, currency`, func(rows *sql.Rows) error {
		var account, currency string
		var balance int64
		if err := rows.Scan(&account, &currency, &balance); err != nil {
			return err
		}
		if accounts[account] == nil {
			accounts[account] = map[string]int64{}
		}
		accounts[account][currency] = balance
		return nil
	})
	return accounts, err
}

// each calls scan for each row of a query.
func (b *books) each(ctx context.Context, query string, scan func(*sql.Rows) error) error {
	rows, err := b.db.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// printComparison prints the totals of the shop beside those of the books.
func (b *books) printComparison(ctx context.Context, out io.Writer, record map[string]sale) error {
	booked, err := b.totals(ctx)
	if err != nil {
		return err
	}
	sold := totals(record)
	all := maps.Clone(sold)
	maps.Copy(all, booked)
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\t\tthe shop\t\tthe books\t\t")
	for _, kind := range []string{kindCharge, kindRefund, kindOpen, kindRelease} {
		for _, currency := range slices.Sorted(currencies(all)) {
			k := kindOf{kind, currency}
			s, t := sold[k], booked[k]
			if s == (total{}) && t == (total{}) {
				continue
			}
			note := ""
			if s != t {
				note = "differs"
			}
			fmt.Fprintf(w, "%ss %s\t%d\t%s\t%d\t%s\t%s\t\n", kind, currency, s.count, money(s.amount, currency), t.count, money(t.amount, currency), note)
		}
	}
	return w.Flush()
}

// currencies returns each currency of the totals once.
func currencies(sums map[kindOf]total) iter.Seq[string] {
	set := map[string]bool{}
	for k := range sums {
		set[k.currency] = true
	}
	return maps.Keys(set)
}

// printBalances prints the trial balance, and reports whether its sums are zero.
func (b *books) printBalances(ctx context.Context, out io.Writer) (zero bool, err error) {
	accounts, err := b.balances(ctx)
	if err != nil {
		return false, err
	}
	sums := map[string]int64{}
	for _, balances := range accounts {
		for currency, balance := range balances {
			sums[currency] += balance
		}
	}
	inOrder := slices.Sorted(maps.Keys(sums))
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', tabwriter.AlignRight)
	row := func(title string, cell func(currency string) string) {
		fmt.Fprint(w, title, "\t")
		for _, currency := range inOrder {
			fmt.Fprint(w, cell(currency), "\t")
		}
		fmt.Fprintln(w)
	}
	row("trial balance", func(currency string) string { return currency })
	for _, account := range []string{stripeBalance, sales, refunds, openCharges, openChargesContra} {
		row(account, func(currency string) string { return money(accounts[account][currency], currency) })
	}
	zero = true
	row("sum", func(currency string) string {
		zero = zero && sums[currency] == 0
		return money(sums[currency], currency)
	})
	return zero, w.Flush()
}

// money formats an amount with its decimals. Some currencies have none.
func money(n int64, currency string) string {
	switch currency {
	case "bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf":
		return fmt.Sprint(n)
	}
	sign := ""
	if n < 0 {
		sign, n = "-", -n
	}
	return fmt.Sprintf("%s%d.%02d", sign, n/100, n%100)
}
