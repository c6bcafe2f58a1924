package stripesql_test

import (
	"context"
	"net/http"
	"os"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ncruces/go-sqlite3"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripesql"
	"github.com/stripekit/stripekit/stripetest"
)

// occupy locks the file, as another program that writes it does, until release is called.
func (c *copying) occupy() (release func()) {
	db, err := sqlite3.Open(c.file)
	require.NoError(c.t, err)
	require.NoError(c.t, db.Exec("BEGIN IMMEDIATE"))
	return func() { require.NoError(c.t, db.Close()) }
}

// Another program locks the file for a minute, from each of the requests on.
func TestMaterializeWaitsForAnotherProgram(t *testing.T) {
	for from, done := 1, false; !done; from++ {
		synctest.Test(t, func(t *testing.T) {
			c := newCopying(t)
			customers := c.seed(3)
			cfg := stripesql.MaterializeConfig{Tables: []string{"customers", "charges"}}
			c.mustRun(cfg)
			c.rename(customers[0], "Ann")
			c.charge(customers[1])
			began, requests := time.Now(), 0
			c.onRequest = func(*http.Request) error {
				if requests++; requests == from {
					time.AfterFunc(time.Minute, c.occupy())
				}
				return nil
			}
			c.mustRun(cfg)
			c.onRequest = nil
			c.requireEqual()
			require.Less(t, time.Since(began), 3*time.Minute)
			done = requests < from
			time.Sleep(time.Hour) // the file is free
		})
	}
}

func TestMaterializeEndsIfTheFileStaysLocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCopying(t)
		c.seed(3)
		cfg := stripesql.MaterializeConfig{Tables: []string{"customers"}}
		c.mustRun(cfg)
		release := c.occupy()
		began := time.Now()
		require.ErrorIs(t, c.run(t.Context(), cfg), sqlite3.BUSY)
		require.GreaterOrEqual(t, time.Since(began), 5*time.Minute)
		require.Less(t, time.Since(began), 6*time.Minute)

		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began = time.Now()
		require.ErrorIs(t, c.run(ctx, cfg), context.DeadlineExceeded)
		require.Less(t, time.Since(began), 2*time.Minute)
		release()
		c.mustRun(cfg)
		c.requireEqual()
	})
}

// following runs Materialize with Every, calls change when the file is up to date, and
// returns the error.
func (c *copying) following(cfg stripesql.MaterializeConfig, client *stripekit.Client, change func()) error {
	cfg.Every = time.Millisecond
	rounds := 0
	cfg.Progress = func(p stripesql.MaterializeProgress) {
		if p.Table == "" {
			if rounds++; rounds == 1 {
				change()
			}
			require.Less(c.t, rounds, 100, "it does not end")
		}
	}
	return stripesql.Materialize(c.t.Context(), client, c.file, cfg)
}

func TestMaterializeEndsIfItsFileIsRemoved(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("an open file cannot be removed there")
	}
	c := newCopying(t)
	c.seed(3)
	cfg := stripesql.MaterializeConfig{Tables: []string{"customers"}}
	err := c.following(cfg, c.client, func() { require.NoError(t, os.Remove(c.file)) })
	require.ErrorContains(t, err, "it was removed or replaced")
	require.ErrorContains(t, err, c.file)
}

func TestMaterializeEndsIfItsConnectionHasAnotherAccount(t *testing.T) {
	c := newCopying(t, stripetest.WithAccountKeys("acct_one", "sk_test_one", "sk_test_three", "sk_live_one"), stripetest.WithAccountKeys("acct_two", "sk_test_two"))
	for key, problem := range map[string]string{
		"sk_test_two": "it belongs to account acct_one, and the key to acct_two",
		"sk_live_one": "it has the objects of test mode, and the key is of live mode",
	} {
		connections := stripekit.NewConnections(stripekit.WithHTTPClient(&http.Client{Transport: c}), stripekit.WithRateLimit(stripekit.RateLimit{}))
		connection := stripekit.Connection{Name: "shop", APIKey: stripekit.NewSecret("sk_test_one"), BaseURL: c.server.URL}
		require.NoError(t, connections.Add(connection))
		client, err := connections.Open("shop")
		require.NoError(t, err)
		c.file += "." + key
		err = c.following(stripesql.MaterializeConfig{Tables: []string{"customers"}}, client, func() {
			connection.APIKey = stripekit.NewSecret(key)
			require.NoError(t, connections.Update(connection))
		})
		require.ErrorContains(t, err, problem)
	}
}

func TestMaterializeIsAloneWithItsFileUnderAnyName(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a symbolic link needs a privilege there")
	}
	for _, dangling := range []bool{false, true} {
		c := newCopying(t)
		c.seed(3)
		cfg := stripesql.MaterializeConfig{Tables: []string{"customers"}}
		target, link := c.file, c.file+".link"
		require.NoError(t, os.Symlink(target, link))
		if !dangling {
			c.mustRun(cfg)
		}
		var others []error
		c.onRequest = func(*http.Request) error {
			c.onRequest = nil
			for _, c.file = range []string{target, link} {
				others = append(others, c.run(t.Context(), cfg))
			}
			return nil
		}
		c.file = link
		c.mustRun(cfg)
		require.Len(t, others, 2)
		for _, err := range others {
			require.ErrorContains(t, err, "another Materialize is writing it")
		}
		c.requireEqual()
	}
}
