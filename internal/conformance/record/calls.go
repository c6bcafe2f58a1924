package main

import (
	"maps"
	"net/http"

	"github.com/stripekit/stripekit"
)

// call is one request, and the name under which its response is saved.
type call struct {
	name   string
	method string
	path   string // {name} stands for the id in the response to the call of that name
	params params
	status int // the expected status
}

type params = map[string]any

// section is a group of calls for some versions.
type section struct {
	versions []string
	calls    []call
}

const (
	v2017 = "2017-08-15"
	v2019 = "2019-09-09"
	v2020 = stripekit.OrdersAPIVersion
	v2026 = stripekit.APIVersion
)

// versions returns the API versions to record, the oldest first.
func versions() []string { return []string{v2017, v2019, v2020, v2026} }

// sections returns the table of all calls, in the order in which they are made.
func sections() []section {
	return []section{
		{versions(), account()},
		{[]string{v2017, v2019}, customers("account_balance")},
		{[]string{v2020, v2026}, customers("balance")},
		{versions(), charges()},
		{versions(), refunds()},
		{[]string{v2019}, products(params{"type": "good"})},
		{[]string{v2017, v2020, v2026}, products(params{})},
		{versions(), invoiceItems()},
		{[]string{v2017, v2019, v2020}, orders()},
		{[]string{v2026}, searches()},
		{versions(), failures()},
		{[]string{v2019, v2020, v2026}, deletions()}, // in 2017, stripe-mock responds with the customer
	}
}

func account() []call {
	return []call{get("account", "/v1/account", nil)}
}

func customers(balance string) []call {
	return []call{
		create("customer_created", "/v1/customers", params{
			balance: -250, "description": "Recorded for tests", "email": "jenny@example.com", "metadata[order]": "6735", "source": "tok_visa",
		}),
		get("customers_page", "/v1/customers", params{"limit": 2}),
		get("customer", "/v1/customers/{customers_page}", nil),
	}
}

func charges() []call {
	declined := create("charge_declined", "/v1/charges", params{"amount": 2000, "currency": "usd", "source": "tok_chargeDeclined"})
	declined.status = http.StatusPaymentRequired
	return []call{
		create("charge_created", "/v1/charges", params{
			"amount": 2000, "currency": "usd", "customer": "{customers_page}", "description": "Recorded for tests", "metadata[order]": "6735",
		}),
		get("charges_page", "/v1/charges", params{"limit": 2}),
		get("charge", "/v1/charges/{charges_page}", nil),
		get("charge_expanded", "/v1/charges/{charges_page}", params{"expand[]": "customer"}),
		declined,
	}
}

func refunds() []call {
	return []call{
		create("refund_created", "/v1/refunds", params{"charge": "{charges_page}", "amount": 500}),
		get("refunds_page", "/v1/refunds", params{"limit": 2}),
		get("refund", "/v1/refunds/{refunds_page}", nil),
	}
}

// products returns the calls for products. required holds the parameters that
// some versions require besides a name.
func products(required params) []call {
	named := maps.Clone(required)
	named["name"] = "T-shirt"
	return []call{
		create("product_created", "/v1/products", named),
		fail("error_missing_parameter", http.StatusBadRequest, create("", "/v1/products", required)),
		get("products_page", "/v1/products", params{"limit": 2}),
		get("product", "/v1/products/{products_page}", nil),
	}
}

func invoiceItems() []call {
	return []call{
		create("invoiceitem_created", "/v1/invoiceitems", params{"customer": "{customers_page}", "amount": 1000, "currency": "usd"}),
		get("invoiceitems_page", "/v1/invoiceitems", params{"limit": 2}),
		get("invoiceitem", "/v1/invoiceitems/{invoiceitems_page}", nil),
	}
}

func orders() []call {
	return []call{
		get("orders_page", "/v1/orders", params{"limit": 2}),
		get("order", "/v1/orders/{orders_page}", nil),
		get("order_returns_page", "/v1/order_returns", params{"limit": 2}),
		get("order_return", "/v1/order_returns/{order_returns_page}", nil),
	}
}

func searches() []call {
	return []call{
		get("charges_search", "/v1/charges/search", params{"query": "amount>100"}),
		get("customers_search", "/v1/customers/search", params{"query": `email:"jenny@example.com"`}),
		get("products_search", "/v1/products/search", params{"query": `active:"true"`}),
	}
}

func failures() []call {
	return []call{
		fail("error_not_found", http.StatusNotFound, get("", "/v1/customers/cus_missing", nil)),
		fail("error_unrecognized_url", http.StatusNotFound, get("", "/v1/nonsense", nil)),
		fail("error_unknown_parameter", http.StatusBadRequest, get("", "/v1/charges", params{"nonsense": "1"})),
	}
}

func deletions() []call {
	return []call{
		{"customer_deleted", http.MethodDelete, "/v1/customers/{customer_created}", nil, http.StatusOK},
	}
}

func get(name, path string, p params) call {
	return call{name, http.MethodGet, path, p, http.StatusOK}
}

func create(name, path string, p params) call {
	return call{name, http.MethodPost, path, p, http.StatusOK}
}

func fail(name string, status int, c call) call {
	c.name, c.status = name, status
	return c
}
