package stripetest

import (
	"cmp"
	"strings"
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

	card *card // the default source, nil for none
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
		"business_name":         text,
		"cash_balance":          hash(fields{"settings": hash(fields{"reconciliation_mode": oneOf("automatic", "manual", "merchant_default")})}),
		"description":           text,
		"email":                 text,
		"expand":                list(text),
		"individual_name":       text,
		"invoice_prefix":        filled,
		"invoice_settings":      hash(invoiceSettingsFields()),
		"metadata":              metadata,
		"name":                  text,
		"next_invoice_sequence": integer,
		"payment_method":        filled,
		"phone":                 text,
		"preferred_locales":     orEmpty(list(filled)),
		"shipping":              orEmpty(hash(fields{"address": hash(addressFields()), "name": filled, "phone": text})),
		"source":                filled,
		"tax":                   hash(fields{"ip_address": text, "validate_location": oneOf("deferred", "immediately")}),
		"tax_exempt":            oneOf("", "none", "exempt", "reverse"),
		"tax_id_data":           list(hash(fields{"type": filled, "value": filled})),
		"test_clock":            filled,
	}
}

func invoiceSettingsFields() fields {
	return fields{
		"custom_fields":          orEmpty(list(hash(fields{"name": filled, "value": filled}))),
		"default_payment_method": text,
		"footer":                 text,
		"rendering_options": orEmpty(hash(fields{
			"amount_tax_display": oneOf("", "exclude_tax", "include_inclusive_tax"),
			"template":           text,
		})),
	}
}

func customerFilters() fields {
	return fields{"email": filled, "test_clock": filled}
}

func newCustomers() *collection[customer] {
	return newCollection("customer", map[string]func(*customer) string{
		"email":      func(c *customer) string { return deref(c.Email) },
		"test_clock": func(c *customer) string { return deref(c.TestClock) },
	})
}

func createCustomer(c *call) (any, *apiError) {
	if c.params.hash("shipping") != nil {
		if failure := required(c.params, "shipping[address]", "shipping[name]"); failure != nil {
			return nil, failure
		}
	}
	created := newCustomer(c)
	if source := c.params.string("source"); source != "" {
		if failure := created.attach(c, source); failure != nil {
			return nil, failure
		}
	}
	c.account.customers.add(created.ID, created.Created, created)
	return created, nil
}

// attach makes the card of a token the customer's source. A card that would be
// declined is refused already here, but for the one token made for it.
func (cus *customer) attach(c *call, source string) *apiError {
	token, ok := lookupToken(source)
	if !ok {
		return noSuch("token", source, "source")
	}
	if token.decline != nil && !token.attach {
		return token.decline.refusal("")
	}
	cus.card = newCard(c, token, &cus.ID)
	cus.DefaultSource = &cus.card.ID
	return nil
}

func newCustomer(c *call) *customer {
	p := c.params
	return &customer{
		ID:                  newID("cus_", 14),
		Object:              "customer",
		Address:             newAddress(p.hash("address")),
		Balance:             p.integer("balance", 0),
		BusinessName:        p.optional("business_name"),
		Created:             c.time.Unix(),
		Description:         p.optional("description"),
		Email:               p.optional("email"),
		IndividualName:      p.optional("individual_name"),
		InvoicePrefix:       cmp.Or(p.string("invoice_prefix"), strings.ToUpper(newID("", 8))),
		InvoiceSettings:     newInvoiceSettings(p.hash("invoice_settings")),
		Livemode:            c.account.live,
		Metadata:            newMetadata(p),
		Name:                p.optional("name"),
		NextInvoiceSequence: p.integer("next_invoice_sequence", 1),
		Phone:               p.optional("phone"),
		PreferredLocales:    p.items("preferred_locales"),
		Shipping:            newCustomerShipping(p.hash("shipping")),
		TaxExempt:           cmp.Or(p.string("tax_exempt"), "none"),
		TestClock:           p.optional("test_clock"),
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

func newInvoiceSettings(params *value) invoiceSettings {
	settings := invoiceSettings{
		DefaultPaymentMethod: params.optional("default_payment_method"),
		Footer:               params.optional("footer"),
	}
	for _, field := range params.elements("custom_fields") {
		settings.CustomFields = append(settings.CustomFields, customField{field.string("name"), field.string("value")})
	}
	if options := params.hash("rendering_options"); options != nil {
		settings.RenderingOptions = &renderingOptions{options.optional("amount_tax_display"), options.optional("template")}
	}
	return settings
}

// deref is the text of a nullable field, empty for null.
func deref(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}
