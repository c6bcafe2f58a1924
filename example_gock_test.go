package stripekit_test

import (
	"context"
	"fmt"
	"net/http"

	"gopkg.in/h2non/gock.v1"

	"github.com/stripekit/stripekit"
)

// gock intercepts requests by replacing http.DefaultTransport. A client uses that
// if it is made with http.DefaultClient. Without WithHTTPClient it has its own
// transport, which gock does not see, and calls the real service. Without retries
// a request that gock does not know fails at once.
func Example_gock() {
	defer gock.OffAll()
	gock.New("https://api.stripe.com").Get("/v1/charges/ch_1").
		Reply(http.StatusOK).JSON(`{"id": "ch_1", "object": "charge", "amount": 2000, "currency": "usd"}`)

	client, err := stripekit.New("sk_test_example",
		stripekit.WithHTTPClient(http.DefaultClient), stripekit.WithMaxRetries(0))
	if err != nil {
		panic(err)
	}
	charge, err := client.Charges.Get(context.Background(), "ch_1")
	if err != nil {
		panic(err)
	}
	fmt.Println(charge.Amount, charge.Currency, gock.IsDone())

	_, err = client.Charges.Get(context.Background(), "ch_2")
	fmt.Println(err)
	// Output:
	// 2000 usd true
	// stripe: GET /v1/charges/ch_2: gock: cannot match any request
}
