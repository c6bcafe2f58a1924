package conformance_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/internal/conformance/mock"
)

// shapeWorld creates in stripetest the objects that the requests need, and
// replaces placeholders like {charge} by their ids.
func shapeWorld(t *testing.T, c *plainClient) *strings.Replacer {
	t.Helper()
	var ids []string
	create := func(name, path, params string) {
		params = strings.NewReplacer(ids...).Replace(params)
		path = strings.NewReplacer(ids...).Replace(path)
		object := c.do(t, shapeRequest{name: name, verb: http.MethodPost, path: path, params: params})
		ids = append(ids, "{"+name+"}", object["id"].(string))
	}
	create("customer", "/v1/customers", customerShape+"&source=tok_visa")
	create("spare customer", "/v1/customers", "")
	create("charge", "/v1/charges", "amount=1000&currency=usd&customer={customer}&"+chargeShape)
	create("uncaptured charge", "/v1/charges", "amount=1000&currency=usd&source=tok_visa&capture=false")
	create("refunded charge", "/v1/charges", "amount=1000&currency=usd&source=tok_visa")
	create("refund", "/v1/refunds", "charge={refunded charge}&amount=100&metadata[a]=b")
	create("product", "/v1/products", productShape)
	create("spare product", "/v1/products", "name=spare")
	create("item", "/v1/invoiceitems", "customer={customer}&price_data[product]={product}&price_data[currency]=usd&price_data[unit_amount]=500&subscription=sub_123")
	create("spare item", "/v1/invoiceitems", "customer={customer}&currency=usd&amount=100")
	create("intent", "/v1/payment_intents", "amount=2000&currency=usd&customer={customer}")
	create("held intent", "/v1/payment_intents", paymentShape+"pm_card_visa&capture_method=manual")
	create("waiting intent", "/v1/payment_intents", paymentShape+"pm_card_threeDSecure2Required")
	create("paid intent", "/v1/payment_intents", paymentShape+"pm_card_visa")
	if c.version >= stripekit.OrdersAPIVersion { // a former description gives failed charges a receipt_url
		create("declined intent", "/v1/payment_intents", "amount=2000&currency=usd&payment_method=pm_card_chargeDeclined&payment_method_types[]=card")
		c.decline(t, "/v1/payment_intents/"+ids[len(ids)-1]+"/confirm")
	}
	create("method", "/v1/payment_methods/pm_card_visa/attach", "customer={customer}")
	if c.version <= stripekit.OrdersAPIVersion {
		create("order", "/v1/orders", orderShape)
		create("paid order", "/v1/orders", orderShape)
		create("pay", "/v1/orders/{paid order}/pay", "source=tok_visa")
		create("order return", "/v1/orders/{paid order}/returns", "items[][type]=sku&items[][quantity]=1")
	}
	return strings.NewReplacer(ids...)
}

// decline sends a POST without parameters that a card must decline.
func (c *plainClient) decline(t *testing.T, path string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.url+path, nil)
	require.NoError(t, err)
	req.SetBasicAuth(mock.Key, "")
	req.Header.Set("Stripe-Version", c.version)
	resp, err := c.client.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusPaymentRequired, resp.StatusCode)
}

// The parameters of objects with all fields.
const (
	paymentShape  = "amount=2000&currency=usd&confirm=true&payment_method_types[]=card&payment_method="
	chargeShape   = "description=d&metadata[a]=b&receipt_email=jenny@example.com&shipping[name]=Jenny&shipping[phone]=1&shipping[address][line1]=Weg+1&transfer_group=g&transfer_data[destination]=acct_123&radar_options[session]=rse_123"
	customerShape = "name=Jenny&email=jenny@example.com&phone=1&description=d&metadata[a]=b&address[line1]=Weg+1&shipping[name]=Jenny&shipping[address][line1]=Weg+1" +
		"&invoice_settings[footer]=f&invoice_settings[custom_fields][0][name]=n&invoice_settings[custom_fields][0][value]=v&invoice_settings[rendering_options][template]=t" +
		"&preferred_locales[0]=en"
	productShape = "name=gold&default_price_data[currency]=usd&default_price_data[unit_amount]=500&images[0]=https://example.com/1.png&marketing_features[0][name]=f" +
		"&metadata[a]=b&package_dimensions[height]=1&package_dimensions[length]=2&package_dimensions[weight]=3&package_dimensions[width]=4&shippable=true&url=https://example.com"
	orderShape = "currency=usd&customer={customer}&email=jenny@example.com&items[0][type]=sku&items[0][parent]=sku_123&items[0][quantity]=2&items[0][amount]=1500" +
		"&metadata[a]=b&shipping[name]=Jenny&shipping[address][line1]=Weg+1"
)

// shapeRequests returns the requests that are sent to both, in this order.
func shapeRequests() []shapeRequest {
	return slices.Concat(chargeShapes(), customerShapes(), productShapes(), refundShapes(), invoiceItemShapes(), orderShapes())
}

func chargeShapes() []shapeRequest {
	const get, post = http.MethodGet, http.MethodPost
	return []shapeRequest{
		{"Client.Check", get, "/v1/account", ""},
		{"Charges.Create", post, "/v1/charges", "amount=1000&currency=usd&source=tok_visa"},
		{"Charges.Create, with everything", post, "/v1/charges", "amount=1000&currency=usd&customer={customer}&" + chargeShape},
		{"Charges.Get", get, "/v1/charges/{charge}", ""},
		{"Charges.Get, expanded", get, "/v1/charges/{charge}", "expand[]=customer&expand[]=balance_transaction"},
		{"Charges.Get, refunds", get, "/v1/charges/{refunded charge}", "expand[]=refunds"},
		{"Charges.Update", post, "/v1/charges/{charge}", "description=other&fraud_details[user_report]=safe"},
		{"Charges.Capture", post, "/v1/charges/{uncaptured charge}/capture", "amount=700"},
		{"Charges.List", get, "/v1/charges", "limit=3"},
		{"Charges.List, expanded", get, "/v1/charges", "limit=3&expand[]=data.customer"},
		{"Charges.Search", get, "/v1/charges/search", "query=amount%3E999"},
	}
}

func customerShapes() []shapeRequest {
	const get, post, del = http.MethodGet, http.MethodPost, http.MethodDelete
	return []shapeRequest{
		{"Customers.Create", post, "/v1/customers", ""},
		{"Customers.Create, with everything", post, "/v1/customers", customerShape},
		{"Customers.Get", get, "/v1/customers/{customer}", ""},
		{"Customers.Get, expanded", get, "/v1/customers/{customer}", "expand[]=default_source"},
		{"Customers.Update", post, "/v1/customers/{customer}", "description=other"},
		{"Customers.List", get, "/v1/customers", "limit=3"},
		{"Customers.Search", get, "/v1/customers/search", "query=email%3A%22jenny@example.com%22"},
		{"Customers.Delete", del, "/v1/customers/{spare customer}", ""},
	}
}

func productShapes() []shapeRequest {
	const get, post, del = http.MethodGet, http.MethodPost, http.MethodDelete
	return []shapeRequest{
		{"Products.Create", post, "/v1/products", "name=gold"},
		{"Products.Create, with everything", post, "/v1/products", productShape},
		{"Products.Get", get, "/v1/products/{product}", ""},
		{"Products.Get, expanded", get, "/v1/products/{product}", "expand[]=default_price"},
		{"Products.Update", post, "/v1/products/{product}", "description=other"},
		{"Products.List", get, "/v1/products", "limit=3"},
		{"Products.Search", get, "/v1/products/search", "query=active%3A%22true%22"},
		{"Products.Delete", del, "/v1/products/{spare product}", ""},
	}
}

func refundShapes() []shapeRequest {
	const get, post = http.MethodGet, http.MethodPost
	return []shapeRequest{
		{"Refunds.Create", post, "/v1/refunds", "charge={refunded charge}&amount=100&reason=duplicate"},
		{"Refunds.Get", get, "/v1/refunds/{refund}", ""},
		{"Refunds.Get, expanded", get, "/v1/refunds/{refund}", "expand[]=charge&expand[]=balance_transaction"},
		{"Refunds.Update", post, "/v1/refunds/{refund}", "metadata[c]=d"},
		{"Refunds.List", get, "/v1/refunds", "limit=3"},
		{"Refunds.List, of a charge", get, "/v1/charges/{refunded charge}/refunds", "limit=3"},
	}
}

func invoiceItemShapes() []shapeRequest {
	const get, post, del = http.MethodGet, http.MethodPost, http.MethodDelete
	return []shapeRequest{
		{"InvoiceItems.Create", post, "/v1/invoiceitems", "customer={customer}&currency=usd&amount=500"},
		{"InvoiceItems.Create, of a price", post, "/v1/invoiceitems", "customer={customer}&price_data[product]={product}&price_data[currency]=usd&price_data[unit_amount]=500"},
		{"InvoiceItems.Get", get, "/v1/invoiceitems/{item}", ""},
		{"InvoiceItems.Get, expanded", get, "/v1/invoiceitems/{item}", "expand[]=customer"},
		{"InvoiceItems.Update", post, "/v1/invoiceitems/{item}", "description=other&tax_rates[0]=txr_123"},
		{"InvoiceItems.List", get, "/v1/invoiceitems", "limit=3"},
		{"InvoiceItems.Delete", del, "/v1/invoiceitems/{spare item}", ""},
	}
}

func orderShapes() []shapeRequest {
	const get, post = http.MethodGet, http.MethodPost
	return []shapeRequest{
		{"Orders.Create", post, "/v1/orders", "currency=usd"},
		{"Orders.Create, with everything", post, "/v1/orders", orderShape},
		{"Orders.Get", get, "/v1/orders/{order}", ""},
		{"Orders.Get, expanded", get, "/v1/orders/{paid order}", "expand[]=charge&expand[]=customer"},
		{"Orders.Update", post, "/v1/orders/{order}", "metadata[c]=d"},
		{"Orders.Pay", post, "/v1/orders/{order}/pay", "source=tok_visa"},
		{"Orders.Return", post, "/v1/orders/{order}/returns", "items[0][type]=sku"},
		{"Orders.List", get, "/v1/orders", "limit=3"},
		{"Orders.Returns", get, "/v1/order_returns", "limit=3"},
		{"Orders.Returns, of one order", get, "/v1/order_returns/{order return}", "expand[]=order&expand[]=refund"},
	}
}
