package stripekit

import (
	"cmp"
	"context"
	"fmt"
	"iter"
)

// Customer is somebody who pays, once or often.
type Customer struct {
	ID string `json:"id"`
	// Balance is what the customer owes (positive) or is owed (negative) on the
	// next invoice, in the smallest unit of Currency. Its name was
	// account_balance until 2019-10-17.
	Balance         int64         `json:"balance"`
	Address         *Address      `json:"address"`
	BusinessName    string        `json:"business_name"`
	Created         UnixTime      `json:"created"`
	Currency        string        `json:"currency"` // of recurring billing; empty before the first
	CustomerAccount string        `json:"customer_account"`
	DefaultSource   Ref[ObjectID] `json:"default_source"`
	Deleted         bool          `json:"deleted"`    // then only ID is set besides
	Delinquent      bool          `json:"delinquent"` // the latest invoice was not paid in time
	Description     string        `json:"description"`
	Discount        *Discount     `json:"discount"`
	Email           string        `json:"email"`
	IndividualName  string        `json:"individual_name"`
	InvoicePrefix   string        `json:"invoice_prefix"`
	Livemode        bool          `json:"livemode"`
	Metadata        Metadata      `json:"metadata"`
	Name            string        `json:"name"`
	Phone           string        `json:"phone"` // the customer's own; Shipping has another
	Shipping        *Shipping     `json:"shipping"`
	TaxExempt       string        `json:"tax_exempt"` // "none", "exempt" or "reverse"
}

func (c *Customer) at() UnixTime { return c.Created }

// UnmarshalJSON reads the object under its current and its former field names.
// A tag has one name in encoding/json as in the decoder used here, so that a
// second one needs a field, which only this method sees.
func (c *Customer) UnmarshalJSON(b []byte) error {
	type plain Customer
	former := struct {
		*plain
		AccountBalance *int64 `json:"account_balance"`
	}{plain: (*plain)(c)}
	if err := unmarshal(b, &former); err != nil {
		return err
	}
	if former.AccountBalance != nil {
		c.Balance = *former.AccountBalance
	}
	return nil
}

// Discount is a coupon in force.
type Discount struct {
	ID     string      `json:"id"`     // empty in old versions
	Coupon Ref[Coupon] `json:"coupon"` // in every version
	Source struct {    // since 2025-09-30
		Coupon Ref[Coupon] `json:"coupon"`
		Type   string      `json:"type"` // "coupon"
	} `json:"source"`
	Start UnixTime `json:"start"`
	End   UnixTime `json:"end"` // zero where it does not end
}

// UnmarshalJSON reads the coupon from where the version has it.
func (d *Discount) UnmarshalJSON(b []byte) error {
	type plain Discount
	if err := unmarshal(b, (*plain)(d)); err != nil {
		return err
	}
	d.Coupon = cmp.Or(d.Coupon, d.Source.Coupon)
	return nil
}

// Coupon is a reduction, by a percentage or an amount.
type Coupon struct {
	ID         string  `json:"id"`
	Name       string  `json:"name"`
	AmountOff  int64   `json:"amount_off"` // in the smallest unit of Currency
	Currency   string  `json:"currency"`
	PercentOff float64 `json:"percent_off"`
	Duration   string  `json:"duration"` // "once", "repeating" or "forever"
	Valid      bool    `json:"valid"`
}

// CustomerCreateParams are the parameters of a new customer; none is required.
type CustomerCreateParams struct {
	Address             *Address               `form:"address"`
	Balance             *int64                 `form:"balance"` // in the smallest currency unit; negative is credit
	BusinessName        *string                `form:"business_name"`
	CashBalance         *CashBalanceParams     `form:"cash_balance"`
	Description         *string                `form:"description"`
	Email               *string                `form:"email"` // need not be unique
	IndividualName      *string                `form:"individual_name"`
	InvoicePrefix       *string                `form:"invoice_prefix"` // 3 to 12 upper-case letters or digits
	InvoiceSettings     *InvoiceSettingsParams `form:"invoice_settings"`
	Metadata            Metadata               `form:"metadata"`
	Name                *string                `form:"name"`
	NextInvoiceSequence *int64                 `form:"next_invoice_sequence"`
	PaymentMethod       *string                `form:"payment_method"`
	Phone               *string                `form:"phone"`             // the customer's own, not the one of Shipping
	PreferredLocales    []string               `form:"preferred_locales"` // languages, the favourite first; cannot be unset
	Shipping            *Shipping              `form:"shipping"`
	Source              *string                `form:"source"` // a token (tok_…) or source
	Tax                 *CustomerTaxParams     `form:"tax"`
	TaxExempt           *string                `form:"tax_exempt"` // "none", "exempt" or "reverse"
	TaxIDData           []TaxIDDataParams      `form:"tax_id_data"`
	TestClock           *string                `form:"test_clock"`
	Extra               Extra                  `form:"*"`
}

// CashBalanceParams sets how money that a customer sends is put to invoices.
type CashBalanceParams struct {
	Settings CashBalanceSettingsParams `form:"settings"`
}

// CashBalanceSettingsParams is "automatic", "manual" or "merchant_default".
type CashBalanceSettingsParams struct {
	ReconciliationMode string `form:"reconciliation_mode"`
}

// InvoiceSettingsParams are a customer's defaults for invoices.
type InvoiceSettingsParams struct {
	CustomFields         []InvoiceCustomFieldParams  `form:"custom_fields"`
	DefaultPaymentMethod *string                     `form:"default_payment_method"`
	Footer               *string                     `form:"footer"`
	RenderingOptions     *InvoiceRenderOptionsParams `form:"rendering_options"`
}

func (p *InvoiceSettingsParams) check(extra Extra) error {
	if p == nil {
		return nil
	}
	for i, field := range p.CustomFields {
		param := fmt.Sprintf("invoice_settings[custom_fields][%d]", i)
		if err := firstError(required(param+"[name]", field.Name, extra), required(param+"[value]", field.Value, extra)); err != nil {
			return err
		}
	}
	return nil
}

// InvoiceCustomFieldParams is a line of the user's own on invoices.
type InvoiceCustomFieldParams struct {
	Name  string `form:"name"`
	Value string `form:"value"`
}

// InvoiceRenderOptionsParams choose how invoices look.
type InvoiceRenderOptionsParams struct {
	AmountTaxDisplay *string `form:"amount_tax_display"` // "exclude_tax" or "include_inclusive_tax"
	Template         *string `form:"template"`
}

// CustomerTaxParams is what taxes are computed from.
type CustomerTaxParams struct {
	IPAddress        *string `form:"ip_address"`
	ValidateLocation *string `form:"validate_location"` // "deferred", "immediately" or "auto"
}

// TaxIDDataParams is a tax number of a new customer.
type TaxIDDataParams struct {
	Type  string `form:"type"` // "eu_vat", "us_ein", …
	Value string `form:"value"`
}

func (p *CustomerCreateParams) check() error {
	for i, id := range p.TaxIDData {
		param := fmt.Sprintf("tax_id_data[%d]", i)
		if err := firstError(required(param+"[type]", id.Type, p.Extra), required(param+"[value]", id.Value, p.Extra)); err != nil {
			return err
		}
	}
	return firstError(p.InvoiceSettings.check(p.Extra), p.Shipping.check(p.Extra), p.Metadata.check())
}

// CustomerUpdateParams change a customer; what is nil stays as it is.
type CustomerUpdateParams struct {
	Address             *Address               `form:"address"`
	Balance             *int64                 `form:"balance"` // the new balance, in the smallest currency unit; negative is credit
	BusinessName        *string                `form:"business_name"`
	CashBalance         *CashBalanceParams     `form:"cash_balance"`
	DefaultSource       *string                `form:"default_source"` // the id of one that the customer has
	Description         *string                `form:"description"`
	Email               *string                `form:"email"`
	IndividualName      *string                `form:"individual_name"`
	InvoicePrefix       *string                `form:"invoice_prefix"`
	InvoiceSettings     *InvoiceSettingsParams `form:"invoice_settings"`
	Metadata            Metadata               `form:"metadata"`
	Name                *string                `form:"name"`
	NextInvoiceSequence *int64                 `form:"next_invoice_sequence"`
	Phone               *string                `form:"phone"`             // the customer's own, not the one of Shipping
	PreferredLocales    []string               `form:"preferred_locales"` // languages, the favourite first; cannot be unset
	Shipping            *Shipping              `form:"shipping"`
	Source              *string                `form:"source"` // a token (tok_…) or source, which becomes the default
	Tax                 *CustomerTaxParams     `form:"tax"`
	TaxExempt           *string                `form:"tax_exempt"` // "none", "exempt" or "reverse"
	Extra               Extra                  `form:"*"`
}

func (p *CustomerUpdateParams) check() error {
	return firstError(p.InvoiceSettings.check(p.Extra), p.Shipping.check(p.Extra), p.Metadata.check())
}

// CustomerListParams filter a list of customers.
type CustomerListParams struct {
	ListParams
	Email     *string `form:"email"`      // the whole address, in its case
	TestClock *string `form:"test_clock"` // nil leaves out the customers of all test clocks
	Extra     Extra   `form:"*"`
}

// CustomersService creates, reads, changes and deletes customers.
type CustomersService service

const customersPath = "/v1/customers"

// Create makes a customer.
func (s *CustomersService) Create(ctx context.Context, p CustomerCreateParams, opts ...CallOption) (*Customer, error) {
	return create[Customer](ctx, s.client, customersPath, &p, opts)
}

// Get reads a customer. A deleted one is no error: it has Deleted set.
func (s *CustomersService) Get(ctx context.Context, id string, opts ...CallOption) (*Customer, error) {
	return get[Customer](ctx, s.client, customersPath, id, opts)
}

// Update changes a customer. A new Source has Stripe collect once more on the
// latest invoice of each subscription that is past due.
func (s *CustomersService) Update(ctx context.Context, id string, p CustomerUpdateParams, opts ...CallOption) (*Customer, error) {
	return update[Customer](ctx, s.client, customersPath, id, &p, opts)
}

// Delete removes a customer for good and cancels its subscriptions. What it
// returns has ID and Deleted set. A second time is an ErrNotFound.
func (s *CustomersService) Delete(ctx context.Context, id string, opts ...CallOption) (*Customer, error) {
	return remove[Customer](ctx, s.client, customersPath, id, opts)
}

// List iterates over all customers that p allows, newest first, without the
// deleted ones. It requests the next page ahead, the second once half of the
// first is taken.
func (s *CustomersService) List(ctx context.Context, p CustomerListParams, opts ...CallOption) iter.Seq2[*Customer, error] {
	return list[Customer](ctx, s.client, customersPath, p.ListParams, p, opts)
}

// Page reads one page of customers, without the deleted ones.
func (s *CustomersService) Page(ctx context.Context, p CustomerListParams, opts ...CallOption) (*Page[Customer], error) {
	return page[Customer](ctx, s.client, customersPath, p.ListParams, p, opts)
}

// Where returns a Source of the customers that match p, for a Poller that
// delivers no others. The filter is part of what a checkpoint belongs to: with
// another filter, or none, a Poller has another checkpoint. NewPoller returns a
// ParamError if p.ListParams is set, because a Poller pages and reads
// by time itself. A customer that matches only after a later change of its
// email may not be delivered.
//
// Of the options, WithExpand is allowed. It names fields as in a customer, such
// as "default_source", and does not change the checkpoint. WithIdempotencyKey
// and CaptureResponse are refused.
func (s *CustomersService) Where(p CustomerListParams, opts ...CallOption) Source[Customer] {
	return where(s.source(), p.ListParams, p, opts)
}

// Search iterates over all customers that a query finds, such as
// `email:"a@b.c" AND -name:"test"`, by created, email, metadata, name and
// phone. What it finds is behind by up to a minute, at worst by an hour. It
// requests the next page ahead, the second once half of the first is taken. An
// empty query is a ParamError.
func (s *CustomersService) Search(ctx context.Context, query string, opts ...CallOption) iter.Seq2[*Customer, error] {
	return search[Customer](ctx, s.client, customersPath, query, opts)
}

// SearchPage reads one page of up to 100 customers that a query finds. cursor is
// the NextPage of the page before, and empty for the first page.
func (s *CustomersService) SearchPage(ctx context.Context, query, cursor string, opts ...CallOption) (*Page[Customer], error) {
	return searchPage[Customer](ctx, s.client, customersPath, query, cursor, opts)
}
