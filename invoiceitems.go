package stripekit

import (
	"cmp"
	"context"
	"iter"
	"strconv"

	"github.com/stripekit/stripekit/internal/json"
)

// InvoiceItem is a line of an invoice, or of the next invoice. Amounts are in the
// smallest unit of the currency. Subscription, SubscriptionItem, Price and the unit
// amounts are set for every version: until 2025-03-31 they are fields of the
// response, and later they are in Parent and Pricing.
type InvoiceItem struct {
	ID                string              `json:"id"`
	Amount            int64               `json:"amount"` // negative reduces the invoice
	Currency          string              `json:"currency"`
	Customer          Ref[Customer]       `json:"customer"`
	CustomerAccount   string              `json:"customer_account"`
	Date              UnixTime            `json:"date"`    // when it was created; there is no field created
	Deleted           bool                `json:"deleted"` // if true, only ID is also set
	Description       string              `json:"description"`
	Discountable      bool                `json:"discountable"`
	Discounts         []Ref[Discount]     `json:"discounts"`
	Invoice           Ref[ObjectID]       `json:"invoice"` // empty while the item is on no invoice
	Livemode          bool                `json:"livemode"`
	Metadata          Metadata            `json:"metadata"`
	NetAmount         int64               `json:"net_amount"` // after discounts
	Parent            *InvoiceItemParent  `json:"parent"`     // nil unless a subscription made the item
	Period            Period              `json:"period"`
	Plan              Ref[Plan]           `json:"plan"` // legacy
	Price             Ref[Price]          `json:"price"`
	Pricing           *InvoiceItemPricing `json:"pricing"`
	Proration         bool                `json:"proration"`        // a change of a subscription made the item
	Quantity          int64               `json:"quantity"`         // truncated to a whole number
	QuantityDecimal   string              `json:"quantity_decimal"` // the exact quantity; empty in old versions
	Subscription      Ref[ObjectID]       `json:"subscription"`
	SubscriptionItem  string              `json:"subscription_item"`
	UnitAmount        int64               `json:"unit_amount"`         // 0 if it is not a whole number
	UnitAmountDecimal string              `json:"unit_amount_decimal"` // the exact unit amount
}

func (i *InvoiceItem) at() UnixTime { return i.Date }

// UnmarshalJSON reads the object in the form of any API version.
func (i *InvoiceItem) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, i, inOnePass) }

func decodeInvoiceItem(d *json.Decoder, i *InvoiceItem) error {
	type plain InvoiceItem
	if err := json.UnmarshalDecode(d, (*plain)(i), byMethods); err != nil {
		return err
	}
	if i.Parent != nil {
		from := i.Parent.SubscriptionDetails
		i.Subscription = cmp.Or(i.Subscription, from.Subscription)
		i.SubscriptionItem = cmp.Or(i.SubscriptionItem, from.SubscriptionItem)
	}
	if i.Pricing != nil {
		i.Price = cmp.Or(i.Price, i.Pricing.PriceDetails.Price)
		i.UnitAmountDecimal = cmp.Or(i.UnitAmountDecimal, i.Pricing.UnitAmountDecimal)
	}
	if whole, err := strconv.ParseInt(i.UnitAmountDecimal, 10, 64); err == nil {
		i.UnitAmount = whole
	}
	return nil
}

// InvoiceItemParent identifies the subscription that made an invoice item.
type InvoiceItemParent struct {
	Type                string   `json:"type"` // "subscription_details"
	SubscriptionDetails struct { // the subscription that made the item
		Subscription     Ref[ObjectID] `json:"subscription"`
		SubscriptionItem string        `json:"subscription_item"`
	} `json:"subscription_details"`
}

// InvoiceItemPricing is the price that the amount of an invoice item is computed
// from.
type InvoiceItemPricing struct {
	Type         string   `json:"type"` // "price_details"
	PriceDetails struct { // the price and its product
		Price   Ref[Price]   `json:"price"`
		Product Ref[Product] `json:"product"`
	} `json:"price_details"`
	UnitAmountDecimal string `json:"unit_amount_decimal"`
}

// Plan is a recurring price in old API versions. Price has replaced it.
type Plan struct {
	ID              string       `json:"id"`
	Active          bool         `json:"active"`
	Amount          int64        `json:"amount"`         // in the smallest unit of Currency
	AmountDecimal   string       `json:"amount_decimal"` // the exact amount
	Created         UnixTime     `json:"created"`
	Currency        string       `json:"currency"`
	Interval        string       `json:"interval"` // "day", "week", "month" or "year"
	IntervalCount   int64        `json:"interval_count"`
	Livemode        bool         `json:"livemode"`
	Metadata        Metadata     `json:"metadata"`
	Name            string       `json:"name"` // only in old versions; later Nickname, or the Name of the product
	Nickname        string       `json:"nickname"`
	Product         Ref[Product] `json:"product"`
	TrialPeriodDays int64        `json:"trial_period_days"`
	UsageType       string       `json:"usage_type"` // "licensed" or "metered"
}

// InvoiceItemCreateParams are the parameters of a new invoice item. One of
// Customer and CustomerAccount is required. With an older API version Currency is
// required too.
type InvoiceItemCreateParams struct {
	Amount            *int64                    `form:"amount"` // in the smallest currency unit; negative reduces the invoice
	Currency          *string                   `form:"currency"`
	Customer          *string                   `form:"customer"`
	CustomerAccount   *string                   `form:"customer_account"`
	Description       *string                   `form:"description"`
	Discountable      *bool                     `form:"discountable"` // nil is true, except for negative amounts
	Discounts         []DiscountParams          `form:"discounts"`
	Invoice           *string                   `form:"invoice"` // the id of a draft; nil is the customer's next invoice
	Metadata          Metadata                  `form:"metadata"`
	Period            *Period                   `form:"period"`
	PriceData         *PriceDataParams          `form:"price_data"`
	Pricing           *InvoiceItemPricingParams `form:"pricing"`
	Quantity          *int64                    `form:"quantity"`         // not negative
	QuantityDecimal   *string                   `form:"quantity_decimal"` // with up to 12 decimals
	Subscription      *string                   `form:"subscription"`     // if set, only an invoice of this subscription can include the item
	TaxBehavior       *string                   `form:"tax_behavior"`     // "inclusive", "exclusive" or "unspecified"
	TaxCode           *string                   `form:"tax_code"`
	TaxRates          []string                  `form:"tax_rates"`           // ids; they replace the tax rates of the invoice
	UnitAmountDecimal *string                   `form:"unit_amount_decimal"` // in the smallest currency unit, with up to 12 decimals
	Extra             Extra                     `form:"*"`
}

// DiscountParams is one discount. Set one of the three fields.
type DiscountParams struct {
	Coupon        *string `form:"coupon"`         // the id of a coupon
	Discount      *string `form:"discount"`       // the id of an existing discount
	PromotionCode *string `form:"promotion_code"` // the id of a promotion code
}

// PriceDataParams makes a price for one item. Currency, Product, and UnitAmount or
// UnitAmountDecimal are required.
type PriceDataParams struct {
	Currency          string  `form:"currency"`
	Product           string  `form:"product"`
	TaxBehavior       *string `form:"tax_behavior"`
	UnitAmount        *int64  `form:"unit_amount"` // in the smallest currency unit
	UnitAmountDecimal *string `form:"unit_amount_decimal"`
}

func (p *PriceDataParams) check(extra Extra) error {
	if p == nil {
		return nil
	}
	if p.UnitAmount == nil && blank(p.UnitAmountDecimal) && !extra.has("price_data[unit_amount]", "price_data[unit_amount_decimal]") {
		return &ParamError{Param: "price_data[unit_amount]", Reason: "unit_amount or unit_amount_decimal is required"}
	}
	return firstError(required("price_data[currency]", p.Currency, extra), required("price_data[product]", p.Product, extra))
}

// InvoiceItemPricingParams selects an existing price.
type InvoiceItemPricingParams struct {
	Price *string `form:"price"` // the id of a price
}

func (p *InvoiceItemCreateParams) check() error {
	if blank(p.Customer) && blank(p.CustomerAccount) && !p.Extra.has("customer", "customer_account") {
		return &ParamError{Param: "customer", Reason: "customer or customer_account is required"}
	}
	return firstError(p.PriceData.check(p.Extra), p.Metadata.check())
}

// InvoiceItemUpdateParams change an invoice item. Nil fields stay as they are.
type InvoiceItemUpdateParams struct {
	Amount            *int64                    `form:"amount"` // in the smallest currency unit; negative reduces the invoice
	Description       *string                   `form:"description"`
	Discountable      *bool                     `form:"discountable"`
	Discounts         []DiscountParams          `form:"discounts"`
	Metadata          Metadata                  `form:"metadata"`
	Period            *Period                   `form:"period"`
	PriceData         *PriceDataParams          `form:"price_data"`
	Pricing           *InvoiceItemPricingParams `form:"pricing"`
	Quantity          *int64                    `form:"quantity"`
	QuantityDecimal   *string                   `form:"quantity_decimal"`
	TaxBehavior       *string                   `form:"tax_behavior"`
	TaxCode           *string                   `form:"tax_code"`
	TaxRates          []string                  `form:"tax_rates"`
	UnitAmountDecimal *string                   `form:"unit_amount_decimal"`
	Extra             Extra                     `form:"*"`
}

func (p *InvoiceItemUpdateParams) check() error {
	return firstError(p.PriceData.check(p.Extra), p.Metadata.check())
}

// InvoiceItemListParams filter a list of invoice items.
type InvoiceItemListParams struct {
	ListParams
	Customer        *string `form:"customer"`
	CustomerAccount *string `form:"customer_account"`
	Invoice         *string `form:"invoice"`
	Pending         *bool   `form:"pending"` // true: on no invoice yet; false: on an invoice
	Extra           Extra   `form:"*"`
}

// InvoiceItemsService creates, reads, changes and deletes invoice items. Stripe has
// no search for them.
type InvoiceItemsService service

const invoiceItemsPath = "/v1/invoiceitems"

// Create creates an invoice item.
func (s *InvoiceItemsService) Create(ctx context.Context, p InvoiceItemCreateParams, opts ...CallOption) (*InvoiceItem, error) {
	return create[InvoiceItem](ctx, s.client, invoiceItemsPath, &p, opts)
}

// Get reads an invoice item.
func (s *InvoiceItemsService) Get(ctx context.Context, id string, opts ...CallOption) (*InvoiceItem, error) {
	return get[InvoiceItem](ctx, s.client, invoiceItemsPath, id, opts)
}

// Update changes an invoice item. It must not be on a closed invoice.
func (s *InvoiceItemsService) Update(ctx context.Context, id string, p InvoiceItemUpdateParams, opts ...CallOption) (*InvoiceItem, error) {
	return update[InvoiceItem](ctx, s.client, invoiceItemsPath, id, &p, opts)
}

// Delete deletes an invoice item that is on no invoice or on a draft. Otherwise it
// returns an ErrInvalidRequest. The returned InvoiceItem has only ID and Deleted
// set.
func (s *InvoiceItemsService) Delete(ctx context.Context, id string, opts ...CallOption) (*InvoiceItem, error) {
	return remove[InvoiceItem](ctx, s.client, invoiceItemsPath, id, opts)
}

// List iterates over all invoice items that match p, newest first. List requests
// the next page ahead, but the second page only when half of the first has been
// yielded.
func (s *InvoiceItemsService) List(ctx context.Context, p InvoiceItemListParams, opts ...CallOption) iter.Seq2[*InvoiceItem, error] {
	return list[InvoiceItem](ctx, s.client, invoiceItemsPath, p.ListParams, p, opts)
}

// Page reads one page of invoice items that match p.
func (s *InvoiceItemsService) Page(ctx context.Context, p InvoiceItemListParams, opts ...CallOption) (*Page[InvoiceItem], error) {
	return page[InvoiceItem](ctx, s.client, invoiceItemsPath, p.ListParams, p, opts)
}

// An invoice item has no field created: date is when it was created.
func (s *InvoiceItemsService) source() source[InvoiceItem] {
	return source[InvoiceItem]{client: s.client, path: invoiceItemsPath, timeField: "date"}
}

// Changes returns a Source of the invoice items that were created, updated or deleted, by
// the events of the account, which Stripe keeps for 30 days. A Poller that may have
// missed some because they were older ends with ErrGap.
func (s *InvoiceItemsService) Changes() Source[Change[InvoiceItem]] {
	return changes[InvoiceItem](s.client, invoiceItemsPath)
}

// Where returns a Source of the invoice items that match p, for a Poller or a
// Backfill. Different filters have different checkpoints. NewPoller returns a
// ParamError if p.ListParams is set, because a Poller sets these parameters
// itself. An invoice item that matches only after a later change, such as of
// Invoice, may not be delivered.
//
// WithExpand is the only option that NewPoller accepts. It names the fields as
// in an invoice item, such as "customer", and does not change the checkpoint.
func (s *InvoiceItemsService) Where(p InvoiceItemListParams, opts ...CallOption) Source[InvoiceItem] {
	return where(s.source(), p.ListParams, p, opts)
}
