package stripekit

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// whereClient returns a client that no test here sends requests with.
func whereClient(t *testing.T) *Client {
	t.Helper()
	c, err := New("sk_test_123")
	require.NoError(t, err)
	return c
}

// sourceParts returns the filter of a source, all parameters of its requests,
// and its error. It checks that the other fields are those of the service.
func sourceParts[T any](t *testing.T, of, service Source[T]) (filter, params string, err error) {
	t.Helper()
	s, own := of.source(), service.source()
	require.Same(t, own.client, s.client)
	require.Equal(t, own.path, s.path)
	require.Equal(t, own.timeField, s.timeField)
	if s.err != nil {
		require.Nil(t, s.query, "a refused filter must not be used in part")
		require.Nil(t, s.opts)
		return "", "", s.err
	}
	req, _, err := s.client.request(s.client.current.Load(), http.MethodGet, s.path, s.query, s.opts)
	require.NoError(t, err)
	return string(s.query), string(req.Params), nil
}

func TestWhereEncodesFilterOfEachService(t *testing.T) {
	c := whereClient(t)
	transitions := &OrderStatusTransitionsParams{Paid: &CreatedRange{GTE: 5}}
	for name, test := range map[string]struct {
		parts func() (filter, params string, err error)
		want  string
	}{
		"charges": {func() (string, string, error) {
			return sourceParts(t, c.Charges.Where(ChargeListParams{Customer: new("cus_1"), TransferGroup: new("a b")}), c.Charges)
		}, "customer=cus_1&transfer_group=a+b"},
		"customers": {func() (string, string, error) {
			return sourceParts(t, c.Customers.Where(CustomerListParams{Email: new("a@example.com"), TestClock: new("clock_1")}), c.Customers)
		}, "email=a%40example.com&test_clock=clock_1"},
		"products": {func() (string, string, error) {
			return sourceParts(t, c.Products.Where(ProductListParams{Active: new(false), URL: new("https://a.example")}), c.Products)
		}, "active=false&url=https%3A%2F%2Fa.example"},
		"refunds": {func() (string, string, error) {
			return sourceParts(t, c.Refunds.Where(RefundListParams{Charge: new("ch_1"), PaymentIntent: new("")}), c.Refunds)
		}, "charge=ch_1&payment_intent="},
		"orders": {func() (string, string, error) {
			return sourceParts(t, c.Orders.Where(OrderListParams{IDs: []string{"or_2", "or_1"}, Status: new("paid"), StatusTransitions: transitions}), c.Orders)
		}, "ids[0]=or_2&ids[1]=or_1&status=paid&status_transitions[paid][gte]=5"},
		"invoice items": {func() (string, string, error) {
			return sourceParts(t, c.InvoiceItems.Where(InvoiceItemListParams{Pending: new(true)}), c.InvoiceItems)
		}, "pending=true"},
		"nothing": {func() (string, string, error) {
			return sourceParts(t, c.Charges.Where(ChargeListParams{Extra: Extra{}}), c.Charges)
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			filter, params, err := test.parts()
			require.NoError(t, err)
			require.Equal(t, test.want, filter)
			require.Equal(t, test.want, params)
		})
	}
}

func TestWhereEncodesEqualFiltersEqually(t *testing.T) {
	c := whereClient(t)
	for name, test := range map[string]struct {
		want  string
		equal []OrderListParams
	}{
		"a field or Extra": {"customer=cus_1&status=paid", []OrderListParams{
			{Customer: new("cus_1"), Status: new("paid")},
			{Customer: new("cus_1"), Extra: Extra{"status": "paid"}},
			{Status: new("paid"), Extra: Extra{"customer": "cus_1"}},
			{Extra: Extra{"status": "paid", "customer": "cus_1"}},
		}},
		"nested": {"a[x]=1&a[y]=2&b=3&status_transitions[paid][gt]=1&status_transitions[paid][lt]=2", []OrderListParams{
			{StatusTransitions: &OrderStatusTransitionsParams{Paid: &CreatedRange{LT: 2, GT: 1}}, Extra: Extra{"b": 3, "a": map[string]int{"y": 2, "x": 1}}},
			{Extra: Extra{
				"status_transitions": map[string]any{"paid": map[string]any{"lt": 2, "gt": 1}},
				"a[y]":               "2", "a[x]": "1", "b": "3",
			}},
		}},
		"lists keep their order": {"customer=cus_1&ids[0]=c&ids[1]=a&ids[2]=b", []OrderListParams{
			{Customer: new("cus_1"), IDs: []string{"c", "a", "b"}},
			{Extra: Extra{"ids": []any{"c", "a", "b"}, "customer": "cus_1"}},
		}},
		"of two values the last counts": {"customer=cus_9&customer=cus_1", []OrderListParams{
			{Customer: new("cus_9"), Extra: Extra{"customer": "cus_1"}},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, p := range test.equal {
				for range 20 { // maps iterate in a random order
					filter, _, err := sourceParts(t, c.Orders.Where(p), c.Orders)
					require.NoError(t, err)
					require.Equal(t, test.want, filter)
				}
			}
		})
	}
}

func TestWhereRefusesWhatThePollerSets(t *testing.T) {
	c := whereClient(t)
	for name, test := range map[string]struct {
		params ChargeListParams
		param  string
	}{
		"limit":             {ChargeListParams{ListParams: ListParams{Limit: 10}}, "limit"},
		"starting_after":    {ChargeListParams{ListParams: ListParams{StartingAfter: "ch_1"}}, "starting_after"},
		"ending_before":     {ChargeListParams{ListParams: ListParams{EndingBefore: "ch_1"}}, "ending_before"},
		"created":           {ChargeListParams{ListParams: ListParams{Created: &CreatedRange{GTE: 1}}}, "created"},
		"created, empty":    {ChargeListParams{ListParams: ListParams{Created: &CreatedRange{}}}, "created"},
		"Extra limit":       {ChargeListParams{Extra: Extra{"limit": 10}}, "limit"},
		"Extra empty limit": {ChargeListParams{Extra: Extra{"limit": nil}}, "limit"},
		"Extra cursor":      {ChargeListParams{Extra: Extra{"starting_after": "ch_1"}}, "starting_after"},
		"Extra cursor up":   {ChargeListParams{Customer: new("cus_1"), Extra: Extra{"ending_before": "ch_1"}}, "ending_before"},
		"Extra created":     {ChargeListParams{Extra: Extra{"created": 5}}, "created"},
		"Extra nested":      {ChargeListParams{Extra: Extra{"created": map[string]any{"gte": 5}}}, "created"},
		"Extra brackets":    {ChargeListParams{Extra: Extra{"created[gte]": 5}}, "created"},
		"Extra struct":      {ChargeListParams{Extra: Extra{"created": CreatedRange{LT: 5}}}, "created"},
		"Extra expand":      {ChargeListParams{Extra: Extra{"expand": []string{"data.customer"}}}, "expand"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := sourceParts(t, c.Charges.Where(test.params), c.Charges)
			var refused *ParamError
			require.ErrorAs(t, err, &refused)
			require.Equal(t, test.param, refused.Param)
			require.ErrorIs(t, err, ErrInvalidRequest)
		})
	}
}

func TestWhereRefusesInEachService(t *testing.T) {
	c := whereClient(t)
	paging, created := ListParams{Limit: 1}, &CreatedRange{GTE: 1}
	refusals := map[string][2]error{
		"charges":       {c.Charges.Where(ChargeListParams{ListParams: paging}).source().err, c.Charges.Where(ChargeListParams{ListParams: ListParams{Created: created}}).source().err},
		"customers":     {c.Customers.Where(CustomerListParams{ListParams: paging}).source().err, c.Customers.Where(CustomerListParams{ListParams: ListParams{Created: created}}).source().err},
		"products":      {c.Products.Where(ProductListParams{ListParams: paging}).source().err, c.Products.Where(ProductListParams{ListParams: ListParams{Created: created}}).source().err},
		"refunds":       {c.Refunds.Where(RefundListParams{ListParams: paging}).source().err, c.Refunds.Where(RefundListParams{ListParams: ListParams{Created: created}}).source().err},
		"orders":        {c.Orders.Where(OrderListParams{ListParams: paging}).source().err, c.Orders.Where(OrderListParams{ListParams: ListParams{Created: created}}).source().err},
		"invoice items": {c.InvoiceItems.Where(InvoiceItemListParams{ListParams: paging}).source().err, c.InvoiceItems.Where(InvoiceItemListParams{ListParams: ListParams{Created: created}}).source().err},
	}
	for name, errs := range refusals {
		for i, param := range []string{"limit", "created"} {
			var refused *ParamError
			require.ErrorAs(t, errs[i], &refused, "%s %s", name, param)
			require.Equal(t, param, refused.Param, name)
		}
	}
}

// TestWhereRefusesIDsOfProducts: Stripe refuses them together with a cursor, so a
// Poller could read no second page.
func TestWhereRefusesIDsOfProducts(t *testing.T) {
	c := whereClient(t)
	for _, p := range []ProductListParams{{IDs: []string{"prod_1"}}, {Extra: Extra{"ids[]": "prod_1"}}} {
		_, _, err := sourceParts(t, c.Products.Where(p), c.Products)
		var refused *ParamError
		require.ErrorAs(t, err, &refused)
		require.Equal(t, "ids", refused.Param)
	}
}

func TestWhereKeepsWhatCannotBeEncodedAsError(t *testing.T) {
	c := whereClient(t)
	_, _, err := sourceParts(t, c.Charges.Where(ChargeListParams{Extra: Extra{"a": make(chan int)}}), c.Charges)
	require.ErrorContains(t, err, "GET /v1/charges")
}

func TestWhereExpandsFieldsOfTheObjects(t *testing.T) {
	c := whereClient(t)
	for name, test := range map[string]struct {
		opts []CallOption
		want string
	}{
		"as in an object": {[]CallOption{WithExpand("balance_transaction")}, "customer=cus_1&expand[0]=data.balance_transaction"},
		"as in a list":    {[]CallOption{WithExpand("data.customer")}, "customer=cus_1&expand[0]=data.customer"},
		"several": {
			[]CallOption{WithExpand("customer", "data.invoice"), WithExpand("database")},
			"customer=cus_1&expand[0]=data.customer&expand[1]=data.invoice&expand[2]=data.database",
		},
		"none": {[]CallOption{WithExpand()}, "customer=cus_1"},
	} {
		t.Run(name, func(t *testing.T) {
			from := c.Charges.Where(ChargeListParams{Customer: new("cus_1")}, test.opts...)
			for range 2 { // a request leaves the source as it is
				filter, params, err := sourceParts(t, from, c.Charges)
				require.NoError(t, err)
				require.Equal(t, "customer=cus_1", filter, "expand must not change the checkpoint's key")
				require.Equal(t, test.want, params)
			}
			require.LessOrEqual(t, len(from.source().opts), 1)
		})
	}
}

func TestWhereRefusesOptionsOfOneCall(t *testing.T) {
	c := whereClient(t)
	for name, test := range map[string]struct {
		opt   CallOption
		param string
	}{
		"idempotency key":  {WithIdempotencyKey("k"), "Idempotency-Key"},
		"response":         {CaptureResponse(new(Response)), "CaptureResponse"},
		"same key":         {WithSameKey(new(SameKey)), "WithSameKey"},
		"an option's own":  {WithExpand(""), "expand"},
		"response, no one": {CaptureResponse(nil), "CaptureResponse"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := sourceParts(t, c.Charges.Where(ChargeListParams{}, WithExpand("customer"), test.opt), c.Charges)
			var refused *ParamError
			require.ErrorAs(t, err, &refused)
			require.Equal(t, test.param, refused.Param)
		})
	}
}

func TestWhereCopiesWhatItIsGiven(t *testing.T) {
	c := whereClient(t)
	customer, fields := "cus_1", []string{"customer", "invoice"}
	nested := map[string]any{"b": 1}
	p := ChargeListParams{Customer: &customer, Extra: Extra{"a": nested}}
	opts := []CallOption{WithExpand(fields...)}
	from := c.Charges.Where(p, opts...)

	customer, fields[0], nested["b"] = "cus_2", "other", 2
	p.Extra["z"] = 1
	opts[0] = WithExpand("other")
	_, params, err := sourceParts(t, from, c.Charges)
	require.NoError(t, err)
	require.Equal(t, "a[b]=1&customer=cus_1&expand[0]=data.customer&expand[1]=data.invoice", params)

	s := from.source()
	one, two := append(s.query, "&limit=1"...), append(s.query, "&limit=2"...)
	require.NotEqual(t, string(one), string(two), "two readers must not share what they append to")
}

// TestWhereLeavesTheServiceAsItIs: the unfiltered source has no part of a filter.
func TestWhereLeavesTheServiceAsItIs(t *testing.T) {
	c := whereClient(t)
	_ = c.Charges.Where(ChargeListParams{Customer: new("cus_1")}, WithExpand("customer"))
	s := c.Charges.source()
	require.Nil(t, s.query)
	require.Nil(t, s.opts)
	require.NoError(t, s.err)
}
