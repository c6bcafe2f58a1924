package fleet_test

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/fleet"
	"github.com/stripekit/stripekit/stripetest"
)

// A fleet of one process, on the fake service of package stripetest.
func Example() {
	server := stripetest.New()
	defer server.Close()
	client, err := stripekit.New("sk_test_1", stripekit.WithBaseURL(server.URL))
	if err != nil {
		panic(err)
	}

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	f, err := fleet.New(fleet.Config{
		Worker: "one", Engine: new(fleet.MemoryEngine), Checkpoints: new(stripekit.MemoryStore), HTTP: http.DefaultClient,
		Keys: func(_ context.Context, ref string) (stripekit.Secret, error) {
			return stripekit.NewSecret("sk_test_1"), nil
		},
	})
	if err != nil {
		panic(err)
	}
	charges := func(c *stripekit.Client) stripekit.Source[stripekit.Charge] { return c.Charges }
	err = fleet.Watch(f, "charges.new", charges, func(ctx context.Context, e stripekit.Event[stripekit.Charge]) error {
		fmt.Println(fleet.FlowFromContext(ctx).Connection, "has charged", e.Object.Amount, "cents")
		cancel()
		return nil
	})
	if err != nil {
		panic(err)
	}
	err = f.Put(ctx, fleet.Spec{
		Name: "shop 17", Key: "vault/17", BaseURL: server.URL, Triggers: []fleet.Trigger{{Name: "charges.new", Every: 100 * time.Millisecond}},
	})
	if err != nil {
		panic(err)
	}
	source := "tok_visa"
	if _, err := client.Charges.Create(ctx, stripekit.ChargeCreateParams{Amount: 2000, Currency: "usd", Source: &source}); err != nil {
		panic(err)
	}
	if err := f.Run(ctx); err != nil {
		panic(err)
	}
	// Output: shop 17 has charged 2000 cents
}
