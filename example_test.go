package stripekit_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripetest"
)

// newExampleClient returns a client of a fake server in this process. A real client
// is stripekit.New(os.Getenv("STRIPE_API_KEY")).
func newExampleClient() (*stripekit.Client, *stripetest.Server) {
	server := stripetest.New(stripetest.InMemory())
	client, err := stripekit.New("sk_test_example",
		stripekit.WithBaseURL(server.URL), stripekit.WithHTTPClient(server.Client()))
	if err != nil {
		panic(err)
	}
	return client, server
}

func ExampleChargesService_Create() {
	client, server := newExampleClient()
	defer server.Close()

	charge, err := client.Charges.Create(context.Background(), stripekit.ChargeCreateParams{
		Amount: 2000, Currency: "usd", Source: new("tok_visa"),
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(charge.Status, charge.Amount, charge.Currency)
	// Output: succeeded 2000 usd
}

func ExampleError() {
	client, server := newExampleClient()
	defer server.Close()

	_, err := client.Charges.Create(context.Background(), stripekit.ChargeCreateParams{
		Amount: 2000, Currency: "usd", Source: new("tok_chargeDeclinedInsufficientFunds"),
	})
	var e *stripekit.Error
	if errors.Is(err, stripekit.ErrCardDeclined) && errors.As(err, &e) {
		fmt.Println(e.DeclineCode, e.HTTPStatus)
	}
	// Output: insufficient_funds 402
}

// A page for the buyer shows no text of an error but that of a card error.
func ExampleError_buyer() {
	client, server := newExampleClient()
	defer server.Close()

	message := func(err error) string {
		e, ok := errors.AsType[*stripekit.Error](err)
		switch {
		case ok && e.Type == "card_error":
			return e.Message
		case errors.Is(err, stripekit.ErrOutcomeUnknown):
			return "Please try again. You will not be charged twice." // with the same idempotency key
		default:
			return "The payment failed, and you were not charged."
		}
	}
	for _, card := range []string{"tok_chargeDeclinedInsufficientFunds", "tok_none"} {
		_, err := client.Charges.Create(context.Background(), stripekit.ChargeCreateParams{
			Amount: 2000, Currency: "usd", Source: &card,
		})
		fmt.Println(message(err))
	}
	// Output:
	// Your card has insufficient funds.
	// The payment failed, and you were not charged.
}

// A payment intent is created and confirmed, with an endpoint that has no service.
func ExampleClient_Call() {
	client, server := newExampleClient()
	defer server.Close()

	var intent struct {
		ID           string                          `json:"id"`
		ClientSecret string                          `json:"client_secret"` // for the browser, if Status is "requires_action"
		LatestCharge stripekit.Ref[stripekit.Charge] `json:"latest_charge"`
		Status       string                          `json:"status"`
	}
	for _, card := range []string{"pm_card_visa", "pm_card_threeDSecure2Required"} {
		err := client.Call(context.Background(), "POST", "/v1/payment_intents", map[string]any{
			"amount": 2000, "currency": "eur", "payment_method": card, "confirm": true,
			"automatic_payment_methods": map[string]any{"enabled": true, "allow_redirects": "never"},
		}, &intent, stripekit.WithIdempotencyKey("pay-1234-"+card), stripekit.WithExpand("latest_charge"))
		if err != nil {
			panic(err)
		}
		fmt.Println(intent.Status)
	}
	// Output:
	// succeeded
	// requires_action
}

func ExampleCustomersService_List() {
	client, server := newExampleClient()
	defer server.Close()
	ctx := context.Background()

	for _, name := range []string{"Ada", "Bo", "Chloé"} {
		if _, err := client.Customers.Create(ctx, stripekit.CustomerCreateParams{Name: &name}); err != nil {
			panic(err)
		}
	}
	for customer, err := range client.Customers.List(ctx, stripekit.CustomerListParams{}) {
		if err != nil {
			panic(err)
		}
		fmt.Println(customer.Name)
	}
	// Output:
	// Chloé
	// Bo
	// Ada
}

func ExamplePoller_Run() {
	client, server := newExampleClient()
	defer server.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	if _, err := client.Charges.Create(ctx, stripekit.ChargeCreateParams{
		Amount: 2000, Currency: "usd", Source: new("tok_visa"),
	}); err != nil {
		panic(err)
	}
	poller, err := stripekit.NewPoller(client.Charges, stripekit.PollConfig{
		Every: time.Millisecond, // the default is 15 s
		From:  stripekit.FromBeginning,
	})
	if err != nil {
		panic(err)
	}
	err = poller.Run(ctx, func(_ context.Context, e stripekit.Event[stripekit.Charge]) error {
		fmt.Println(e.Object.Amount, e.Object.Currency, e.Object.Status)
		cancel()
		return nil // acknowledged
	})
	fmt.Println(err)
	// Output:
	// 2000 usd succeeded
	// <nil>
}

func ExampleNewSource() {
	client, server := newExampleClient()
	defer server.Close()
	// The server of this example has no payouts, so the response is given here.
	server.Fault("GET /v1/payouts", stripetest.Every(), stripetest.Respond(200,
		`{"data": [{"id": "po_1", "created": 1767225600, "amount": 4200, "currency": "eur"}], "has_more": false}`))

	type Payout struct {
		Amount   int64  `json:"amount"`
		Currency string `json:"currency"`
	}
	payouts, err := stripekit.NewSource[Payout](client, "/v1/payouts", "created")
	if err != nil {
		panic(err)
	}
	poller, err := stripekit.NewPoller(payouts, stripekit.PollConfig{Every: time.Millisecond, From: stripekit.FromBeginning})
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	err = poller.Run(ctx, func(_ context.Context, e stripekit.Event[Payout]) error {
		fmt.Println(e.ID, e.Created.Format(time.DateOnly), e.Object.Amount, e.Object.Currency)
		cancel()
		return nil
	})
	fmt.Println(err)
	// Output:
	// po_1 2026-01-01 4200 eur
	// <nil>
}

func ExampleChargesService_Where() {
	client, server := newExampleClient()
	defer server.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	ada, err := client.Customers.Create(ctx, stripekit.CustomerCreateParams{Name: new("Ada"), Source: new("tok_visa")})
	if err != nil {
		panic(err)
	}
	for _, p := range []stripekit.ChargeCreateParams{
		{Amount: 2000, Currency: "usd", Customer: &ada.ID},
		{Amount: 3000, Currency: "usd", Source: new("tok_visa")},
	} {
		if _, err := client.Charges.Create(ctx, p); err != nil {
			panic(err)
		}
	}
	// The charges of one customer, each with the expanded customer.
	charges := client.Charges.Where(stripekit.ChargeListParams{Customer: &ada.ID}, stripekit.WithExpand("customer"))
	poller, err := stripekit.NewPoller(charges, stripekit.PollConfig{Every: time.Millisecond, From: stripekit.FromBeginning})
	if err != nil {
		panic(err)
	}
	err = poller.Run(ctx, func(_ context.Context, e stripekit.Event[stripekit.Charge]) error {
		fmt.Println(e.Object.Customer.Object.Name, e.Object.Amount)
		cancel()
		return nil
	})
	fmt.Println(err)
	// Output:
	// Ada 2000
	// <nil>
}

// database stands for the database of a program, with its rows and the checkpoints
// of its Pollers.
type database struct {
	stripekit.MemoryStore
	paid int64
}

// transaction writes a row and the checkpoint, or neither.
func (db *database) transaction(ctx context.Context, amount int64, c stripekit.Checkpoint) (uint64, error) {
	revision, err := db.Save(ctx, c.Key, c.Data, c.Revision)
	if err == nil {
		db.paid += amount
	}
	return revision, err
}

func ExamplePoller_Commit() {
	client, server := newExampleClient()
	defer server.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if _, err := client.Charges.Create(ctx, stripekit.ChargeCreateParams{
		Amount: 2000, Currency: "usd", Source: new("tok_visa"),
	}); err != nil {
		panic(err)
	}

	db := new(database)
	poller, err := stripekit.NewPoller(client.Charges, stripekit.PollConfig{
		Every: time.Millisecond, From: stripekit.FromBeginning, Checkpoints: db,
	})
	if err != nil {
		panic(err)
	}
	events, err := poller.Start(ctx)
	if err != nil {
		panic(err)
	}
	e := <-events
	err = poller.Commit(ctx, []stripekit.Event[stripekit.Charge]{e}, func(ctx context.Context, c stripekit.Checkpoint) (uint64, error) {
		return db.transaction(ctx, e.Object.Amount, c)
	})
	switch {
	case errors.Is(err, stripekit.ErrAcknowledged): // an earlier Commit was carried out after all
	case err != nil:
		e.Nack(time.Second)
	}
	fmt.Println(db.paid, err)
	// Output:
	// 2000 <nil>
}
