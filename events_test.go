package stripekit_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
)

func TestEventsSendEveryParameter(t *testing.T) {
	filter := full(t, stripekit.AccountEventListParams{
		ListParams: stripekit.ListParams{Created: &someCreated}, DeliverySuccess: new(false), Type: new("charge.*"),
		Types: []string{"charge.failed", "charge.pending"}, Extra: stripekit.Extra{"x": 1},
	})
	const sentFilter = sentCreated + "&delivery_success=false&type=charge.*&types[0]=charge.failed&types[1]=charge.pending&x=1"

	requireOperations(t, map[string]operation{
		"list": {
			func(ctx context.Context, c *stripekit.Client) error { return drained(c.Events.List(ctx, filter)) },
			sentRequest{"GET", "/v1/events", sentFilter + "&limit=100"},
		},
		"page": {
			func(ctx context.Context, c *stripekit.Client) error { return done(c.Events.Page(ctx, filter)) },
			sentRequest{"GET", "/v1/events", sentFilter},
		},
	})
}

func TestEventsGetAnEvent(t *testing.T) {
	tp, client := newTape(t)
	tp.play = func(int) string {
		return `{"id": "evt_1", "type": "product.created", "data": {"object": {"id": "prod_1"}}}`
	}
	event, err := client.Events.Get(t.Context(), "evt_1")
	require.NoError(t, err)
	require.Equal(t, "product.created", event.Type)
	require.Nil(t, event.Data.PreviousAttributes)
	require.Equal(t, []sentRequest{{"GET", "/v1/events/evt_1", ""}}, tp.sent)
}

func TestChangesAskForTheEventsOfTheirList(t *testing.T) {
	for name, test := range map[string]struct {
		asks func(t *testing.T) (key string, request sentRequest)
		want string
	}{
		"charges": {
			asked(func(c *stripekit.Client) stripekit.Source[stripekit.Change[stripekit.Charge]] {
				return c.Charges.Changes()
			}),
			"types[0]=charge.succeeded&types[1]=charge.pending&types[2]=charge.failed&types[3]=charge.captured&types[4]=charge.expired&types[5]=charge.refunded&types[6]=charge.updated",
		},
		"customers": {
			asked(func(c *stripekit.Client) stripekit.Source[customerChange] { return c.Customers.Changes() }),
			"types[0]=customer.created&types[1]=customer.updated&types[2]=customer.deleted",
		},
		"products": {
			asked(func(c *stripekit.Client) stripekit.Source[stripekit.Change[stripekit.Product]] {
				return c.Products.Changes()
			}),
			"types[0]=product.created&types[1]=product.updated&types[2]=product.deleted",
		},
		"refunds": {
			asked(func(c *stripekit.Client) stripekit.Source[stripekit.Change[stripekit.Refund]] {
				return c.Refunds.Changes()
			}),
			"types[0]=refund.created&types[1]=refund.updated&types[2]=refund.failed&types[3]=charge.refund.updated",
		},
		"orders": {
			asked(func(c *stripekit.Client) stripekit.Source[stripekit.Change[stripekit.Order]] {
				return c.Orders.Changes()
			}),
			"types[0]=order.created&types[1]=order.updated&types[2]=order.payment_succeeded&types[3]=order.payment_failed",
		},
		"invoiceitems": {
			asked(func(c *stripekit.Client) stripekit.Source[stripekit.Change[stripekit.InvoiceItem]] {
				return c.InvoiceItems.Changes()
			}),
			"types[0]=invoiceitem.created&types[1]=invoiceitem.updated&types[2]=invoiceitem.deleted",
		},
	} {
		t.Run(name, func(t *testing.T) {
			key, request := test.asks(t)
			// The names are no part of it: one day more of them may be asked for.
			require.Equal(t, "test///events/changes%20of%20"+name+"/flow", key)
			require.Equal(t, "/v1/events", request.Path)
			require.Contains(t, request.Params, test.want)
		})
	}
}

// asked returns a function that returns the checkpoint's key of a source, and the first
// request of a Backfill of it.
func asked[T any](source func(*stripekit.Client) stripekit.Source[T]) func(t *testing.T) (string, sentRequest) {
	return func(t *testing.T) (string, sentRequest) {
		tp, client := newTape(t)
		p, err := stripekit.NewPoller(source(client), stripekit.PollConfig{Name: "flow"})
		require.NoError(t, err)
		require.NoError(t, drained(stripekit.Backfill(t.Context(), source(client), stripekit.BackfillConfig{})))
		require.NotEmpty(t, tp.sent)
		return p.Key(), tp.sent[0]
	}
}
