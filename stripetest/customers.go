package stripetest

import (
	"cmp"
	"strings"
	"time"
)

type customer struct {
	ID                  string            `json:"id"`
	Object              string            `json:"object"`
	Address             *address          `json:"address"`
	Balance             int64             `json:"balance"` // smallest currency unit
	BusinessName        *string           `json:"business_name,omitempty"`
	Created             int64             `json:"created"` // seconds
	Currency            null              `json:"currency"`
	DefaultSource       *string           `json:"default_source"`
	Delinquent          bool              `json:"delinquent"`
	Description         *string           `json:"description"`
	Discount            null              `json:"discount"`
	Email               *string           `json:"email"`
	IndividualName      *string           `json:"individual_name,omitempty"`
	InvoicePrefix       string            `json:"invoice_prefix"`
	InvoiceSettings     invoiceSettings   `json:"invoice_settings"`
	Livemode            bool              `json:"livemode"`
	Metadata            map[string]string `json:"metadata"`
	Name                *string           `json:"name"`
	NextInvoiceSequence int64             `json:"next_invoice_sequence"`
	Phone               *string           `json:"phone"`
	PreferredLocales    []string          `json:"preferred_locales"`
	Shipping            *customerShipping `json:"shipping"`
	TaxExempt           string            `json:"tax_exempt"`
	TestClock           *string           `json:"test_clock"`

	cards  []*card  // the sources, the oldest first
	taxIDs []*taxID // the oldest first
}

type taxID struct {
	ID           string            `json:"id"`
	Object       string            `json:"object"`
	Country      *string           `json:"country"`
	Created      int64             `json:"created"` // seconds
	Customer     string            `json:"customer"`
	Livemode     bool              `json:"livemode"`
	Owner        taxIDOwner        `json:"owner"`
	Type         string            `json:"type"`
	Value        string            `json:"value"`
	Verification taxIDVerification `json:"verification"`
}

type taxIDOwner struct {
	Customer string `json:"customer"`
	Type     string `json:"type"`
}

type taxIDVerification struct {
	Status          string `json:"status"`
	VerifiedAddress null   `json:"verified_address"`
	VerifiedName    null   `json:"verified_name"`
}

type customerShipping struct {
	Address *address `json:"address"`
	Name    *string  `json:"name"`
	Phone   *string  `json:"phone"`
}

type invoiceSettings struct {
	CustomFields         []customField     `json:"custom_fields"`
	DefaultPaymentMethod *string           `json:"default_payment_method"`
	Footer               *string           `json:"footer"`
	RenderingOptions     *renderingOptions `json:"rendering_options"`
}

type customField struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type renderingOptions struct {
	AmountTaxDisplay *string `json:"amount_tax_display"`
	Template         *string `json:"template"`
}

func customerFields() fields {
	return fields{
		"address":               orEmpty(hash(addressFields())),
		"balance":               integer,
		"business_name":         upTo(150),
		"cash_balance":          hash(fields{"settings": hash(fields{"reconciliation_mode": oneOf("automatic", "manual", "merchant_default")})}),
		"description":           text,
		"email":                 email(maxEmail),
		"expand":                list(text),
		"individual_name":       upTo(150),
		"invoice_prefix":        nonEmpty,
		"invoice_settings":      hash(invoiceSettingsFields()),
		"metadata":              metadata,
		"name":                  upTo(256),
		"next_invoice_sequence": integer,
		"payment_method":        nonEmpty,
		"phone":                 upTo(20),
		"preferred_locales":     orEmpty(list(nonEmpty)),
		"shipping":              orEmpty(hash(fields{"address": hash(addressFields()), "name": nonEmpty, "phone": text})),
		"source":                nonEmpty,
		"tax":                   hash(fields{"ip_address": text, "validate_location": oneOf("deferred", "immediately")}),
		"tax_exempt":            oneOf("", "none", "exempt", "reverse"),
		"tax_id_data":           list(hash(fields{"type": nonEmpty, "value": nonEmpty})),
		"test_clock":            nonEmpty,
	}
}

func customerUpdateFields() fields {
	return customerFields().without("payment_method", "tax_id_data", "test_clock").with(fields{
		"default_source": filled(upTo(500)),
		"tax":            hash(fields{"ip_address": text, "validate_location": oneOf("auto", "deferred", "immediately")}),
	})
}

func invoiceSettingsFields() fields {
	return fields{
		"custom_fields":          orEmpty(list(hash(fields{"name": filled(upTo(40)), "value": filled(upTo(140))}))),
		"default_payment_method": text,
		"footer":                 text,
		"rendering_options": orEmpty(hash(fields{
			"amount_tax_display": oneOf("", "exclude_tax", "include_inclusive_tax"),
			"template":           text,
		})),
	}
}

func customerFilters() fields {
	return fields{"email": nonEmpty, "test_clock": nonEmpty}
}

func newCustomers(delay func(string) time.Duration) *collection[customer] {
	return newCollection("customer", delay, map[string]func(*customer) string{
		"email":      func(c *customer) string { return deref(c.Email) },
		"test_clock": func(c *customer) string { return deref(c.TestClock) },
	})
}

func createCustomer(c *call) (any, *apiError) {
	if failure := checkCustomerShipping(c.params); failure != nil {
		return nil, failure
	}
	created := newCustomer(c)
	if source := c.params.string("source"); source != "" {
		if _, failure := created.attach(c, source); failure != nil {
			return nil, failure
		}
	}
	var method *paymentMethod
	if id := c.params.string("payment_method"); id != "" {
		var failure *apiError
		if method, failure = c.account.attachable(c, id); failure != nil {
			return nil, failure
		}
	}
	c.account.customers.add(created.ID, created.Created, created)
	if method != nil {
		c.account.attachMethod(method, created.ID)
	}
	return created, nil
}

func checkCustomerShipping(params *value) *apiError {
	if params.hash("shipping") == nil {
		return nil
	}
	return required(params, "shipping[address]", "shipping[name]")
}

// retrieveCustomer also returns deleted customers, marked as deleted.
func retrieveCustomer(c *call) (any, *apiError) {
	if c.account.customers.wasDeleted(c.id) {
		return &deletedObject{ID: c.id, Object: "customer", Deleted: true}, nil
	}
	return retrieval(customers)(c)
}

func updateCustomer(c *call) (any, *apiError) {
	old, failure := c.account.customers.find(c.id)
	if failure != nil {
		return nil, failure
	}
	if failure := checkCustomerShipping(c.params); failure != nil {
		return nil, failure
	}
	changed := *old
	if changed.Metadata, failure = mergeMetadata(c.params, old.Metadata); failure != nil {
		return nil, failure
	}
	if failure := changed.changeSource(c); failure != nil {
		return nil, failure
	}
	changed.set(c.params)
	c.account.customers.replace(old.ID, &changed)
	return &changed, nil
}

// changeSource replaces the default source by the card of a token, or makes
// another one of the customer's cards the default.
func (cus *customer) changeSource(c *call) *apiError {
	if source := c.params.string("source"); source != "" {
		if failure := cus.replaceDefault(c, source); failure != nil {
			return failure
		}
	}
	if id := c.params.string("default_source"); id != "" {
		card := cus.card(id)
		if card == nil {
			return noSuch("source", id, "default_source")
		}
		cus.DefaultSource = &card.ID
	}
	return nil
}

func newCustomer(c *call) *customer {
	created := &customer{
		ID:                  newID("cus_", 14),
		Object:              "customer",
		Created:             c.time.Unix(),
		InvoicePrefix:       strings.ToUpper(newID("", 8)),
		Livemode:            c.account.live,
		Metadata:            newMetadata(c.params),
		NextInvoiceSequence: 1,
		PreferredLocales:    []string{},
		TaxExempt:           "none",
		TestClock:           c.params.optional("test_clock"),
	}
	created.set(c.params)
	for _, sent := range c.params.elements("tax_id_data") {
		created.taxIDs = append(created.taxIDs, newTaxID(c, created.ID, sent))
	}
	return created
}

// newTaxID makes a tax id that is not verified yet. The country of some types is
// in their names: de_stn is of DE.
func newTaxID(c *call, customer string, params *value) *taxID {
	made := &taxID{
		ID:           newID("txi_1", 23),
		Object:       "tax_id",
		Created:      c.time.Unix(),
		Customer:     customer,
		Livemode:     c.account.live,
		Owner:        taxIDOwner{customer, "customer"},
		Type:         params.string("type"),
		Value:        params.string("value"),
		Verification: taxIDVerification{Status: "pending"},
	}
	if country, _, ok := strings.Cut(made.Type, "_"); ok && len(country) == 2 && country != "eu" {
		made.Country = new(strings.ToUpper(country))
	}
	return made
}

// set changes the fields whose parameters were sent.
func (cus *customer) set(p *value) {
	setHash(&cus.Address, p, "address", newAddress)
	p.setInteger(&cus.Balance, "balance")
	p.setText(&cus.BusinessName, "business_name")
	p.setText(&cus.Description, "description")
	p.setText(&cus.Email, "email")
	p.setText(&cus.IndividualName, "individual_name")
	cus.InvoicePrefix = cmp.Or(p.string("invoice_prefix"), cus.InvoicePrefix)
	if settings := p.hash("invoice_settings"); settings != nil {
		cus.InvoiceSettings.set(settings)
	}
	p.setText(&cus.Name, "name")
	p.setInteger(&cus.NextInvoiceSequence, "next_invoice_sequence")
	p.setText(&cus.Phone, "phone")
	p.setItems(&cus.PreferredLocales, "preferred_locales")
	setHash(&cus.Shipping, p, "shipping", newCustomerShipping)
	if p.has("tax_exempt") {
		cus.TaxExempt = cmp.Or(p.string("tax_exempt"), "none")
	}
}

func newCustomerShipping(params *value) *customerShipping {
	if params == nil {
		return nil
	}
	return &customerShipping{
		Address: newAddress(params.hash("address")),
		Name:    params.optional("name"),
		Phone:   params.optional("phone"),
	}
}

func (s *invoiceSettings) set(p *value) {
	p.setText(&s.DefaultPaymentMethod, "default_payment_method")
	p.setText(&s.Footer, "footer")
	if p.has("custom_fields") {
		s.CustomFields = nil
		for _, field := range p.elements("custom_fields") {
			s.CustomFields = append(s.CustomFields, customField{field.string("name"), field.string("value")})
		}
	}
	setHash(&s.RenderingOptions, p, "rendering_options", newRenderingOptions)
}

func newRenderingOptions(params *value) *renderingOptions {
	if params == nil {
		return nil
	}
	return &renderingOptions{params.optional("amount_tax_display"), params.optional("template")}
}

// deref returns the string, or "" for nil.
func deref(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}
