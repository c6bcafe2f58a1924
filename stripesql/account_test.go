package stripesql_test

import (
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripesql"
	"github.com/stripekit/stripekit/stripetest"
)

// mall is connections to accounts, each with a server of its own.
type mall struct {
	connections *stripekit.Connections
	servers     map[string]*stripetest.Server

	underWay, most atomic.Int64 // requests
}

func newMall(t *testing.T, charges int, names ...string) *mall {
	m := &mall{servers: map[string]*stripetest.Server{}}
	m.connections = stripekit.NewConnections(stripekit.WithHTTPClient(&http.Client{Transport: m}), stripekit.WithMaxRetries(0))
	for i, name := range names {
		server := newServer(t)
		m.servers[name] = server
		require.NoError(t, m.connections.Add(m.connection(name)))
		for n := range i + 2 {
			customer := seedCustomer(server, fmt.Sprintf("c%d@%s.example", n, name))
			server.Seed("/v1/charges", stripetest.Seeding{
				Count: charges * (i + 1), First: newYear.Add(time.Duration(n) * time.Hour), Every: time.Duration(i+1) * time.Minute,
				Params: url.Values{"customer": {customer}, "amount": {fmt.Sprint(100 * (i + 1))}, "currency": {"usd"}},
			})
		}
		for _, id := range []string{"shirt", "only_" + name} {
			server.Seed("/v1/products", stripetest.Seeding{First: newYear, Params: url.Values{"id": {id}, "name": {id + " of " + name}}})
		}
	}
	return m
}

func (m *mall) connection(name string) stripekit.Connection {
	return stripekit.Connection{Name: name, APIKey: stripekit.NewSecret("sk_test_" + name), BaseURL: m.servers[name].URL}
}

// RoundTrip sends a request to the account of its key.
func (m *mall) RoundTrip(r *http.Request) (*http.Response, error) {
	key, _, _ := r.BasicAuth()
	if n := m.underWay.Add(1); n > m.most.Load() {
		m.most.Store(n)
	}
	defer m.underWay.Add(-1)
	runtime.Gosched()
	return m.servers[strings.TrimPrefix(key, "sk_test_")].Client().Transport.RoundTrip(r)
}

func (m *mall) open(t *testing.T, opts ...stripesql.Option) *sql.DB {
	db, err := stripesql.OpenAll(m.connections, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

// calls returns the requests that were made to each account.
func (m *mall) calls() map[string]int {
	calls := map[string]int{}
	for name, server := range m.servers {
		calls[name] = len(server.Requests())
	}
	return calls
}

func (m *mall) reset() {
	for _, server := range m.servers {
		server.Reset()
	}
}

func TestAllAccountsAreOneDatabase(t *testing.T) {
	m := newMall(t, 90, "de", "fr", "us") // 180, 540 and 1,080 charges
	db := m.open(t)
	for query, test := range map[string]struct {
		want  []string
		calls map[string]int
	}{
		"SELECT connection, count(*), sum(amount) FROM charges GROUP BY 1 ORDER BY 1": {
			[]string{"de|180|18000", "fr|540|108000", "us|1080|324000"}, map[string]int{"de": 2, "fr": 6, "us": 11},
		},
		"SELECT count(*) FROM charges WHERE connection = 'fr'":         {[]string{"540"}, map[string]int{"fr": 6}},
		"SELECT count(*) FROM charges WHERE connection IN ('us','de')": {[]string{"1260"}, map[string]int{"de": 2, "us": 11}},
		"SELECT count(*) FROM charges WHERE connection = 'none'":       {[]string{"0"}, nil},
		"SELECT count(*) FROM charges WHERE connection = 5":            {[]string{"0"}, nil},
		"SELECT max(created) FROM charges":                             {[]string{"2026-01-01T16:27:00Z"}, map[string]int{"de": 1, "fr": 1, "us": 1}},
		"SELECT connection FROM charges ORDER BY created DESC LIMIT 3": {[]string{"us", "us", "us"}, map[string]int{"de": 1, "fr": 1, "us": 1}},
		"SELECT connection, name FROM products WHERE id = 'shirt' ORDER BY 1": {
			[]string{"de|shirt of de", "fr|shirt of fr", "us|shirt of us"}, map[string]int{"de": 1, "fr": 1, "us": 1},
		},
		"SELECT name FROM products WHERE id = 'shirt' AND connection = 'us'": {[]string{"shirt of us"}, map[string]int{"us": 1}},
		"SELECT count(*) FROM products WHERE id IN ('shirt', 'only_de')":     {[]string{"4"}, map[string]int{"de": 1, "fr": 1, "us": 1}},
		"SELECT h.connection, email, count(*) FROM charges h JOIN customers c ON c.connection = h.connection AND c.id = h.customer WHERE email LIKE 'c1@%' GROUP BY 1, 2 ORDER BY 1": {
			[]string{"de|c1@de.example|90", "fr|c1@fr.example|180", "us|c1@us.example|270"}, map[string]int{"de": 2, "fr": 6, "us": 11},
		},
		"SELECT c.connection, count(*) FROM customers c JOIN charges h ON h.connection = c.connection AND h.customer = c.id WHERE c.email = 'c0@fr.example' GROUP BY 1": {
			[]string{"fr|180"}, map[string]int{"de": 1, "fr": 3, "us": 1},
		},
	} {
		m.reset()
		got := mustRun(t, db, query)
		require.Equal(t, test.want, got.rows, query)
		calls := m.calls()
		for name := range m.servers {
			require.Equal(t, test.calls[name], calls[name], "%s: %s", name, query)
		}
	}
}

// The oracle is a plain SQLite with what each account alone has.
func TestAllAccountsEqualPlainSQLite(t *testing.T) {
	m := newMall(t, 20, "a", "b", "c", "d")
	plain := openPlain(t, ":memory:")
	for _, table := range []string{"charges", "customers", "products"} {
		columns := map[string]string{"charges": "id, created, created_unix, amount, customer", "customers": "id, created, created_unix, email, name", "products": "id, created, created_unix, name, active"}[table]
		_, err := plain.Exec("CREATE TABLE " + table + " (connection, " + columns + ")")
		require.NoError(t, err)
		for name, server := range m.servers {
			one, err := ask(t.Context(), openDB(t, server), "SELECT '"+name+"', "+strings.Replace(columns, "created,", "created || '',", 1)+" FROM "+table)
			require.NoError(t, err)
			for _, row := range one.rows {
				_, err := plain.Exec("INSERT INTO " + table + " VALUES (" + strings.Join(row, ", ") + ")")
				require.NoError(t, err)
			}
		}
	}
	random := rand.New(rand.NewPCG(5, 6))
	pick := func(of ...string) string { return of[random.IntN(len(of))] }
	db := m.open(t, stripesql.WithMaxCalls(5000))
	queries := 60
	if raceDetector {
		queries = 15 // it is slow there
	}
	for range queries {
		query := fmt.Sprintf("SELECT %s FROM %s WHERE %s AND %s ORDER BY %s",
			pick("h.connection, h.id", "h.id, h.amount, h.created || ''", "count(*), sum(h.amount), min(h.id)", "h.connection, h.customer"),
			pick("charges h", "charges h", "charges h JOIN customers c ON c.connection = h.connection AND c.id = h.customer", "charges h JOIN customers c ON c.id = h.customer",
				"customers c LEFT JOIN charges h ON h.customer = c.id AND h.connection = c.connection", "products p JOIN charges h ON h.connection = p.connection"),
			pick("1", "h.connection = 'b'", "h.connection IN ('a', 'd', 'x')", "h.connection > 'b'", "h.connection <> 'c'", "h.connection IS NOT 'a'", "h.connection = 'b' AND h.connection = 'c'"),
			pick("1", "h.created >= '2026-01-01T02:00:00Z'", "h.created_unix < 1767232800", "h.amount > 200", "h.id > 'ch_5'"),
			pick("h.created DESC, h.id, h.connection LIMIT 25", "h.created DESC, h.id DESC", "h.id, h.connection LIMIT 300", "h.created, h.id LIMIT 10 OFFSET 5"))
		want, err := ask(t.Context(), plain, query)
		require.NoError(t, err, query)
		got, err := ask(t.Context(), db, query)
		require.NoError(t, err, query)
		require.Empty(t, cmp.Diff(want.rows, got.rows), "%s -plain +got", query)
	}
}

func TestEachAccountHasABudget(t *testing.T) {
	m := newMall(t, 90, "de", "fr", "us")
	var stats stripesql.Stats
	_, err := ask(stripesql.WithStats(t.Context(), &stats), m.open(t, stripesql.WithMaxCalls(6)), "SELECT count(*) FROM charges")
	over, ok := errors.AsType[*stripesql.BudgetError](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, "us", over.Connection)
	require.Equal(t, 6, over.MaxCalls)
	require.ErrorContains(t, err, `of connection "us"`)
	require.Equal(t, map[string]int{"de": 2, "fr": 6, "us": 6}, m.calls())
	require.Equal(t, 14, stats.Calls)
}

func TestErrorOfOneAccountNamesItsConnection(t *testing.T) {
	m := newMall(t, 90, "de", "fr", "us")
	m.servers["fr"].Fault("GET /v1/charges", stripetest.Every(), stripetest.Respond(403, `{"error":{"type":"invalid_request_error","message":"no"}}`))
	db := m.open(t)
	for _, query := range []string{"SELECT count(*) FROM charges", "SELECT id FROM charges ORDER BY created DESC", "SELECT id FROM charges WHERE id = 'ch_1'", "SELECT 1 FROM charges LIMIT 1000"} {
		if strings.Contains(query, "id = ") {
			m.servers["fr"].Fault("GET /v1/charges/{id}", stripetest.Every(), stripetest.Respond(403, `{"error":{"type":"invalid_request_error","message":"no"}}`))
		}
		_, err := run(t.Context(), db, query)
		require.ErrorIs(t, err, stripekit.ErrPermission, query)
		require.ErrorContains(t, err, `connection "fr"`, query)
		require.NotContains(t, err.Error(), "sk_test", query)
	}
	got := mustRun(t, db, "SELECT count(*) FROM charges WHERE connection <> 'fr' AND connection IN ('de', 'us')")
	require.Equal(t, []string{"1260"}, got.rows)
}

// A query reads the connections that are enabled when it begins.
func TestAccountsAreThoseOfNow(t *testing.T) {
	m := newMall(t, 1, "de", "fr")
	db := m.open(t)
	const count = "SELECT group_concat(connection, ' ') FROM (SELECT DISTINCT connection FROM customers ORDER BY 1)"
	require.Equal(t, []string{"de fr"}, mustRun(t, db, count).rows)
	disabled := m.connection("fr")
	disabled.Disabled = true
	require.NoError(t, m.connections.Update(disabled))
	require.Equal(t, []string{"de"}, mustRun(t, db, count).rows)
	require.NoError(t, m.connections.Remove("fr"))
	require.NoError(t, m.connections.Remove("de"))
	require.Equal(t, []string{"NULL"}, mustRun(t, db, count).rows)
	m.servers["de"] = newServer(t)
	seedCustomer(m.servers["de"], "another@example.com")
	require.NoError(t, m.connections.Add(m.connection("de")))
	require.Equal(t, []string{"another@example.com"}, mustRun(t, db, "SELECT email FROM customers").rows)
}

// Eight accounts of five pages, a second each: in turn they would take 40 seconds.
func TestAccountsAreReadSideBySide(t *testing.T) {
	for query, seconds := range map[string]int{"SELECT count(*) FROM charges": 5, "SELECT id FROM charges ORDER BY created DESC LIMIT 2": 1, "SELECT id FROM charges LIMIT 2": 1} {
		synctest.Test(t, func(t *testing.T) {
			m := newMall(t, 0)
			for i := range 8 {
				server := stripetest.New(stripetest.InMemory())
				defer server.Close()
				server.Seed("/v1/charges", stripetest.Seeding{Count: 500, First: bigOpened, Every: time.Minute})
				server.Fault("GET /v1/charges", stripetest.Every(), stripetest.Delay(time.Second))
				name := fmt.Sprint("shop", i)
				m.servers[name] = server
				require.NoError(t, m.connections.Add(m.connection(name)))
			}
			db, err := stripesql.OpenAll(m.connections)
			require.NoError(t, err)
			defer db.Close()
			began := time.Now()
			_, err = run(t.Context(), db, query)
			require.NoError(t, err)
			require.Equal(t, time.Duration(seconds)*time.Second, time.Since(began).Truncate(time.Second), query)
		})
	}
}

func TestExplainOfAllAccounts(t *testing.T) {
	m := newMall(t, 90, "de", "fr", "us")
	db := m.open(t)
	lines, _ := explanation(t, db, "SELECT count(*) FROM charges")
	require.Regexp(t, `^SCAN charges: GET /v1/charges\?limit=100 of 3 connections, about (1[6-9]|2\d) calls; ESTIMATE about \d+ calls \(1000 allowed for each connection\)$`, strings.Join(lines, "; "))
	lines, _ = explanation(t, db, "SELECT count(*) FROM charges WHERE connection = 'de'")
	require.Equal(t, []string{"SCAN charges: GET /v1/charges?limit=100 of connection de, about 2 calls", "ESTIMATE about 2 calls (1000 allowed for each connection)"}, lines)
}

func TestOpenAllRefusesWhatItCannotRead(t *testing.T) {
	_, err := stripesql.OpenAll(nil)
	require.ErrorContains(t, err, "nil")
	_, err = stripesql.OpenAll(&stripekit.Connections{}, stripesql.WithTable("topups", "/v1/topups", stripesql.Column{Name: "connection"}))
	require.ErrorContains(t, err, "connection")
	_, err = stripesql.OpenAll(&stripekit.Connections{}, stripesql.WithMaxCalls(0))
	require.ErrorContains(t, err, "WithMaxCalls")
}
