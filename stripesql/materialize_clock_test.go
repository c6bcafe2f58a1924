package stripesql_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripesql"
	"github.com/stripekit/stripekit/stripetest"
)

// The Date of responses is wrong, for two runs or for ever, and so may be the clock of
// this machine, against which the server's is set.
func TestMaterializeLosesNothingByAWrongClock(t *testing.T) {
	const month = 40 * 24 * time.Hour
	for _, wrong := range []struct{ machine, date time.Duration }{
		{0, time.Hour}, {0, month}, {0, -month}, {-time.Hour, time.Hour}, {time.Hour, month}, {25 * time.Hour, time.Hour},
	} {
		for _, ever := range []bool{false, true} {
			if raceDetector && wrong.machine != 0 {
				continue // slow, and no other code runs
			}
			t.Run(fmt.Sprintf("the machine by %v, the Date by %v, for ever %v", wrong.machine, wrong.date, ever), func(t *testing.T) {
				c := newCopying(t)
				c.server.Advance(-wrong.machine)
				customers := c.seed(20)
				cfg := stripesql.MaterializeConfig{Tables: []string{"customers", "charges", "refunds", "events"}}
				fault := c.server.Fault("", stripetest.Every(), stripetest.DateOffset(wrong.date))
				c.mustRun(cfg)
				c.server.Advance(15 * time.Minute)
				made, err := c.client.Customers.Create(t.Context(), stripekit.CustomerCreateParams{Source: new("tok_visa")})
				require.NoError(t, err)
				c.server.Advance(30 * time.Minute)
				charge := c.charge(customers[0])
				c.mustRun(cfg)
				c.server.Advance(time.Minute)
				c.rename(made.ID, "Ann")
				c.remove(customers[1])
				c.refund(charge)
				c.charge(made.ID)
				if !ever {
					fault.Remove()
				}
				c.mustRun(cfg)
				c.requireEqual()
				c.server.Advance(3 * time.Hour)
				c.rename(customers[2], "Bob")
				c.mustRun(cfg)
				c.requireEqual()
				require.Equal(t, []string{fmt.Sprint(len(everyObject(t, c.client, "/v1/events")))}, c.rows("SELECT count(*) FROM events"))
			})
		}
	}
}

// The Poller of the events takes them for forgotten.
func TestMaterializeEndsIfTheDateIsAMonthAheadForEver(t *testing.T) {
	c := newCopying(t)
	customers := c.seed(20)
	c.charge(customers[0])
	cfg := stripesql.MaterializeConfig{Tables: []string{"customers", "charges"}}
	fault := c.server.Fault("", stripetest.Every(), stripetest.DateOffset(40*24*time.Hour))
	err := c.run(t.Context(), cfg)
	require.ErrorIs(t, err, stripekit.ErrGap)
	require.ErrorContains(t, err, "the Date of responses may be wrong")
	c.rename(customers[0], "Ann")
	c.remove(customers[1])
	fault.Remove()
	c.mustRun(cfg)
	c.requireEqual()
}

// An event of a test clock is created in the future, and the clocks do not agree.
func TestMaterializeLosesNothingByATestClock(t *testing.T) {
	l, file := newMadeUp(), filepath.Join(t.TempDir(), "a.db")
	ahead := map[string]any{"id": "evt_ahead", "created": time.Now().AddDate(1, 0, 0).Unix(), "type": "some.thing", "data": map[string]any{"object": map[string]any{"id": "sub_1", "object": "subscription"}}}
	l.objects["/v1/events"] = []map[string]any{ahead}
	made := map[string]any{"id": "cus_1", "object": "customer", "name": "a"}
	l.add("/v1/customers", made)
	events := l.objects["/v1/events"]
	l.objects["/v1/events"] = []map[string]any{ahead, events[0]}
	cfg := stripesql.MaterializeConfig{Tables: []string{"customers"}}
	require.NoError(t, l.materialize(t, file, cfg))
	l.now += 3600
	made["name"] = "b"
	l.tell(made)
	events = l.objects["/v1/events"]
	l.objects["/v1/events"] = []map[string]any{ahead, events[0], events[2]}
	l.now += 3600
	require.NoError(t, l.materialize(t, file, cfg))
	require.Equal(t, []string{"b"}, query(t, file, "SELECT name FROM customers"))
}
