package stripetest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	maxOrderItems = 25

	// skuPrice is the price of one unit of a SKU that does not exist, if its
	// item has no amount, in the smallest currency unit. The real service
	// refuses such an item.
	skuPrice = 1500
)

type order struct {
	ID                     string            `json:"id"`
	Object                 string            `json:"object"`
	Amount                 int64             `json:"amount"` // smallest currency unit
	AmountReturned         *int64            `json:"amount_returned"`
	Application            null              `json:"application"`
	ApplicationFee         *int64            `json:"application_fee"`
	Charge                 *string           `json:"charge"`
	Created                int64             `json:"created"` // seconds
	Currency               string            `json:"currency"`
	Customer               *string           `json:"customer"`
	Email                  *string           `json:"email"`
	ExternalCouponCode     *string           `json:"external_coupon_code,omitempty"`
	Items                  []orderItem       `json:"items"`
	Livemode               bool              `json:"livemode"`
	Metadata               map[string]string `json:"metadata"`
	Returns                listObject        `json:"returns"`
	SelectedShippingMethod *string           `json:"selected_shipping_method"`
	Shipping               *chargeShipping   `json:"shipping"`
	ShippingMethods        null              `json:"shipping_methods"`
	Status                 string            `json:"status"`
	StatusTransitions      statusTransitions `json:"status_transitions"`
	Updated                int64             `json:"updated"` // seconds
	UpstreamID             *string           `json:"upstream_id,omitempty"`

	unreturned []orderItem // what is left to return, at the same index as in Items
}

type orderItem struct {
	Object      string  `json:"object"`
	Amount      int64   `json:"amount"` // of the whole quantity, smallest currency unit
	Currency    string  `json:"currency"`
	Description *string `json:"description"`
	Parent      *string `json:"parent"`
	Quantity    *int64  `json:"quantity"`
	Type        string  `json:"type"`
}

// statusTransitions has the second in which the order reached each status.
type statusTransitions struct {
	Canceled *int64 `json:"canceled"`
	Fulfiled *int64 `json:"fulfiled"` // Stripe's spelling
	Paid     *int64 `json:"paid"`
	Returned *int64 `json:"returned"`
}

func orderFields() fields {
	item := hash(orderItemFields().with(fields{"currency": currency}))
	return fields{
		"coupon":   text,
		"currency": currency,
		"customer": nonEmpty,
		"email":    email(maxText),
		"expand":   list(text),
		"items":    atMost(maxOrderItems, list(item)),
		"metadata": metadata,
		"shipping": requiring(fields{"address": hash(addressFields()), "name": nonEmpty, "phone": text}, "address", "name"),
	}
}

func orderItemFields() fields {
	return fields{
		"amount":      integer,
		"description": upTo(1000),
		"parent":      text,
		"quantity":    atLeast(1),
		"type":        oneOf("discount", "shipping", "sku", "tax"),
	}
}

func orderUpdateFields() fields {
	return fields{
		"coupon":                   text,
		"expand":                   list(text),
		"metadata":                 metadata,
		"selected_shipping_method": text,
		"shipping":                 requiring(fields{"carrier": nonEmpty, "tracking_number": nonEmpty}, "carrier", "tracking_number"),
		"status":                   oneOf("canceled", "created", "fulfilled", "paid", "returned"),
	}
}

func orderPayFields() fields {
	return fields{
		"application_fee": integer,
		"customer":        nonEmpty,
		"email":           filled(email(maxText)),
		"expand":          list(text),
		"metadata":        metadata,
		"source":          nonEmpty,
	}
}

func orderFilters() fields {
	transitions := fields{"canceled": timeRange, "fulfilled": timeRange, "paid": timeRange, "returned": timeRange}
	return fields{
		"customer":           nonEmpty,
		"ids":                list(nonEmpty),
		"status":             nonEmpty,
		"status_transitions": hash(transitions),
		"upstream_ids":       list(nonEmpty),
	}
}

func newOrders(delay func(string) time.Duration) *collection[order] {
	orders := newCollection("order", delay, map[string]func(*order) string{
		"customer": func(o *order) string { return deref(o.Customer) },
		"status":   func(o *order) string { return o.Status },
	})
	orders.ranges = map[string]func(*order) *int64{
		"status_transitions[canceled]":  func(o *order) *int64 { return o.StatusTransitions.Canceled },
		"status_transitions[fulfilled]": func(o *order) *int64 { return o.StatusTransitions.Fulfiled },
		"status_transitions[paid]":      func(o *order) *int64 { return o.StatusTransitions.Paid },
		"status_transitions[returned]":  func(o *order) *int64 { return o.StatusTransitions.Returned },
	}
	orders.sets = map[string]func(*order) string{
		"upstream_ids": func(o *order) string { return deref(o.UpstreamID) },
	}
	return orders
}

func createOrder(c *call) (any, *apiError) {
	if failure := required(c.params, "currency"); failure != nil {
		return nil, failure
	}
	if id := c.params.string("customer"); id != "" {
		if _, ok := c.account.customers.get(id); !ok {
			return nil, noSuch("customer", id, "customer")
		}
	}
	created := newOrder(c)
	if failure := created.checkItems(); failure != nil {
		return nil, failure
	}
	c.account.orders.add(created.ID, created.Created, created)
	return created, nil
}

// newOrder makes the order that the parameters describe.
func newOrder(c *call) *order {
	p, id := c.params, newID("or_1", 23)
	created := &order{
		ID:                 id,
		Object:             "order",
		Created:            c.time.Unix(),
		Currency:           strings.ToLower(p.string("currency")),
		Customer:           p.optional("customer"),
		Email:              p.optional("email"),
		ExternalCouponCode: p.optional("coupon"),
		Items:              []orderItem{},
		Livemode:           c.account.live,
		Metadata:           newMetadata(p),
		Returns:            listObject{Object: "list", Data: []*orderReturn{}, URL: "/v1/order_returns?order=" + id},
		Shipping:           newChargeShipping(p.hash("shipping")),
		Status:             "created",
		Updated:            c.time.Unix(),
	}
	for _, params := range p.elements("items") {
		item := newOrderItem(c.account, params, created.Currency)
		created.Items = append(created.Items, item)
		created.Amount += item.Amount
	}
	created.unreturned = slices.Clone(created.Items)
	return created
}

func newOrderItem(a *account, params *value, currency string) orderItem {
	item := orderItem{
		Object:      "order_item",
		Amount:      params.integer("amount", 0),
		Currency:    cmp.Or(strings.ToLower(params.string("currency")), currency),
		Description: params.optional("description"),
		Parent:      params.optional("parent"),
		Quantity:    params.optionalInteger("quantity"),
		Type:        cmp.Or(params.string("type"), "sku"),
	}
	if item.Type == "sku" {
		item.Quantity = new(params.integer("quantity", 1))
		item.Amount = params.integer("amount", skuPrice*min(*item.Quantity, maxAmount))
		item.setSKU(a)
	}
	if item.Description == nil { // it is never null
		item.Description = new(cmp.Or(deref(item.Parent), item.Type))
	}
	return item
}

// setSKU sets the amount and the currency of an item whose SKU exists.
func (item *orderItem) setSKU(a *account) {
	known, ok := a.skus.get(deref(item.Parent))
	if !ok {
		return
	}
	item.Amount, item.Currency = known.Price*min(*item.Quantity, maxAmount), known.Currency
	if of, ok := a.products.get(known.Product); ok && item.Description == nil {
		item.Description = &of.Name
	}
}

func (o *order) checkItems() *apiError {
	for i, item := range o.Items {
		if failure := checkSize(item.Amount, o.Currency); failure != nil {
			return failure
		}
		if item.Quantity != nil && *item.Quantity > maxAmount {
			return tooLarge(maxAmount, o.Currency)
		}
		if item.Currency != o.Currency {
			return invalidRequest("", fmt.Sprintf("items[%d][currency]", i), fmt.Sprintf("The currency of every item must be that of the order, %s.", o.Currency))
		}
	}
	if o.Amount < 0 {
		return invalidRequest("", "items", "The amount of an order must not be negative.")
	}
	if o.Amount > maxAmount {
		return tooLarge(maxAmount, o.Currency)
	}
	return nil
}

func updateOrder(c *call) (any, *apiError) {
	old, failure := c.account.orders.find(c.id)
	if failure != nil {
		return nil, failure
	}
	changed := *old
	if changed.Metadata, failure = mergeMetadata(c.params, old.Metadata); failure != nil {
		return nil, failure
	}
	if status := c.params.string("status"); status != "" {
		if failure := changed.changeStatus(status, c.time.Unix()); failure != nil {
			return nil, failure
		}
	}
	c.params.setText(&changed.ExternalCouponCode, "coupon")
	c.params.setText(&changed.SelectedShippingMethod, "selected_shipping_method")
	if tracking := c.params.hash("shipping"); tracking != nil {
		changed.Shipping = trackedShipping(old.Shipping, tracking)
	}
	return c.account.replaceOrder(c, &changed), nil
}

// trackedShipping returns the shipping with the tracking parameters added.
func trackedShipping(old *chargeShipping, tracking *value) *chargeShipping {
	var shipping chargeShipping
	if old != nil {
		shipping = *old
	}
	tracking.setText(&shipping.Carrier, "carrier")
	tracking.setText(&shipping.TrackingNumber, "tracking_number")
	return &shipping
}

// replaceOrder stores a changed order and returns it.
func (a *account) replaceOrder(c *call, o *order) *order {
	o.Updated = c.time.Unix()
	a.orders.replace(o.ID, o)
	return o
}

// changeStatus makes the status changes that an update allows, which never go
// back. The current status is allowed and changes nothing.
func (o *order) changeStatus(status string, second int64) *apiError {
	if status == o.Status {
		return nil
	}
	if !slices.Contains(o.nextStatuses(), status) {
		return invalidRequest("", "status", fmt.Sprintf("The status of order %s cannot change from %s to %s.", o.ID, o.Status, status))
	}
	o.setStatus(status, second)
	return nil
}

func (o *order) setStatus(status string, second int64) {
	o.Status = status
	switch status {
	case "canceled":
		o.StatusTransitions.Canceled = &second
	case "fulfilled":
		o.StatusTransitions.Fulfiled = &second
	case "paid":
		o.StatusTransitions.Paid = &second
	case "returned":
		o.StatusTransitions.Returned = &second
	}
}

func (o *order) nextStatuses() []string {
	switch o.Status {
	case "created":
		return []string{"paid", "canceled"}
	case "paid":
		return []string{"fulfilled", "canceled"}
	case "fulfilled":
		return []string{"returned"}
	}
	return nil
}

// payOrder charges the order's amount. An order with amount 0 is paid without a
// charge.
func payOrder(c *call) (any, *apiError) {
	old, failure := c.account.orders.find(c.id)
	if failure != nil {
		return nil, failure
	}
	if old.Status != "created" {
		return nil, invalidRequest("", "", fmt.Sprintf("Order %s cannot be paid because its status is %s.", old.ID, old.Status))
	}
	paid := *old
	if paid.Metadata, failure = mergeMetadata(c.params, old.Metadata); failure != nil {
		return nil, failure
	}
	c.params.setText(&paid.Email, "email")
	if fee := c.params.optionalInteger("application_fee"); fee != nil {
		paid.ApplicationFee = fee
	}
	recorder := c.account.journal.recorder
	if failure := c.account.chargeOrder(c, &paid); failure != nil {
		recorder.add(nil, old, "order.payment_failed")
		return nil, failure
	}
	paid.setStatus("paid", c.time.Unix())
	recorder.add(nil, c.account.replaceOrder(c, &paid), "order.payment_succeeded")
	return &paid, nil
}

// chargeOrder charges the source or customer of the parameters, or the order's
// own customer if there are none.
func (a *account) chargeOrder(c *call, o *order) *apiError {
	customer, source := c.params.string("customer"), c.params.string("source")
	if customer == "" && source == "" {
		customer = deref(o.Customer)
	}
	if customer == "" && source == "" {
		return invalidRequest(codeMissing, "", "Must provide source or customer.")
	}
	card, failure := a.paymentCard(c, customer, source)
	if failure != nil {
		return failure
	}
	if customer != "" {
		o.Customer = &customer
	}
	if o.Amount == 0 {
		return nil
	}
	if failure := checkMoney(o.Amount, o.Currency); failure != nil {
		return failure
	}
	ch := blankCharge(c, card, o.Amount, o.Currency)
	ch.ApplicationFeeAmount = o.ApplicationFee
	ch.Order = &o.ID
	ch.ReceiptEmail = o.Email
	ch.Shipping = o.Shipping
	o.Charge = &ch.ID
	return a.addCharge(ch, true)
}
