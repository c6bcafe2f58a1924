package conformance_test

import (
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/internal/conformance/mock"
)

// parameterVersions are the versions that parameters are tested with: the
// newest, and the last ones that have what it has no more.
var parameterVersions = []string{stripekit.APIVersion, stripekit.OrdersAPIVersion, "2019-09-09", "2017-08-15"}

// TestStripeMockAcceptsEveryParameter makes every call with each field of its
// parameters alone, and with all of them together.
func TestStripeMockAcceptsEveryParameter(t *testing.T) {
	tried := map[string]int{} // number of fields, by operation
	skipped := false
	for _, version := range parameterVersions {
		t.Run(version, func(t *testing.T) {
			skipped = true
			server := startVersion(t, version, "every parameter of "+version)
			skipped = false
			calls, accepted := 0, 0
			for _, o := range operations() {
				if fields := o.fieldsOf(version); len(fields) > 0 || o.versionOf("") == version {
					t.Run(o.name, func(t *testing.T) { accepted += acceptFields(t, server, o, fields) })
					tried[o.name] += len(fields)
					calls++
				}
			}
			t.Logf("stripe-mock %s accepted %d parameters of %d operations", server.Version, accepted, calls)
		})
	}
	for _, o := range operations() {
		if o.params == nil {
			continue
		}
		all := fields(reflect.ValueOf(o.params))
		slices.Sort(o.never)
		require.Equal(t, o.never, unset("", reflect.ValueOf(o.params)), "fields of %s that the table does not cover", o.name)
		if !skipped {
			require.Equal(t, len(all), tried[o.name], "fields of %s that were tried", o.name)
		}
	}
}

// acceptFields makes one call for each field and one for all together. It
// returns how many parameters these were on the wire.
func acceptFields(t *testing.T, server *mock.Server, o operation, fields []string) int {
	t.Helper()
	var opts []stripekit.Option
	if server.Version != o.versionOf("") {
		opts = append(opts, stripekit.WithAPIVersion(server.Version))
	}
	client, wire := newClient(t, mock.Key, server.URL, opts...)
	accepted := map[string]bool{}
	accept := func(names ...string) {
		t.Helper()
		var params any
		if o.params != nil {
			params = subset(o.params, append(names, o.required...)...)
		}
		wire.requests = 0
		require.NoError(t, o.call(t.Context(), client, params), names)
		require.Equal(t, 1, wire.requests, names)
		for _, name := range wire.names() {
			accepted[name] = true
		}
		for _, field := range names {
			requireSent(t, wireName(o.params, field), o.params, field, wire)
		}
	}
	for _, field := range fields {
		accept(field)
	}
	if server.Version == o.versionOf("") {
		accept(slices.DeleteFunc(fields, func(field string) bool { return slices.Contains(o.apart, field) })...)
	}
	return len(accepted)
}

// startVersion serves a version, or skips the test if its description is
// missing.
func startVersion(t *testing.T, version, what string) *mock.Server {
	t.Helper()
	if version == stripekit.APIVersion {
		return startMock(t, mock.Description{})
	}
	description, err := mock.Older(version)
	if err != nil {
		t.Log(err)
		t.Skip("SKIPPED: " + what)
	}
	return startMock(t, description)
}

// requireSent checks that the last request has a field's parameter. A field
// that is never sent must not count as accepted.
func requireSent(t *testing.T, name string, params any, field string, w *wire) {
	t.Helper()
	names := []string{name}
	if name == "*" { // for Extra, the keys are the names
		extra := fields(reflect.ValueOf(params))[field].Interface().(stripekit.Extra)
		names = slices.Collect(maps.Keys(extra))
	}
	for _, name := range names {
		require.NotEmpty(t, name, field)
		require.True(t, slices.ContainsFunc(w.names(), func(sent string) bool {
			return sent == name || strings.HasPrefix(sent, name+"[")
		}), "%s: no %s in %v", field, name, w.names())
	}
}

// TestStripeMockRefusesUnknownParameters shows that acceptance is meaningful,
// for every operation that has parameters.
func TestStripeMockRefusesUnknownParameters(t *testing.T) {
	for _, version := range parameterVersions[:2] {
		t.Run(version, func(t *testing.T) {
			server := startVersion(t, version, "refusals of "+version)
			client, wire := newClient(t, mock.Key, server.URL)
			for _, o := range operations() {
				if o.params == nil || o.versionOf("") != version {
					continue
				}
				params := reflect.New(reflect.TypeOf(o.params)).Elem()
				params.Set(reflect.ValueOf(subset(o.params, o.required...)))
				params.FieldByName("Extra").Set(reflect.ValueOf(stripekit.Extra{"nonsense": "1"}))

				err := o.call(t.Context(), client, params.Interface())
				require.ErrorIs(t, err, stripekit.ErrInvalidRequest, o.name)
				var failed *stripekit.Error
				require.ErrorAs(t, err, &failed, o.name)
				require.Equal(t, http.StatusBadRequest, failed.HTTPStatus, o.name)
				require.Equal(t, "invalid_request_error", failed.Type, o.name)
				require.Contains(t, failed.Message, "additional properties are not allowed", o.name)
				require.Contains(t, wire.names(), "nonsense", o.name)
			}
		})
	}
}

func TestStripeMockRefusesUnknownNestedParameters(t *testing.T) {
	server := startMock(t, mock.Description{})
	client, _ := newClient(t, mock.Key, server.URL)
	_, err := client.Charges.Create(t.Context(), stripekit.ChargeCreateParams{
		Amount: 100, Currency: "usd", Source: new("tok_visa"),
		TransferData: &stripekit.ChargeTransferDataParams{Destination: "acct_123"},
		Extra:        stripekit.Extra{"transfer_data[nonsense]": "1"},
	})
	require.ErrorIs(t, err, stripekit.ErrInvalidRequest)

	// The fields of Shipping that only charges have.
	for _, shipping := range []stripekit.Shipping{{Carrier: "DHL"}, {TrackingNumber: "1"}} {
		shipping.Name, shipping.Address = "Jenny", address()
		_, err = client.Customers.Create(t.Context(), stripekit.CustomerCreateParams{Shipping: &shipping})
		require.ErrorIs(t, err, stripekit.ErrInvalidRequest)
		var failed *stripekit.Error
		require.ErrorAs(t, err, &failed, "the service refuses it, not the library")
	}
}

func TestStripeMockAcceptsWhatUnsets(t *testing.T) {
	server := startMock(t, mock.Description{})
	client, wire := newClient(t, mock.Key, server.URL)
	_, err := client.Customers.Create(t.Context(), stripekit.CustomerCreateParams{
		Address:         &stripekit.Address{},
		Description:     new(""),
		InvoiceSettings: &stripekit.InvoiceSettingsParams{CustomFields: []stripekit.InvoiceCustomFieldParams{}},
		Metadata:        stripekit.Metadata{},
		Shipping:        &stripekit.Shipping{},
		TaxExempt:       new(""),
	})
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(map[string][]string{
		"address": {""}, "description": {""}, "invoice_settings[custom_fields]": {""}, "metadata": {""}, "shipping": {""}, "tax_exempt": {""},
	}, map[string][]string(wire.params)))
}

func TestStripeMockEchoesWhatWasCreated(t *testing.T) {
	server := startMock(t, mock.Description{})
	client, _ := newClient(t, mock.Key, server.URL)

	charge, err := client.Charges.Create(t.Context(), stripekit.ChargeCreateParams{
		Amount: 4711, Currency: "eur", Source: new("tok_visa"), Description: new("ä & b=c"),
	})
	require.NoError(t, err)
	require.Equal(t, int64(4711), charge.Amount)
	require.Equal(t, "eur", charge.Currency)
	require.Equal(t, "ä & b=c", charge.Description)

	customer, err := client.Customers.Create(t.Context(), stripekit.CustomerCreateParams{
		Balance: new(int64(-42)), Email: new("jenny+shop@example.com"), Phone: new("+49 30 1"),
	})
	require.NoError(t, err)
	require.Equal(t, int64(-42), customer.Balance)
	require.Equal(t, "jenny+shop@example.com", customer.Email)
	require.Equal(t, "+49 30 1", customer.Phone)
}

func TestStripeMockExpandsWhatIsAskedFor(t *testing.T) {
	server := startMock(t, mock.Description{})
	client, wire := newClient(t, mock.Key, server.URL)

	charge, err := client.Charges.Get(t.Context(), "ch_123", stripekit.WithExpand("customer", "balance_transaction"))
	require.NoError(t, err)
	require.Equal(t, []string{"expand[]"}, wire.names())
	require.NotNil(t, charge.Customer.Object)
	require.Equal(t, charge.Customer.ID, charge.Customer.Object.ID)
	require.NotNil(t, charge.BalanceTransaction.Object)
	require.Equal(t, charge.BalanceTransaction.ID, charge.BalanceTransaction.Object.ID)
	require.NotEmpty(t, charge.BalanceTransaction.ID)

	page, err := client.Charges.Page(t.Context(), stripekit.ChargeListParams{}, stripekit.WithExpand("data.customer"))
	require.NoError(t, err)
	require.NotEmpty(t, page.Data)
	require.NotNil(t, page.Data[0].Customer.Object)
}

func TestStripeMockTakesTheKeyAsBasicUserName(t *testing.T) {
	server := startMock(t, mock.Description{})
	for _, key := range []string{"sk_test_123", "rk_test_123"} {
		client, wire := newClient(t, key, server.URL)
		result, err := client.Check(t.Context())
		require.NoError(t, err, key)
		require.Regexp(t, `^acct_`, result.Account.ID)
		require.Equal(t, "US", result.Account.Country)
		require.Equal(t, stripekit.ModeTest, result.Mode)

		user, password, ok := (&http.Request{Header: wire.header}).BasicAuth()
		require.True(t, ok)
		require.Equal(t, key, user)
		require.Empty(t, password)
		require.Equal(t, stripekit.APIVersion, wire.header.Get("Stripe-Version"))
	}

	client, _ := newClient(t, "sk_live_123", server.URL) // stripe-mock has only test mode
	_, err := client.Check(t.Context())
	require.ErrorIs(t, err, stripekit.ErrAuthentication)
}

func TestStripeMockRespondsToAnyCall(t *testing.T) {
	server := startMock(t, mock.Description{})
	client, _ := newClient(t, mock.Key, server.URL)
	var out struct {
		ID      string `json:"id"`
		Object  string `json:"object"`
		Deleted bool   `json:"deleted"`
	}
	require.NoError(t, client.Call(t.Context(), "GET", "/v1/payouts/po_123", nil, &out))
	require.Equal(t, "po_123", out.ID)
	require.NoError(t, client.Call(t.Context(), "POST", "/v1/refunds", map[string]any{"charge": "ch_123", "amount": 10}, &out))
	require.Equal(t, "refund", out.Object)
	require.NoError(t, client.Call(t.Context(), "DELETE", "/v1/customers/cus_123", nil, &out))
	require.Equal(t, "cus_123", out.ID)
	require.True(t, out.Deleted)
	require.ErrorIs(t, client.Call(t.Context(), "GET", "/v1/nonsense", nil, &out), stripekit.ErrNotFound)
}

// TestFormerVersionsAreAcceptedAndRead makes the calls of a connector that is
// pinned to an older version.
func TestFormerVersionsAreAcceptedAndRead(t *testing.T) {
	for _, version := range parameterVersions[1:] {
		t.Run(version, func(t *testing.T) {
			server := startVersion(t, version, "the calls pinned to "+version)
			client, _ := newClient(t, mock.Key, server.URL, stripekit.WithAPIVersion(version))
			_, err := client.Check(t.Context())
			require.NoError(t, err)
			calls := 1
			for _, o := range operations() {
				if !inVersion(o, version) {
					continue
				}
				var params any
				if o.params != nil {
					required := slices.Clone(o.required)
					if o.former["Type"] == version {
						required = append(required, "Type")
					}
					params = subset(o.params, append(required, "Limit", "Metadata")...)
				}
				require.NoError(t, o.call(t.Context(), client, params), o.name)
				calls++
			}
			t.Logf("stripe-mock %s accepted %d operations", version, calls)
		})
	}
}

// inVersion reports whether an older version has an operation with the same
// response as later versions.
func inVersion(o operation, version string) bool {
	switch {
	case strings.HasSuffix(o.name, ".Search"), strings.HasSuffix(o.name, ".SearchPage"):
		return false
	case o.name == "Refunds.Cancel":
		return version >= "2020-08-27"
	case strings.HasSuffix(o.name, ".Delete"):
		return version >= "2019-09-09" // in older versions, stripe-mock responds with the object instead of a deletion
	default:
		return true
	}
}
