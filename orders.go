package stripekit

import (
	"context"
	"fmt"
	"iter"
)

// Order is a purchase of goods, from the legacy Orders API: it is in Stripe's
// descriptions from 2017-08-15 to 2020-08-27 and in none since, so that its
// requests are pinned to OrdersAPIVersion. Amounts are in the smallest unit of
// the currency.
type Order struct {
	ID                     string                `json:"id"` // "or_…"
	Amount                 int64                 `json:"amount"`
	AmountReturned         int64                 `json:"amount_returned"`
	Application            string                `json:"application"`
	ApplicationFee         int64                 `json:"application_fee"` // an amount, where a charge of old has an id
	Charge                 Ref[Charge]           `json:"charge"`          // empty until it is paid
	Created                UnixTime              `json:"created"`
	Currency               string                `json:"currency"`
	Customer               Ref[Customer]         `json:"customer"`
	Email                  string                `json:"email"`
	ExternalCouponCode     string                `json:"external_coupon_code"`
	Items                  []OrderItem           `json:"items"` // what was bought, and tax, shipping and discounts
	Livemode               bool                  `json:"livemode"`
	Metadata               Metadata              `json:"metadata"`
	Returns                *Page[OrderReturn]    `json:"returns"`                  // the latest; Returns of the service lists all
	SelectedShippingMethod string                `json:"selected_shipping_method"` // the ID of one of ShippingMethods
	Shipping               *Shipping             `json:"shipping"`
	ShippingMethods        []OrderShippingMethod `json:"shipping_methods"`
	Status                 string                `json:"status"` // "created", "paid", "canceled", "fulfilled" or "returned"
	// StatusTransitions is when the order came to each status; zero if it did not.
	StatusTransitions struct {
		Canceled  UnixTime `json:"canceled"`
		Fulfilled UnixTime `json:"fulfiled"` // so spelled by the service, in responses alone
		Paid      UnixTime `json:"paid"`
		Returned  UnixTime `json:"returned"`
	} `json:"status_transitions"`
	Updated    UnixTime `json:"updated"`
	UpstreamID string   `json:"upstream_id"` // the user's own id of the order
}

func (o *Order) at() UnixTime { return o.Created }

// OrderItem is one line of an order or of a return. It has no id.
type OrderItem struct {
	Amount      int64         `json:"amount"` // of the whole line; negative for a discount
	Currency    string        `json:"currency"`
	Description string        `json:"description"`
	Parent      Ref[ObjectID] `json:"parent"`   // the SKU, coupon or shipping method; empty for some taxes
	Quantity    int64         `json:"quantity"` // of a "sku"; 0 for the rest
	Type        string        `json:"type"`     // "sku", "tax", "shipping" or "discount"
}

// OrderShippingMethod is a way that an order can be shipped.
type OrderShippingMethod struct {
	ID               string   `json:"id"`
	Amount           int64    `json:"amount"`
	Currency         string   `json:"currency"`
	DeliveryEstimate struct { // a day, or a range of days, as YYYY-MM-DD
		Type     string `json:"type"`     // "exact" or "range"
		Date     string `json:"date"`     // of "exact"
		Earliest string `json:"earliest"` // of "range"
		Latest   string `json:"latest"`   // of "range"
	} `json:"delivery_estimate"`
	Description string `json:"description"`
}

// OrderReturn is items of an order that came back.
type OrderReturn struct {
	ID       string      `json:"id"` // "orret_…"
	Amount   int64       `json:"amount"`
	Created  UnixTime    `json:"created"`
	Currency string      `json:"currency"`
	Items    []OrderItem `json:"items"`
	Livemode bool        `json:"livemode"`
	Order    Ref[Order]  `json:"order"`
	Refund   Ref[Refund] `json:"refund"`
}

func (r *OrderReturn) at() UnixTime { return r.Created }

// OrderCreateParams are the parameters of a new order. Currency is required.
type OrderCreateParams struct {
	Currency string            `form:"currency"` // three letters, lower case
	Coupon   *string           `form:"coupon"`
	Customer *string           `form:"customer"` // whose email and shipping are used where these are nil
	Email    *string           `form:"email"`
	Items    []OrderItemParams `form:"items"` // up to 25
	Metadata Metadata          `form:"metadata"`
	Shipping *Shipping         `form:"shipping"` // required for goods; without Carrier and TrackingNumber
	Extra    Extra             `form:"*"`
}

// OrderItemParams is one line of a new order.
type OrderItemParams struct {
	Amount      *int64  `form:"amount"`
	Currency    *string `form:"currency"`
	Description *string `form:"description"` // up to 1000 characters
	Parent      *string `form:"parent"`      // the id of a SKU
	Quantity    *int64  `form:"quantity"`    // of a "sku"
	Type        *string `form:"type"`        // "sku", "tax", "shipping" or "discount"
}

// maxOrderItems is what Stripe allows in an order.
const maxOrderItems = 25

func checkItems(n int) error {
	if n > maxOrderItems {
		return &ParamError{Param: "items", Reason: fmt.Sprintf("has more than %d", maxOrderItems)}
	}
	return nil
}

func (p *OrderCreateParams) check() error {
	if p.Currency == "" && !p.Extra.has("currency") {
		return &ParamError{Param: "currency", Reason: "is required"}
	}
	return firstError(checkItems(len(p.Items)), p.Shipping.check(p.Extra), p.Metadata.check())
}

// OrderUpdateParams change an order; what is nil stays as it is.
type OrderUpdateParams struct {
	Coupon                 *string              `form:"coupon"` // one more, of duration "once"
	Metadata               Metadata             `form:"metadata"`
	SelectedShippingMethod *string              `form:"selected_shipping_method"` // the ID of one of ShippingMethods
	Shipping               *OrderTrackingParams `form:"shipping"`
	Status                 *string              `form:"status"` // "canceled", "fulfilled", …
	Extra                  Extra                `form:"*"`
}

// OrderTrackingParams is how the goods of an order are on their way. Both fields are
// required. The address of an order cannot be changed.
type OrderTrackingParams struct {
	Carrier        string `form:"carrier"` // "USPS", "UPS", "FedEx", …
	TrackingNumber string `form:"tracking_number"`
}

func (t *OrderTrackingParams) check(extra Extra) error {
	switch {
	case t == nil || *t == OrderTrackingParams{}:
		return nil
	case t.Carrier == "" && !extra.has("shipping[carrier]"):
		return &ParamError{Param: "shipping[carrier]", Reason: "is required with shipping"}
	case t.TrackingNumber == "" && !extra.has("shipping[tracking_number]"):
		return &ParamError{Param: "shipping[tracking_number]", Reason: "is required with shipping"}
	}
	return nil
}

func (p *OrderUpdateParams) check() error {
	return firstError(p.Shipping.check(p.Extra), p.Metadata.check())
}

// OrderPayParams choose how an order is paid. Source or Customer is required
// for an order without a customer, Email for one without an email.
type OrderPayParams struct {
	ApplicationFee *int64   `form:"application_fee"` // in the smallest currency unit, for the platform
	Customer       *string  `form:"customer"`        // instead of the order's own
	Email          *string  `form:"email"`
	Metadata       Metadata `form:"metadata"`
	Source         *string  `form:"source"` // a token (tok_…) or source, instead of the customer's
	Extra          Extra    `form:"*"`
}

func (p *OrderPayParams) check() error { return p.Metadata.check() }

// OrderReturnParams choose what of an order comes back.
type OrderReturnParams struct {
	Items []OrderReturnItemParams `form:"items"` // up to 25; nil is the whole order
	Extra Extra                   `form:"*"`
}

// OrderReturnItemParams is one line of a return.
type OrderReturnItemParams struct {
	Amount      *int64  `form:"amount"`
	Description *string `form:"description"` // up to 1000 characters
	Parent      *string `form:"parent"`      // the id of a SKU
	Quantity    *int64  `form:"quantity"`    // of a "sku"
	Type        *string `form:"type"`        // "sku", "tax", "shipping" or "discount"
}

func (p *OrderReturnParams) check() error { return checkItems(len(p.Items)) }

// OrderListParams filter a list of orders.
type OrderListParams struct {
	ListParams
	Customer          *string                       `form:"customer"`
	IDs               []string                      `form:"ids"`
	Status            *string                       `form:"status"`
	StatusTransitions *OrderStatusTransitionsParams `form:"status_transitions"`
	UpstreamIDs       []string                      `form:"upstream_ids"`
	Extra             Extra                         `form:"*"`
}

// OrderStatusTransitionsParams filter orders by when they came to a status.
type OrderStatusTransitionsParams struct {
	Canceled  *CreatedRange `form:"canceled"`
	Fulfilled *CreatedRange `form:"fulfilled"` // spelled right here, unlike in an Order
	Paid      *CreatedRange `form:"paid"`
	Returned  *CreatedRange `form:"returned"`
}

// OrderReturnListParams filter a list of returns.
type OrderReturnListParams struct {
	ListParams
	Order *string `form:"order"`
	Extra Extra   `form:"*"`
}

// OrdersService creates, reads, changes, pays and returns orders, with the API
// version OrdersAPIVersion. An order is not deleted but canceled, by Update.
type OrdersService service

const (
	ordersPath       = "/v1/orders"
	orderReturnsPath = "/v1/order_returns"
)

// Create makes an order.
func (s *OrdersService) Create(ctx context.Context, p OrderCreateParams, opts ...CallOption) (*Order, error) {
	return create[Order](ctx, s.client, ordersPath, &p, opts)
}

// Get reads an order.
func (s *OrdersService) Get(ctx context.Context, id string, opts ...CallOption) (*Order, error) {
	return get[Order](ctx, s.client, ordersPath, id, opts)
}

// Update changes an order, its status included.
func (s *OrdersService) Update(ctx context.Context, id string, p OrderUpdateParams, opts ...CallOption) (*Order, error) {
	return update[Order](ctx, s.client, ordersPath, id, &p, opts)
}

// Pay charges for an order, whose Status is then "paid" and whose Charge is
// set. A declined card is an ErrCardDeclined.
func (s *OrdersService) Pay(ctx context.Context, id string, p OrderPayParams, opts ...CallOption) (*Order, error) {
	return postAction[Order](ctx, s.client, ordersPath, id, "pay", &p, opts)
}

// Return takes an order back, all or part of it, and refunds it. The order must
// be paid or fulfilled. Once all of it is back, a paid order is canceled and a
// fulfilled one is returned.
func (s *OrdersService) Return(ctx context.Context, id string, p OrderReturnParams, opts ...CallOption) (*OrderReturn, error) {
	return postAction[OrderReturn](ctx, s.client, ordersPath, id, "returns", &p, opts)
}

// List iterates over all orders that p allows, newest first. It requests the next
// page ahead, the second once half of the first is taken.
func (s *OrdersService) List(ctx context.Context, p OrderListParams, opts ...CallOption) iter.Seq2[*Order, error] {
	return list[Order](ctx, s.client, ordersPath, p.ListParams, p, opts)
}

// Page reads one page of orders.
func (s *OrdersService) Page(ctx context.Context, p OrderListParams, opts ...CallOption) (*Page[Order], error) {
	return page[Order](ctx, s.client, ordersPath, p.ListParams, p, opts)
}

// Where returns a Source of the orders that match p, for a Poller that delivers
// no others. The filter is part of what a checkpoint belongs to: with another
// filter, or none, a Poller has another checkpoint. NewPoller returns a
// ParamError if p.ListParams is set, because a Poller pages and reads
// by time itself. An order that matches only after a later change, of its
// status say, may not be delivered.
//
// Of the options, WithExpand is allowed. It names fields as in an order, such
// as "customer", and does not change the checkpoint. WithIdempotencyKey and
// CaptureResponse are refused.
func (s *OrdersService) Where(p OrderListParams, opts ...CallOption) Source[Order] {
	return where(s.source(), p.ListParams, p, opts)
}

// Returns iterates over all returns that p allows, of one order or of all,
// newest first. It requests the next page ahead, the second once half of the
// first is taken.
func (s *OrdersService) Returns(ctx context.Context, p OrderReturnListParams, opts ...CallOption) iter.Seq2[*OrderReturn, error] {
	return list[OrderReturn](ctx, s.client, orderReturnsPath, p.ListParams, p, opts)
}

// ReturnsPage reads one page of returns.
func (s *OrdersService) ReturnsPage(ctx context.Context, p OrderReturnListParams, opts ...CallOption) (*Page[OrderReturn], error) {
	return page[OrderReturn](ctx, s.client, orderReturnsPath, p.ListParams, p, opts)
}
