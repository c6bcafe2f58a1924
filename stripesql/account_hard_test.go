package stripesql_test

import (
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripesql"
	"github.com/stripekit/stripekit/stripetest"
)

// Several accounts may have an object of the same id, so that a lookup has several rows
// to sort, group and count.
func TestOneIDInSeveralAccounts(t *testing.T) {
	m := newMall(t, 0, "a", "b", "c")
	for name, product := range map[string]string{"a": "x", "b": "y", "c": "x"} {
		m.servers[name].Seed("/v1/products", stripetest.Seeding{First: newYear, Params: url.Values{"id": {"same"}, "name": {product}}})
	}
	db := m.open(t)
	for query, want := range map[string][]string{
		"SELECT name, count(*) FROM products WHERE id = 'same' GROUP BY name":                                            {"x|2", "y|1"},
		"SELECT DISTINCT name FROM products WHERE id = 'same' ORDER BY name":                                             {"x", "y"},
		"SELECT max(name), min(connection), max(connection) FROM products WHERE id = 'same'":                             {"y|a|c"},
		"SELECT max(name) FROM products WHERE id = 'same'":                                                               {"y"},
		"SELECT connection FROM products WHERE id = 'same' ORDER BY connection DESC":                                     {"c", "b", "a"},
		"SELECT connection, rank() OVER (ORDER BY name) FROM products WHERE id = 'same' ORDER BY 1":                      {"a|1", "b|3", "c|1"},
		"SELECT connection FROM products WHERE id IN ('same') ORDER BY created DESC, id, connection DESC":                {"c", "b", "a"},
		"SELECT connection FROM products WHERE created >= '2026-01-01' AND id = 'same' AND connection = 'b' ORDER BY id": {"b"},
		"SELECT connection FROM products ORDER BY created DESC, id DESC, connection DESC LIMIT 3":                        {"c", "b", "a"},
	} {
		require.Equal(t, want, mustRun(t, db, query).rows, query)
	}
}

// A customer that the first account has expanded is looked up in the others, at first. It
// soon pays to list theirs.
func TestLookupsInOtherAccountsBecomeLists(t *testing.T) {
	m := newMall(t, 0, "large", "small")
	for n := range 200 {
		customer := seedCustomer(m.servers["large"], fmt.Sprintf("c%d@example.com", n))
		m.servers["large"].Seed("/v1/charges", stripetest.Seeding{First: newYear.Add(time.Duration(n) * time.Minute), Params: url.Values{"customer": {customer}, "amount": {"100"}, "currency": {"usd"}}})
	}
	got := mustRun(t, m.open(t), "SELECT count(*) FROM charges h JOIN customers c ON c.id = h.customer WHERE c.email <> 'q'")
	require.Equal(t, []string{"205"}, got.rows, "five are those that each account has")
	require.LessOrEqual(t, m.calls()["small"], 30)
}

// What a query may have under way at once is for all accounts together.
func TestAccountsShareTheConcurrency(t *testing.T) {
	for _, query := range []string{"SELECT count(*) FROM charges", "SELECT id FROM charges ORDER BY created DESC", "SELECT id FROM charges WHERE id = 'ch_none'"} {
		for _, names := range [][]string{{"a", "b"}, {"a", "b", "c", "d", "e", "f"}} {
			m := newMall(t, 0, names...)
			for _, name := range names {
				m.servers[name].Seed("/v1/charges", stripetest.Seeding{Count: 1500, First: newYear, Every: time.Minute, Params: url.Values{"amount": {"100"}, "currency": {"usd"}, "source": {"tok_visa"}}})
			}
			mustRun(t, m.open(t, stripesql.WithConcurrency(2)), query)
			require.LessOrEqual(t, int(m.most.Load()), 2, "%s of %d accounts", query, len(names))
		}
	}
}

// One account fails at once, and another one hangs.
func TestErrorOfOneAccountEndsTheOthers(t *testing.T) {
	for _, query := range []string{"SELECT count(*) FROM charges", "SELECT id FROM charges ORDER BY created DESC", "SELECT id FROM charges WHERE id = 'ch_1'"} {
		synctest.Test(t, func(t *testing.T) {
			m := newMall(t, 0, "fails", "hangs", "other")
			m.servers["fails"].Fault("", stripetest.Every(), stripetest.Respond(403, `{"error":{"type":"invalid_request_error","message":"no"}}`))
			m.servers["hangs"].Fault("", stripetest.Every(), stripetest.Delay(time.Hour))
			began := time.Now()
			_, err := run(t.Context(), m.open(t), query)
			require.ErrorIs(t, err, stripekit.ErrPermission, query)
			require.ErrorContains(t, err, `connection "fails"`)
			require.Less(t, time.Since(began), time.Minute, query)
		})
	}
}

func TestIDIsLookedUpInAllAccountsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMall(t, 0, "a", "b", "c", "d", "e", "f", "g", "h")
		for _, server := range m.servers {
			server.Fault("", stripetest.Every(), stripetest.Delay(time.Second))
		}
		began := time.Now()
		got := mustRun(t, m.open(t), "SELECT count(*) FROM products WHERE id = 'shirt'")
		require.Equal(t, []string{"8"}, got.rows)
		require.Equal(t, time.Second, time.Since(began).Truncate(time.Second))
	})
}

func TestProgressOfSeveralAccountsHasNoShare(t *testing.T) {
	m := newMall(t, 300, "a", "b")
	share := 0.0
	ctx := stripesql.WithProgress(t.Context(), func(p stripesql.Progress) { share = max(share, p.Share) })
	_, err := ask(ctx, m.open(t), "SELECT count(*) FROM charges WHERE transfer_group IS NULL AND customer <> ''")
	require.NoError(t, err)
	_, err = ask(ctx, m.open(t), "SELECT count(*) FROM charges WHERE payment_intent = 'pi_1'")
	require.NoError(t, err)
	require.Zero(t, share)
}

func TestEstimatesCountTheAccounts(t *testing.T) {
	names := make([]string, 30)
	for i := range names {
		names[i] = fmt.Sprintf("shop%02d", i)
	}
	m := newMall(t, 0, names...)
	db := m.open(t)
	for query, estimate := range map[string]int{
		"SELECT count(*) FROM charges":                             30,
		"SELECT amount FROM charges WHERE id = 'ch_1'":             30,
		"SELECT count(*) FROM products WHERE id IN ('a', 'b')":     30,
		"SELECT count(*) FROM charges WHERE customer = 'cus_1'":    30,
		"SELECT id FROM charges ORDER BY created DESC LIMIT 2":     30,
		"SELECT max(created) FROM charges":                         30,
		"SELECT count(*) FROM charges WHERE connection = 'shop05'": 1,
	} {
		lines, _ := explanation(t, db, query)
		require.True(t, strings.HasPrefix(lines[len(lines)-1], fmt.Sprintf("ESTIMATE about %d call", estimate)), "%s: %s", query, lines)
	}
}

// The connection fr changes before the third page of its charges is read.
func TestConnectionThatChangesWhileAQueryReads(t *testing.T) {
	update := func(change func(*stripekit.Connection)) func(*mall) error {
		return func(m *mall) error {
			c := m.connection("fr")
			change(&c)
			return m.connections.Update(c)
		}
	}
	for name, test := range map[string]struct {
		change  func(*mall) error
		problem string // "" if the query has all rows
	}{
		"the same key again": {update(func(c *stripekit.Connection) { c.Timeout = time.Minute }), ""},
		"another key":        {update(func(c *stripekit.Connection) { c.APIKey = stripekit.NewSecret("sk_test_de") }), "the key was changed"},
		"another service":    {update(func(c *stripekit.Connection) { c.BaseURL = "https://elsewhere.example" }), "the key was changed"},
		"disabled":           {update(func(c *stripekit.Connection) { c.Disabled = true }), "disabled"},
		"removed":            {func(m *mall) error { return m.connections.Remove("fr") }, "no such connection"},
		"removed and added": {func(m *mall) error {
			c := m.connection("fr")
			c.APIKey = stripekit.NewSecret("sk_test_de")
			return errors.Join(m.connections.Remove("fr"), m.connections.Add(c))
		}, "no such connection"},
	} {
		for _, query := range []string{"SELECT count(*) FROM charges", "SELECT count(*) FROM (SELECT id FROM charges ORDER BY created DESC LIMIT 5000)"} {
			t.Run(name, func(t *testing.T) {
				m := newMall(t, 90, "de", "fr")
				changed := errors.New("not yet")
				m.servers["fr"].Fault("GET /v1/charges", stripetest.Nth(3), stripetest.Do(func() { changed = test.change(m) }))
				got, err := run(t.Context(), m.open(t), query)
				require.NoError(t, changed)
				if test.problem == "" {
					require.NoError(t, err)
					require.Equal(t, []string{"720"}, got.rows)
					return
				}
				require.ErrorContains(t, err, test.problem)
				require.ErrorContains(t, err, `connection "fr"`)
			})
		}
	}
}

func TestAllAccountsAreInOrder(t *testing.T) {
	m := newMall(t, 150, "de", "fr", "us")
	for _, order := range []string{"created DESC", "created DESC, id", "created DESC, id DESC"} {
		got := mustRun(t, m.open(t), "SELECT created, id FROM charges ORDER BY "+order).rows
		sorted := mustRun(t, m.open(t), "SELECT created, id FROM charges ORDER BY +"+order).rows
		require.Len(t, got, 300+900+1800)
		if order != "created DESC" {
			require.Equal(t, sorted, got, order)
		}
		for i := range got {
			require.Equal(t, sorted[i][:len("2026-01-01T00:00:00Z")], got[i][:len("2026-01-01T00:00:00Z")], order)
		}
	}
}

// The connection fr has the key of another account during one request, and none of its rows
// may be in the result.
func TestConnectionThatChangesForOneRequest(t *testing.T) {
	for name, undo := range map[string]func(*mall) error{
		"and changes back": func(m *mall) error { return m.connections.Update(m.connection("fr")) },
		"and is removed":   func(m *mall) error { return m.connections.Remove("fr") },
	} {
		t.Run(name, func(t *testing.T) {
			m := newMall(t, 1, "de", "fr")
			rows, err := m.open(t).QueryContext(t.Context(), "SELECT email FROM customers WHERE connection = 'fr' UNION ALL SELECT name FROM products WHERE connection = 'fr'")
			require.NoError(t, err)
			defer rows.Close()
			require.True(t, rows.Next())
			c := m.connection("fr")
			c.APIKey = stripekit.NewSecret("sk_test_de")
			require.NoError(t, m.connections.Update(c))
			m.servers["de"].Fault("GET /v1/products", stripetest.Every(), stripetest.Do(func() { _ = undo(m) }))
			for rows.Next() {
				var text string
				require.NoError(t, rows.Scan(&text))
				require.NotContains(t, text, "de", "a row of the other account")
			}
			require.ErrorIs(t, rows.Err(), stripekit.ErrKeyChanged)
			require.ErrorContains(t, rows.Err(), `connection "fr"`)
			require.Empty(t, m.calls()["de"], "requests with the other key")
		})
	}
}

// Nor may a Connector of one connection mix two accounts.
func TestConnectorOfAConnectionThatChanges(t *testing.T) {
	m := newMall(t, 90, "de", "fr")
	client, err := m.connections.Open("fr")
	require.NoError(t, err)
	connector, err := stripesql.Connector(client)
	require.NoError(t, err)
	db := sql.OpenDB(connector)
	defer db.Close()
	c := m.connection("fr")
	c.APIKey = stripekit.NewSecret("sk_test_de")
	m.servers["fr"].Fault("GET /v1/charges", stripetest.Nth(3), stripetest.Do(func() { _ = m.connections.Update(c) }))
	_, err = run(t.Context(), db, "SELECT count(*) FROM charges")
	require.ErrorIs(t, err, stripekit.ErrKeyChanged)
	require.Equal(t, []string{"180"}, mustRun(t, db, "SELECT count(*) FROM charges").rows, "the next query reads the other account")
}

// What an account's lists have shown says nothing of another account under the same name.
func TestEstimateAfterAConnectionIsUpdatedToAnotherAccount(t *testing.T) {
	m := newMall(t, 90, "de", "fr")
	db := m.open(t)
	const query = "SELECT count(*) FROM charges WHERE connection = 'fr'"
	for key, calls := range map[string]int{"de": 2, "fr": 6} {
		c := m.connection("fr")
		c.APIKey = stripekit.NewSecret("sk_test_" + key)
		require.NoError(t, m.connections.Update(c))
		require.Equal(t, calls, mustRun(t, db, query).stats.Calls)
		lines, _ := explanation(t, db, query)
		require.Equal(t, fmt.Sprintf("ESTIMATE about %d calls (1000 allowed for each connection)", calls), lines[len(lines)-1])
	}
	elsewhere := m.connection("fr")
	elsewhere.BaseURL = "https://elsewhere.example"
	require.NoError(t, m.connections.Update(elsewhere))
	m.reset()
	explanation(t, db, query)
	require.NotEmpty(t, m.calls()["fr"], "requests of EXPLAIN")
}

// While connections are added, updated and removed, a query has all rows or an error.
func TestQueriesWhileConnectionsChange(t *testing.T) {
	m := newMall(t, 1, "a", "b", "c")
	db := m.open(t)
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		var err error
		for n := 0; err == nil; n++ {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			c := m.connection("b")
			c.Timeout = time.Duration(1+n%2) * time.Minute
			err = errors.Join(m.connections.Remove("c"), m.connections.Update(c), m.connections.Add(m.connection("c")))
		}
		stopped <- err
	}()
	for range 100 {
		got, err := run(t.Context(), db, "SELECT group_concat(connection, ' ') FROM (SELECT DISTINCT connection FROM charges ORDER BY 1)")
		if err == nil {
			require.Contains(t, []string{"a b", "a b c"}, got.rows[0])
		} else {
			require.ErrorIs(t, err, stripekit.ErrNoConnection)
			require.ErrorContains(t, err, `connection "c"`)
		}
	}
	close(stop)
	require.NoError(t, <-stopped)
}
