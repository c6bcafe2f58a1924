package stripetest

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// handler executes a request. It runs under the account's lock, with parameters
// that have been checked. Its result must never be modified afterwards.
type handler func(*call) (any, *apiError)

type route struct {
	method  string
	pattern string
	params  fields
	handle  handler
	legacy  bool // newer API versions do not have it
}

// routes returns the table of operations. If two patterns match a path, the
// first one is used.
func routes() []route {
	return slices.Concat(chargeRoutes(), intentRoutes(), customerRoutes(), productRoutes(), billRoutes(), eventRoutes())
}

func chargeRoutes() []route {
	const get, post = http.MethodGet, http.MethodPost
	expandable := fields{"expand": list(text)}
	withMetadata := fields{"expand": list(text), "metadata": metadata}
	return []route{
		{post, "/v1/charges", chargeFields(), createCharge, false},
		{get, "/v1/charges", listFields(chargeFilters()), listing(charges), false},
		{get, "/v1/charges/search", searchParams(), searching(charges), false},
		{get, "/v1/charges/{id}", expandable, retrieval(charges), false},
		{post, "/v1/charges/{id}", chargeUpdateFields(), updateCharge, false},
		{post, "/v1/charges/{id}/capture", captureFields(), captureCharge, false},
		{post, "/v1/charges/{id}/refunds", refundFields().without("charge"), createRefund, false},
		{get, "/v1/charges/{id}/refunds", listFields(nil).without("created"), listRefundsOfCharge, false},
		{get, "/v1/charges/{id}/refunds/{refund}", expandable, ofCharge(retrieval(refunds)), false},
		{post, "/v1/charges/{id}/refunds/{refund}", withMetadata, ofCharge(updateRefund), false},

		{post, "/v1/refunds", refundFields(), createRefund, false},
		{get, "/v1/refunds", listFields(refundFilters()), listing(refunds), false},
		{get, "/v1/refunds/{id}", expandable, retrieval(refunds), false},
		{post, "/v1/refunds/{id}", withMetadata, updateRefund, false},
		{post, "/v1/refunds/{id}/cancel", expandable, cancelRefund, false},
	}
}

func intentRoutes() []route {
	const get, post = http.MethodGet, http.MethodPost
	expandable := fields{"expand": list(text)}
	return []route{
		{post, "/v1/payment_intents", intentFields(), createIntent, false},
		{get, "/v1/payment_intents", listFields(intentFilters()), listing(paymentIntents), false},
		{get, "/v1/payment_intents/search", searchParams(), searching(paymentIntents), false},
		{get, "/v1/payment_intents/{id}", expandable, retrieval(paymentIntents), false},
		{post, "/v1/payment_intents/{id}", intentUpdateFields(), updateIntent, false},
		{post, "/v1/payment_intents/{id}/confirm", intentConfirmFields(), confirmIntent, false},
		{post, "/v1/payment_intents/{id}/capture", intentCaptureFields(), captureIntent, false},
		{post, "/v1/payment_intents/{id}/cancel", intentCancelFields(), cancelIntent, false},

		{post, "/v1/payment_methods", paymentMethodFields(), createPaymentMethod, false},
		{get, "/v1/payment_methods", paymentMethodListFields(), listing(paymentMethods), false},
		{get, "/v1/payment_methods/{id}", expandable, retrievePaymentMethod, false},
		{post, "/v1/payment_methods/{id}", paymentMethodUpdateFields(), updatePaymentMethod, false},
		{post, "/v1/payment_methods/{id}/attach", fields{"customer": nonEmpty, "expand": list(text)}, attachPaymentMethod, false},
		{post, "/v1/payment_methods/{id}/detach", expandable, detachPaymentMethod, false},
	}
}

func customerRoutes() []route {
	const get, post, del = http.MethodGet, http.MethodPost, http.MethodDelete
	expandable := fields{"expand": list(text)}
	return []route{
		{post, "/v1/customers", customerFields(), createCustomer, false},
		{get, "/v1/customers", listFields(customerFilters()), listing(customers), false},
		{get, "/v1/customers/search", searchParams(), searching(customers), false},
		{get, "/v1/customers/{id}", expandable, retrieveCustomer, false},
		{post, "/v1/customers/{id}", customerUpdateFields(), updateCustomer, false},
		{del, "/v1/customers/{id}", nil, deletion(customers, nil), false},
		{post, "/v1/customers/{id}/sources", sourceFields(), createSource, false},
		{get, "/v1/customers/{id}/sources", sourceListFields(), listSources, false},
		{get, "/v1/customers/{id}/sources/{source}", expandable, retrieveSource, false},
		{post, "/v1/customers/{id}/sources/{source}", sourceUpdateFields(), updateSource, false},
		{del, "/v1/customers/{id}/sources/{source}", nil, deleteSource, false},

		{get, "/v1/customers/{id}/payment_methods", paymentMethodListFields().without("customer", "customer_account"), listCustomerPaymentMethods, false},
		{get, "/v1/customers/{id}/payment_methods/{payment_method}", expandable, retrieveCustomerPaymentMethod, false},

		{post, "/v1/tokens", tokenFields(), createToken, false},
		{get, "/v1/tokens/{id}", expandable, retrieval(tokens), false},

		{get, "/v1/account", expandable, retrieveAccount, false},
	}
}

func productRoutes() []route {
	const get, post, del = http.MethodGet, http.MethodPost, http.MethodDelete
	expandable := fields{"expand": list(text)}
	return []route{
		{post, "/v1/products", productFields(), createProduct, false},
		{get, "/v1/products", listFields(productFilters()), listProducts, false},
		{get, "/v1/products/search", searchParams(), searching(products), false},
		{get, "/v1/products/{id}", expandable, retrieval(products), false},
		{post, "/v1/products/{id}", productUpdateFields(), updateProduct, false},
		{del, "/v1/products/{id}", nil, deletion(products, (*account).checkUnused), false},

		{post, "/v1/prices", priceFields(), createPrice, false},
		{get, "/v1/prices", listFields(priceFilters()), listing(prices), false},
		{get, "/v1/prices/{id}", expandable, retrieval(prices), false},
		{post, "/v1/prices/{id}", priceUpdateFields(), updatePrice, false},

		{post, "/v1/skus", skuFields(), createSKU, true},
		{get, "/v1/skus", listFields(skuFilters()), listing(skus), true},
		{get, "/v1/skus/{id}", expandable, retrieval(skus), true},
		{post, "/v1/skus/{id}", skuUpdateFields(), updateSKU, true},
		{del, "/v1/skus/{id}", nil, deletion(skus, nil), true},
	}
}

func billRoutes() []route {
	const get, post, del = http.MethodGet, http.MethodPost, http.MethodDelete
	expandable := fields{"expand": list(text)}
	return []route{
		{post, "/v1/invoiceitems", invoiceItemFields(), createInvoiceItem, false},
		{get, "/v1/invoiceitems", listFields(invoiceItemFilters()), listing(invoiceItems), false},
		{get, "/v1/invoiceitems/{id}", expandable, retrieval(invoiceItems), false},
		{post, "/v1/invoiceitems/{id}", invoiceItemUpdateFields(), updateInvoiceItem, false},
		{del, "/v1/invoiceitems/{id}", nil, deletion(invoiceItems, (*account).checkInvoice), false},

		{post, "/v1/invoices", invoiceFields(), createInvoice, false},
		{get, "/v1/invoices/{id}", expandable, retrieveInvoice, false},
		{post, "/v1/invoices/{id}/finalize", fields{"auto_advance": boolean, "expand": list(text)}, finalizeInvoice, false},

		{post, "/v1/orders", orderFields(), createOrder, true},
		{get, "/v1/orders", listFields(orderFilters()), listing(orders), true},
		{get, "/v1/orders/{id}", expandable, retrieval(orders), true},
		{post, "/v1/orders/{id}", orderUpdateFields(), updateOrder, true},
		{post, "/v1/orders/{id}/pay", orderPayFields(), payOrder, true},
		{post, "/v1/orders/{id}/returns", orderReturnFields(), returnOrder, true},

		{get, "/v1/order_returns", listFields(fields{"order": nonEmpty}), listing(orderReturns), true},
		{get, "/v1/order_returns/{id}", expandable, retrieval(orderReturns), true},
	}
}

func eventRoutes() []route {
	const get, post, del = http.MethodGet, http.MethodPost, http.MethodDelete
	expandable := fields{"expand": list(text)}
	return []route{
		{get, eventsPath, eventFields(), listEvents, false},
		{get, eventsPath + "/{id}", expandable, retrieveEvent, false},

		{post, "/v1/webhook_endpoints", endpointFields(), createEndpoint, false},
		{get, "/v1/webhook_endpoints", listFields(nil).without("created"), listing(endpoints), false},
		{get, "/v1/webhook_endpoints/{id}", expandable, retrieval(endpoints), false},
		{post, "/v1/webhook_endpoints/{id}", endpointUpdateFields(), updateEndpoint, false},
		{del, "/v1/webhook_endpoints/{id}", nil, deleteEndpoint, false},
	}
}

// account is the data of one account in one mode, with a collection for each
// resource.
type account struct {
	live    bool
	profile *accountObject
	replays replays // guarded by the server's mu
	journal *journal
	shapes  *shapes // of its objects

	mu             sync.RWMutex // guards the fields below
	charges        *collection[charge]
	paymentIntents *collection[paymentIntent]
	paymentMethods *collection[paymentMethod]
	customers      *collection[customer]
	tokens         *collection[token]
	products       *collection[product]
	refunds        *collection[refund]
	invoiceItems   *collection[invoiceItem]
	orders         *collection[order]
	orderReturns   *collection[orderReturn]
	prices         *collection[price]
	skus           *collection[sku]
	invoices       *collection[invoice]
	undated        map[string]bool // ids of objects that were seeded as undated
	events         *collection[event]
	endpoints      *collection[endpoint]
	deliveries     *collection[webhook] // pending ones, by the time of the next attempt
	delivered      []webhook            // the newest others, oldest first
}

func (s *Server) newAccount(profile *accountObject, live bool) *account {
	delay := s.visibility
	a := &account{
		live:           live,
		profile:        profile,
		charges:        newCharges(delay),
		paymentIntents: newIntents(delay),
		paymentMethods: newPaymentMethods(delay),
		customers:      newCustomers(delay),
		tokens:         newTokens(),
		products:       newProducts(delay),
		refunds:        newRefunds(delay),
		invoiceItems:   newInvoiceItems(delay),
		orders:         newOrders(delay),
		orderReturns:   newOrderReturns(delay),
		prices:         newPrices(delay),
		skus:           newSKUs(delay),
		invoices:       newInvoices(),
		events:         newEvents(delay),
		endpoints:      newEndpoints(),
		deliveries:     newDeliveries(),
		journal:        &journal{version: s.versionWithoutHeader, notify: s.wakeWebhooks, webhooks: s.webhooks != nil},
	}
	a.watch()
	a.pack(s.shapes)
	a.charges.search, a.customers.search, a.products.search = chargeSearch, customerSearch, productSearch
	a.paymentIntents.search = intentSearch
	a.events.forDump = a.packEvent
	return a
}

// pack lets the collections that can become large pack their objects.
func (a *account) pack(shapes *shapes) {
	a.shapes = shapes
	a.charges.shapes, a.customers.shapes, a.products.shapes = shapes, shapes, shapes
	a.refunds.shapes, a.invoiceItems.shapes, a.orders.shapes = shapes, shapes, shapes
	a.orderReturns.shapes, a.prices.shapes, a.skus.shapes = shapes, shapes, shapes
	a.paymentIntents.shapes, a.paymentMethods.shapes = shapes, shapes
}

func charges(a *account) *collection[charge]               { return a.charges }
func paymentIntents(a *account) *collection[paymentIntent] { return a.paymentIntents }
func paymentMethods(a *account) *collection[paymentMethod] { return a.paymentMethods }
func customers(a *account) *collection[customer]           { return a.customers }
func tokens(a *account) *collection[token]                 { return a.tokens }
func products(a *account) *collection[product]             { return a.products }
func prices(a *account) *collection[price]                 { return a.prices }
func skus(a *account) *collection[sku]                     { return a.skus }
func refunds(a *account) *collection[refund]               { return a.refunds }
func invoiceItems(a *account) *collection[invoiceItem]     { return a.invoiceItems }
func orders(a *account) *collection[order]                 { return a.orders }
func endpoints(a *account) *collection[endpoint]           { return a.endpoints }
func orderReturns(a *account) *collection[orderReturn]     { return a.orderReturns }

// retrieval returns a handler that responds with the object that the path
// names.
func retrieval[T any](from func(*account) *collection[T]) handler {
	return func(c *call) (any, *apiError) {
		e, failure := from(c.account).findEntry(c.id)
		if failure != nil {
			return nil, failure
		}
		return e.stored(), nil
	}
}

// listing returns a handler that responds with a page of the objects that the
// parameters select.
func listing[T any](from func(*account) *collection[T]) handler {
	return func(c *call) (any, *apiError) {
		objects := from(c.account)
		return listed(c, objects, objects.newQuery(c.params, c.time))
	}
}

func listed[T any](c *call, objects *collection[T], q query) (any, *apiError) {
	page, more, failure := objects.page(q)
	if failure != nil {
		return nil, failure
	}
	result := &listObject{Object: "list", Data: allStored(page), HasMore: more, URL: c.path}
	if c.expands("total_count") {
		result.Total = new(objects.total(q))
	}
	return result, nil
}

func allStored[T any](page []*entry[T]) []any {
	stored := make([]any, len(page))
	for i, e := range page {
		stored[i] = e.stored()
	}
	return stored
}

// deletedObject is the JSON object for a deleted object.
type deletedObject struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Deleted bool   `json:"deleted"`
}

// deletion returns a handler that deletes the object that the path names. If
// check is not nil, it can refuse the deletion.
func deletion[T any](from func(*account) *collection[T], check func(*account, *T) *apiError) handler {
	return func(c *call) (any, *apiError) {
		objects := from(c.account)
		object, failure := objects.find(c.id)
		if failure != nil {
			return nil, failure
		}
		if check != nil {
			if failure := check(c.account, object); failure != nil {
				return nil, failure
			}
		}
		objects.remove(c.id)
		return &deletedObject{ID: c.id, Object: objects.object, Deleted: true}, nil
	}
}

// innerID returns the id at the end of a path such as
// /v1/charges/{id}/refunds/{refund}.
func (c *call) innerID() string {
	id, _ := url.PathUnescape(c.path[strings.LastIndexByte(c.path, '/')+1:]) // checked by matchPattern
	return id
}

// match returns the route for an escaped path and the id in the path.
func (s *Server) match(method, path string) (found route, id string, ok bool) {
	for _, route := range s.routes {
		if route.method != method {
			continue
		}
		if id, ok := matchPattern(route.pattern, path); ok {
			return route, id, true
		}
	}
	return route{}, "", false
}

// matchPattern compares path and pattern by segment. {id} matches any segment
// that is not empty, and so does another name in braces, whose segment innerID
// returns. An escaped slash is part of an id.
func matchPattern(pattern, path string) (id string, ok bool) {
	for {
		want, patternRest, more := strings.Cut(pattern, "/")
		got, pathRest, pathMore := strings.Cut(path, "/")
		switch {
		case more != pathMore:
			return "", false
		case strings.HasPrefix(want, "{") && got != "":
			unescaped, err := url.PathUnescape(got)
			if err != nil {
				return "", false
			}
			if want == "{id}" {
				id = unescaped
			}
		case want != got:
			return "", false
		}
		if !more {
			return id, true
		}
		pattern, path = patternRest, pathRest
	}
}
