package connector_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/connector"
	"github.com/stripekit/stripekit/stripekittest"
	"github.com/stripekit/stripekit/stripetest"
)

// open starts a trigger that must start, after checking its configuration against the
// schema, and closes it when the test ends.
func open(t *testing.T, client *stripekit.Client, name, config string, o connector.Options) *connector.Flow {
	t.Helper()
	requireFits(t, trigger(t, name).Config, []byte(config))
	flow, err := connector.Open(t.Context(), client, name, []byte(config), o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = flow.Close(context.WithoutCancel(t.Context())) })
	return flow
}

// next returns the next event, whose data must be as its schema says.
func next(t *testing.T, flow *connector.Flow, name string) (connector.Event, map[string]any) {
	t.Helper()
	event, err := flow.Next(t.Context())
	require.NoError(t, err)
	require.NoError(t, event.DecodeErr)
	requireFits(t, trigger(t, name).Data, event.Data)
	return event, decoded(t, event.Data)
}

// requireQuiet requires that the flow delivers nothing for a while.
func requireQuiet(t *testing.T, flow *connector.Flow, wait time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	event, err := flow.Next(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded, "%s", event.Data)
}

// TestEveryTriggerDeliversFittingData makes an object of each kind and changes it.
func TestEveryTriggerDeliversFittingData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := stripekittest.NewClient(t)
		flows := map[string]*connector.Flow{}
		for _, tr := range connector.Triggers() {
			flows[tr.Name] = open(t, client, tr.Name, `{"every": "15s"}`, connector.Options{})
		}
		time.Sleep(time.Minute) // in fake time: all flows have begun

		made := map[string]any{}
		made["customers"] = invoke(t, client, "customers.create", `{"name": "Ada", "source": "tok_visa"}`)["id"]
		made["products"] = invoke(t, client, "products.create", `{"name": "Tea"}`)["id"]
		made["charges"] = invoke(t, client, "charges.create", fmt.Sprintf(`{"amount": 500, "currency": "usd", "customer": %q}`, made["customers"]))["id"]
		made["refunds"] = invoke(t, client, "refunds.create", fmt.Sprintf(`{"charge": %q, "amount": 50}`, made["charges"]))["id"]
		made["invoice_items"] = invoke(t, client, "invoice_items.create", fmt.Sprintf(`{"customer": %q, "amount": 5, "currency": "usd"}`, made["customers"]))["id"]
		made["orders"] = invoke(t, client, "orders.create", `{"currency": "usd", "email": "a@b.c", "items": [{"parent": "sku_1", "amount": 500}]}`)["id"]
		invoke(t, client, "orders.pay", fmt.Sprintf(`{"id": %q, "source": "tok_visa"}`, made["orders"]))
		made["order_returns"] = invoke(t, client, "orders.return", fmt.Sprintf(`{"id": %q}`, made["orders"]))["id"]

		for _, tr := range connector.Triggers() {
			event, data := next(t, flows[tr.Name], tr.Name)
			switch id := made[tr.Object]; {
			case tr.Object == "events":
				require.Regexp(t, "^evt_", event.ID)
			case tr.Name == tr.Object+".new":
				require.Equal(t, id, event.ID, tr.Name)
				require.Equal(t, id, data["id"], tr.Name)
			default:
				require.Equal(t, data["event_id"], event.ID, tr.Name)
				require.Equal(t, id, data["object"].(map[string]any)["id"], tr.Name)
				require.Equal(t, "created", data["type"], tr.Name)
			}
			require.Equal(t, 1, event.Attempt)
			require.False(t, event.Created.IsZero())
			event.Ack()
		}
		require.NotEmpty(t, server.Requests())
	})
}

func TestChangesHaveWhatWasThereBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, _ := stripekittest.NewClient(t)
		id := invoke(t, client, "customers.create", `{"name": "Ada"}`)["id"]
		time.Sleep(time.Hour)
		dead := make(chan connector.Event, 1)
		flow := open(t, client, "customers.changed", `{}`, connector.Options{OnGiveUp: func(_ context.Context, e connector.Event, _ error) error {
			dead <- e
			return nil
		}})
		time.Sleep(time.Minute)
		invoke(t, client, "customers.update", fmt.Sprintf(`{"id": %q, "name": "Ida"}`, id))
		event, data := next(t, flow, "customers.changed")
		event.Term(errors.New("broken"))
		require.JSONEq(t, string(event.Data), string((<-dead).Data), "the dead letter has the same data")
		require.Equal(t, "updated", data["type"])
		require.Equal(t, "customer.updated", data["event_type"])
		require.Equal(t, "Ida", data["object"].(map[string]any)["name"])
		require.Equal(t, map[string]any{"name": "Ada"}, data["previous"])
		invoke(t, client, "customers.delete", fmt.Sprintf(`{"id": %q}`, id))
		_, data = next(t, flow, "customers.changed")
		require.Equal(t, "deleted", data["type"])
		require.Nil(t, data["previous"])
	})
}

func TestFlowRedeliversGivesUpAndContinues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := stripekittest.NewClient(t)
		ids := server.Seed("/v1/charges", stripetest.Seeding{Count: 4, First: time.Now(), Every: time.Second})
		store := new(stripekit.MemoryStore)
		var dead []string
		options := connector.Options{Checkpoints: store, OnGiveUp: func(_ context.Context, e connector.Event, reason error) error {
			dead = append(dead, fmt.Sprintf("%s after %d: %v", decoded(t, e.Data)["id"], e.Attempt, reason))
			return nil
		}}
		const config = `{"from": "beginning", "name": "n", "max_attempts": 2, "max_unacked": 10, "overlap": "5m"}`
		flow := open(t, client, "charges.new", config, options)
		require.Contains(t, flow.Key(), "charges")

		first, _ := next(t, flow, "charges.new")
		require.Equal(t, ids[0], first.ID)
		first.Ack()
		second, _ := next(t, flow, "charges.new")
		second.Term(errors.New("broken"))
		third, _ := next(t, flow, "charges.new")
		third.Nack(0)
		again := third
		for again.Attempt == 1 { // the fourth may be delivered before it
			again, _ = next(t, flow, "charges.new")
		}
		require.Equal(t, third.ID, again.ID)
		again.Nack(0)
		require.NoError(t, flow.Flush(t.Context()))
		synctest.Wait()
		require.Len(t, dead, 2)
		require.Equal(t, ids[1]+" after 1: broken", dead[0])
		require.Contains(t, dead[1], ids[2]+" after 2")
		require.NoError(t, flow.Close(t.Context()))
		_, err := flow.Next(t.Context())
		require.ErrorIs(t, err, connector.ErrClosed)
		require.NoError(t, flow.Err())

		// The fourth was not acknowledged.
		flow = open(t, client, "charges.new", config, options)
		event, _ := next(t, flow, "charges.new")
		require.Equal(t, ids[3], event.ID)
		event.Ack()
		requireQuiet(t, flow, time.Hour)
	})
}

func TestTriggerConfigIsObeyed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := stripekittest.NewClient(t)
		start := time.Now().Add(-time.Hour)
		customer := invoke(t, client, "customers.create", `{"source": "tok_visa"}`)["id"].(string)
		server.Seed("/v1/charges", stripetest.Seeding{Count: 2, First: start})
		ofCustomer := url.Values{"amount": {"500"}, "currency": {"usd"}, "customer": {customer}}
		server.Seed("/v1/charges", stripetest.Seeding{First: start.Add(-time.Hour), Params: ofCustomer})
		want := server.Seed("/v1/charges", stripetest.Seeding{First: start.Add(time.Minute), Params: ofCustomer})[0]

		flow := open(t, client, "charges.new", fmt.Sprintf(
			`{"every": 3600, "from": %q, "filter": {"customer": %q}, "expand": ["customer"]}`, start.Format(time.RFC3339), customer), connector.Options{})
		event, data := next(t, flow, "charges.new")
		require.Equal(t, want, event.ID)
		require.Equal(t, customer, data["customer"].(map[string]any)["id"])
		event.Ack()

		server.Reset()
		time.Sleep(150 * time.Minute)
		require.LessOrEqual(t, len(server.Requests()), 3, "one an hour")
		require.GreaterOrEqual(t, len(server.Requests()), 2)
	})
}

// TestTriggersPollFrom15SecondsToAnHour has the frequencies of other connectors.
func TestTriggersPollFrom15SecondsToAnHour(t *testing.T) {
	for config, every := range map[string]time.Duration{
		`{}`: 15 * time.Second, `{"every": null}`: 15 * time.Second, `{"every": "15s"}`: 15 * time.Second, `{"every": 15}`: 15 * time.Second,
		`{"every": "1m"}`: time.Minute, `{"every": "5m"}`: 5 * time.Minute, `{"every": "1h"}`: time.Hour, `{"every": 3600}`: time.Hour, `{"every": "24h"}`: 24 * time.Hour,
	} {
		synctest.Test(t, func(t *testing.T) {
			client, server := stripekittest.NewClient(t)
			open(t, client, "refunds.new", config, connector.Options{})
			time.Sleep(3 * every)
			server.Reset()
			time.Sleep(20 * every)
			require.InDelta(t, 20, server.Count("GET /v1/refunds"), 1, config)
		})
	}
}

func TestOpenRefusesWrongConfigWithItsPath(t *testing.T) {
	for name, c := range map[string]struct{ trigger, config, param, reason string }{
		"an unknown field":             {"charges.new", `{"evry": 5}`, "evry", "is unknown"},
		"a page":                       {"charges.new", `{"filter": {"limit": 5}}`, "filter[limit]", "is unknown"},
		"ids of products":              {"products.new", `{"filter": {"ids": ["a"]}}`, "filter[ids]", "is unknown"},
		"an unknown filter":            {"charges.new", `{"filter": {"amount": 5}}`, "filter[amount]", "is unknown"},
		"a filter of the library":      {"charges.new", `{"filter": {"extra": {"created[gte]": 5}}}`, "filter[extra][created[gte]]", "is no filter of a trigger"},
		"an option of the library":     {"charges.new", `{"filter": {"extra": {"expand[]": "customer"}}}`, "filter[extra][expand[]]", "is no filter of a trigger"},
		"a filter that Stripe refuses": {"products.new", `{"filter": {"extra": {"ids[]": "prod_1"}}}`, "filter[extra][ids[]]", "is no filter of a trigger"},
		"a filter as a list in extra":  {"charges.new", `{"filter": {"extra": {"customer[]": "c"}}}`, "filter[extra][customer[]]", "is a field of the input itself: set it there"},
		"an empty filter":              {"charges.new", `{"filter": {"customer": ""}}`, "filter[customer]", "must not be empty"},
		"an empty list as a filter":    {"events.new", `{"filter": {"types": []}}`, "filter[types]", "must not be empty"},
		"two filters that exclude":     {"events.new", `{"filter": {"type": "charge.*", "types": ["charge.failed"]}}`, "filter[types]", "does not go together with type"},
		"a filter in extra and itself": {"charges.new", `{"filter": {"extra": {"customer": "c"}}}`, "filter[extra][customer]", "is a field of the input itself: set it there"},
		"a text that is no time":       {"charges.new", `{"every": "soon"}`, "every", `is not a time such as "15s", "5m" or "1h"`},
		"a boolean for a time":         {"charges.new", `{"every": true}`, "every", `must be a time such as "15s", or a number of seconds, and is a boolean`},
		"a time without a unit":        {"charges.new", `{"every": "15"}`, "every", `is not a time such as "15s", "5m" or "1h"`},
		"no time at all":               {"charges.new", `{"every": 0}`, "every", "must be at least 100ms"},
		"hardly any time":              {"charges.new", `{"every": 1e-9}`, "every", "must be at least 100ms"},
		"hardly any time in a text":    {"charges.new", `{"every": "99ms"}`, "every", "must be at least 100ms"},
		"a negative time":              {"charges.new", `{"every": "-5s"}`, "every", `is not a time such as "15s", "5m" or "1h"`},
		"a negative number":            {"charges.new", `{"every": -5}`, "every", "must be at least 100ms"},
		"too long a time":              {"charges.new", `{"every": 1e10}`, "every", "is too large a number of seconds"},
		"too short an overlap":         {"charges.new", `{"overlap": "5ms"}`, "overlap", "must be at least 1s"},
		"a start that is no time":      {"charges.new", `{"from": "yesterday"}`, "from", `must be "now", "beginning", or a time such as "2026-01-31T00:00:00Z"`},
		"a day that does not exist":    {"charges.new", `{"from": "2026-02-31T00:00:00Z"}`, "from", `must be "now", "beginning", or a time such as "2026-01-31T00:00:00Z"`},
		"no attempts":                  {"charges.new", `{"max_attempts": 0}`, "max_attempts", "must be positive"},
		"a filter of changes":          {"charges.changed", `{"filter": {}}`, "filter", "is unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			client, server := stripekittest.NewClient(t)
			_, err := connector.Open(t.Context(), client, c.trigger, []byte(c.config), connector.Options{})
			refused := new(stripekit.ParamError)
			require.ErrorAs(t, err, &refused)
			require.Equal(t, stripekit.ParamError{Param: c.param, Reason: c.reason}, *refused)
			require.Empty(t, server.Requests())
		})
	}
}

func TestOpenRefusesUnknownNamesAndNoClient(t *testing.T) {
	client, _ := stripekittest.NewClient(t)
	_, err := connector.Open(t.Context(), client, "charges.list", nil, connector.Options{})
	require.ErrorIs(t, err, connector.ErrUnknownName)
	_, err = connector.Open(t.Context(), nil, "charges.new", nil, connector.Options{})
	require.EqualError(t, err, "stripe: the client is nil")
}

func TestFlowEndsWithThePermanentErrorOfThePoller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := stripekittest.NewClient(t)
		server.Fault("GET /v1/charges", stripetest.Every(), stripetest.Respond(401, `{"error": {"type": "invalid_request_error", "message": "revoked"}}`))
		flow := open(t, client, "charges.new", `{}`, connector.Options{})
		_, err := flow.Next(t.Context())
		require.ErrorIs(t, err, stripekit.ErrAuthentication)
		require.ErrorIs(t, flow.Err(), stripekit.ErrAuthentication)
		require.ErrorIs(t, flow.Close(t.Context()), stripekit.ErrAuthentication)
	})
}

func TestFlowEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, _ := stripekittest.NewClient(t)
		ctx, cancel := context.WithCancel(t.Context())
		flow, err := connector.Open(ctx, client, "charges.new", nil, connector.Options{})
		require.NoError(t, err)
		go cancel()
		_, err = flow.Next(t.Context())
		require.ErrorIs(t, err, connector.ErrClosed)
		require.NoError(t, flow.Close(t.Context()))
	})
}

// TestDataThatDoesNotFitIsDeliveredWithItsError has objects that the Go types cannot
// hold.
func TestDataThatDoesNotFitIsDeliveredWithItsError(t *testing.T) {
	for name, body := range map[string]string{
		"charges.new":     `{"data": [{"id": "ch_1", "created": %d, "amount": "much"}], "has_more": false}`,
		"charges.changed": `{"data": [{"id": "ch_1", "created": %d, "type": "charge.updated", "data": {"object": {"id": "ch_1", "amount": "much"}}}], "has_more": false}`,
	} {
		synctest.Test(t, func(t *testing.T) {
			client, server := stripekittest.NewClient(t)
			route := map[string]string{"charges.new": "GET /v1/charges", "charges.changed": "GET /v1/events"}[name]
			server.Fault(route, stripetest.Every(), stripetest.Respond(200, fmt.Sprintf(body, time.Now().Unix()+5)))
			dead := make(chan connector.Event, 1)
			flow := open(t, client, name, `{"from": "beginning"}`, connector.Options{OnGiveUp: func(_ context.Context, e connector.Event, _ error) error {
				dead <- e
				return nil
			}})
			event, err := flow.Next(t.Context())
			require.NoError(t, err)
			require.Error(t, event.DecodeErr)
			require.True(t, json.Valid(event.Data))
			require.Equal(t, "ch_1", decoded(t, event.Data)["id"])
			event.Term(event.DecodeErr)
			given := <-dead
			require.Equal(t, string(event.Data), string(given.Data))
			require.Error(t, given.DecodeErr)
		})
	}
}

// TestChangesNeedOnlyWhatTheyHave has events with other types in the fields that the data
// of a change does not have, and with names in another case.
func TestChangesNeedOnlyWhatTheyHave(t *testing.T) {
	for _, more := range []string{
		`"account": {"id": "acct_1"}`, `"pending_webhooks": "1"`, `"livemode": "x"`, `"request": {"id": 5}`, `"x": "\ud800"`,
		`"ID": "evt_2", "Type": "customer.deleted", "Data": {"object": {"id": "cus_2"}}, "DATA": null`,
	} {
		synctest.Test(t, func(t *testing.T) {
			client, server := stripekittest.NewClient(t)
			server.Fault("GET /v1/events", stripetest.Every(), stripetest.Respond(200, fmt.Sprintf(`{"has_more": false, "data": [{
				"id": "evt_1", "created": %d, "type": "customer.updated",
				"data": {"object": {"id": "cus_1", "name": "Ida"}, "Object": {"id": "cus_3"}, "previous_attributes": {"name": "Ada"}}, %s}]}`, time.Now().Unix()+5, more)))
			flow := open(t, client, "customers.changed", `{"from": "beginning"}`, connector.Options{})
			event, data := next(t, flow, "customers.changed")
			require.Equal(t, "evt_1", event.ID)
			require.Equal(t, "updated", data["type"])
			require.Equal(t, map[string]any{"id": "cus_1", "name": "Ida"}, data["object"])
			require.Equal(t, map[string]any{"name": "Ada"}, data["previous"])
		})
	}
}

func TestDataOfAnEventBelongsToItsReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, _ := stripekittest.NewClient(t)
		id := invoke(t, client, "customers.create", `{"name": "Ada"}`)["id"]
		flow := open(t, client, "customers.new", `{"from": "beginning"}`, connector.Options{})
		event, _ := next(t, flow, "customers.new")
		clear(event.Data)
		event.Nack(0)
		_, data := next(t, flow, "customers.new")
		require.Equal(t, id, data["id"])
	})
}

// TestEndOfAFlowComesBeforeTheEndOfTheContext tries it often, since a select of both is
// at random.
func TestEndOfAFlowComesBeforeTheEndOfTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, _ := stripekittest.NewClient(t)
		flow := open(t, client, "charges.new", `{}`, connector.Options{})
		require.NoError(t, flow.Close(t.Context()))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for range 50 {
			_, err := flow.Next(ctx)
			require.ErrorIs(t, err, connector.ErrClosed)
			require.NoError(t, flow.Close(ctx))
		}
	})
}

func TestEventWithoutAFlowCanBeAcknowledged(t *testing.T) {
	event := connector.Event{}
	event.Ack()
	event.Nack(time.Second)
	event.Term(errors.New("x"))
}
