package stripekit

import (
	"context"
	"fmt"
	"iter"
)

// Order is a purchase of goods in the legacy Orders API. Stripe's API descriptions
// have it from 2017-08-15 to 2020-08-27 only, so its requests are pinned to
// OrdersAPIVersion. Amounts are in the smallest unit of the currency.
type Order struct {
	ID                     string                `json:"id"` // "or_…"
	Amount                 int64                 `json:"amount"`
	AmountReturned         int64                 `json:"amount_returned"`
	Application            string                `json:"application"`
	ApplicationFee         int64                 `json:"application_fee"` // an amount, unlike the id in an old charge
	Charge                 Ref[Charge]           `json:"charge"`          // empty until the order is paid
	Created                UnixTime              `json:"created"`
	Currency               string                `json:"currency"`
	Customer               Ref[Customer]         `json:"customer"`
	Email                  string                `json:"email"`
	ExternalCouponCode     string                `json:"external_coupon_code"`
	Items                  []OrderItem           `json:"items"` // goods, tax, shipping and discounts
	Livemode               bool                  `json:"livemode"`
	Metadata               Metadata              `json:"metadata"`
	Returns                *Page[OrderReturn]    `json:"returns"`                  // the latest ones; OrdersService.Returns lists all
	SelectedShippingMethod string                `json:"selected_shipping_method"` // the ID of one of ShippingMethods
	Shipping               *Shipping             `json:"shipping"`
	ShippingMethods        []OrderShippingMethod `json:"shipping_methods"`
	Status                 string                `json:"status"` // "created", "paid", "canceled", "fulfilled" or "returned"
	// StatusTransitions is when the order reached each status; zero if it did not.
	StatusTransitions struct {
		Canceled  UnixTime `json:"canceled"`
		Fulfilled UnixTime `json:"fulfiled"` // the service misspells it, in responses only
		Paid      UnixTime `json:"paid"`
		Returned  UnixTime `json:"returned"`
	} `json:"status_transitions"`
	Updated    UnixTime `json:"updated"`
	UpstreamID string   `json:"upstream_id"` // the id of the order in the user's own system
}

func (o *Order) at() UnixTime { return o.Created }

// OrderItem is one line of an order or of a return. It has no id.
type OrderItem struct {
	Amount      int64         `json:"amount"` // of the whole line; negative for a discount
	Currency    string        `json:"currency"`
	Description string        `json:"description"`
	Parent      Ref[ObjectID] `json:"parent"`   // the SKU, coupon or shipping method; empty for some taxes
	Quantity    int64         `json:"quantity"` // 0 unless Type is "sku"
	Type        string        `json:"type"`     // "sku", "tax", "shipping" or "discount"
}

// OrderShippingMethod is a shipping method for an order.
type OrderShippingMethod struct {
	ID               string   `json:"id"`
	Amount           int64    `json:"amount"`
	Currency         string   `json:"currency"`
	DeliveryEstimate struct { // a day, or a range of days, as YYYY-MM-DD
		Type     string `json:"type"`     // "exact" or "range"
		Date     string `json:"date"`     // if Type is "exact"
		Earliest string `json:"earliest"` // if Type is "range"
		Latest   string `json:"latest"`   // if Type is "range"
	} `json:"delivery_estimate"`
	Description string `json:"description"`
}

// OrderReturn is a return of items of an order.
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
	Customer *string           `form:"customer"` // provides Email and Shipping where they are nil
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
	Quantity    *int64  `form:"quantity"`    // only if Type is "sku"
	Type        *string `form:"type"`        // "sku", "tax", "shipping" or "discount"
}

// maxOrderItems is the most items that Stripe allows in an order.
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

// OrderUpdateParams change an order. Nil fields stay as they are.
type OrderUpdateParams struct {
	Coupon                 *string              `form:"coupon"` // an additional coupon, of duration "once"
	Metadata               Metadata             `form:"metadata"`
	SelectedShippingMethod *string              `form:"selected_shipping_method"` // the ID of one of ShippingMethods
	Shipping               *OrderTrackingParams `form:"shipping"`
	Status                 *string              `form:"status"` // "canceled", "fulfilled", …
	Extra                  Extra                `form:"*"`
}

// OrderTrackingParams is the tracking information for the goods of an order. Both
// fields are required. The address of an order cannot be changed.
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

// OrderPayParams are the parameters of the payment of an order. Source or Customer
// is required for an order without a customer, and Email for an order without an
// email.
type OrderPayParams struct {
	ApplicationFee *int64   `form:"application_fee"` // in the smallest currency unit, for the platform
	Customer       *string  `form:"customer"`        // instead of the customer of the order
	Email          *string  `form:"email"`
	Metadata       Metadata `form:"metadata"`
	Source         *string  `form:"source"` // a token (tok_…) or source, instead of that of the customer
	Extra          Extra    `form:"*"`
}

func (p *OrderPayParams) check() error { return p.Metadata.check() }

// OrderReturnParams selects the items of an order that are returned.
type OrderReturnParams struct {
	Items []OrderReturnItemParams `form:"items"` // up to 25; nil is the whole order
	Extra Extra                   `form:"*"`
}

// OrderReturnItemParams is one line of a return.
type OrderReturnItemParams struct {
	Amount      *int64  `form:"amount"`
	Description *string `form:"description"` // up to 1000 characters
	Parent      *string `form:"parent"`      // the id of a SKU
	Quantity    *int64  `form:"quantity"`    // only if Type is "sku"
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

// OrderStatusTransitionsParams filter orders by when they reached a status.
type OrderStatusTransitionsParams struct {
	Canceled  *CreatedRange `form:"canceled"`  // when it was canceled
	Fulfilled *CreatedRange `form:"fulfilled"` // when it was fulfilled; spelled correctly, unlike in an Order
	Paid      *CreatedRange `form:"paid"`      // when it was paid
	Returned  *CreatedRange `form:"returned"`  // when it was returned
}

// OrderReturnListParams filter a list of returns.
type OrderReturnListParams struct {
	ListParams
	Order *string `form:"order"`
	Extra Extra   `form:"*"`
}

// OrdersService creates, reads, changes, pays and returns orders, with the API
// version OrdersAPIVersion. An order cannot be deleted, but Update can cancel it.
type OrdersService service

const (
	ordersPath       = "/v1/orders"
	orderReturnsPath = "/v1/order_returns"
)

// Create creates an order.
func (s *OrdersService) Create(ctx context.Context, p OrderCreateParams, opts ...CallOption) (*Order, error) {
	return create[Order](ctx, s.client, ordersPath, &p, opts)
}

// Get reads an order.
func (s *OrdersService) Get(ctx context.Context, id string, opts ...CallOption) (*Order, error) {
	return get[Order](ctx, s.client, ordersPath, id, opts)
}

// Update changes an order, including its status.
func (s *OrdersService) Update(ctx context.Context, id string, p OrderUpdateParams, opts ...CallOption) (*Order, error) {
	return update[Order](ctx, s.client, ordersPath, id, &p, opts)
}

// Pay pays an order. The returned Order has Status "paid" and Charge set. A declined
// card is an ErrCardDeclined.
func (s *OrdersService) Pay(ctx context.Context, id string, p OrderPayParams, opts ...CallOption) (*Order, error) {
	return postAction[Order](ctx, s.client, ordersPath, id, "pay", &p, opts)
}

// Return returns items of an order and refunds them. The order must be paid or
// fulfilled. When all items are returned, the status of a paid order becomes
// "canceled", and that of a fulfilled order "returned".
func (s *OrdersService) Return(ctx context.Context, id string, p OrderReturnParams, opts ...CallOption) (*OrderReturn, error) {
	return postAction[OrderReturn](ctx, s.client, ordersPath, id, "returns", &p, opts)
}

// List iterates over all orders that match p, newest first. List requests the
// next page ahead, but the second page only when half of the first has been
// yielded.
func (s *OrdersService) List(ctx context.Context, p OrderListParams, opts ...CallOption) iter.Seq2[*Order, error] {
	return list[Order](ctx, s.client, ordersPath, p.ListParams, p, opts)
}

// Page reads one page of orders that match p.
func (s *OrdersService) Page(ctx context.Context, p OrderListParams, opts ...CallOption) (*Page[Order], error) {
	return page[Order](ctx, s.client, ordersPath, p.ListParams, p, opts)
}

func (s *OrdersService) source() source[Order] {
	return source[Order]{client: s.client, path: ordersPath, timeField: "created"}
}

// Changes returns a Source of the orders that were created or updated, by the events
// of the account, which Stripe keeps for 30 days. A Poller that may have missed some
// because they were older ends with ErrGap.
func (s *OrdersService) Changes() Source[Change[Order]] { return changes[Order](s.client, ordersPath) }

// Where returns a Source of the orders that match p, for a Poller or a Backfill.
// Different filters have different checkpoints. NewPoller returns a ParamError
// if p.ListParams is set, because a Poller sets these parameters itself. An
// order that matches only after a later change, such as of Status, may not be
// delivered.
//
// WithExpand is the only option that NewPoller accepts. It names the fields as
// in an order, such as "customer", and does not change the checkpoint.
func (s *OrdersService) Where(p OrderListParams, opts ...CallOption) Source[Order] {
	return where(s.source(), p.ListParams, p, opts)
}

// Returns iterates over all returns that match p, newest first. Returns requests
// the next page ahead, but the second page only when half of the first has been
// yielded.
func (s *OrdersService) Returns(ctx context.Context, p OrderReturnListParams, opts ...CallOption) iter.Seq2[*OrderReturn, error] {
	return list[OrderReturn](ctx, s.client, orderReturnsPath, p.ListParams, p, opts)
}

// ReturnsPage reads one page of returns that match p.
func (s *OrdersService) ReturnsPage(ctx context.Context, p OrderReturnListParams, opts ...CallOption) (*Page[OrderReturn], error) {
	return page[OrderReturn](ctx, s.client, orderReturnsPath, p.ListParams, p, opts)
}
