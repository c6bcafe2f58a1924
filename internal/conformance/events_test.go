package conformance_test

import (
	"context"

	"github.com/stripekit/stripekit"
)

func eventOperations() []operation {
	return []operation{
		{
			name: "Events.Get",
			call: func(ctx context.Context, c *stripekit.Client, _ any) error {
				event, err := c.Events.Get(ctx, "evt_123")
				return is("evt_123", event, err, func() string { return event.ID })
			},
		},
		{
			name:   "Events.List",
			params: eventList(),
			apart:  []string{"Created", "EndingBefore", "Type"},
			call: with(func(ctx context.Context, c *stripekit.Client, p stripekit.AccountEventListParams) error {
				return some(c.Events.List(ctx, p))
			}),
		},
		{
			name:   "Events.Page",
			params: eventList(),
			apart:  []string{"EndingBefore", "Type"},
			call: with(func(ctx context.Context, c *stripekit.Client, p stripekit.AccountEventListParams) error {
				return filled(c.Events.Page(ctx, p))
			}),
		},
	}
}

func eventList() stripekit.AccountEventListParams {
	return stripekit.AccountEventListParams{
		ListParams:      listParams(),
		DeliverySuccess: new(true),
		Type:            new("charge.*"),
		Types:           []string{"charge.succeeded", "charge.failed"},
		Extra:           stripekit.Extra{"expand": []string{"data.account"}},
	}
}
