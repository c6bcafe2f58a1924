package stripesql_test

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ncruces/go-sqlite3"
	plaindriver "github.com/ncruces/go-sqlite3/driver"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripesql"
	"github.com/stripekit/stripekit/stripetest"
)

func TestMaterializeKeepsUpWithTheAccount(t *testing.T) {
	c := newCopying(t)
	customers := c.seed(250)
	c.mustRun(stripesql.MaterializeConfig{})
	c.requireEqual()

	c.rename(customers[0], "Ann")
	c.rename(customers[0], "Anna")
	c.rename(customers[1], "Bob")
	c.remove(customers[1])
	c.refund(c.charge(customers[2]))
	_, err := c.client.InvoiceItems.Create(t.Context(), stripekit.InvoiceItemCreateParams{Customer: &customers[3], Amount: new(int64(5)), Currency: new("eur")})
	require.NoError(t, err)
	c.mustRun(stripesql.MaterializeConfig{})
	c.requireEqual()
	require.Equal(t, []string{"Anna"}, c.rows("SELECT name FROM customers WHERE id = '"+customers[0]+"'"))
	require.Empty(t, c.rows("SELECT name FROM customers WHERE id = '"+customers[1]+"'"))
}

func TestMaterializeOfAQuietAccountMakesFewRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCopying(t)
		c.seed(300)
		time.Sleep(time.Hour)
		c.mustRun(stripesql.MaterializeConfig{Tables: []string{"customers", "charges"}})
		time.Sleep(time.Hour)
		// The account, which a Backfill and the Poller ask for too, the clock, each list, and
		// the events, which may be polled more than once.
		require.LessOrEqual(t, c.mustRun(stripesql.MaterializeConfig{Tables: []string{"customers"}}), int64(10))
	})
}

func TestMaterializeReadsNewObjectsByTheList(t *testing.T) {
	c := newCopying(t)
	c.server.Advance(-time.Hour)
	customer := c.seed(1)[0]
	cfg := stripesql.MaterializeConfig{Tables: []string{"charges"}}
	c.mustRun(cfg)
	for range 200 {
		c.charge(customer)
	}
	c.server.Advance(time.Hour) // the events are older than what may be late
	one := 0                    // reads of one charge, as an event asks for
	c.onRequest = func(r *http.Request) error {
		if strings.HasPrefix(r.URL.Path, "/v1/charges/") {
			one++
		}
		return nil
	}
	// How the spans of time are cut depends on the pace of the requests: 16 to 26 were seen.
	require.Less(t, c.mustRun(cfg), int64(50), "requests for 200 new charges")
	require.Zero(t, one)
	c.onRequest = nil
	c.requireEqual()
	c.refund(c.charge(customer))
	c.mustRun(cfg)
	c.requireEqual()
}

func TestMaterializeFindsWhatBecomesVisibleLate(t *testing.T) {
	late := map[string]bool{}
	c := newCopying(t, stripetest.WithVisibility(func(id string) time.Duration {
		if late[id[:3]] {
			return 5 * time.Minute
		}
		return 0
	}))
	customers := c.seed(3)
	cfg := stripesql.MaterializeConfig{Tables: []string{"customers", "charges"}}
	c.mustRun(cfg)
	for _, prefix := range []string{"ch_", "evt"} {
		late[prefix] = true
		c.charge(customers[0])
		c.rename(customers[1], prefix)
		c.server.Advance(time.Minute)
		c.mustRun(cfg)
		delete(late, prefix)
		c.charge(customers[0]) // newer, and visible at once
		c.mustRun(cfg)
		c.server.Advance(6 * time.Minute)
		c.mustRun(cfg)
		c.requireEqual()
	}
}

func TestMaterializeReadsAgainWhatEventsDoNotTell(t *testing.T) {
	c := newCopying(t)
	customers := c.seed(120)
	cfg := stripesql.MaterializeConfig{Tables: []string{"customers", "charges"}}
	c.mustRun(cfg)
	c.rename(customers[0], "Ann")
	c.remove(customers[1])
	c.server.Advance(40 * 24 * time.Hour)
	c.rename(customers[2], "Bob")
	c.remove(customers[3])

	rows := 0
	c.onRequest = func(r *http.Request) error {
		if r.URL.Path == "/v1/customers" && r.URL.Query().Has("starting_after") {
			rows = len(c.rows("SELECT id FROM customers")) // while it is read again
		}
		return nil
	}
	c.mustRun(cfg)
	c.requireEqual()
	require.GreaterOrEqual(t, rows, 118)
	require.Empty(t, c.rows("SELECT * FROM stripekit_seen"))
}

func TestMaterializeContinuesWhereItWasInterrupted(t *testing.T) {
	c := newCopying(t)
	c.seed(1300)
	cfg := stripesql.MaterializeConfig{Tables: []string{"customers"}}
	ctx, cancel := context.WithCancel(t.Context())
	pages := 0
	c.onRequest = func(r *http.Request) error {
		if r.URL.Path == "/v1/customers" {
			if pages++; pages == 8 {
				cancel()
			}
		}
		return nil
	}
	require.ErrorIs(t, c.run(ctx, cfg), context.Canceled)
	c.onRequest = nil
	require.NotEmpty(t, c.rows("SELECT id FROM customers"))
	require.Equal(t, []string{"0"}, c.rows("SELECT complete FROM stripekit_tables"))
	c.mustRun(cfg)
	c.requireEqual()
}

func TestMaterializeFollows(t *testing.T) {
	c := newCopying(t)
	customers := c.seed(5)
	ctx, cancel := context.WithCancel(t.Context())
	upToDate, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- c.run(ctx, stripesql.MaterializeConfig{
			Tables: []string{"customers", "charges"}, Every: time.Millisecond,
			Progress: func(p stripesql.MaterializeProgress) {
				if p.Table == "" {
					select {
					case upToDate <- struct{}{}:
					case <-ctx.Done():
					}
				}
			},
		})
	}()
	await := func() {
		select {
		case <-upToDate:
		case err := <-ended:
			require.Fail(t, "it has ended", "%v", err)
		}
	}
	await()
	c.requireEqual()
	c.rename(customers[0], "Ann")
	c.charge(customers[1])
	await() // it may have looked for changes before these were made
	await()
	c.requireEqual()
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
}

func TestMaterializeReportsProgress(t *testing.T) {
	c := newCopying(t)
	c.seed(250)
	var reports []stripesql.MaterializeProgress
	c.mustRun(stripesql.MaterializeConfig{Tables: []string{"customers", "charges"}, Progress: func(p stripesql.MaterializeProgress) { reports = append(reports, p) }})
	done := map[string]int{}
	for _, p := range reports {
		done[p.Table] = p.Done
	}
	require.Equal(t, map[string]int{"customers": 250, "charges": 250, "": 0}, done)
	require.Empty(t, reports[len(reports)-1].Table)
}

func TestMaterializeCopiesWhatTheKeyMayRead(t *testing.T) {
	c := newCopying(t, stripetest.WithPermissions("rk_test_1", "customer_read", "event_read"))
	c.seed(3)
	require.NoError(t, c.runAs(t.Context(), "rk_test_1", stripesql.MaterializeConfig{}))
	require.Equal(t, []string{"customers"}, c.rows("SELECT name FROM stripekit_tables"))
	c.requireEqual()
	err := c.runAs(t.Context(), "rk_test_1", stripesql.MaterializeConfig{Tables: []string{"charges"}})
	require.ErrorIs(t, err, stripekit.ErrPermission)
}

func TestMaterializeRefusesAConfigurationBeforeAnyRequest(t *testing.T) {
	c := newCopying(t)
	for name, cfg := range map[string]stripesql.MaterializeConfig{
		`there is no table "charge"`: {Tables: []string{"charges", "charge"}},
		"Every is out of range":      {Every: -1},
		"stripekit_ is reserved":     {Options: []stripesql.Option{stripesql.WithTable("stripekit_file", "/v1/files")}},
		"there is a table charges":   {Options: []stripesql.Option{stripesql.WithTable("charges", "/v1/charges")}},
	} {
		require.ErrorContains(t, c.run(t.Context(), cfg), name)
	}
	require.ErrorContains(t, stripesql.Materialize(t.Context(), nil, c.file, stripesql.MaterializeConfig{}), "client is nil")
	require.Zero(t, c.requests.Load())
	require.NoFileExists(t, c.file)
}

func TestMaterializeRefusesAnotherAccountOrMode(t *testing.T) {
	c := newCopying(t, stripetest.WithAccountKeys("acct_one", "sk_test_one", "sk_live_one", "rk_test_one"),
		stripetest.WithAccountKeys("acct_two", "sk_test_two", "rk_test_two"),
		stripetest.WithPermissions("rk_test_one", "customer_read", "event_read"),
		stripetest.WithPermissions("rk_test_two", "customer_read", "event_read"))
	cfg := stripesql.MaterializeConfig{Tables: []string{"customers"}}
	require.NoError(t, c.runAs(t.Context(), "sk_test_one", cfg))
	require.NoError(t, c.runAs(t.Context(), "rk_test_one", cfg))
	for key, problem := range map[string]string{
		"sk_test_two": "it belongs to account acct_one, and the key to acct_two",
		"rk_test_two": "it belongs to account acct_one, and the key to acct_two",
		"sk_live_one": "it has the objects of test mode, and the key is of live mode",
	} {
		err := c.runAs(t.Context(), key, cfg)
		require.ErrorContains(t, err, problem)
		require.NotContains(t, err.Error(), key)
	}
}

func TestMaterializeIsAloneWithItsFile(t *testing.T) {
	c := newCopying(t)
	c.seed(3)
	cfg := stripesql.MaterializeConfig{Tables: []string{"customers"}}
	var second error
	c.onRequest = func(*http.Request) error {
		c.onRequest = nil
		second = c.run(t.Context(), cfg)
		return nil
	}
	c.mustRun(cfg)
	require.ErrorContains(t, second, "another Materialize is writing it")
	c.mustRun(cfg)
	c.requireEqual()
}

func TestMaterializeRefusesAFileThatItHasNotMade(t *testing.T) {
	made := newCopying(t)
	made.seed(200)
	made.mustRun(stripesql.MaterializeConfig{Tables: []string{"customers"}})
	whole, err := os.ReadFile(made.file)
	require.NoError(t, err)
	plain := filepath.Join(t.TempDir(), "plain.db")
	db, err := sqlite3.Open(plain)
	require.NoError(t, err)
	require.NoError(t, db.Exec("CREATE TABLE notes (text)"))
	require.NoError(t, db.Close())
	other, err := os.ReadFile(plain)
	require.NoError(t, err)
	newer := []byte(string(whole))
	newer[63] = 2 // the user_version

	for name, test := range map[string]struct {
		content []byte
		problem string
	}{
		"text":          {[]byte(strings.Repeat("a diary\n", 500)), "not a database"},
		"short text":    {[]byte("a diary\n"), "not a database"},
		"another one's": {other, "not a file of Materialize"},
		"torn":          {whole[:len(whole)/2], "malformed"},
		"a later one's": {newer, "it is a file of version 2, and this is version 1"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCopying(t)
			require.NoError(t, os.WriteFile(c.file, test.content, 0o600))
			err := c.run(t.Context(), stripesql.MaterializeConfig{})
			require.ErrorContains(t, err, test.problem)
			require.ErrorContains(t, err, c.file)
			require.Zero(t, c.requests.Load())
			after, err := os.ReadFile(c.file)
			require.NoError(t, err)
			require.Equal(t, test.content, after)
			_, err = stripesql.OpenMaterialized(c.file)
			require.ErrorContains(t, err, test.problem)
		})
	}
}

func TestMaterializeNeedsAFolder(t *testing.T) {
	c := newCopying(t)
	c.file = filepath.Join(t.TempDir(), "no folder", "a.db")
	require.ErrorIs(t, c.run(t.Context(), stripesql.MaterializeConfig{}), os.ErrNotExist)
	_, err := stripesql.OpenMaterialized(c.file)
	require.Error(t, err)
	require.NoFileExists(t, c.file)
}

func TestMaterializedFileIsItsOwners(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no such modes")
	}
	c := newCopying(t)
	c.seed(3)
	modes := map[string]os.FileMode{}
	c.onRequest = func(*http.Request) error {
		for _, suffix := range []string{"", "-wal", "-lock"} {
			if info, err := os.Stat(c.file + suffix); err == nil {
				modes[suffix] = info.Mode()
			}
		}
		return nil
	}
	c.mustRun(stripesql.MaterializeConfig{Tables: []string{"customers"}})
	require.Equal(t, map[string]os.FileMode{"": 0o600, "-wal": 0o600, "-lock": 0o600}, modes)
}

func TestMaterializeAddsTablesAndColumns(t *testing.T) {
	c := newCopying(t)
	customers := c.seed(150)
	buyers := func(columns ...stripesql.Column) []stripesql.Option {
		return []stripesql.Option{stripesql.WithTable("buyers", "/v1/customers", columns...)}
	}
	email, name := stripesql.Column{Name: "email"}, stripesql.Column{Name: "name"}
	c.rename(customers[0], "Ann")
	c.mustRun(stripesql.MaterializeConfig{Tables: []string{"buyers"}, Options: buyers(email)})
	require.Equal(t, []string{"c0@example.com"}, c.rows("SELECT email FROM buyers WHERE id = '"+customers[0]+"'"))
	c.mustRun(stripesql.MaterializeConfig{Tables: []string{"buyers", "charges"}, Options: buyers(email, name), Raw: true})
	require.Equal(t, []string{"c0@example.com|Ann|Ann"}, c.rows("SELECT email, name, raw->>'name' FROM buyers WHERE id = '"+customers[0]+"'"))
	require.Equal(t, []string{"150|150"}, c.rows("SELECT count(*), count(raw) FROM buyers"))

	c.rename(customers[0], "Anna")
	c.mustRun(stripesql.MaterializeConfig{Options: buyers(email, name), Tables: []string{}})
	require.Equal(t, []string{"Anna|Anna"}, c.rows("SELECT name, raw->>'name' FROM buyers WHERE id = '"+customers[0]+"'"))
	require.Equal(t, []string{"buyers", "charges"}, c.rows("SELECT name FROM stripekit_tables ORDER BY name"))

	for problem, options := range map[string][]stripesql.Option{
		"it has the table buyers":                               nil,
		"its table buyers has the column name":                  buyers(email),
		"its column buyers.name is of type TEXT":                buyers(email, stripesql.Column{Name: "name", Type: stripesql.Integer}),
		"is of the list /v1/customers, and not of /v1/products": {stripesql.WithTable("buyers", "/v1/products", email, name)},
	} {
		require.ErrorContains(t, c.run(t.Context(), stripesql.MaterializeConfig{Options: options}), problem)
	}
}

func TestMaterializedFileIsReadByOtherPrograms(t *testing.T) {
	c := newCopying(t)
	c.seed(50)
	c.mustRun(stripesql.MaterializeConfig{Tables: []string{"customers", "charges"}})
	read := 0
	c.onRequest = func(*http.Request) error { // while it is written
		db, err := plaindriver.Open("file:" + strings.NewReplacer("?", "%3F", "#", "%23").Replace(c.file) + "?mode=ro")
		require.NoError(t, err)
		defer db.Close()
		for query, want := range map[string]int{
			"SELECT count(*) FROM charges JOIN customers c ON c.id = charges.customer":                                50,
			"SELECT count(*) FROM charges WHERE created >= '2020-01-01'":                                              50,
			"SELECT count(*) FROM charges WHERE created_unix >= 1577836800":                                           50,
			"SELECT count(*) FROM (SELECT id FROM charges ORDER BY created DESC LIMIT 10)":                            10,
			"SELECT count(*) FROM (SELECT max(created) AS m FROM charges GROUP BY customer) WHERE m LIKE '20__-%T%Z'": 50,
		} {
			var got int
			require.NoError(t, db.QueryRow(query).Scan(&got), query)
			require.Equal(t, want, got, query)
			read++
		}
		return nil
	}
	c.mustRun(stripesql.MaterializeConfig{})
	require.Positive(t, read)
}

func TestMaterializeLosesNoChangeBetweenTheListsAndTheEvents(t *testing.T) {
	c := newCopying(t)
	customers := c.seed(3)
	ctx, cancel := context.WithCancel(t.Context())
	cfg := stripesql.MaterializeConfig{Tables: []string{"customers"}, Progress: func(stripesql.MaterializeProgress) { cancel() }}
	require.ErrorIs(t, c.run(ctx, cfg), context.Canceled)
	require.Equal(t, []string{"3"}, c.rows("SELECT count(*) FROM customers"))
	c.rename(customers[0], "Ann")
	c.server.Advance(time.Hour)
	cfg.Progress = nil
	c.mustRun(cfg)
	c.requireEqual()
}

func TestMaterializeReadsWhatHasChangedThoughItIsListedAgain(t *testing.T) {
	c := newCopying(t)
	cfg := stripesql.MaterializeConfig{Tables: []string{"customers"}}
	made, err := c.client.Customers.Create(t.Context(), stripekit.CustomerCreateParams{})
	require.NoError(t, err)
	c.mustRun(cfg)
	c.rename(made.ID, "Ann")
	c.server.Advance(time.Hour)
	c.mustRun(cfg)
	c.requireEqual()
}

func TestMaterializeEndsAfterAnOutage(t *testing.T) {
	for name, test := range map[string]struct {
		path    string // "" for that of the changed object
		outcome error
		least   time.Duration
		most    time.Duration
	}{
		"no network for the account":    {"/v1/account", errCut, 5 * time.Minute, 8 * time.Minute},
		"no network for a list":         {"/v1/customers", errCut, 5 * time.Minute, 8 * time.Minute},
		"no network for the events":     {"/v1/events", errCut, 5 * time.Minute, 8 * time.Minute},
		"no network for an object":      {"", errCut, 5 * time.Minute, 8 * time.Minute},
		"an outage of a minute":         {"", nil, time.Minute, 4 * time.Minute},
		"an outage of the events' list": {"/v1/events", nil, time.Minute, 4 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCopying(t)
				customers := c.seed(3)
				cfg := stripesql.MaterializeConfig{Tables: []string{"customers"}}
				c.mustRun(cfg)
				c.rename(customers[0], "Ann")
				path := cmp.Or(test.path, "/v1/customers/"+customers[0])
				began := time.Now()
				c.onRequest = func(r *http.Request) error {
					if r.URL.Path == path && (test.outcome != nil || time.Since(began) < time.Minute) {
						return errCut
					}
					return nil
				}
				require.ErrorIs(t, c.run(t.Context(), cfg), test.outcome)
				require.GreaterOrEqual(t, time.Since(began), test.least)
				require.LessOrEqual(t, time.Since(began), test.most)
				c.onRequest = nil
				c.mustRun(cfg)
				c.requireEqual()
			})
		})
	}
}

var errCut = errors.New("the cable is cut")

func TestMaterializeEndsAtOnceIfTheKeyIsRefused(t *testing.T) {
	c := newCopying(t)
	customers := c.seed(3)
	cfg := stripesql.MaterializeConfig{Tables: []string{"customers"}}
	c.mustRun(cfg)
	c.rename(customers[0], "Ann")
	for _, route := range []string{"GET /v1/account", "GET /v1/customers", "GET /v1/events", "GET /v1/customers/{id}"} {
		c.server.Fault(route, stripetest.Every(), stripetest.Respond(401, `{"error":{"type":"invalid_request_error","message":"Invalid API Key"}}`))
		require.ErrorIs(t, c.run(t.Context(), cfg), stripekit.ErrAuthentication, route)
		c.server.RemoveFaults()
	}
	c.mustRun(cfg)
	c.requireEqual()
}
