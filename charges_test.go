package stripekit_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"
	"gopkg.in/h2non/gock.v1"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripetest"
)

const fixtureKey = "sk_test_4eC39HqLyjWDarjtT1zdp7dc"

// fixtureVersions are the API versions that charges and customers are recorded
// in.
var fixtureVersions = []string{"2017-08-15", "2019-09-09", "2020-08-27", stripekit.APIVersion}

// served is a request with all its headers, and the fixture with the response.
type served struct {
	method  string
	path    string
	params  string // of the query or the body, as a=1&b[c]=2
	version string // empty: APIVersion
	status  int    // zero: 200
	fixture string // its name, without version and .json
}

// gockClient makes a client that gets these fixtures as responses, each once and in
// this order, and no others.
func gockClient(t *testing.T, opts []stripekit.Option, exchanges ...served) *stripekit.Client {
	t.Helper()
	t.Cleanup(gock.OffAll)
	for _, s := range exchanges {
		gock.New("https://api.stripe.com").
			SetMatcher(gock.NewEmptyMatcher()).
			AddMatcher(s.match(t)).
			Reply(max(s.status, http.StatusOK)).
			SetHeader("Content-Type", "application/json").
			SetHeader("Request-Id", "req_fixture").
			Body(strings.NewReader(readFixture(t, s)))
	}
	httpClient := &http.Client{Transport: gock.NewTransport()}
	client, err := stripekit.New(fixtureKey, append([]stripekit.Option{
		stripekit.WithHTTPClient(httpClient), stripekit.WithRateLimit(stripekit.RateLimit{}), stripekit.WithMaxRetries(0),
	}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(func() { require.True(t, gock.IsDone(), "requests that were not made") })
	return client
}

// request is the part of an HTTP request that is compared.
type request struct {
	Method, URL    string
	User, Password string
	Params         url.Values
	Header         http.Header
}

// match accepts every request, and fails the test if it differs from s.
func (s served) match(t *testing.T) gock.MatchFunc {
	t.Helper()
	params, err := url.ParseQuery(s.params)
	require.NoError(t, err)
	want := request{
		Method: s.method, URL: "https://api.stripe.com" + s.path, User: fixtureKey, Params: params,
		Header: http.Header{"Stripe-Version": {s.apiVersion()}},
	}
	if s.method == http.MethodPost {
		want.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		want.Header.Set("Idempotency-Key", "present")
	}
	return func(r *http.Request, _ *gock.Request) (bool, error) {
		got, err := requestOf(r)
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("the request is another (-want +got):\n%s", diff)
		}
		return true, err
	}
}

func requestOf(r *http.Request) (request, error) {
	encoded := r.URL.RawQuery
	if r.Body != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return request{}, err
		}
		encoded += string(body)
	}
	params, err := url.ParseQuery(encoded)
	user, password, _ := r.BasicAuth()
	header := r.Header.Clone()
	header.Del("Authorization")
	header.Del("User-Agent")
	if header.Get("Idempotency-Key") != "" { // it is random
		header.Set("Idempotency-Key", "present")
	}
	at := r.URL.Scheme + "://" + r.URL.Host + r.URL.EscapedPath()
	return request{Method: r.Method, URL: at, User: user, Password: password, Params: params, Header: header}, err
}

func (s served) apiVersion() string {
	if s.version == "" {
		return stripekit.APIVersion
	}
	return s.version
}

func readFixture(t *testing.T, s served) string {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", "fixtures", s.apiVersion(), s.fixture+".json"))
	require.NoError(t, err)
	return string(body)
}

// fixtureID is the id in a fixture with the response to a creation. It is another
// in each recording.
func fixtureID(t *testing.T, s served) string {
	t.Helper()
	var object struct{ ID string }
	require.NoError(t, json.Unmarshal([]byte(readFixture(t, s)), &object))
	require.NotEmpty(t, object.ID)
	return object.ID
}

func pin(version string) []stripekit.Option {
	return []stripekit.Option{stripekit.WithAPIVersion(version)}
}

// noRequest makes a client that fails the test when it sends anything.
func noRequest(t *testing.T) *stripekit.Client {
	t.Helper()
	client, err := stripekit.New(fixtureKey, stripekit.WithHTTPClient(&http.Client{Transport: refusing{t}}))
	require.NoError(t, err)
	return client
}

type refusing struct{ t *testing.T }

func (r refusing) RoundTrip(req *http.Request) (*http.Response, error) {
	r.t.Errorf("a request was made: %s %s", req.Method, req.URL.Path)
	return nil, http.ErrServerClosed
}

// requireRefused requires err to be a ParamError.
func requireRefused(t *testing.T, param string, err error) {
	t.Helper()
	var refused *stripekit.ParamError
	require.ErrorAs(t, err, &refused)
	require.ErrorIs(t, err, stripekit.ErrInvalidRequest)
	require.Equal(t, param, refused.Param)
	require.NotEmpty(t, refused.Reason)
	require.Less(t, len(err.Error()), 300)
}

// recordedCharge is the charge in the fixtures of a version.
func recordedCharge(version string) *stripekit.Charge {
	charge := &stripekit.Charge{
		Amount:         100,
		BillingDetails: stripekit.BillingDetails{Name: "Jenny Rosen"},
		Created:        1234567890,
		Currency:       "usd",
		Description:    "My First Test Charge (created for API docs)",
		Metadata:       stripekit.Metadata{},
		Paid:           true,
		PaymentMethodDetails: stripekit.ChargePaymentMethodDetails{
			Type: "card", Card: &stripekit.ChargeCard{Brand: "visa", Country: "US", ExpMonth: 8, Last4: "4242"},
		},
		Status: "succeeded",
	}
	card := charge.PaymentMethodDetails.Card
	switch version {
	case "2017-08-15": // before payment methods
		return &stripekit.Charge{
			ID:                 "ch_1B3q3s2eZvKYlo2CLdghKZFC",
			Amount:             2000,
			BalanceTransaction: stripekit.Ref[stripekit.BalanceTransaction]{ID: "txn_1B3kCO2eZvKYlo2CQHzTvqYJ"},
			Created:            1234567890,
			Currency:           "usd",
			Description:        "My First Test Charge (created for API docs)",
			Metadata:           stripekit.Metadata{},
			Status:             "failed",
		}
	case "2019-09-09":
		charge.ID = "ch_1FFSmLLnOvDBaStmes6xKsRO"
		charge.BalanceTransaction.ID = "txn_1FFSmULnOvDBaStmlGDMMf3H"
		charge.PaymentMethod = "card_1FFSmKLnOvDBaStm6D6yEvTH"
		charge.ReceiptURL = "https://remi-manage-mydev.dev.stripe.me/receipts/acct_1FFSmGLnOvDBaStm/ch_1FFSmLLnOvDBaStmes6xKsRO/rcpt_Fkyj50BAezUsIMX0RCfCbXhpbpAF79f"
		card.ExpYear, card.Funding = 2020, "unknown"
	case "2020-08-27":
		charge.ID = "ch_1Kg9WpIm8RH2RWoA4PJ4xTwq"
		charge.BalanceTransaction.ID = "txn_1KgBfUIm8RH2RWoAZiWVmclX"
		charge.PaymentMethod = "card_1Kg9WjIm8RH2RWoA6K75IPpj"
		charge.ReceiptURL = "https://ksinder-manage-mydev.dev.stripe.me/receipts/acct_1Kg9WEIm8RH2RWoA/ch_1Kg9WpIm8RH2RWoA4PJ4xTwq/rcpt_LMtJFxAueyaHMcePYvWV8PUdVXSRqsV"
		card.ExpYear, card.Funding = 2023, "credit"
	case stripekit.APIVersion:
		charge.ID = "ch_1PgafuB7WZ01zgkWXYmPNZs8"
		charge.BalanceTransaction.ID = "txn_1PgaxNB7WZ01zgkWEV3TLf40"
		charge.Outcome.Type = "type"
		charge.PaymentMethod = "card_1PgaftB7WZ01zgkWm3waTcFp"
		charge.ReceiptURL = "https://sangeekp-15t6ai--manage-mydev.dev.stripe.me/receipts/payment/CAcaFwoVYWNjdF8xUGdhZlRCN1daMDF6Z2tXKI_ei7UGMgZv2S_KfiY6LCJrxC7awazgQA9I88krZKw5uuCkZ5Nup2tomEtAbSpdfzjVZHO3ZYP5KFZP"
		charge.Shipping = &stripekit.Shipping{}
		card.ExpYear, card.Funding = 2030, "credit"
	}
	return charge
}

func TestChargesPageSendsItsFilters(t *testing.T) {
	for name, test := range map[string]struct {
		params stripekit.ChargeListParams
		query  string
	}{
		"none":           {},
		"limit":          {stripekit.ChargeListParams{ListParams: stripekit.ListParams{Limit: 100}}, "limit=100"},
		"starting after": {stripekit.ChargeListParams{ListParams: stripekit.ListParams{StartingAfter: "ch_1"}}, "starting_after=ch_1"},
		"ending before":  {stripekit.ChargeListParams{ListParams: stripekit.ListParams{EndingBefore: "ch_1"}}, "ending_before=ch_1"},
		"created":        {stripekit.ChargeListParams{ListParams: stripekit.ListParams{Created: &stripekit.CreatedRange{GT: 1, GTE: 2, LT: 3, LTE: 4}}}, "created[gt]=1&created[gte]=2&created[lt]=3&created[lte]=4"},
		"customer":       {stripekit.ChargeListParams{Customer: new("cus_1")}, "customer=cus_1"},
		"payment intent": {stripekit.ChargeListParams{PaymentIntent: new("pi_1")}, "payment_intent=pi_1"},
		"transfer group": {stripekit.ChargeListParams{TransferGroup: new("a b&c=ä")}, "transfer_group=a+b%26c%3D%C3%A4"},
		"extra":          {stripekit.ChargeListParams{Extra: stripekit.Extra{"expand": []string{"data.customer"}}}, "expand[0]=data.customer"},
	} {
		t.Run(name, func(t *testing.T) {
			client := gockClient(t, nil, served{method: "GET", path: "/v1/charges", params: test.query, fixture: "charges_page"})
			_, err := client.Charges.Page(t.Context(), test.params)
			require.NoError(t, err)
		})
	}
}

func TestChargesListYieldsThePage(t *testing.T) {
	client := gockClient(t, nil, served{
		method: "GET", path: "/v1/charges", params: "customer=cus_1&limit=100", fixture: "charges_page",
	})
	var charges []*stripekit.Charge
	for charge, err := range client.Charges.List(t.Context(), stripekit.ChargeListParams{Customer: new("cus_1")}) {
		require.NoError(t, err)
		charges = append(charges, charge)
	}
	require.Empty(t, cmp.Diff([]*stripekit.Charge{recordedCharge(stripekit.APIVersion)}, charges))
}

func TestChargesCreateSendsItsParameters(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*stripekit.ChargeCreateParams)
		body   string
	}{
		"required":    {func(*stripekit.ChargeCreateParams) {}, ""},
		"fee":         {func(p *stripekit.ChargeCreateParams) { p.ApplicationFeeAmount = new(int64(10)) }, "&application_fee_amount=10"},
		"authorize":   {func(p *stripekit.ChargeCreateParams) { p.Capture = new(false) }, "&capture=false"},
		"customer":    {func(p *stripekit.ChargeCreateParams) { p.Customer = new("cus_1") }, "&customer=cus_1"},
		"description": {func(p *stripekit.ChargeCreateParams) { p.Description = new("a b&c=ä") }, "&description=a+b%26c%3D%C3%A4"},
		"metadata":    {func(p *stripekit.ChargeCreateParams) { p.Metadata = stripekit.Metadata{"a": "1", "b c": ""} }, "&metadata[a]=1&metadata[b+c]="},
		"no metadata": {func(p *stripekit.ChargeCreateParams) { p.Metadata = stripekit.Metadata{} }, "&metadata="},
		"behalf":      {func(p *stripekit.ChargeCreateParams) { p.OnBehalfOf = new("acct_1") }, "&on_behalf_of=acct_1"},
		"radar": {func(p *stripekit.ChargeCreateParams) {
			p.RadarOptions = &stripekit.RadarOptionsParams{Session: "rse_1"}
		}, "&radar_options[session]=rse_1"},
		"receipt": {func(p *stripekit.ChargeCreateParams) { p.ReceiptEmail = new("a+b@c.d") }, "&receipt_email=a%2Bb%40c.d"},
		"shipping": {func(p *stripekit.ChargeCreateParams) {
			p.Shipping = &stripekit.Shipping{
				Name: "N", Phone: "P", Carrier: "C", TrackingNumber: "T",
				Address: stripekit.Address{City: "c", Country: "DE", Line1: "1", Line2: "2", PostalCode: "p", State: "s"},
			}
		}, "&shipping[name]=N&shipping[phone]=P&shipping[carrier]=C&shipping[tracking_number]=T&shipping[address][city]=c&shipping[address][country]=DE" +
			"&shipping[address][line1]=1&shipping[address][line2]=2&shipping[address][postal_code]=p&shipping[address][state]=s"},
		"no shipping": {func(p *stripekit.ChargeCreateParams) { p.Shipping = &stripekit.Shipping{} }, "&shipping="},
		"descriptors": {func(p *stripekit.ChargeCreateParams) {
			p.StatementDescriptor, p.StatementDescriptorSuffix = new("D"), new("S")
		}, "&statement_descriptor=D&statement_descriptor_suffix=S"},
		"transfer": {func(p *stripekit.ChargeCreateParams) {
			p.TransferData = &stripekit.ChargeTransferDataParams{Amount: new(int64(0)), Description: new(""), Destination: "acct_1"}
			p.TransferGroup = new("G")
		}, "&transfer_data[amount]=0&transfer_data[description]=&transfer_data[destination]=acct_1&transfer_group=G"},
		"extra": {func(p *stripekit.ChargeCreateParams) { p.Extra = stripekit.Extra{"level3[shipping_amount]": 5} }, "&level3[shipping_amount]=5"},
	} {
		t.Run(name, func(t *testing.T) {
			params := stripekit.ChargeCreateParams{Amount: 2000, Currency: "usd", Source: new("tok_visa")}
			test.change(&params)
			client := gockClient(t, nil, served{
				method: "POST", path: "/v1/charges", params: "amount=2000&currency=usd&source=tok_visa" + test.body, fixture: "charge_created",
			})
			_, err := client.Charges.Create(t.Context(), params)
			require.NoError(t, err)
		})
	}
}

func TestChargesReturnTheErrorsOfEveryVersion(t *testing.T) {
	for _, version := range fixtureVersions {
		t.Run(version, func(t *testing.T) {
			exchange := served{
				method: "GET", path: "/v1/charges", params: "nonsense=1", version: version,
				status: http.StatusBadRequest, fixture: "error_unknown_parameter",
			}
			client := gockClient(t, pin(version), exchange)
			page, err := client.Charges.Page(t.Context(), stripekit.ChargeListParams{Extra: stripekit.Extra{"nonsense": 1}})
			require.Nil(t, page)
			require.ErrorIs(t, err, stripekit.ErrInvalidRequest)

			var recorded struct{ Error struct{ Message string } }
			require.NoError(t, json.Unmarshal([]byte(readFixture(t, exchange)), &recorded))
			require.Contains(t, recorded.Error.Message, "additional properties are not allowed")
			var failed *stripekit.Error
			require.ErrorAs(t, err, &failed)
			require.Empty(t, cmp.Diff(&stripekit.Error{
				Method: "GET", Path: "/v1/charges", HTTPStatus: http.StatusBadRequest, Type: "invalid_request_error",
				Message: recorded.Error.Message, RequestID: "req_fixture", Attempts: 1,
			}, failed, cmpopts.IgnoreUnexported(stripekit.Error{})))
			require.NoError(t, failed.Unwrap())
		})
	}
}

func TestDeclinedChargeNamesTheFailedCharge(t *testing.T) {
	server := stripetest.New(stripetest.InMemory())
	defer server.Close()
	client, err := stripekit.New(fixtureKey, stripekit.WithBaseURL(server.URL), stripekit.WithHTTPClient(server.Client()))
	require.NoError(t, err)

	charge, err := client.Charges.Create(t.Context(), stripekit.ChargeCreateParams{
		Amount: 2000, Currency: "usd", Source: new("tok_chargeDeclinedInsufficientFunds"),
	})
	require.Nil(t, charge)
	require.ErrorIs(t, err, stripekit.ErrCardDeclined)
	var declined *stripekit.Error
	require.ErrorAs(t, err, &declined)
	require.Equal(t, "insufficient_funds", declined.DeclineCode)

	failed, err := client.Charges.Get(t.Context(), declined.ChargeID)
	require.NoError(t, err)
	require.Equal(t, stripekit.ChargeFailed, failed.Status)
	require.False(t, failed.Paid)
}

func TestChargesCreateRefusesBeforeAnyRequest(t *testing.T) {
	client := noRequest(t)
	valid := stripekit.ChargeCreateParams{Amount: 2000, Currency: "usd", Source: new("tok_visa")}
	for name, test := range map[string]struct {
		param  string
		change func(*stripekit.ChargeCreateParams)
	}{
		"no amount":                 {"amount", func(p *stripekit.ChargeCreateParams) { p.Amount = 0 }},
		"negative amount":           {"amount", func(p *stripekit.ChargeCreateParams) { p.Amount = -1 }},
		"no currency":               {"currency", func(p *stripekit.ChargeCreateParams) { p.Currency = "" }},
		"no source and no customer": {"source", func(p *stripekit.ChargeCreateParams) { p.Source = nil }},
		"empty source and customer": {"source", func(p *stripekit.ChargeCreateParams) { p.Source, p.Customer = new(""), new("") }},
	} {
		t.Run(name, func(t *testing.T) {
			params := valid
			test.change(&params)
			charge, err := client.Charges.Create(t.Context(), params)
			require.Nil(t, charge)
			requireRefused(t, test.param, err)
		})
	}
	for name, test := range refusedShipping() {
		t.Run(name, func(t *testing.T) {
			params := valid
			params.Shipping = &test.shipping
			_, err := client.Charges.Create(t.Context(), params)
			requireRefused(t, test.param, err)
		})
	}
	for name, test := range refusedMetadata() {
		t.Run(name, func(t *testing.T) {
			params := valid
			params.Metadata = test.metadata
			_, err := client.Charges.Create(t.Context(), params)
			requireRefused(t, test.param, err)
		})
	}
}

type shippingCase struct {
	param    string
	shipping stripekit.Shipping
}

func refusedShipping() map[string]shippingCase {
	return map[string]shippingCase{
		"shipping with a phone alone":      {"shipping[name]", stripekit.Shipping{Phone: "+49"}},
		"shipping with an address alone":   {"shipping[name]", stripekit.Shipping{Address: stripekit.Address{Line1: "1"}}},
		"shipping with a name alone":       {"shipping[address][line1]", stripekit.Shipping{Name: "Jenny"}},
		"shipping without a first line":    {"shipping[address][line1]", stripekit.Shipping{Name: "Jenny", Address: stripekit.Address{City: "Berlin"}}},
		"shipping with a second line only": {"shipping[address][line1]", stripekit.Shipping{Name: "Jenny", Address: stripekit.Address{Line2: "Hof"}}},
	}
}

type metadataCase struct {
	param    string
	metadata stripekit.Metadata
}

// refusedMetadata has metadata beyond each limit.
func refusedMetadata() map[string]metadataCase {
	return map[string]metadataCase{
		"metadata of 51 keys":                 {"metadata", manyKeys(51)},
		"metadata with an empty key":          {"metadata", stripekit.Metadata{"": "1"}},
		"metadata with an opening bracket":    {"metadata", stripekit.Metadata{"a[": "1"}},
		"metadata with a closing bracket":     {"metadata", stripekit.Metadata{"a]": "1"}},
		"metadata key of 41 characters":       {"metadata", stripekit.Metadata{strings.Repeat("ä", 41): "1"}},
		"metadata value of 501 characters":    {"metadata[a]", stripekit.Metadata{"a": strings.Repeat("ä", 501)}},
		"metadata value of a million letters": {"metadata[a]", stripekit.Metadata{"a": strings.Repeat("a", 1e6)}},
	}
}

func manyKeys(n int) stripekit.Metadata {
	m := stripekit.Metadata{}
	for i := range n {
		m[fmt.Sprintf("key%d", i)] = "1"
	}
	return m
}

func TestChargesCreateSendsMetadataAtItsLimits(t *testing.T) {
	metadata := manyKeys(49)
	metadata[strings.Repeat("ä", 40)] = strings.Repeat("ä", 500)
	body := url.Values{"amount": {"2000"}, "currency": {"usd"}, "source": {"tok_visa"}}
	for key, value := range metadata {
		body.Set("metadata["+key+"]", value)
	}
	client := gockClient(t, nil, served{method: "POST", path: "/v1/charges", params: body.Encode(), fixture: "charge_created"})
	_, err := client.Charges.Create(t.Context(), stripekit.ChargeCreateParams{
		Amount: 2000, Currency: "usd", Source: new("tok_visa"), Metadata: metadata,
	})
	require.NoError(t, err)
}

// refusedIDs are ids that would lead to another path, or to none.
func refusedIDs() map[string]string {
	return map[string]string{
		"empty":           "",
		"dot":             ".",
		"parent":          "..",
		"path":            "../refunds",
		"deeper path":     "ch_1/refunds",
		"backslash":       `..\refunds`,
		"query":           "a?c",
		"path and query":  "a/b?c",
		"fragment":        "a#b",
		"escaped slash":   "a%2Fb",
		"ampersand":       "a&b",
		"equals sign":     "a=b",
		"newline":         "a\r\nHost: b",
		"null":            "a\x00",
		"not UTF-8":       "a\xff",
		"256 bytes":       strings.Repeat("a", 256),
		"a megabyte":      strings.Repeat("a", 1<<20),
		"a trailing path": "ch_1/",
	}
}

func TestChargesGetRefusesIDsThatLeadElsewhere(t *testing.T) {
	client := noRequest(t)
	for name, id := range refusedIDs() {
		t.Run(name, func(t *testing.T) {
			charge, err := client.Charges.Get(t.Context(), id)
			require.Nil(t, charge)
			requireRefused(t, "id", err)
		})
	}
}

func TestChargesGetEscapesIDs(t *testing.T) {
	for id, path := range map[string]string{
		"ch 1":                   "/v1/charges/ch%201",
		"ch:1;ä":                 "/v1/charges/ch:1%3B%C3%A4",
		"...":                    "/v1/charges/...",
		strings.Repeat("a", 255): "/v1/charges/" + strings.Repeat("a", 255),
	} {
		client := gockClient(t, nil, served{method: "GET", path: path, fixture: "charge"})
		_, err := client.Charges.Get(t.Context(), id)
		require.NoError(t, err)
	}
}

func TestChargesPageRefusesBeforeAnyRequest(t *testing.T) {
	client := noRequest(t)
	for name, test := range refusedPaging() {
		t.Run(name, func(t *testing.T) {
			page, err := client.Charges.Page(t.Context(), stripekit.ChargeListParams{ListParams: test.paging})
			require.Nil(t, page)
			requireRefused(t, test.param, err)

			yields := 0
			for charge, err := range client.Charges.List(t.Context(), stripekit.ChargeListParams{ListParams: test.paging}) {
				yields++
				require.Nil(t, charge)
				requireRefused(t, test.param, err)
			}
			require.Equal(t, 1, yields)
		})
	}
}

type pagingCase struct {
	param  string
	paging stripekit.ListParams
}

func refusedPaging() map[string]pagingCase {
	return map[string]pagingCase{
		"limit below 1":   {"limit", stripekit.ListParams{Limit: -1}},
		"limit above 100": {"limit", stripekit.ListParams{Limit: 101}},
		"both cursors":    {"ending_before", stripekit.ListParams{StartingAfter: "id_1", EndingBefore: "id_2"}},
	}
}
