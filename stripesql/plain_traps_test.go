package stripesql_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/stripesql"
)

// openShop opens a shop as a database.
func openShop(t testing.TB, shop *smallShop, opts ...stripesql.Option) *sql.DB {
	connector, err := stripesql.Connector(shop.client, append([]stripesql.Option{stripesql.WithMaxCalls(100_000)}, opts...)...)
	require.NoError(t, err)
	db := sql.OpenDB(connector)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

// agree runs a query on both databases. It returns an error if the responses
// differ, or if Stats does not count the requests. If ordered is false, the
// order of the rows does not matter.
func agree(ctx context.Context, shop *smallShop, db, plain *sql.DB, ordered bool, query string, args ...any) error {
	want, err := ask(ctx, plain, query, args...)
	if err != nil {
		return fmt.Errorf("plain SQLite: %w", err)
	}
	before := shop.requests.total()
	var stats stripesql.Stats
	got, err := ask(stripesql.WithStats(ctx, &stats), db, query, args...)
	if err != nil {
		return err
	}
	if calls := shop.requests.total() - before; stats.Calls != calls {
		return fmt.Errorf("Stats has %d calls where there were %d", stats.Calls, calls)
	}
	if !ordered {
		want, got = want.sorted(), got.sorted()
	}
	if diff := cmp.Diff(want.columns, got.columns); diff != "" {
		return fmt.Errorf("columns (-plain +got):\n%s", diff)
	}
	if diff := cmp.Diff(want.rows, got.rows); diff != "" {
		return fmt.Errorf("%d rows in place of %d (-plain +got):\n%s", len(got.rows), len(want.rows), diff)
	}
	return nil
}

func TestTablesHaveTheColumnsOfThePlainOnes(t *testing.T) {
	shop := newSmallShop(t)
	db := openShop(t, shop)
	for _, table := range plainTables() {
		var want []string
		for _, c := range table.columns {
			want = append(want, c.name)
		}
		got, err := ask(t.Context(), db, "SELECT * FROM "+table.name+" LIMIT 0")
		require.NoError(t, err)
		require.Equal(t, want, got.columns, table.name)
	}
}

func TestEveryColumnOfEveryObjectEqualsPlainSQLite(t *testing.T) {
	shop := newSmallShop(t)
	db, plain := openShop(t, shop), newPlain(t, shop.client, plainTables())
	for _, table := range plainTables() {
		var columns []string
		for _, c := range table.columns {
			columns = append(columns, fmt.Sprintf(`"%s", typeof("%[1]s")`, c.name))
		}
		query := "SELECT " + strings.Join(columns, ", ") + " FROM " + table.name
		require.NoError(t, agree(t.Context(), shop, db, plain, false, query), table.name)
	}
}

// trap is a query that is easy to get wrong when part of it is sent to the API.
// If it ends with ORDER BY, its rows have a total order.
type trap struct {
	query string
	args  []any
}

func (x trap) ordered() bool {
	at := strings.LastIndex(x.query, "ORDER BY")
	return at >= 0 && !strings.Contains(x.query[at:], ")")
}

func (s *smallShop) traps() map[string][]trap {
	customer, other, deleted := s.customers[1], s.customers[2], s.customers[3]
	charge, product, order := s.charges[10], s.products[5], s.orders[7]
	paris := time.FixedZone("", 3600)
	return map[string][]trap{
		"or across pushed terms": {
			{`SELECT id FROM charges WHERE customer = ? OR id = ?`, []any{customer, charge}},
			{`SELECT id FROM charges WHERE customer = ? OR created < '2026-01-02'`, []any{customer}},
			{`SELECT id FROM charges WHERE (customer = ? OR transfer_group = 'group_1') AND created >= '2026-01-02'`, []any{customer}},
			{`SELECT id FROM charges WHERE customer = ? OR customer = ? OR customer IS NULL`, []any{customer, other}},
			{`SELECT id FROM charges WHERE customer = ? OR NULL`, []any{customer}},
			{`SELECT id FROM charges WHERE id = ? OR id = ? OR id = 'ch_none'`, []any{charge, s.charges[11]}},
			{`SELECT id FROM products WHERE active OR shippable`, nil},
			{`SELECT id FROM products WHERE id IN (?, 'prod_none') OR url = 'https://example.com/1'`, []any{product}},
			{`SELECT id FROM charges WHERE customer = ? AND (status = 'failed' OR amount > 400) ORDER BY id`, []any{customer}},
			{`SELECT id FROM charges WHERE created < '2026-01-01T06:00' OR created > '2026-01-04' ORDER BY id`, nil},
			{`SELECT a.id, b.id FROM refunds a JOIN charges b ON b.id = a.charge OR b.amount = a.amount * 18`, nil},
		},
		"contradictions and repetitions": {
			{`SELECT id FROM charges WHERE id = ? AND id = ?`, []any{charge, s.charges[11]}},
			{`SELECT id FROM charges WHERE customer = ? AND customer = ?`, []any{customer, other}},
			{`SELECT id FROM charges WHERE customer = ? AND customer = ?`, []any{customer, customer}},
			{`SELECT id FROM charges WHERE created > '2026-01-03' AND created < '2026-01-02'`, nil},
			{`SELECT id FROM charges WHERE created > '2026-01-02' AND created > '2026-01-03' AND created_unix >= 1767225600`, nil},
			{`SELECT id FROM charges WHERE id = ? AND customer = ?`, []any{charge, customer}},
			{`SELECT id FROM charges WHERE id = ? AND created < '1990-01-01'`, []any{charge}},
			{`SELECT id FROM charges WHERE customer IN (?, ?, ?) AND customer <> ?`, []any{customer, other, customer, other}},
			{`SELECT id FROM products WHERE id IN (?, ?) AND active`, []any{product, product}},
			{`SELECT id FROM charges WHERE 0`, nil},
			{`SELECT id FROM charges WHERE NULL`, nil},
			{`SELECT 1 FROM charges WHERE created = created AND customer = customer`, nil},
		},
		"like and glob": {
			{`SELECT id FROM charges WHERE description LIKE 'r%'`, nil},
			{`SELECT id FROM charges WHERE description LIKE 'RE\_%' ESCAPE '\'`, nil},
			{`SELECT id FROM charges WHERE description NOT LIKE '%n%'`, nil},
			{`SELECT id FROM charges WHERE description GLOB 'R*'`, nil},
			{`SELECT id FROM charges WHERE id LIKE ?`, []any{charge}},
			{`SELECT id FROM charges WHERE id LIKE ?`, []any{strings.ToUpper(charge)}},
			{`SELECT id FROM charges WHERE created LIKE '2026-01-02%'`, nil},
			{`SELECT id FROM charges WHERE customer LIKE 'cus_%'`, nil},
			{`SELECT id FROM customers WHERE email LIKE 'C1@EXAMPLE.COM'`, nil},
		},
		"null": {
			{`SELECT id FROM charges WHERE customer IS NULL`, nil},
			{`SELECT id FROM charges WHERE customer IS NOT NULL`, nil},
			{`SELECT id FROM charges WHERE customer = NULL`, nil},
			{`SELECT id FROM charges WHERE customer = ?`, []any{nil}},
			{`SELECT id FROM charges WHERE customer IS ?`, []any{nil}},
			{`SELECT id FROM charges WHERE customer IS ?`, []any{customer}},
			{`SELECT id FROM charges WHERE customer IS NOT ?`, []any{customer}},
			{`SELECT id FROM charges WHERE customer IN (?, NULL)`, []any{customer}},
			{`SELECT id FROM charges WHERE customer NOT IN (?, NULL)`, []any{customer}},
			{`SELECT id FROM charges WHERE customer NOT IN (?)`, []any{customer}},
			{`SELECT id FROM charges WHERE id = NULL`, nil},
			{`SELECT id FROM charges WHERE id IS NULL`, nil},
			{`SELECT id FROM charges WHERE created IS NULL OR created > NULL`, nil},
			{`SELECT id FROM charges WHERE NOT (customer = ?)`, []any{customer}},
			{`SELECT id FROM customers WHERE email = ''`, nil},
			{`SELECT id FROM products WHERE url = ''`, nil},
			{`SELECT id FROM charges WHERE customer = ''`, nil},
			{`SELECT id FROM charges WHERE id = ''`, nil},
			{`SELECT id FROM products WHERE id IN ('', NULL)`, nil},
			{`SELECT count(customer), count(*), count(DISTINCT customer) FROM charges`, nil},
			{`SELECT id, coalesce(description, transfer_group, 'none'), ifnull(customer, '-') FROM charges`, nil},
			{`SELECT id FROM charges WHERE coalesce(customer, ?) = ?`, []any{customer, customer}},
			{`SELECT id FROM charges ORDER BY transfer_group NULLS LAST, id`, nil},
		},
		"limit and offset": {
			{`SELECT id, created FROM charges ORDER BY created DESC, id LIMIT 10`, nil},
			{`SELECT id, created FROM charges ORDER BY created DESC, id LIMIT 10 OFFSET 95`, nil},
			{`SELECT id, created FROM charges ORDER BY created DESC, id DESC LIMIT 120 OFFSET 3`, nil},
			{`SELECT id, created FROM charges ORDER BY created, id LIMIT 7`, nil},
			{`SELECT id FROM charges ORDER BY created DESC, id LIMIT 0`, nil},
			{`SELECT id FROM charges ORDER BY created DESC, id LIMIT -1`, nil},
			{`SELECT id FROM charges ORDER BY created DESC, id LIMIT -1 OFFSET 250`, nil},
			{`SELECT id FROM charges ORDER BY created DESC, id LIMIT 5 OFFSET -3`, nil},
			{`SELECT id FROM charges ORDER BY created DESC, id LIMIT 5 OFFSET 5000`, nil},
			{`SELECT id FROM charges ORDER BY created DESC, id LIMIT ? OFFSET ?`, []any{20, 90}},
			{`SELECT id FROM charges WHERE status = 'failed' ORDER BY created DESC, id LIMIT 3 OFFSET 2`, nil},
			{`SELECT id FROM charges WHERE customer = ? ORDER BY created DESC, id LIMIT 2`, []any{customer}},
			{`SELECT id FROM charges WHERE customer IN (?, ?) ORDER BY created DESC, id LIMIT 3`, []any{customer, other}},
			{`SELECT id FROM charges WHERE amount > 300 AND created >= '2026-01-02' ORDER BY created DESC, id LIMIT 12`, nil},
			{`SELECT id FROM charges WHERE created > '2026-01-02' ORDER BY created DESC, id LIMIT 12`, nil},
			{`SELECT count(*) FROM (SELECT id FROM charges LIMIT 150)`, nil},
			{`SELECT count(*) FROM (SELECT id FROM charges WHERE customer = ? LIMIT 2)`, []any{customer}},
			{`SELECT count(*) FROM (SELECT id FROM charges WHERE status = 'failed' LIMIT 20)`, nil},
			{`SELECT count(*) FROM (SELECT DISTINCT currency FROM charges LIMIT 2)`, nil},
			{`SELECT a.id, b.id FROM charges a JOIN customers b ON b.id = a.customer ORDER BY a.created DESC, a.id LIMIT 30`, nil},
			{`SELECT a.id, b.id FROM charges a LEFT JOIN customers b ON b.id = a.customer ORDER BY a.created DESC, a.id LIMIT 30`, nil},
			{`SELECT * FROM (SELECT id FROM charges ORDER BY created DESC, id LIMIT 5) ORDER BY id`, nil},
			{`SELECT id FROM charges WHERE id IN (SELECT id FROM charges ORDER BY created DESC, id LIMIT 5)`, nil},
		},
		"order": {
			{`SELECT id, created FROM charges ORDER BY created DESC, id`, nil},
			{`SELECT id, created FROM charges ORDER BY created DESC, id DESC`, nil},
			{`SELECT id, created FROM charges ORDER BY created, id DESC`, nil},
			{`SELECT id, created FROM charges ORDER BY created DESC, amount, id`, nil},
			{`SELECT id, created_unix FROM charges ORDER BY created_unix DESC, id`, nil},
			{`SELECT id FROM charges ORDER BY id`, nil},
			{`SELECT id FROM charges ORDER BY id DESC LIMIT 3`, nil},
			{`SELECT id FROM charges ORDER BY amount DESC, created DESC, id LIMIT 30`, nil},
			{`SELECT created FROM charges ORDER BY created DESC`, nil},
			{`SELECT a.created, b.created FROM refunds a JOIN charges b ON b.id = a.charge ORDER BY a.created DESC, b.created DESC`, nil},
			{`SELECT id FROM charges WHERE id IN (?, ?) ORDER BY created DESC, id`, []any{charge, s.charges[200]}},
			{`SELECT id FROM charges WHERE customer IN (?, ?) ORDER BY created DESC, id`, []any{customer, other}},
			{`SELECT id FROM products WHERE id IN (?, ?, ?) ORDER BY created DESC, id`, []any{product, s.products[100], s.products[50]}},
		},
		"created in every form": {
			{`SELECT id FROM charges WHERE created >= '2026-01-02'`, nil},
			{`SELECT id FROM charges WHERE created >= '2026-01-02T00:00:00Z'`, nil},
			{`SELECT id FROM charges WHERE created > '2026-01-02 00:00:00'`, nil},
			{`SELECT id FROM charges WHERE created <= '2026-01-02T03:00:00+01:00'`, nil},
			{`SELECT id FROM charges WHERE created < '2026-01-02T03:00:00.5Z'`, nil},
			{`SELECT id FROM charges WHERE created > '2026-01-02T02:59:59.5Z'`, nil},
			{`SELECT id FROM charges WHERE created = '2026-01-02T03:00:00.5Z'`, nil},
			{`SELECT id FROM charges WHERE created = '2026-01-02'`, nil},
			{`SELECT id FROM charges WHERE created = '2026-01-02 05:00'`, nil},
			{`SELECT id FROM charges WHERE created <> '2026-01-02 05:00'`, nil},
			{`SELECT id FROM charges WHERE created IS '2026-01-02 05:00'`, nil},
			{`SELECT id FROM charges WHERE created IN ('2026-01-02', '2026-01-02 05:00:00', '2026-01-02T07:00:00Z')`, nil},
			{`SELECT id FROM charges WHERE created BETWEEN '2026-01-02' AND '2026-01-03'`, nil},
			{`SELECT id FROM charges WHERE created NOT BETWEEN '2026-01-02' AND '2026-01-03'`, nil},
			{`SELECT id FROM charges WHERE created >= ?`, []any{shopOpened.AddDate(0, 0, 1)}},
			{`SELECT id FROM charges WHERE created >= ?`, []any{shopOpened.AddDate(0, 0, 1).In(paris)}},
			{`SELECT id FROM charges WHERE created > ?`, []any{shopOpened.AddDate(0, 0, 1).Add(500 * time.Millisecond)}},
			{`SELECT id FROM charges WHERE created = ?`, []any{shopOpened.AddDate(0, 0, 1).Add(5 * time.Hour).In(paris)}},
			{`SELECT id FROM charges WHERE '2026-01-02' <= created`, nil},
			{`SELECT id FROM charges WHERE created_unix >= 1767312000 AND created_unix < 1767398400`, nil},
			{`SELECT id FROM charges WHERE created_unix = 1767312000`, nil},
			{`SELECT id FROM charges WHERE created_unix > 1767312000.5`, nil},
			{`SELECT id FROM charges WHERE created_unix >= '1767312000'`, nil},
			{`SELECT id FROM charges WHERE created_unix < 1e300 AND created_unix > -1e300`, nil},
			{`SELECT id FROM charges WHERE created_unix > 9223372036854775807 OR created_unix < -9223372036854775807`, nil},
			{`SELECT id FROM charges WHERE created_unix < 0`, nil},
			{`SELECT id FROM charges WHERE created_unix >= 0`, nil},
			{`SELECT id FROM charges WHERE created_unix > 'abc'`, nil},
			{`SELECT id FROM charges WHERE created < '1970-01-01'`, nil},
			{`SELECT id FROM charges WHERE created > '1969-12-31 23:59:59' AND created < '2026-01-02'`, nil},
			{`SELECT id FROM charges WHERE created >= '0001-01-01' AND created < '9999-12-31'`, nil},
			{`SELECT id FROM charges WHERE date(created) = '2026-01-02'`, nil},
			{`SELECT substr(created, 1, 10) AS day, count(*) FROM charges GROUP BY day`, nil},
			{`SELECT strftime('%s', created) - created_unix FROM charges`, nil},
			{`SELECT created, count(*) FROM charges GROUP BY created`, nil},
			{`SELECT min(created), max(created), min(created_unix), max(created_unix) FROM charges`, nil},
			{`SELECT max(created) FROM charges WHERE customer = ?`, []any{customer}},
			{`SELECT max(created), count(*) FROM charges`, nil},
			{`SELECT max(created) FROM charges WHERE created < '1999-01-01'`, nil},
			{`SELECT min(created) FROM charges`, nil},
			{`SELECT id FROM charges WHERE created = (SELECT max(created) FROM charges)`, nil},
			{`SELECT id FROM invoice_items WHERE created >= '2026-01-03'`, nil},
			{`SELECT id FROM invoice_items WHERE date >= '2026-01-03' AND created < '2026-01-04'`, nil},
			{`SELECT id FROM orders WHERE updated > created`, nil},
			{`SELECT id FROM orders WHERE status_transitions_paid >= '2026-01-05'`, nil},
			{`SELECT id FROM orders WHERE status_transitions_paid IS NULL`, nil},
			{`SELECT a.id, b.id FROM refunds a JOIN charges b ON a.created = b.created`, nil},
			{`SELECT a.id, b.id FROM refunds a JOIN charges b ON b.created > a.created WHERE a.reason = 'duplicate' AND b.status = 'failed'`, nil},
		},
		"joins": {
			{`SELECT a.id, b.email FROM charges a JOIN customers b ON b.id = a.customer`, nil},
			{`SELECT a.id, b.email FROM charges a LEFT JOIN customers b ON b.id = a.customer`, nil},
			{`SELECT a.id, b.email FROM charges a LEFT JOIN customers b ON b.id = a.customer WHERE b.id IS NULL`, nil},
			{`SELECT a.id, b.email FROM charges a LEFT JOIN customers b ON b.id = a.customer AND b.email LIKE 'c1%'`, nil},
			{`SELECT a.id, b.id FROM charges a LEFT JOIN customers b ON b.id = a.customer AND a.amount > 500`, nil},
			{`SELECT a.id, b.email FROM charges a, customers b WHERE b.id = a.customer AND b.email = 'c1@example.com'`, nil},
			{`SELECT b.id, a.id FROM customers b LEFT JOIN charges a ON a.customer = b.id`, nil},
			{`SELECT b.id, count(a.id), sum(a.amount) FROM customers b LEFT JOIN charges a ON a.customer = b.id AND a.created > '2026-01-02' GROUP BY b.id`, nil},
			{`SELECT b.id FROM customers b LEFT JOIN charges a ON a.customer = b.id WHERE a.id IS NULL`, nil},
			{`SELECT a.id, b.id, c.email FROM refunds a JOIN charges b ON b.id = a.charge JOIN customers c ON c.id = b.customer`, nil},
			{`SELECT a.id, b.id, c.email FROM refunds a LEFT JOIN charges b ON b.id = a.charge LEFT JOIN customers c ON c.id = b.customer`, nil},
			{`SELECT a.id, b.id, c.email FROM refunds a JOIN charges b ON b.id = a.charge LEFT JOIN customers c ON c.id = b.customer AND c.created < '2026-01-01T00:00:01Z'`, nil},
			{`SELECT a.id, b.id FROM charges a RIGHT JOIN customers b ON b.id = a.customer`, nil},
			{`SELECT a.id, b.id FROM orders a FULL JOIN customers b ON b.id = a.customer`, nil},
			{`SELECT a.id, b.id FROM charges a JOIN charges b ON b.customer = a.customer AND b.id < a.id`, nil},
			{`SELECT a.id, b.id FROM charges a JOIN charges b ON b.created = a.created AND b.id < a.id`, nil},
			{`SELECT a.id, b.id FROM customers a JOIN customers b ON b.email = a.email AND b.id < a.id`, nil},
			{`SELECT a.id, b.id FROM charges a JOIN customers b ON b.email = a.receipt_email`, nil},
			{`SELECT a.id, b.id FROM orders a JOIN charges b ON b.id = a.charge`, nil},
			{`SELECT a.id, b.id FROM invoice_items a LEFT JOIN customers b ON b.id = a.customer`, nil},
			{`SELECT a.id, b.id FROM charges a JOIN customers b ON b.id = a.customer WHERE b.created > a.created`, nil},
			{`SELECT a.id, b.name, c.name FROM charges a JOIN customers b ON b.id = a.customer JOIN customers c ON c.email = b.email`, nil},
			{`SELECT a.id FROM charges a NATURAL JOIN (SELECT ? AS customer)`, []any{customer}},
			{`SELECT a.id, b.id FROM products a CROSS JOIN orders b WHERE a.active AND b.status = 'paid' AND a.url = 'https://example.com/1'`, nil},
			{`SELECT a.id, b.column1 FROM charges a JOIN (VALUES (?), (?), ('cus_none'), (NULL)) b ON a.customer = b.column1`, []any{customer, deleted}},
			{`SELECT a.id, b.id FROM charges a LEFT JOIN customers b USING (id)`, nil},
			{`SELECT a.id, b.id FROM customers b JOIN charges a ON a.customer = b.id WHERE b.id IN (?, ?)`, []any{customer, deleted}},
		},
		"deleted customers": {
			{`SELECT count(*) FROM customers`, nil},
			{`SELECT id FROM customers WHERE id = ?`, []any{deleted}},
			{`SELECT id FROM customers WHERE id IN (?, ?)`, []any{deleted, customer}},
			{`SELECT id FROM charges WHERE customer = ?`, []any{deleted}},
			{`SELECT id FROM charges WHERE customer IN (SELECT id FROM customers)`, nil},
			{`SELECT id FROM charges WHERE customer NOT IN (SELECT id FROM customers)`, nil},
			{`SELECT a.id FROM charges a WHERE NOT EXISTS (SELECT 1 FROM customers b WHERE b.id = a.customer)`, nil},
		},
		"what is not there": {
			{`SELECT * FROM charges WHERE id = 'ch_none'`, nil},
			{`SELECT * FROM charges WHERE id = 'cus_none' OR id = '../customers'`, nil},
			{`SELECT * FROM charges WHERE id = '.' OR id = '..' OR id = '/' OR id = ' ' OR id = '?x=1'`, nil},
			{`SELECT * FROM charges WHERE id IN ('ch_none', 'ch_nothing')`, nil},
			{`SELECT * FROM products WHERE id IN ('prod_none', 'prod_nothing')`, nil},
			{`SELECT * FROM orders WHERE id IN ('or_none')`, nil},
			{`SELECT * FROM charges WHERE customer = 'cus_none'`, nil},
			{`SELECT * FROM charges WHERE id = 5`, nil},
			{`SELECT * FROM charges WHERE id = x'00'`, nil},
			{`SELECT * FROM customers WHERE email = 'nobody@example.com'`, nil},
			{`SELECT * FROM customers WHERE email = 'C1@EXAMPLE.COM'`, nil},
			{`SELECT id FROM customers WHERE email = 'c1@example.com' COLLATE NOCASE`, nil},
			{`SELECT id FROM customers WHERE email = 'C1@example.com' COLLATE NOCASE`, nil},
			{`SELECT id FROM charges WHERE id = ? COLLATE NOCASE`, []any{strings.ToUpper(charge)}},
			{`SELECT sum(amount), count(*), max(amount) FROM charges WHERE customer = 'cus_none'`, nil},
		},
		"subqueries": {
			{`SELECT id FROM charges WHERE customer IN (SELECT id FROM customers WHERE email = 'c1@example.com')`, nil},
			{`SELECT id FROM charges WHERE customer NOT IN (SELECT id FROM customers WHERE email LIKE 'c1%')`, nil},
			{`SELECT id FROM charges WHERE customer IN (SELECT customer FROM orders)`, nil},
			{`SELECT id FROM charges WHERE customer NOT IN (SELECT customer FROM orders)`, nil},
			{`SELECT id FROM charges WHERE id IN (SELECT charge FROM refunds WHERE amount >= 100)`, nil},
			{`SELECT id FROM products WHERE id IN (SELECT id FROM products WHERE active)`, nil},
			{`SELECT id FROM charges WHERE customer = (SELECT id FROM customers WHERE email IS NULL ORDER BY id LIMIT 1)`, nil},
			{`SELECT id FROM customers a WHERE EXISTS (SELECT 1 FROM charges b WHERE b.customer = a.id AND b.status = 'failed')`, nil},
			{`SELECT id FROM customers a WHERE NOT EXISTS (SELECT 1 FROM charges b WHERE b.customer = a.id)`, nil},
			{`SELECT id, (SELECT count(*) FROM charges b WHERE b.customer = a.id) FROM customers a`, nil},
			{`SELECT id, (SELECT max(created) FROM charges b WHERE b.customer = a.id) FROM customers a`, nil},
			{`SELECT id FROM charges a WHERE amount > (SELECT avg(amount) FROM charges b WHERE b.currency = a.currency)`, nil},
			{`SELECT id FROM charges a WHERE amount = (SELECT max(amount) FROM charges b WHERE b.customer = a.customer)`, nil},
			{`SELECT id FROM charges a WHERE created = (SELECT max(created) FROM charges b WHERE b.customer = a.customer)`, nil},
			{`SELECT id FROM charges a WHERE created > (SELECT b.created FROM customers b WHERE b.id = a.customer)`, nil},
			{`SELECT EXISTS (SELECT 1 FROM charges WHERE status = 'failed'), EXISTS (SELECT 1 FROM charges WHERE status = 'odd')`, nil},
			{`SELECT (SELECT id FROM charges ORDER BY created DESC, id LIMIT 1), (SELECT count(*) FROM orders)`, nil},
			{`SELECT d.currency, d.n FROM (SELECT currency, count(*) AS n FROM charges GROUP BY currency) d WHERE d.n > 1`, nil},
			{`SELECT id FROM charges WHERE (customer, status) IN (SELECT customer, 'failed' FROM orders)`, nil},
			{`SELECT id FROM charges WHERE (created, id) > ('2026-01-02', 'm')`, nil},
		},
		"compounds": {
			{`SELECT id FROM charges WHERE customer = ? UNION SELECT id FROM charges WHERE created < '2026-01-02'`, []any{customer}},
			{`SELECT id FROM charges WHERE amount < 300 UNION ALL SELECT id FROM charges WHERE amount < 500`, nil},
			{`SELECT customer FROM charges INTERSECT SELECT customer FROM orders`, nil},
			{`SELECT customer FROM charges EXCEPT SELECT id FROM customers`, nil},
			{`SELECT id, created FROM charges UNION ALL SELECT id, created FROM refunds ORDER BY created DESC, id LIMIT 25`, nil},
			{`SELECT created FROM charges UNION SELECT created FROM refunds ORDER BY created`, nil},
			{`WITH a AS (SELECT * FROM charges WHERE created >= '2026-01-02') SELECT x.id, y.id FROM a x JOIN a y ON y.customer = x.customer AND y.id > x.id`, nil},
			{`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT i, (SELECT count(*) FROM charges WHERE amount = i * 100) FROM n`, nil},
		},
		"two cursors": {
			{`SELECT count(*) FROM charges a, charges b WHERE a.status = 'failed' AND b.status = 'failed'`, nil},
			{`SELECT (SELECT count(*) FROM charges WHERE amount > a.amount) FROM charges a WHERE a.status = 'failed'`, nil},
			{`SELECT a.id, b.id, c.id FROM customers a JOIN charges b ON b.customer = a.id JOIN charges c ON c.customer = a.id AND c.created > b.created`, nil},
			{`SELECT a.id FROM charges a JOIN charges b ON b.id = a.id`, nil},
			{`SELECT a.id FROM charges a JOIN charges b ON b.id = a.id WHERE a.customer = ? AND b.created >= '2026-01-02'`, []any{customer}},
		},
		"aggregates": {
			{`SELECT customer, count(*), sum(amount), min(created), max(id) FROM charges GROUP BY customer`, nil},
			{`SELECT customer, count(*) AS n FROM charges GROUP BY customer HAVING n > 3`, nil},
			{`SELECT currency, status, avg(amount), total(amount) FROM charges GROUP BY currency, status`, nil},
			{`SELECT b.email, sum(a.amount) FROM charges a JOIN customers b ON b.id = a.customer GROUP BY b.email HAVING sum(a.amount) > 1000`, nil},
			{`SELECT DISTINCT customer FROM charges`, nil},
			{`SELECT DISTINCT currency, status FROM charges WHERE created < '2026-01-03'`, nil},
			{`SELECT count(DISTINCT created), count(DISTINCT customer) FROM charges`, nil},
			{`SELECT count(*) FILTER (WHERE status = 'failed'), sum(amount) FILTER (WHERE customer IS NULL) FROM charges`, nil},
			{`SELECT sum(CASE WHEN status = 'failed' THEN amount ELSE -amount END), sum(paid), sum(refunded) FROM charges`, nil},
			{`SELECT json_extract(metadata, '$.order') AS o, count(*) FROM charges GROUP BY o`, nil},
			{`SELECT id FROM charges WHERE metadata ->> 'order' = '7'`, nil},
			{`SELECT id, json_array_length(items), items ->> '$[0].amount' FROM orders`, nil},
			{`SELECT id FROM products WHERE package_dimensions_height > 2 OR package_dimensions_height IS NULL`, nil},
		},
		"windows": {
			{`SELECT id, row_number() OVER (PARTITION BY customer ORDER BY created, id) FROM charges`, nil},
			{`SELECT id, sum(amount) OVER (ORDER BY created, id ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) FROM charges`, nil},
			{`SELECT id, lag(created) OVER (ORDER BY created DESC, id) FROM charges WHERE created > '2026-01-02'`, nil},
			{`SELECT id FROM (SELECT id, rank() OVER (PARTITION BY currency ORDER BY amount DESC) AS r FROM charges) WHERE r = 1`, nil},
		},
		"types": {
			{`SELECT id FROM charges WHERE amount = '400'`, nil},
			{`SELECT id FROM charges WHERE amount = 400.0`, nil},
			{`SELECT id FROM charges WHERE amount > '4' || '00'`, nil},
			{`SELECT id FROM charges WHERE paid = 'true'`, nil},
			{`SELECT id FROM charges WHERE paid = ?`, []any{true}},
			{`SELECT id FROM charges WHERE NOT paid`, nil},
			{`SELECT id FROM products WHERE active = 2`, nil},
			{`SELECT id FROM products WHERE active = '1'`, nil},
			{`SELECT id FROM products WHERE active = 1.0 AND shippable = ?`, []any{false}},
			{`SELECT id FROM products WHERE active IS TRUE AND shippable IS NOT TRUE`, nil},
			{`SELECT id FROM products WHERE active > 0`, nil},
			{`SELECT id FROM products WHERE active = 'true'`, nil},
			{`SELECT id FROM products WHERE active = NULL`, nil},
			{`SELECT id FROM products WHERE active IN (0, 1, 5)`, nil},
			{`SELECT id FROM customers WHERE name = 'O''Hara' OR name = '50% "off"' OR name = 'Zoë'`, nil},
			{`SELECT id FROM customers WHERE name = 'Ann'`, nil},
			{`SELECT id FROM customers WHERE name = '50% "off"'`, nil},
			{`SELECT id FROM orders WHERE status IN ('paid', 'canceled')`, nil},
			{`SELECT id FROM orders WHERE status = 'PAID'`, nil},
			{`SELECT id FROM orders WHERE id IN (?, ?, ?) AND status = 'created'`, []any{order, s.orders[8], s.orders[10]}},
			{`SELECT id FROM refunds WHERE charge = ?`, []any{s.charges[265]}},
			{`SELECT id FROM invoice_items WHERE customer = ?`, []any{customer}},
			{`SELECT id FROM invoice_items WHERE customer_account = 'acct_seeded'`, nil},
			{`SELECT id FROM charges WHERE transfer_group = 'group_1' AND customer = ?`, []any{customer}},
			{`SELECT id FROM charges WHERE currency = 'USD' OR status = 'FAILED'`, nil},
			{`SELECT id FROM charges WHERE disputed AND status <> 'failed' AND amount BETWEEN 200 AND 700`, nil},
			{`SELECT rowid IS NOT NULL, id FROM charges`, nil},
		},
	}
}

func TestTrapsEqualPlainSQLite(t *testing.T) {
	shop := newSmallShop(t)
	plain := newPlain(t, shop.client, plainTables())
	for how, opts := range map[string][]stripesql.Option{"lists": nil, "search": {stripesql.WithSearch()}} {
		db := openShop(t, shop, opts...)
		for name, traps := range shop.traps() {
			t.Run(how+"/"+name, func(t *testing.T) {
				for i, x := range traps {
					if raceDetector && i%8 != 0 {
						continue // the other traps cover the same races
					}
					if err := agree(t.Context(), shop, db, plain, x.ordered(), x.query, x.args...); err != nil {
						t.Errorf("%s %v: %v", x.query, x.args, err)
					}
				}
			})
		}
	}
}
