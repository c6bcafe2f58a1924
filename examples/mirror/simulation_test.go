package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripetest"
)

// TestMain lets the simulation start the test program as its mirror.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "-shop" {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestMirrorEqualsTheAccountThoughItIsKilled(t *testing.T) {
	var out bytes.Buffer
	o := options{path: filepath.Join(t.TempDir(), "mirror.db"), duration: 4 * time.Second, kills: 4}
	require.NoError(t, run(t.Context(), o, "", &out), &out)
	require.Regexp(t, `mirror 4 killed after +\d+ ms`, out.String())
	require.Regexp(t, `after \d+ actions of the shop and 4 kills\.\nmirrored: customers \d{4}, charges \d{4}, differences 0\n$`, out.String())

	// The same database again: the rows of another shop would be in the way.
	require.ErrorContains(t, run(t.Context(), o, "", &out), "the database is not empty")
}

func TestSimulationFailsWhereTheMirrorFails(t *testing.T) {
	shop, server, err := newShop()
	require.NoError(t, err)
	defer server.Close()
	var out bytes.Buffer
	(&world{t: t, path: filepath.Join(t.TempDir(), "mirror.db")}).inspect(func(db *database) {
		s := &simulation{out: &out, db: db, shop: shop, url: "not a URL"}
		s.duration, s.kills, s.path = time.Minute, 1, filepath.Join(t.TempDir(), "other.db")
		_, err = s.run(t.Context())
		require.ErrorContains(t, err, "ended by itself")
	})
}

func TestReportNoticesWhatDiffers(t *testing.T) {
	for name, c := range map[string]struct {
		damage  string
		problem string // empty if there is none
	}{
		"nothing":              {`SELECT 1`, ""},
		"a missing row":        {`DELETE FROM customers WHERE id = 'cus_1'`, "cus_1 is missing"},
		"a row too many":       {`INSERT INTO customers VALUES ('cus_9', 1, '{}')`, "cus_9 is not in the account"},
		"an attribute":         {`UPDATE customers SET object = json_set(object, '$.name', 'x') WHERE id = 'cus_2'`, "cus_2 differs: name is  and not x"},
		"a row that is broken": {`UPDATE customers SET object = '[]' WHERE id = 'cus_2'`, "cus_2 differs: the row is no object"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				ids := w.server.Seed("/v1/customers", stripetest.Seeding{IDs: []string{"cus_1", "cus_2"}, First: time.Now().Add(-day)})
				w.run(time.Minute)
				w.inspect(func(db *database) {
					_, err := db.Exec(c.damage)
					require.NoError(t, err)
					var out bytes.Buffer
					s := &simulation{out: &out, db: db, shop: &shop{client: w.client, customers: ids}}
					err = s.report(t.Context(), 3)
					if c.problem == "" {
						require.NoError(t, err, &out)
						require.Contains(t, out.String(), "\nmirrored: customers 2, charges 0, differences 0\n")
						return
					}
					require.EqualError(t, err, "the mirror differs from the account")
					require.Contains(t, out.String(), c.problem)
					require.Contains(t, out.String(), "differences 1\n")
				})
			})
		})
	}
}

func TestReportRequiresWhatTheShopHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.run(time.Minute)
		w.inspect(func(db *database) {
			s := &simulation{out: &bytes.Buffer{}, db: db, shop: &shop{client: w.client, customers: []string{"cus_1"}}}
			require.ErrorContains(t, s.report(t.Context(), 0), "the account has not the 1 customers")
		})
	})
}

func TestAccountIsMirroredUntilTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := stripetest.New(stripetest.InMemory())
		defer server.Close()
		server.Seed("/v1/customers", stripetest.Seeding{Count: 3, First: time.Now().Add(-day)})
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		var out bytes.Buffer
		o := options{path: filepath.Join(t.TempDir(), "mirror.db")}
		require.NoError(t, mirrorAccount(ctx, o, "sk_test_account", &out, stripekit.WithHTTPClient(server.Client())))
		require.Contains(t, out.String(), "in test mode")
		require.Contains(t, out.String(), "mirrored: customers 3, charges 0\n")
		for _, r := range server.Requests() {
			require.Equal(t, "GET", r.Method)
		}
	})
}

func TestBadOptionsAreRefused(t *testing.T) {
	for _, o := range []options{{duration: 0}, {duration: time.Second, kills: -1}, {duration: time.Second, every: -1}} {
		require.Error(t, run(t.Context(), o, "", &bytes.Buffer{}))
	}
	o := options{duration: time.Second, path: filepath.Join(t.TempDir(), "no folder", "mirror.db")}
	require.Error(t, run(t.Context(), o, "", &bytes.Buffer{}))
	require.ErrorContains(t, run(t.Context(), o, "sk_nonsense", &bytes.Buffer{}), "key")
}
