package conformance_test

import (
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v85"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/internal/conformance/mock"
	"github.com/stripekit/stripekit/stripetest"
)

// fake is a stripetest server with two clients, Stripe's and ours, and a clock
// that stands still.
type fake struct {
	theirs *stripe.Client
	ours   *stripekit.Client
	second *atomic.Int64
}

func newFake(t *testing.T) *fake {
	t.Helper()
	second := new(atomic.Int64)
	second.Store(1700000000)
	server := stripetest.New(stripetest.WithClock(func() time.Time { return time.Unix(second.Load(), 0) }))
	t.Cleanup(server.Close)

	transport := new(http.Transport)
	t.Cleanup(transport.CloseIdleConnections)
	theirs := stripe.NewClient(mock.Key, stripe.WithBackends(stripe.NewBackendsWithConfig(&stripe.BackendConfig{
		URL:               new(server.URL),
		HTTPClient:        &http.Client{Transport: transport},
		MaxNetworkRetries: new(int64(0)),
		LeveledLogger:     &stripe.LeveledLogger{Level: stripe.LevelNull},
	})))
	ours, _ := newClient(t, mock.Key, server.URL)
	return &fake{theirs: theirs, ours: ours, second: second}
}

func TestStripeGoAndOursReadTheSameCustomer(t *testing.T) {
	f := newFake(t)
	created, err := f.theirs.V1Customers.Create(t.Context(), &stripe.CustomerCreateParams{
		Address:     theirAddress(),
		Balance:     new(int64(-250)),
		Description: new("ä & b=c"),
		Email:       new("jenny+shop@example.com"),
		Metadata:    map[string]string{"order": "6735", "a key": "a value"},
		Name:        new("Jenny Rosen"),
		Phone:       new("+49 30 1"),
		Shipping:    &stripe.CustomerCreateShippingParams{Name: new("Jenny"), Phone: new("+49 30 2"), Address: theirAddress()},
		Source:      new("tok_visa"),
		TaxExempt:   new("exempt"),
	})
	require.NoError(t, err)
	want := ourCustomer(created)
	require.Regexp(t, "^cus_", want.ID)
	require.Regexp(t, "^card_", want.DefaultSource.ID)
	require.NotEmpty(t, want.InvoicePrefix)
	require.Empty(t, cmp.Diff(&stripekit.Customer{
		ID:            want.ID,
		Address:       new(address()),
		Balance:       -250,
		Created:       1700000000,
		DefaultSource: want.DefaultSource,
		Description:   "ä & b=c",
		Email:         "jenny+shop@example.com",
		InvoicePrefix: want.InvoicePrefix,
		Metadata:      stripekit.Metadata{"order": "6735", "a key": "a value"},
		Name:          "Jenny Rosen",
		Phone:         "+49 30 1",
		Shipping:      &stripekit.Shipping{Name: "Jenny", Phone: "+49 30 2", Address: address()},
		TaxExempt:     "exempt",
	}, want))

	read, err := f.ours.Customers.Get(t.Context(), created.ID)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(want, read))
	retrieved, err := f.theirs.V1Customers.Retrieve(t.Context(), created.ID, nil)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(want, ourCustomer(retrieved)))
}

func TestStripeGoReadsWhatOursCreated(t *testing.T) {
	f := newFake(t)
	params := customerCreate()
	params.PaymentMethod, params.TestClock, params.Extra = nil, nil, nil // the fake does not have these objects, and no expansion
	customer, err := f.ours.Customers.Create(t.Context(), params)
	require.NoError(t, err)
	theirCustomer, err := f.theirs.V1Customers.Retrieve(t.Context(), customer.ID, nil)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(ourCustomer(theirCustomer), customer))
	require.Equal(t, params.PreferredLocales, theirCustomer.PreferredLocales)
	require.Len(t, theirCustomer.InvoiceSettings.CustomFields, 2)

	charge, err := f.ours.Charges.Create(t.Context(), stripekit.ChargeCreateParams{
		Amount: 2000, Currency: "usd", Customer: &customer.ID, Capture: new(false), ReceiptEmail: new("jenny@example.com"),
		Shipping: &stripekit.Shipping{Name: "Jenny", Phone: "+49", Address: address(), Carrier: "DHL", TrackingNumber: "1"},
	})
	require.NoError(t, err)
	theirCharge, err := f.theirs.V1Charges.Retrieve(t.Context(), charge.ID, nil)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(ourCharge(theirCharge), charge))
	require.Equal(t, customer.ID, charge.Customer.ID)
	require.False(t, charge.Captured)
}

func TestStripeGoAndOursReadTheSameCharge(t *testing.T) {
	f := newFake(t)
	customer, err := f.theirs.V1Customers.Create(t.Context(), &stripe.CustomerCreateParams{Source: new("tok_mastercard")})
	require.NoError(t, err)
	created, err := f.theirs.V1Charges.Create(t.Context(), &stripe.ChargeCreateParams{
		Amount:                    new(int64(2000)),
		Currency:                  new("usd"),
		Customer:                  &customer.ID,
		Description:               new("an order"),
		Metadata:                  map[string]string{"order": "6735"},
		ReceiptEmail:              new("jenny@example.com"),
		StatementDescriptorSuffix: new("ORDER"),
		TransferGroup:             new("group"),
		Shipping: &stripe.ShippingDetailsParams{
			Name: new("Jenny"), Phone: new("+49"), Address: theirAddress(), Carrier: new("DHL"), TrackingNumber: new("1"),
		},
	})
	require.NoError(t, err)
	want := ourCharge(created)
	require.Regexp(t, "^ch_", want.ID)
	require.Equal(t, customer.ID, want.Customer.ID)
	require.Equal(t, int64(2000), want.Amount)
	require.Equal(t, int64(2000), want.AmountCaptured)
	require.Equal(t, "usd", want.Currency)
	require.Equal(t, "an order", want.Description)
	require.Equal(t, stripekit.Metadata{"order": "6735"}, want.Metadata)
	require.Equal(t, "mastercard", want.PaymentMethodDetails.Card.Brand)
	require.Equal(t, "jenny@example.com", want.ReceiptEmail)
	require.Equal(t, "ORDER", want.StatementDescriptorSuffix)
	require.Equal(t, "group", want.TransferGroup)
	require.Equal(t, &stripekit.Shipping{
		Name: "Jenny", Phone: "+49", Address: address(), Carrier: "DHL", TrackingNumber: "1",
	}, want.Shipping)

	read, err := f.ours.Charges.Get(t.Context(), created.ID)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(want, read))
}

// failure is an error as both clients report it, without ids.
type failure struct {
	Status                                  int
	Type, Code, DeclineCode, Param, Message string
}

func ourFailure(t *testing.T, err error) (failure, *stripekit.Error) {
	t.Helper()
	var e *stripekit.Error
	require.ErrorAs(t, err, &e)
	return failure{e.HTTPStatus, e.Type, e.Code, e.DeclineCode, e.Param, e.Message}, e
}

func theirFailure(t *testing.T, err error) (failure, *stripe.Error) {
	t.Helper()
	var e *stripe.Error
	require.ErrorAs(t, err, &e)
	return failure{e.HTTPStatusCode, string(e.Type), string(e.Code), string(e.DeclineCode), e.Param, e.Msg}, e
}

func TestStripeGoAndOursSeeTheSameDecline(t *testing.T) {
	for token, want := range map[string]failure{
		"tok_chargeDeclined":                  {402, "card_error", "card_declined", "generic_decline", "", "Your card was declined."},
		"tok_chargeDeclinedInsufficientFunds": {402, "card_error", "card_declined", "insufficient_funds", "", "Your card has insufficient funds."},
		"tok_chargeDeclinedIncorrectCvc":      {402, "card_error", "incorrect_cvc", "incorrect_cvc", "cvc", "Your card's security code is incorrect."},
	} {
		t.Run(token, func(t *testing.T) {
			f := newFake(t)
			_, err := f.theirs.V1Charges.Create(t.Context(), &stripe.ChargeCreateParams{
				Amount: new(int64(2000)), Currency: new("usd"), Source: &stripe.PaymentSourceSourceParams{Token: &token},
			})
			theirs, theirError := theirFailure(t, err)
			_, err = f.ours.Charges.Create(t.Context(), stripekit.ChargeCreateParams{Amount: 2000, Currency: "usd", Source: &token})
			require.ErrorIs(t, err, stripekit.ErrCardDeclined)
			ours, ourError := ourFailure(t, err)
			require.Empty(t, cmp.Diff(want, theirs))
			require.Empty(t, cmp.Diff(want, ours))
			require.NotEqual(t, theirError.ChargeID, ourError.ChargeID)

			for _, id := range []string{theirError.ChargeID, ourError.ChargeID} { // both failed charges are stored
				theirCharge, err := f.theirs.V1Charges.Retrieve(t.Context(), id, nil)
				require.NoError(t, err)
				charge, err := f.ours.Charges.Get(t.Context(), id)
				require.NoError(t, err)
				require.Empty(t, cmp.Diff(ourCharge(theirCharge), charge))
				require.Equal(t, stripekit.ChargeFailed, charge.Status)
				require.False(t, charge.Paid)
			}
		})
	}
}

func TestStripeGoAndOursSeeTheSameErrors(t *testing.T) {
	f := newFake(t)
	t.Run("unknown id", func(t *testing.T) {
		_, theirs := f.theirs.V1Customers.Retrieve(t.Context(), "cus_missing", nil)
		_, ours := f.ours.Customers.Get(t.Context(), "cus_missing")
		requireSameFailure(t, failure{404, "invalid_request_error", "resource_missing", "", "id", "No such customer: 'cus_missing'"}, theirs, ours)
		require.ErrorIs(t, ours, stripekit.ErrNotFound)
	})
	t.Run("unknown cursor", func(t *testing.T) {
		params := &stripe.ChargeListParams{}
		params.StartingAfter = new("ch_missing")
		theirs := f.theirs.V1Charges.List(t.Context(), params).Err()
		_, ours := f.ours.Charges.Page(t.Context(), stripekit.ChargeListParams{ListParams: stripekit.ListParams{StartingAfter: "ch_missing"}})
		requireSameFailure(t, failure{400, "invalid_request_error", "resource_missing", "", "starting_after", "No such charge: 'ch_missing'"}, theirs, ours)
	})
	t.Run("unknown parameter", func(t *testing.T) {
		params := &stripe.CustomerCreateParams{}
		params.AddExtra("nonsense", "1")
		_, theirs := f.theirs.V1Customers.Create(t.Context(), params)
		_, ours := f.ours.Customers.Create(t.Context(), stripekit.CustomerCreateParams{Extra: stripekit.Extra{"nonsense": "1"}})
		requireSameFailure(t, failure{400, "invalid_request_error", "parameter_unknown", "", "nonsense", "Received unknown parameter: nonsense"}, theirs, ours)
	})
}

func requireSameFailure(t *testing.T, want failure, theirs, ours error) {
	t.Helper()
	their, _ := theirFailure(t, theirs)
	our, _ := ourFailure(t, ours)
	require.Empty(t, cmp.Diff(want, their))
	require.Empty(t, cmp.Diff(want, our))
}

// TestStripeGoAndOursPageAlike pages through lists whose objects share seconds.
// Some pages end within a second.
func TestStripeGoAndOursPageAlike(t *testing.T) {
	f := newFake(t)
	var ids []string // newest first
	seconds := map[int64]int{}
	for _, burst := range []int{4, 1, 5, 3} {
		for range burst {
			customer, err := f.theirs.V1Customers.Create(t.Context(), nil)
			require.NoError(t, err)
			ids = append(ids, customer.ID)
			seconds[customer.Created]++
		}
		f.second.Add(1)
	}
	slices.Reverse(ids)
	require.Len(t, seconds, 4)

	for _, limit := range []int{1, 2, 3, 5, 13, 100} {
		down := stripekit.ListParams{Limit: limit}
		require.Equal(t, ids, theirIDs(t, f, down), "limit %d", limit)
		require.Equal(t, ids, ourIDs(t, f, down), "limit %d", limit)
		page, err := f.ours.Customers.Page(t.Context(), stripekit.CustomerListParams{ListParams: down})
		require.NoError(t, err)
		require.Len(t, page.Data, min(limit, len(ids)))
		require.Equal(t, limit < len(ids), page.HasMore, "limit %d", limit)

		middle := stripekit.ListParams{Limit: limit, StartingAfter: ids[5]}
		require.Equal(t, ids[6:], theirIDs(t, f, middle), "limit %d", limit)
		require.Equal(t, ids[6:], ourIDs(t, f, middle), "limit %d", limit)

		for _, cursor := range []int{len(ids) - 1, 6, 1} { // upward, the oldest first
			newer := slices.Clone(ids[:cursor])
			slices.Reverse(newer)
			up := stripekit.ListParams{Limit: limit, EndingBefore: ids[cursor]}
			require.Equal(t, newer, theirIDs(t, f, up), "limit %d, cursor %d", limit, cursor)
			require.Equal(t, newer, ourIDs(t, f, up), "limit %d, cursor %d", limit, cursor)
			page, err := f.ours.Customers.Page(t.Context(), stripekit.CustomerListParams{ListParams: up})
			require.NoError(t, err)
			require.Len(t, page.Data, min(limit, cursor))
			require.Equal(t, limit < cursor, page.HasMore, "limit %d, cursor %d", limit, cursor)
		}
	}
}

func TestStripeGoAndOursFilterAlike(t *testing.T) {
	f := newFake(t)
	for range 3 {
		for range 2 {
			for _, group := range []string{"a", "b"} {
				_, err := f.ours.Charges.Create(t.Context(), stripekit.ChargeCreateParams{
					Amount: 100, Currency: "usd", Source: new("tok_visa"), TransferGroup: &group,
				})
				require.NoError(t, err)
			}
		}
		f.second.Add(1)
	}
	theirs := &stripe.ChargeListParams{
		CreatedRange:  &stripe.RangeQueryParams{GreaterThan: 1700000000, LesserThanOrEqual: 1700000001},
		TransferGroup: new("a"),
	}
	theirs.Limit = new(int64(1))
	var want []*stripekit.Charge
	for charge, err := range f.theirs.V1Charges.List(t.Context(), theirs).All(t.Context()) {
		require.NoError(t, err)
		want = append(want, ourCharge(charge))
	}
	require.Len(t, want, 2)

	var got []*stripekit.Charge
	for charge, err := range f.ours.Charges.List(t.Context(), stripekit.ChargeListParams{ListParams: stripekit.ListParams{Limit: 1, Created: &stripekit.CreatedRange{GT: 1700000000, LTE: 1700000001}}, TransferGroup: new("a")}) {
		require.NoError(t, err)
		got = append(got, charge)
	}
	require.Empty(t, cmp.Diff(want, got))
}

func theirIDs(t *testing.T, f *fake, p stripekit.ListParams) []string {
	t.Helper()
	params := &stripe.CustomerListParams{}
	params.Limit = new(int64(p.Limit))
	if p.StartingAfter != "" {
		params.StartingAfter = &p.StartingAfter
	}
	if p.EndingBefore != "" {
		params.EndingBefore = &p.EndingBefore
	}
	var ids []string
	for customer, err := range f.theirs.V1Customers.List(t.Context(), params).All(t.Context()) {
		require.NoError(t, err)
		ids = append(ids, customer.ID)
	}
	return ids
}

func ourIDs(t *testing.T, f *fake, p stripekit.ListParams) []string {
	t.Helper()
	var ids []string
	for customer, err := range f.ours.Customers.List(t.Context(), stripekit.CustomerListParams{ListParams: p}) {
		require.NoError(t, err)
		ids = append(ids, customer.ID)
	}
	return ids
}
