package stripesql_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripesql"
	"github.com/stripekit/stripekit/stripetest"
)

const notPermitted = `{"error":{"type":"invalid_request_error","message":"The provided key does not have the required permissions"}}`

func TestMaterializeRefusesTablesThatTheKeyMayNotReadBeforeItReads(t *testing.T) {
	c := newCopying(t, stripetest.WithPermissions("rk_test_1", "customer_read", "event_read"))
	c.seed(250)
	pages := 0
	c.onRequest = func(r *http.Request) error {
		if r.URL.Path == "/v1/customers" {
			pages++
		}
		return nil
	}
	cfg := stripesql.MaterializeConfig{Tables: []string{"refunds", "customers", "charges"}}
	err := c.runAs(t.Context(), "rk_test_1", cfg)
	require.ErrorIs(t, err, stripekit.ErrPermission)
	require.Regexp(t, `(?s)the table charges: .*rak_charge_read.*the table refunds: .*rak_charge_read`, err.Error())
	require.NotContains(t, err.Error(), "the table customers")
	require.Equal(t, 1, pages, "whether it may be read")
	require.Empty(t, c.rows("SELECT name FROM stripekit_tables"))
}

// The key loses the permission to read charges, and has it again later.
func TestMaterializeGoesOnWithoutARefusedTable(t *testing.T) {
	for name, test := range map[string]struct {
		routes []string
		runs   int // until the lists have what the events could not tell
	}{
		"the list":                 {[]string{"GET /v1/charges"}, 2},
		"the objects":              {[]string{"GET /v1/charges/{id}"}, 1},
		"the list and the objects": {[]string{"GET /v1/charges", "GET /v1/charges/{id}"}, 2},
	} {
		for _, every := range []time.Duration{0, time.Hour} {
			t.Run(name, func(t *testing.T) {
				c := newCopying(t)
				customers := c.seed(150)
				charge := c.charge(customers[0])
				cfg := stripesql.MaterializeConfig{Tables: []string{"charges", "customers", "refunds"}}
				c.mustRun(cfg)

				c.refund(charge)
				c.charge(customers[1])
				c.rename(customers[2], "Ann")
				c.remove(customers[3])
				for _, route := range test.routes {
					c.server.Fault(route, stripetest.Every(), stripetest.Respond(403, notPermitted))
				}
				objects := 0
				c.onRequest = func(r *http.Request) error {
					if strings.HasPrefix(r.URL.Path, "/v1/charges/") {
						objects++
					}
					return nil
				}
				cfg.Every = every
				for range test.runs {
					err := c.run(t.Context(), cfg)
					require.ErrorIs(t, err, stripekit.ErrPermission)
					require.ErrorContains(t, err, "the table charges: ")
				}
				if test.routes[0] == "GET /v1/charges" {
					require.Zero(t, objects, "they would be refused, too")
				}
				require.Equal(t, []string{"Ann|149"}, c.rows("SELECT max(name), count(*) FROM customers"))
				require.Equal(t, []string{"1"}, c.rows("SELECT count(*) FROM refunds"))
				require.GreaterOrEqual(t, len(c.rows("SELECT id FROM charges")), 151, "the rows stay")

				c.server.RemoveFaults()
				cfg.Every = 0
				c.mustRun(cfg)
				c.requireEqual()
				require.Less(t, c.mustRun(cfg), int64(15), "it is as any other again")
			})
		}
	}
}

// A table that is refused without a change meanwhile is not read again as a whole.
func TestMaterializeReadsARefusedTableAgainIfItHasChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCopying(t)
		c.seed(1000)
		time.Sleep(time.Hour)
		cfg := stripesql.MaterializeConfig{Tables: []string{"charges", "customers"}}
		c.mustRun(cfg)
		refusing := c.server.Fault("GET /v1/charges", stripetest.Every(), stripetest.Respond(403, notPermitted))
		require.ErrorContains(t, c.run(t.Context(), cfg), "the table charges: ")
		refusing.Remove()
		require.Less(t, c.mustRun(cfg), int64(12))
		c.requireEqual()
	})
}

// The first reading of customers is interrupted, then one of them is deleted while the
// list is refused.
func TestMaterializeForgetsAFirstReadingThatIsRefused(t *testing.T) {
	c := newCopying(t)
	customers := c.seed(1300)
	cfg := stripesql.MaterializeConfig{Tables: []string{"customers"}}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	pages := 0
	c.onRequest = func(r *http.Request) error {
		if r.URL.Path == "/v1/customers" {
			if pages++; pages == 12 {
				cancel()
			}
		}
		return nil
	}
	require.ErrorIs(t, c.run(ctx, cfg), context.Canceled)
	c.onRequest = nil
	read := c.rows("SELECT id FROM customers WHERE email IS NULL")
	require.NotEmpty(t, read)
	c.remove(read[0])
	c.rename(customers[0], "Ann")
	refusing := c.server.Fault("GET /v1/customers", stripetest.Every(), stripetest.Respond(403, notPermitted))
	require.ErrorContains(t, c.run(t.Context(), cfg), "the table customers: ")
	refusing.Remove()
	c.mustRun(cfg)
	c.requireEqual()
}

// A proxy in front of the service refuses for a minute. It knows nothing of permissions.
func TestMaterializeTakesThePageOfAProxyForAnOutage(t *testing.T) {
	for _, route := range []string{"GET /v1/account", "GET /v1/charges", "GET /v1/events", "GET /v1/charges/{id}"} {
		synctest.Test(t, func(t *testing.T) {
			c := newCopying(t)
			charge := c.charge(c.seed(3)[0])
			if route == "GET /v1/charges/{id}" {
				c.mustRun(stripesql.MaterializeConfig{})
				c.refund(charge)
			}
			blocked := c.server.Fault(route, stripetest.Every(), stripetest.Respond(403, "<html>Forbidden</html>"))
			time.AfterFunc(time.Minute, blocked.Remove)
			began := time.Now()
			c.mustRun(stripesql.MaterializeConfig{})
			require.GreaterOrEqual(t, time.Since(began), time.Minute, route)
			require.NotEmpty(t, c.rows("SELECT id FROM charges"), route)
			c.requireEqual()
		})
	}
}
