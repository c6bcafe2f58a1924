package stripekit

import (
	"cmp"
	"context"
	"iter"
	"strconv"
)

// InvoiceItem is a line that waits for an invoice, or is on one. Amounts are in
// the smallest unit of the currency. Subscription, Price and the unit amounts
// are filled in whether the answer has them itself, as until 2025-03-31, or in
// Parent and Pricing; these two are as the service sent them.
type InvoiceItem struct {
	ID                string              `json:"id"`
	Amount            int64               `json:"amount"` // negative reduces the invoice
	Currency          string              `json:"currency"`
	Customer          Ref[Customer]       `json:"customer"`
	CustomerAccount   string              `json:"customer_account"`
	Date              UnixTime            `json:"date"`    // when it was created: an invoice item has no created
	Deleted           bool                `json:"deleted"` // then only ID is set besides
	Description       string              `json:"description"`
	Discountable      bool                `json:"discountable"`
	Discounts         []Ref[Discount]     `json:"discounts"`
	Invoice           Ref[ObjectID]       `json:"invoice"` // empty while it waits for one
	Livemode          bool                `json:"livemode"`
	Metadata          Metadata            `json:"metadata"`
	NetAmount         int64               `json:"net_amount"` // after discounts
	Parent            *InvoiceItemParent  `json:"parent"`     // nil where nothing else made it
	Period            Period              `json:"period"`
	Plan              Ref[Plan]           `json:"plan"` // legacy
	Price             Ref[Price]          `json:"price"`
	Pricing           *InvoiceItemPricing `json:"pricing"`
	Proration         bool                `json:"proration"`        // made by a change of a subscription
	Quantity          int64               `json:"quantity"`         // cut off to a whole number
	QuantityDecimal   string              `json:"quantity_decimal"` // exactly; empty in old versions
	Subscription      Ref[ObjectID]       `json:"subscription"`
	SubscriptionItem  string              `json:"subscription_item"`
	UnitAmount        int64               `json:"unit_amount"`         // 0 where it is no whole number
	UnitAmountDecimal string              `json:"unit_amount_decimal"` // exactly
}

func (i *InvoiceItem) at() UnixTime { return i.Date }

// UnmarshalJSON reads the object as any version has it.
func (i *InvoiceItem) UnmarshalJSON(b []byte) error {
	type plain InvoiceItem
	if err := unmarshal(b, (*plain)(i)); err != nil {
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

// InvoiceItemParent is what made an invoice item.
type InvoiceItemParent struct {
	Type                string   `json:"type"` // "subscription_details"
	SubscriptionDetails struct { // the subscription that made it
		Subscription     Ref[ObjectID] `json:"subscription"`
		SubscriptionItem string        `json:"subscription_item"`
	} `json:"subscription_details"`
}

// InvoiceItemPricing is what an invoice item's amount comes from.
type InvoiceItemPricing struct {
	Type         string   `json:"type"` // "price_details"
	PriceDetails struct { // the price and its product
		Price   Ref[Price]   `json:"price"`
		Product Ref[Product] `json:"product"`
	} `json:"price_details"`
	UnitAmountDecimal string `json:"unit_amount_decimal"`
}

// Plan is what recurring prices were before Price.
type Plan struct {
	ID              string       `json:"id"`
	Active          bool         `json:"active"`
	Amount          int64        `json:"amount"`         // in the smallest unit of Currency
	AmountDecimal   string       `json:"amount_decimal"` // the same, exactly
	Created         UnixTime     `json:"created"`
	Currency        string       `json:"currency"`
	Interval        string       `json:"interval"` // "day", "week", "month" or "year"
	IntervalCount   int64        `json:"interval_count"`
	Livemode        bool         `json:"livemode"`
	Metadata        Metadata     `json:"metadata"`
	Name            string       `json:"name"` // in old versions; later Nickname, or the product's
	Nickname        string       `json:"nickname"`
	Product         Ref[Product] `json:"product"`
	TrialPeriodDays int64        `json:"trial_period_days"`
	UsageType       string       `json:"usage_type"` // "licensed" or "metered"
}

// InvoiceItemCreateParams are the parameters of a new invoice item. One of
// Customer and CustomerAccount is required, and with a client of an older
// version Currency.
type InvoiceItemCreateParams struct {
	Amount            *int64                    `form:"amount"` // in the smallest currency unit; negative reduces the invoice
	Currency          *string                   `form:"currency"`
	Customer          *string                   `form:"customer"`
	CustomerAccount   *string                   `form:"customer_account"`
	Description       *string                   `form:"description"`
	Discountable      *bool                     `form:"discountable"` // nil is true, but for negative amounts
	Discounts         []DiscountParams          `form:"discounts"`
	Invoice           *string                   `form:"invoice"` // a draft; nil is the customer's next invoice
	Metadata          Metadata                  `form:"metadata"`
	Period            *Period                   `form:"period"`
	PriceData         *PriceDataParams          `form:"price_data"`
	Pricing           *InvoiceItemPricingParams `form:"pricing"`
	Quantity          *int64                    `form:"quantity"`         // not negative
	QuantityDecimal   *string                   `form:"quantity_decimal"` // with up to 12 decimals
	Subscription      *string                   `form:"subscription"`     // then only its invoices take the item
	TaxBehavior       *string                   `form:"tax_behavior"`     // "inclusive", "exclusive" or "unspecified"
	TaxCode           *string                   `form:"tax_code"`
	TaxRates          []string                  `form:"tax_rates"`           // ids, in place of the invoice's own
	UnitAmountDecimal *string                   `form:"unit_amount_decimal"` // in the smallest currency unit, with up to 12 decimals
	Extra             Extra                     `form:"*"`
}

// DiscountParams is one discount, by one of the three.
type DiscountParams struct {
	Coupon        *string `form:"coupon"`
	Discount      *string `form:"discount"` // one that is in force
	PromotionCode *string `form:"promotion_code"`
}

// PriceDataParams makes a price for one item. Currency, Product and one of the
// amounts are required.
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

// InvoiceItemPricingParams chooses a price that exists.
type InvoiceItemPricingParams struct {
	Price *string `form:"price"`
}

func (p *InvoiceItemCreateParams) check() error {
	if blank(p.Customer) && blank(p.CustomerAccount) && !p.Extra.has("customer", "customer_account") {
		return &ParamError{Param: "customer", Reason: "customer or customer_account is required"}
	}
	return firstError(p.PriceData.check(p.Extra), p.Metadata.check())
}

// InvoiceItemUpdateParams change an invoice item; what is nil stays as it is.
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
	Pending         *bool   `form:"pending"` // true: waiting for an invoice; false: on one
	Extra           Extra   `form:"*"`
}

// InvoiceItemsService creates, reads, changes and deletes invoice items. Stripe
// does not search them.
type InvoiceItemsService service

const invoiceItemsPath = "/v1/invoiceitems"

// Create makes an invoice item.
func (s *InvoiceItemsService) Create(ctx context.Context, p InvoiceItemCreateParams, opts ...CallOption) (*InvoiceItem, error) {
	return create[InvoiceItem](ctx, s.client, invoiceItemsPath, &p, opts)
}

// Get reads an invoice item.
func (s *InvoiceItemsService) Get(ctx context.Context, id string, opts ...CallOption) (*InvoiceItem, error) {
	return get[InvoiceItem](ctx, s.client, invoiceItemsPath, id, opts)
}

// Update changes an invoice item, as long as the invoice it is on is not
// closed.
func (s *InvoiceItemsService) Update(ctx context.Context, id string, p InvoiceItemUpdateParams, opts ...CallOption) (*InvoiceItem, error) {
	return update[InvoiceItem](ctx, s.client, invoiceItemsPath, id, &p, opts)
}

// Delete removes an invoice item that is on no invoice or on a draft; another
// is an ErrInvalidRequest. What it returns has ID and Deleted set.
func (s *InvoiceItemsService) Delete(ctx context.Context, id string, opts ...CallOption) (*InvoiceItem, error) {
	return remove[InvoiceItem](ctx, s.client, invoiceItemsPath, id, opts)
}

// List iterates over all invoice items that p allows, newest first. It requests
// the next page ahead, the second once half of the first is taken.
func (s *InvoiceItemsService) List(ctx context.Context, p InvoiceItemListParams, opts ...CallOption) iter.Seq2[*InvoiceItem, error] {
	return list[InvoiceItem](ctx, s.client, invoiceItemsPath, p.ListParams, p, opts)
}

// Page reads one page of invoice items.
func (s *InvoiceItemsService) Page(ctx context.Context, p InvoiceItemListParams, opts ...CallOption) (*Page[InvoiceItem], error) {
	return page[InvoiceItem](ctx, s.client, invoiceItemsPath, p.ListParams, p, opts)
}

// Where returns a Source of the invoice items that match p, for a Poller that
// delivers no others. The filter is part of what a checkpoint belongs to: with
// another filter, or none, a Poller has another checkpoint. NewPoller returns a
// ParamError if p.ListParams is set, because a Poller pages and reads
// by time itself. An invoice item that matches only after a later change,
// because it was put on an invoice say, may not be delivered.
//
// Of the options, WithExpand is allowed. It names fields as in an invoice item,
// such as "customer", and does not change the checkpoint. WithIdempotencyKey
// and CaptureResponse are refused.
func (s *InvoiceItemsService) Where(p InvoiceItemListParams, opts ...CallOption) Source[InvoiceItem] {
	return where(s.source(), p.ListParams, p, opts)
}
