package connector_test

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/connector"
	"github.com/stripekit/stripekit/stripetest"
)

func newClient() (*stripekit.Client, *stripetest.Server) {
	server := stripetest.New(stripetest.InMemory())
	client, err := stripekit.New("sk_test_1", stripekit.WithBaseURL(server.URL), stripekit.WithHTTPClient(server.Client()))
	if err != nil {
		panic(err)
	}
	return client, server
}

func Example() {
	client, server := newClient()
	defer server.Close()
	ctx := context.Background()

	for _, a := range connector.Actions()[:3] {
		fmt.Println(a.Name, a.Access, a.Title)
	}
	output, err := connector.Invoke(ctx, client, "charges.create",
		[]byte(`{"amount": 2000, "currency": "usd", "source": "tok_visa"}`))
	if err != nil {
		panic(err)
	}
	var charge struct {
		Amount int
		Status string
	}
	if err := json.Unmarshal(output, &charge); err != nil {
		panic(err)
	}
	fmt.Println(charge.Amount, charge.Status)

	_, err = connector.Invoke(ctx, client, "charges.create", []byte(`{"amount": 2000, "shipping": {"street": "1 Way"}}`))
	fmt.Println(err)
	// Output:
	// charges.create write Create charge
	// charges.get read Get charge
	// charges.update write Update charge
	// 2000 succeeded
	// stripe: shipping[street]: is unknown
}

func ExampleOpen() {
	client, server := newClient()
	defer server.Close()
	ctx := context.Background()
	server.Seed("/v1/refunds", stripetest.Seeding{Params: map[string][]string{"charge": server.Seed("/v1/charges", stripetest.Seeding{})}})

	flow, err := connector.Open(ctx, client, "refunds.new", []byte(`{"every": "1s", "from": "beginning"}`), connector.Options{})
	if err != nil {
		panic(err)
	}
	event, err := flow.Next(ctx)
	if err != nil {
		panic(err)
	}
	var refund struct{ Status string }
	if err := json.Unmarshal(event.Data, &refund); err != nil {
		panic(err)
	}
	fmt.Println(event.Attempt, refund.Status)
	event.Ack()
	fmt.Println(flow.Close(ctx))
	// Output:
	// 1 succeeded
	// <nil>
}

func ExampleDescribe() {
	form, err := connector.Describe("refunds.create")
	if err != nil {
		panic(err)
	}
	fmt.Println(form.Title)
	for _, f := range form.Fields[:3] {
		fmt.Printf("%s: %s %q\n", f.Title, f.Type, f.Unit)
	}
	for _, f := range form.Fields {
		if f.Name == "reason" {
			fmt.Println(f.Enum)
		}
	}
	// Output:
	// Create refund
	// Amount: integer "the smallest unit of the currency, such as cents"
	// Charge: string ""
	// Currency: string ""
	// [duplicate fraudulent requested_by_customer]
}
