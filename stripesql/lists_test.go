package stripesql_test

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripesql"
	"github.com/stripekit/stripekit/stripetest"
)

// lists is a service with lists of objects, each with the newest first.
type lists struct {
	objects  map[string][]map[string]any // by path
	requests []string
}

func (l *lists) RoundTrip(r *http.Request) (*http.Response, error) {
	query := r.URL.Query()
	l.requests = append(l.requests, r.URL.Path+"?"+query.Encode())
	found := []any{}
	after := query.Get("starting_after")
	for _, o := range l.objects[r.URL.Path] {
		if after == "" && matches(o, query) {
			found = append(found, o)
		}
		if o["id"] == after {
			after = ""
		}
	}
	limit, _ := strconv.Atoi(query.Get("limit"))
	more := len(found) > limit
	body, err := json.Marshal(map[string]any{"object": "list", "data": found[:min(limit, len(found))], "has_more": more})
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body)), Request: r}, err
}

// matches reports whether an object satisfies the filters of a request.
func matches(o map[string]any, query url.Values) bool {
	for name, values := range query {
		field, bound, isBound := strings.Cut(strings.TrimSuffix(name, "]"), "[")
		second, _ := strconv.Atoi(values[0])
		value, _ := o[field].(int)
		switch {
		case field == "limit", field == "starting_after", values[0] == "all":
		case isBound && (bound == "gte" && value < second || bound == "lt" && value >= second):
			return false
		case !isBound && fmt.Sprint(o[field]) != values[0]:
			return false
		}
	}
	return true
}

func openLists(t *testing.T, l *lists, opts ...stripesql.Option) *sql.DB {
	client, err := stripekit.New("sk_test_123", stripekit.WithHTTPClient(&http.Client{Transport: l}), stripekit.WithRateLimit(stripekit.RateLimit{}))
	require.NoError(t, err)
	connector, err := stripesql.Connector(client, opts...)
	require.NoError(t, err)
	db := sql.OpenDB(connector)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func TestFurtherTables(t *testing.T) {
	day := int(newYear.Unix())
	l := &lists{objects: map[string][]map[string]any{
		"/v1/payouts": {
			{"id": "po_2", "created": day + 60, "amount": 500, "status": "paid", "arrival_date": day + 2*86400, "metadata": map[string]any{"a": "b"}},
			{"id": "po_1", "created": day, "amount": 700, "status": "failed", "arrival_date": day + 86400, "destination": map[string]any{"id": "ba_1"}},
		},
		"/v1/subscriptions": {
			{"id": "sub_2", "created": day + 5, "status": "canceled", "customer": "cus_1", "cancel_at_period_end": true},
			{"id": "sub_1", "created": day, "status": "active", "customer": "cus_2"},
		},
		"/v1/events": {{"id": "evt_1", "created": day, "type": "charge.failed", "data": map[string]any{"object": map[string]any{"id": "ch_1", "object": "charge"}}, "request": nil}},
		"/v1/invoices": {
			{"id": "in_2", "created": day + 1, "subscription": "sub_1", "total": 5},
			{"id": "in_1", "created": day, "parent": map[string]any{"subscription_details": map[string]any{"subscription": "sub_2"}}, "total": 7},
		},
	}}
	db := openLists(t, l)
	for query, want := range map[string]struct{ rows, requests []string }{
		"SELECT id, amount, destination, metadata->>'a' FROM payouts ORDER BY created": {
			[]string{"po_1|700|ba_1|NULL", "po_2|500|NULL|b"}, []string{"/v1/payouts?limit=100"},
		},
		"SELECT id FROM payouts WHERE status = 'paid' AND arrival_date >= '2026-01-02'": {
			[]string{"po_2"}, []string{"/v1/payouts?arrival_date%5Bgte%5D=1767312000&limit=100&status=paid"},
		},
		"SELECT id, cancel_at_period_end FROM subscriptions": {
			[]string{"sub_2|1", "sub_1|NULL"}, []string{"/v1/subscriptions?limit=100&status=all"},
		},
		"SELECT id FROM subscriptions WHERE status = 'active'": {
			[]string{"sub_1"}, []string{"/v1/subscriptions?limit=100&status=active"},
		},
		"SELECT type, object_id, object_type, data_object, request_id FROM events": {
			[]string{`charge.failed|ch_1|charge|{"id":"ch_1","object":"charge"}|NULL`}, []string{"/v1/events?limit=100"},
		},
		"SELECT id, subscription FROM invoices": {
			[]string{"in_2|sub_1", "in_1|sub_2"}, []string{"/v1/invoices?limit=100"},
		},
		"SELECT raw->>'$.data.object.id', json_extract(raw, '$.created') FROM events": {
			[]string{fmt.Sprint("ch_1|", day)}, []string{"/v1/events?limit=100"},
		},
	} {
		l.requests = nil
		got := mustRun(t, db, query)
		require.Equal(t, want.rows, got.rows, query)
		require.Equal(t, want.requests, l.requests, query)
	}
}

// Invoice items can be backdated: behind a page of old ones there may be new ones.
func TestBackdatedInvoiceItemsEndNoList(t *testing.T) {
	day := int(newYear.Unix())
	l := &lists{objects: map[string][]map[string]any{}}
	for i := range 350 {
		date := day + 86400
		if i >= 100 && i < 250 {
			date = day - 30*86400
		}
		l.objects["/v1/invoiceitems"] = append(l.objects["/v1/invoiceitems"], map[string]any{"id": fmt.Sprintf("ii_%03d", i), "date": date, "created": date, "customer": "cus_1"})
	}
	db := openLists(t, l)
	for _, condition := range []string{"created >= '2026-01-01'", "+created >= '2026-01-01'", "customer = 'cus_1' AND created >= '2026-01-01'"} {
		require.Equal(t, []string{"200"}, mustRun(t, db, "SELECT count(*) FROM invoice_items WHERE "+condition).rows, condition)
	}
}

func TestTablesAreThoseOfADatabase(t *testing.T) {
	db := openDB(t, newServer(t))
	require.Len(t, stripesql.Tables(), 14)
	require.IsIncreasing(t, stripesql.Tables())
	for _, table := range stripesql.Tables() {
		require.Empty(t, mustRun(t, db, "SELECT * FROM "+table+" LIMIT 0").rows)
	}
}

func TestRawIsTheWholeObjectButNotInAStar(t *testing.T) {
	server := newServer(t)
	id := seedCharges(server, 1)[0]
	db := openDB(t, server)
	got := mustRun(t, db, "SELECT raw->>'id', raw->>'$.outcome.type', json_type(raw), length(raw) > 1000 FROM charges WHERE raw LIKE '%"+id+"%'")
	require.Equal(t, []string{id + "|authorized|object|1"}, got.rows)
	rows, err := db.QueryContext(t.Context(), "SELECT * FROM charges")
	require.NoError(t, err)
	defer rows.Close()
	columns, err := rows.Columns()
	require.NoError(t, err)
	require.False(t, slices.Contains(columns, "raw"))
	require.False(t, rows.NextResultSet())
	require.NoError(t, rows.Err())
}

func TestWithTable(t *testing.T) {
	l := &lists{objects: map[string][]map[string]any{"/v1/issuing/cards": {
		{"id": "ic_2", "created": 20, "brand": "visa", "spend": map[string]any{"limit": 5.5}, "cardholder": map[string]any{"id": "ich_1"}, "replaced": 99},
		{"id": "ic_1", "created": 10, "brand": "amex", "active": false},
	}}}
	db := openLists(t, l, stripesql.WithTable("cards", "/v1/issuing/cards",
		stripesql.Column{Name: "brand", Filter: "brand"},
		stripesql.Column{Name: "spend_limit", Type: stripesql.Real, Path: "spend.limit"},
		stripesql.Column{Name: "cardholder"},
		stripesql.Column{Name: "active", Type: stripesql.Boolean},
		stripesql.Column{Name: "replaced", Type: stripesql.Time}))
	got := mustRun(t, db, "SELECT id, brand, spend_limit, cardholder, active, replaced, replaced_unix, raw->>'brand' FROM cards ORDER BY created")
	require.Equal(t, []string{"ic_1|amex|NULL|NULL|0|NULL|NULL|amex", "ic_2|visa|5.5|ich_1|NULL|1970-01-01T00:01:39Z|99|visa"}, got.rows)
	l.requests = nil
	require.Equal(t, []string{"ic_2"}, mustRun(t, db, "SELECT id FROM cards WHERE brand = 'visa'").rows)
	require.Equal(t, []string{"/v1/issuing/cards?brand=visa&limit=100"}, l.requests)
	got = mustRun(t, db, "SELECT count(*) FROM cards a JOIN payouts b ON a.brand = b.status")
	require.Equal(t, []string{"0"}, got.rows)
}

func TestTablesThatAreAddedAreChecked(t *testing.T) {
	client := clientOf(t, newServer(t))
	column := func(c stripesql.Column) stripesql.Option { return stripesql.WithTable("a", "/v1/a", c) }
	for want, opts := range map[string][]stripesql.Option{
		"the name of a table":         {stripesql.WithTable("Top ups", "/v1/topups")},
		"has lower-case":              {stripesql.WithTable("sqlite_x", "/v1/topups")},
		"the path of a list":          {stripesql.WithTable("topups", "/v1/topups?x=1")},
		"is such as":                  {stripesql.WithTable("topups", "topups")},
		"there is a table charges":    {stripesql.WithTable("charges", "/v1/charges")},
		"there is a table topups":     {stripesql.WithTable("topups", "/v1/topups"), stripesql.WithTable("topups", "/v1/topups")},
		`column "A"`:                  {column(stripesql.Column{Name: "A"})},
		"there is no type 9":          {column(stripesql.Column{Name: "a", Type: 9})},
		"a part of its path":          {column(stripesql.Column{Name: "a", Path: "a..b"})},
		"can have a filter":           {column(stripesql.Column{Name: "a", Type: stripesql.Integer, Filter: "a"})},
		`column "id": the table has`:  {column(stripesql.Column{Name: "id"})},
		`column "raw": the table has`: {column(stripesql.Column{Name: "raw"})},
		`column "created": the table`: {column(stripesql.Column{Name: "created", Type: stripesql.Time})},
	} {
		_, err := stripesql.Connector(client, opts...)
		require.ErrorContains(t, err, "WithTable")
		require.ErrorContains(t, err, want)
	}
}

// A column of a balance transaction needs no call of its own: it is expanded where a
// statement reads it, and nowhere else.
func TestColumnsOfABalanceTransactionAreExpanded(t *testing.T) {
	server := newServer(t)
	ann := seedCustomer(server, "ann@example.com")
	charges := seedCharges(server, 150, "customer", ann)
	server.Seed("/v1/refunds", stripetest.Seeding{Count: 3, First: newYear, Params: url.Values{"charge": {charges[0]}, "amount": {"10"}}})
	db := openDB(t, server)
	for query, test := range map[string]struct {
		want    string
		calls   int
		expands []string
	}{
		"SELECT sum(amount = balance_transaction_amount AND balance_transaction_net = amount - balance_transaction_fee), count(balance_transaction_fee) FROM charges": {"150|150", 2, []string{"data.balance_transaction"}},
		"SELECT count(balance_transaction), count(id) FROM charges":                      {"150|150", 2, nil},
		"SELECT balance_transaction_amount FROM charges WHERE id = '" + charges[0] + "'": {"1000", 1, []string{"balance_transaction"}},
		"SELECT sum(r.balance_transaction_amount), min(h.balance_transaction_amount) FROM refunds r JOIN charges h ON h.id = r.charge": {
			"-30|1000", 1, []string{"data.balance_transaction", "data.charge", "data.charge.balance_transaction"},
		},
		"SELECT count(*) FROM charges WHERE balance_transaction_fee < 0 OR balance_transaction_currency <> 'usd'": {"0", 2, []string{"data.balance_transaction"}},
	} {
		server.Reset()
		got := mustRun(t, db, query)
		require.Equal(t, []string{test.want}, got.rows, query)
		require.Equal(t, test.calls, got.stats.Calls, query)
		for _, r := range server.Requests() {
			var expands []string
			for name, values := range r.Query {
				if strings.HasPrefix(name, "expand[") {
					expands = append(expands, values...)
				}
			}
			slices.Sort(expands)
			require.Equal(t, test.expands, expands, query)
		}
	}
	rows, err := db.QueryContext(t.Context(), "SELECT * FROM charges LIMIT 0")
	require.NoError(t, err)
	defer rows.Close()
	columns, err := rows.Columns()
	require.NoError(t, err)
	require.NotContains(t, columns, "balance_transaction_fee")
}

func TestAddedTableExpandsAColumn(t *testing.T) {
	l := &lists{objects: map[string][]map[string]any{"/v1/topups": {
		{"id": "tu_2", "created": 20, "balance_transaction": map[string]any{"id": "txn_2", "available_on": 86400}},
		{"id": "tu_1", "created": 10, "balance_transaction": nil},
	}}}
	db := openLists(t, l, stripesql.WithTable("topups", "/v1/topups", stripesql.Column{Name: "balance_transaction"},
		stripesql.Column{Name: "available", Type: stripesql.Time, Path: "balance_transaction.available_on", Expand: "balance_transaction"}))
	got := mustRun(t, db, "SELECT id, balance_transaction, available, available_unix FROM topups ORDER BY created DESC")
	require.Equal(t, []string{"tu_2|txn_2|1970-01-02T00:00:00Z|86400", "tu_1|NULL|NULL|NULL"}, got.rows)
	require.Contains(t, l.requests[0], url.QueryEscape("expand[0]")+"=data.balance_transaction")
	mustRun(t, db, "SELECT * FROM topups")
	require.NotContains(t, l.requests[len(l.requests)-1], "expand")
}

// raw is the object as it is without the expansions that other columns and joins need.
func TestRawHasIDsInPlaceOfExpandedObjects(t *testing.T) {
	server := newServer(t)
	ann := seedCustomer(server, "ann@example.com")
	charges := seedCharges(server, 3, "customer", ann)
	server.Seed("/v1/refunds", stripetest.Seeding{Count: 1, First: newYear, Params: url.Values{"charge": {charges[0]}, "amount": {"10"}}})
	db := openDB(t, server)
	for query, want := range map[string]string{
		"SELECT count(*) FROM charges h JOIN customers c ON c.id = h.customer WHERE h.raw->>'$.customer' = '" + ann + "'":                                     "3",
		"SELECT count(*) FROM charges h JOIN customers c ON c.id = h.raw->>'$.customer' JOIN customers d ON d.id = h.customer":                                "3",
		"SELECT count(*) FROM charges WHERE balance_transaction_amount > 0 AND raw->>'$.balance_transaction' = balance_transaction":                           "3",
		"SELECT r.raw->>'$.charge' = r.charge FROM refunds r JOIN charges h ON h.id = r.charge JOIN customers c ON c.id = h.customer WHERE c.email LIKE 'a%'": "1",
		"SELECT count(*) FROM refunds a JOIN refunds b USING (raw)":                                                                                           "1",
	} {
		require.Equal(t, []string{want}, mustRun(t, db, query).rows, query)
	}
	plain := mustRun(t, db, "SELECT raw FROM charges ORDER BY id")
	require.Equal(t, plain.rows, mustRun(t, db, "SELECT h.raw FROM charges h JOIN customers c ON c.id = h.customer WHERE balance_transaction_fee >= 0 AND c.email <> '' ORDER BY h.id").rows)

	_, err := run(t.Context(), db, "SELECT count(*) FROM charges a JOIN charges b USING (raw)")
	require.ErrorContains(t, err, "the column raw of charges is hidden")
}
