package stripekit

import (
	"cmp"
	"context"
	"fmt"
	"iter"

	"github.com/stripekit/stripekit/internal/json"
)

// Customer is a person or a business that pays.
type Customer struct {
	ID string `json:"id"`
	// Balance is what the customer owes (positive) or is owed (negative) on the
	// next invoice, in the smallest unit of Currency. In versions until 2019-10-17
	// the field is called account_balance.
	Balance         int64         `json:"balance"`
	Address         *Address      `json:"address"`
	BusinessName    string        `json:"business_name"`
	Created         UnixTime      `json:"created"`
	Currency        string        `json:"currency"` // of recurring billing; empty before the first invoice
	CustomerAccount string        `json:"customer_account"`
	DefaultSource   Ref[ObjectID] `json:"default_source"`
	Deleted         bool          `json:"deleted"`    // if true, only ID is also set
	Delinquent      bool          `json:"delinquent"` // the latest invoice was not paid in time
	Description     string        `json:"description"`
	Discount        *Discount     `json:"discount"`
	Email           string        `json:"email"`
	IndividualName  string        `json:"individual_name"`
	InvoicePrefix   string        `json:"invoice_prefix"`
	Livemode        bool          `json:"livemode"`
	Metadata        Metadata      `json:"metadata"`
	Name            string        `json:"name"`
	Phone           string        `json:"phone"` // of the customer; Shipping has its own
	Shipping        *Shipping     `json:"shipping"`
	TaxExempt       string        `json:"tax_exempt"` // "none", "exempt" or "reverse"
}

func (c *Customer) at() UnixTime { return c.Created }

// UnmarshalJSON reads the object by its current and its former field names.
func (c *Customer) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, c, inOnePass) }

func decodeCustomer(d *json.Decoder, c *Customer) error {
	// A struct tag can have only one name, so a former name needs a second field.
	type plain Customer
	former := struct {
		*plain
		AccountBalance *int64 `json:"account_balance"`
	}{plain: (*plain)(c)}
	if err := json.UnmarshalDecode(d, &former, byMethods); err != nil {
		return err
	}
	if former.AccountBalance != nil {
		c.Balance = *former.AccountBalance
	}
	return nil
}

// Discount is a coupon that is applied to a customer or an invoice item.
type Discount struct {
	ID     string      `json:"id"`     // empty in old versions
	Coupon Ref[Coupon] `json:"coupon"` // set for every version
	Source struct {    // in versions since 2025-09-30
		Coupon Ref[Coupon] `json:"coupon"`
		Type   string      `json:"type"` // "coupon"
	} `json:"source"`
	Start UnixTime `json:"start"`
	End   UnixTime `json:"end"` // zero if it does not end
}

// UnmarshalJSON reads the coupon from Coupon or Source, depending on the version.
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
	PercentOff float64 `json:"percent_off"` // 25.5 is 25.5 %
	Duration   string  `json:"duration"`    // "once", "repeating" or "forever"
	Valid      bool    `json:"valid"`
}

// CustomerCreateParams are the parameters of a new customer. None is required.
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
	Phone               *string                `form:"phone"`             // of the customer, not of Shipping
	PreferredLocales    []string               `form:"preferred_locales"` // languages, the preferred one first; cannot be unset
	Shipping            *Shipping              `form:"shipping"`
	Source              *string                `form:"source"` // a token (tok_…) or source
	Tax                 *CustomerTaxParams     `form:"tax"`
	TaxExempt           *string                `form:"tax_exempt"` // "none", "exempt" or "reverse"
	TaxIDData           []TaxIDDataParams      `form:"tax_id_data"`
	TestClock           *string                `form:"test_clock"`
	Extra               Extra                  `form:"*"`
}

// CashBalanceParams configures the cash balance of a customer: money that the
// customer sends before it is used for an invoice.
type CashBalanceParams struct {
	Settings CashBalanceSettingsParams `form:"settings"`
}

// CashBalanceSettingsParams are the settings of a cash balance.
type CashBalanceSettingsParams struct {
	ReconciliationMode string `form:"reconciliation_mode"` // "automatic", "manual" or "merchant_default"
}

// InvoiceSettingsParams are the defaults for the invoices of a customer.
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

// InvoiceCustomFieldParams is an additional line on invoices. Both fields are
// required.
type InvoiceCustomFieldParams struct {
	Name  string `form:"name"`
	Value string `form:"value"`
}

// InvoiceRenderOptionsParams configures the layout of invoices.
type InvoiceRenderOptionsParams struct {
	AmountTaxDisplay *string `form:"amount_tax_display"` // "exclude_tax" or "include_inclusive_tax"
	Template         *string `form:"template"`
}

// CustomerTaxParams is the data for the computation of taxes.
type CustomerTaxParams struct {
	IPAddress        *string `form:"ip_address"`
	ValidateLocation *string `form:"validate_location"` // "deferred" or "immediately", or in an update "auto"
}

// TaxIDDataParams is a tax number of a new customer. Both fields are required.
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

// CustomerUpdateParams change a customer. Nil fields stay as they are.
type CustomerUpdateParams struct {
	Address             *Address               `form:"address"`
	Balance             *int64                 `form:"balance"` // the new balance, in the smallest currency unit; negative is credit
	BusinessName        *string                `form:"business_name"`
	CashBalance         *CashBalanceParams     `form:"cash_balance"`
	DefaultSource       *string                `form:"default_source"` // the id of a source of the customer
	Description         *string                `form:"description"`
	Email               *string                `form:"email"`
	IndividualName      *string                `form:"individual_name"`
	InvoicePrefix       *string                `form:"invoice_prefix"`
	InvoiceSettings     *InvoiceSettingsParams `form:"invoice_settings"`
	Metadata            Metadata               `form:"metadata"`
	Name                *string                `form:"name"`
	NextInvoiceSequence *int64                 `form:"next_invoice_sequence"`
	Phone               *string                `form:"phone"`             // of the customer, not of Shipping
	PreferredLocales    []string               `form:"preferred_locales"` // languages, the preferred one first; cannot be unset
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
	Email     *string `form:"email"`      // the whole address, case-sensitive
	TestClock *string `form:"test_clock"` // nil excludes the customers of all test clocks
	Extra     Extra   `form:"*"`
}

// CustomersService creates, reads, changes and deletes customers.
type CustomersService service

const customersPath = "/v1/customers"

// Create creates a customer.
func (s *CustomersService) Create(ctx context.Context, p CustomerCreateParams, opts ...CallOption) (*Customer, error) {
	return create[Customer](ctx, s.client, customersPath, &p, opts)
}

// Get reads a customer. A deleted customer is not an error: Deleted is true.
func (s *CustomersService) Get(ctx context.Context, id string, opts ...CallOption) (*Customer, error) {
	return get[Customer](ctx, s.client, customersPath, id, opts)
}

// Update changes a customer. After a change of Source, Stripe tries again to collect
// the latest invoice of each subscription that is past due.
func (s *CustomersService) Update(ctx context.Context, id string, p CustomerUpdateParams, opts ...CallOption) (*Customer, error) {
	return update[Customer](ctx, s.client, customersPath, id, &p, opts)
}

// Delete deletes a customer permanently and cancels its subscriptions. The returned
// Customer has only ID and Deleted set. A second Delete returns an ErrNotFound.
func (s *CustomersService) Delete(ctx context.Context, id string, opts ...CallOption) (*Customer, error) {
	return remove[Customer](ctx, s.client, customersPath, id, opts)
}

// List iterates over all customers that match p, without the deleted ones,
// newest first. List requests the next page ahead, but the second page only when
// half of the first has been yielded.
func (s *CustomersService) List(ctx context.Context, p CustomerListParams, opts ...CallOption) iter.Seq2[*Customer, error] {
	return list[Customer](ctx, s.client, customersPath, p.ListParams, p, opts)
}

// Page reads one page of customers that match p, without the deleted ones.
func (s *CustomersService) Page(ctx context.Context, p CustomerListParams, opts ...CallOption) (*Page[Customer], error) {
	return page[Customer](ctx, s.client, customersPath, p.ListParams, p, opts)
}

func (s *CustomersService) source() source[Customer] {
	return source[Customer]{client: s.client, path: customersPath, timeField: "created"}
}

// Changes returns a Source of the customers that were created, updated or deleted, by
// the events of the account, which Stripe keeps for 30 days. A Poller that may have
// missed some because they were older ends with ErrGap.
func (s *CustomersService) Changes() Source[Change[Customer]] {
	return changes[Customer](s.client, customersPath)
}

// Where returns a Source of the customers that match p, for a Poller or a
// Backfill. Different filters have different checkpoints. NewPoller returns a
// ParamError if p.ListParams is set, because a Poller sets these parameters
// itself. A customer that matches only after a later change of Email may not be
// delivered.
//
// WithExpand is the only option that NewPoller accepts. It names the fields as
// in a customer, such as "default_source", and does not change the checkpoint.
func (s *CustomersService) Where(p CustomerListParams, opts ...CallOption) Source[Customer] {
	return where(s.source(), p.ListParams, p, opts)
}

// Search iterates over all customers that a query finds, such as `email:"a@b.c"
// AND -name:"test"`. A query can use created, email, metadata, name and phone.
// Changes appear in the results within a minute, or within an hour at worst.
// Search requests the next page ahead, but the second page only when half of the
// first has been yielded. An empty query is a ParamError.
func (s *CustomersService) Search(ctx context.Context, query string, opts ...CallOption) iter.Seq2[*Customer, error] {
	return search[Customer](ctx, s.client, customersPath, query, opts)
}

// SearchPage reads one page of up to 100 customers that a query finds. cursor is
// the NextPage of the previous page, or empty for the first page.
func (s *CustomersService) SearchPage(ctx context.Context, query, cursor string, opts ...CallOption) (*Page[Customer], error) {
	return searchPage[Customer](ctx, s.client, customersPath, query, cursor, opts)
}
