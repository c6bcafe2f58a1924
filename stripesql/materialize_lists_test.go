package stripesql_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripesql"
)

// madeUp is a service with made-up objects, in lists that stripetest does not have. Each
// list has the newest object first.
type madeUp struct {
	mu      sync.Mutex
	now     int64
	objects map[string][]map[string]any // by the path of the list
	newer   map[string]any              // objects that the lists show as they were before, by path
	paths   []string                    // of the requests, with the query
}

func newMadeUp() *madeUp { return &madeUp{now: newYear.Unix(), objects: map[string][]map[string]any{}} }

// add adds an object, with an event.
func (l *madeUp) add(path string, object map[string]any) {
	l.now++
	object["created"] = l.now
	l.objects[path] = slices.Insert(l.objects[path], 0, object)
	l.tell(object)
}

// tell adds an event about an object.
func (l *madeUp) tell(object map[string]any) {
	l.now++
	l.objects["/v1/events"] = slices.Insert(l.objects["/v1/events"], 0, map[string]any{
		"id": fmt.Sprint("evt_", l.now), "created": l.now, "type": "some.thing", "data": map[string]any{"object": object},
	})
}

func (l *madeUp) RoundTrip(r *http.Request) (*http.Response, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.paths = append(l.paths, r.URL.RequestURI())
	status, body := http.StatusOK, any(nil)
	if r.URL.Path == "/v1/account" {
		body = map[string]any{"id": "acct_1"}
	} else if newer, found := l.newer[r.URL.Path]; found {
		body = newer
	} else if objects, found := l.objects[r.URL.Path]; found {
		body = page(objects, r.URL.Query())
	} else if i := slices.IndexFunc(l.objects[filepath.Dir(r.URL.Path)], func(o map[string]any) bool { return o["id"] == filepath.Base(r.URL.Path) }); i >= 0 {
		body = l.objects[filepath.Dir(r.URL.Path)][i]
	} else {
		status, body = http.StatusNotFound, map[string]any{"error": map[string]any{"type": "invalid_request_error", "code": "resource_missing"}}
	}
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: status, Header: http.Header{"Date": {time.Unix(l.now, 0).UTC().Format(http.TimeFormat)}, "Request-Id": {"req_1"}},
		Body: io.NopCloser(bytes.NewReader(text)), ContentLength: int64(len(text)), ProtoMajor: 1, ProtoMinor: 1, Request: r,
	}, nil
}

// page returns the page of a list that a query asks for.
func page(objects []map[string]any, query url.Values) map[string]any {
	low, high, limit := number(query.Get("created[gte]"), 0), number(query.Get("created[lt]"), 1<<40), number(query.Get("limit"), 10)
	data := []map[string]any{}
	for _, o := range objects {
		at := int(o["created"].(int64))
		if at >= low && at < high && (query.Get("status") == "all" || o["status"] != "canceled") {
			data = append(data, o)
		}
	}
	more := false
	if after := query.Get("starting_after"); after != "" {
		data = data[1+slices.IndexFunc(data, func(o map[string]any) bool { return o["id"] == after }):]
	}
	if before := query.Get("ending_before"); before != "" {
		data = data[:slices.IndexFunc(data, func(o map[string]any) bool { return o["id"] == before })]
		more = len(data) > limit
		data = data[max(len(data)-limit, 0):]
	}
	more = more || len(data) > limit
	return map[string]any{"object": "list", "data": slices.Clip(data[:min(len(data), limit)]), "has_more": more}
}

// materialize copies tables into a file.
func (l *madeUp) materialize(t *testing.T, file string, cfg stripesql.MaterializeConfig) error {
	return materializeBy(t.Context(), t, l, file, cfg)
}

func materializeBy(ctx context.Context, t *testing.T, transport http.RoundTripper, file string, cfg stripesql.MaterializeConfig) error {
	client, err := stripekit.New("sk_test_1", stripekit.WithHTTPClient(&http.Client{Transport: transport}),
		stripekit.WithRateLimit(stripekit.RateLimit{}), stripekit.WithMaxRetries(0))
	require.NoError(t, err)
	return stripesql.Materialize(ctx, client, file, cfg)
}

// query returns the rows of a query on a file.
func query(t *testing.T, file, text string) []string {
	t.Helper()
	db, err := stripesql.OpenMaterialized(file)
	require.NoError(t, err)
	defer db.Close()
	return mustRun(t, db, text).rows
}

func TestMaterializeCopiesCanceledSubscriptions(t *testing.T) {
	l, file := newMadeUp(), filepath.Join(t.TempDir(), "a.db")
	l.add("/v1/subscriptions", map[string]any{"id": "sub_1", "object": "subscription", "status": "canceled"})
	active := map[string]any{"id": "sub_2", "object": "subscription", "status": "active"}
	l.add("/v1/subscriptions", active)
	l.now += 3600
	cfg := stripesql.MaterializeConfig{Tables: []string{"subscriptions"}}
	require.NoError(t, l.materialize(t, file, cfg))
	require.Equal(t, []string{"sub_1|canceled", "sub_2|active"}, query(t, file, "SELECT id, status FROM subscriptions ORDER BY id"))

	active["status"] = "canceled"
	l.tell(active)
	require.NoError(t, l.materialize(t, file, cfg))
	require.Equal(t, []string{"2"}, query(t, file, "SELECT count(*) FROM subscriptions WHERE status = 'canceled'"))
}

func TestMaterializeReadsBalanceTransactionsUntilTheyAreAvailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, file := newMadeUp(), filepath.Join(t.TempDir(), "a.db")
		const day = 24 * 3600
		pass := func(seconds int64) {
			time.Sleep(time.Duration(seconds) * time.Second)
			l.now = time.Now().Unix()
		}
		pass(1)
		pending := map[string]any{"id": "txn_1", "object": "balance_transaction", "status": "pending", "available_on": l.now + 7*day}
		l.add("/v1/balance_transactions", pending)
		l.add("/v1/balance_transactions", map[string]any{"id": "txn_2", "object": "balance_transaction", "status": "available"})
		cfg := stripesql.MaterializeConfig{Tables: []string{"balance_transactions"}}
		requireLast := func(reads bool) { // the last 10 minutes, or since the transaction
			t.Helper()
			l.paths = nil
			before := l.now
			pass(day)
			require.NoError(t, l.materialize(t, file, cfg))
			for _, path := range l.paths {
				if strings.HasPrefix(path, "/v1/balance_transactions") {
					require.Equal(t, reads, strings.Contains(path, fmt.Sprint("created[gte]=", before-600)), path)
				}
			}
		}
		require.NoError(t, l.materialize(t, file, cfg))
		pass(day)
		require.NoError(t, l.materialize(t, file, cfg))
		requireLast(true)
		pass(5 * day)
		require.NoError(t, l.materialize(t, file, cfg))
		requireLast(false)
		pending["status"] = "available"
		require.NoError(t, l.materialize(t, file, cfg))
		require.Equal(t, []string{"txn_1|available", "txn_2|available"}, query(t, file, "SELECT id, status FROM balance_transactions ORDER BY id"))
		requireLast(true)
	})
}

func TestMaterializeKeepsEventsAndTransactionsThatAreNotListedAnyMore(t *testing.T) {
	l, file := newMadeUp(), filepath.Join(t.TempDir(), "a.db")
	l.add("/v1/payouts", map[string]any{"id": "po_1", "object": "payout"})
	cfg := stripesql.MaterializeConfig{Tables: []string{"events", "payouts"}}
	require.NoError(t, l.materialize(t, file, cfg))
	l.now += 40 * 24 * 3600
	delete(l.objects, "/v1/events")
	delete(l.objects, "/v1/payouts")
	l.add("/v1/payouts", map[string]any{"id": "po_2", "object": "payout"})
	require.NoError(t, l.materialize(t, file, cfg))
	require.Equal(t, []string{"po_1", "po_2"}, query(t, file, "SELECT object_id FROM events ORDER BY 1"))
	require.Equal(t, []string{"po_2"}, query(t, file, "SELECT id FROM payouts"))
}

func TestMaterializeReadsWhatTheListShowsAsItWas(t *testing.T) {
	l, file := newMadeUp(), filepath.Join(t.TempDir(), "a.db")
	l.add("/v1/charges", map[string]any{"id": "ch_1", "object": "charge", "status": "pending"})
	l.now += 3600
	l.newer = map[string]any{"/v1/charges/ch_1": map[string]any{"id": "ch_1", "object": "charge", "status": "succeeded", "created": l.now}}
	l.tell(map[string]any{"id": "ch_1", "object": "charge"})
	l.now += 60
	cfg := stripesql.MaterializeConfig{Tables: []string{"charges"}}
	require.NoError(t, l.materialize(t, file, cfg))
	require.Equal(t, []string{"succeeded"}, query(t, file, "SELECT status FROM charges"))
	l.now += 60
	require.NoError(t, l.materialize(t, file, cfg))
	require.Equal(t, []string{"succeeded"}, query(t, file, "SELECT status FROM charges"))
}

func TestMaterializeReadsTheChargeOfADispute(t *testing.T) {
	l, file := newMadeUp(), filepath.Join(t.TempDir(), "a.db")
	charge := map[string]any{"id": "ch_1", "object": "charge", "disputed": false}
	l.add("/v1/charges", charge)
	l.now += 3600
	cfg := stripesql.MaterializeConfig{Tables: []string{"charges"}}
	require.NoError(t, l.materialize(t, file, cfg))
	charge["disputed"] = true
	l.tell(map[string]any{"id": "dp_1", "object": "dispute", "charge": "ch_1"})
	require.NoError(t, l.materialize(t, file, cfg))
	require.Equal(t, []string{"1"}, query(t, file, "SELECT disputed FROM charges"))
}

func TestMaterializeTakesOddObjects(t *testing.T) {
	l, file := newMadeUp(), filepath.Join(t.TempDir(), "a.db")
	odd := map[string]any{"id": `cus_"'; DROP TABLE customers; --`, "object": "customer", "email": []any{1, "\x00", "é"}, "name": map[string]any{"id": "x"}, "metadata": 5, "balance": "7"}
	l.add("/v1/customers", odd)
	l.add("/v1/customers", map[string]any{"id": "cus_2", "object": "customer", "metadata": "a'b", "name": "a\x00b", "balance": 1e300})
	l.tell(map[string]any{"id": "search", "object": "customer"}) // the name of another endpoint
	l.objects["/v1/customers/search"] = nil
	cfg := stripesql.MaterializeConfig{Tables: []string{"customers"}, Raw: true}
	require.NoError(t, l.materialize(t, file, cfg))
	require.NoError(t, l.materialize(t, file, cfg))
	require.Equal(t, []string{"2|2"}, query(t, file, "SELECT count(*), count(raw) FROM customers"))
	require.Equal(t, []string{`cus_"'; DROP TABLE customers; --`}, query(t, file, "SELECT id FROM customers WHERE id LIKE '%DROP%'"))
	require.Equal(t, []string{"3"}, query(t, file, "SELECT length(CAST(name AS blob)) FROM customers WHERE id = 'cus_2'"))
}

// indented sends responses as Stripe does, with white space.
func indented(of http.RoundTripper) roundTrip {
	return func(r *http.Request) (*http.Response, error) {
		response, err := of.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		text, err := io.ReadAll(response.Body)
		if err != nil {
			return nil, err
		}
		var spaced bytes.Buffer
		if err := json.Indent(&spaced, text, "", "  "); err != nil {
			return nil, err
		}
		response.Body, response.ContentLength = io.NopCloser(&spaced), int64(spaced.Len())
		return response, nil
	}
}

func TestMaterializedRawIsThatOfTheLiveTable(t *testing.T) {
	l, file := newMadeUp(), filepath.Join(t.TempDir(), "a.db")
	const metadata = `{"a b":"x  y","q\"":"\u0000","é":"\n","dup":"1","dup":"2","deep":{"n":[1e999,-0, 123456789012345678901234567890]}}`
	l.add("/v1/customers", map[string]any{"id": "cus_1", "object": "customer", "metadata": json.RawMessage(metadata)})
	changed := map[string]any{"id": "cus_2", "object": "customer", "metadata": json.RawMessage(metadata)}
	l.add("/v1/customers", changed)
	cfg := stripesql.MaterializeConfig{Tables: []string{"customers"}, Raw: true}
	require.NoError(t, materializeBy(t.Context(), t, indented(l), file, cfg))
	changed["name"] = "Ann"
	l.tell(changed)
	require.NoError(t, materializeBy(t.Context(), t, indented(l), file, cfg))

	client, err := stripekit.New("sk_test_1", stripekit.WithHTTPClient(&http.Client{Transport: indented(l)}))
	require.NoError(t, err)
	connector, err := stripesql.Connector(client)
	require.NoError(t, err)
	live := sql.OpenDB(connector)
	defer live.Close()
	for _, text := range []string{"SELECT id, raw FROM customers ORDER BY id", "SELECT raw->>'$.metadata.dup', length(raw), json_valid(raw, 8) FROM customers ORDER BY id"} {
		require.Equal(t, mustRun(t, live, text).rows, query(t, file, text))
	}
}

func TestMaterializeEndsAtWhatIsNoList(t *testing.T) {
	for name, change := range map[string]func(*madeUp){
		"an object without an id": func(l *madeUp) { l.add("/v1/customers", map[string]any{"object": "customer"}) },
		"an event of nothing": func(l *madeUp) {
			l.tell(nil)
			l.objects["/v1/events"][0]["data"] = "x"
		},
		"another object than asked for": func(l *madeUp) {
			l.objects["/v1/customers"] = append(l.objects["/v1/customers"], map[string]any{"id": "cus_3", "object": "customer", "created": int64(5)})
			l.tell(map[string]any{"id": "cus_3", "object": "customer"})
			l.objects["/v1/customers/cus_3"] = []map[string]any{}
		},
	} {
		t.Run(name, func(t *testing.T) {
			l, file := newMadeUp(), filepath.Join(t.TempDir(), "a.db")
			l.add("/v1/customers", map[string]any{"id": "cus_1", "object": "customer"})
			cfg := stripesql.MaterializeConfig{Tables: []string{"customers"}}
			require.NoError(t, l.materialize(t, file, cfg))
			whole, events := slices.Clone(l.objects["/v1/customers"]), slices.Clone(l.objects["/v1/events"])
			change(l)
			require.Error(t, l.materialize(t, file, cfg))
			require.Equal(t, []string{"cus_1"}, query(t, file, "SELECT id FROM customers WHERE id <> 'cus_3'"))

			l.objects = map[string][]map[string]any{"/v1/customers": whole, "/v1/events": events}
			require.NoError(t, l.materialize(t, file, cfg))
		})
	}
}
