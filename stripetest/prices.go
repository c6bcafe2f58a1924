package stripetest

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// price has a fixed amount, or one that the customer chooses. This server has no
// tiers and no currency options.
type price struct {
	ID                string            `json:"id"`
	Object            string            `json:"object"`
	Active            bool              `json:"active"`
	BillingScheme     string            `json:"billing_scheme"`
	Created           int64             `json:"created"` // seconds
	Currency          string            `json:"currency"`
	CustomUnitAmount  *customUnitAmount `json:"custom_unit_amount"`
	Livemode          bool              `json:"livemode"`
	LookupKey         *string           `json:"lookup_key"`
	Metadata          map[string]string `json:"metadata"`
	Nickname          *string           `json:"nickname"`
	Product           string            `json:"product"`
	Recurring         *recurring        `json:"recurring"`
	TaxBehavior       string            `json:"tax_behavior"`
	TiersMode         null              `json:"tiers_mode"`
	TransformQuantity null              `json:"transform_quantity"`
	Type              string            `json:"type"`
	UnitAmount        *int64            `json:"unit_amount"` // null if it is not an integer
	UnitAmountDecimal *string           `json:"unit_amount_decimal"`

	inline bool // made by price_data, for one invoice item
}

type customUnitAmount struct {
	Maximum *int64 `json:"maximum"`
	Minimum *int64 `json:"minimum"`
	Preset  *int64 `json:"preset"`
}

type recurring struct {
	Interval        string  `json:"interval"`
	IntervalCount   int64   `json:"interval_count"`
	Meter           *string `json:"meter"`
	TrialPeriodDays null    `json:"trial_period_days"`
	UsageType       string  `json:"usage_type"`
}

// priceAmountFields are the parameters that new prices have in common, wherever
// they are made.
func priceAmountFields() fields {
	return fields{
		"currency":            currency,
		"currency_options":    anyHash,
		"custom_unit_amount":  requiring(fields{"enabled": boolean, "maximum": integer, "minimum": integer, "preset": integer}, "enabled"),
		"metadata":            metadata,
		"recurring":           requiring(fields{"interval": oneOf("day", "week", "month", "year"), "interval_count": atLeast(1)}, "interval"),
		"tax_behavior":        oneOf("exclusive", "inclusive", "unspecified"),
		"unit_amount":         atLeast(0),
		"unit_amount_decimal": decimal,
	}
}

func priceFields() fields {
	return priceAmountFields().with(fields{
		"active":         boolean,
		"billing_scheme": oneOf("per_unit"),
		"expand":         list(text),
		"lookup_key":     upTo(200),
		"nickname":       text,
		"product":        nonEmpty,
		"product_data":   requiring(productFields().only("active", "id", "metadata", "name", "statement_descriptor", "tax_code", "unit_label"), "name"),
		"recurring": requiring(fields{
			"interval": oneOf("day", "week", "month", "year"), "interval_count": atLeast(1), "meter": nonEmpty,
			"trial_period_days": integer, "usage_type": oneOf("licensed", "metered"),
		}, "interval"),
		"transfer_lookup_key": boolean,
	})
}

func priceUpdateFields() fields {
	return priceFields().only("active", "expand", "lookup_key", "metadata", "nickname", "tax_behavior", "transfer_lookup_key")
}

func priceFilters() fields {
	return fields{
		"active": boolean, "currency": currency, "lookup_keys": atMost(10, list(nonEmpty)), "product": nonEmpty,
		"type": oneOf("one_time", "recurring"),
	}
}

func newPrices(delay func(string) time.Duration) *collection[price] {
	prices := newCollection("price", delay, map[string]func(*price) string{
		"active":     func(p *price) string { return strconv.FormatBool(p.Active) },
		"currency":   func(p *price) string { return p.Currency },
		"lookup_key": func(p *price) string { return deref(p.LookupKey) },
		"product":    func(p *price) string { return p.Product },
		"type":       func(p *price) string { return p.Type },
	})
	prices.sets = map[string]func(*price) string{"lookup_keys": nil} // by the index lookup_key
	return prices
}

func createPrice(c *call) (any, *apiError) {
	if failure := required(c.params, "currency"); failure != nil {
		return nil, failure
	}
	if failure := checkAmounts("", c.params, "unit_amount", "unit_amount_decimal", "custom_unit_amount"); failure != nil {
		return nil, failure
	}
	switch c.params.count("product", "product_data") {
	case 0:
		return nil, missingParam("product")
	case 2:
		return nil, invalidRequest("", "product", "You may only specify one of these parameters: product, product_data.")
	}
	product := c.params.string("product")
	if _, ok := c.account.products.get(product); !ok && product != "" {
		return nil, noSuch("product", product, "product")
	}
	if failure := c.account.freeLookupKey(c.params, ""); failure != nil {
		return nil, failure
	}
	if data := c.params.hash("product_data"); data != nil {
		inner := *c
		inner.params = data
		made := newProduct(&inner)
		c.account.products.add(made.ID, made.Created, made)
		product = made.ID
	}
	made := newPrice(c, c.params, product)
	made.set(c.params)
	c.account.prices.add(made.ID, made.Created, made)
	return made, nil
}

// checkAmounts requires exactly one of the parameters that set the amount. The
// name is that of the hash that has them, empty for none.
func checkAmounts(name string, params *value, amounts ...string) *apiError {
	if n := params.count(amounts...); n != 1 {
		return invalidRequest("", name, fmt.Sprintf("Exactly one of %s is needed; %d were sent.", strings.Join(amounts, ", "), n))
	}
	return nil
}

// freeLookupKey refuses a lookup key that another price has. If the request
// transfers it, the other price loses it.
func (a *account) freeLookupKey(params *value, price string) *apiError {
	wanted := params.string("lookup_key")
	if wanted == "" {
		return nil
	}
	for e := range a.prices.grouped("lookup_key", wanted).ascend(everything) {
		if e.id == price {
			return nil
		}
		if !params.boolean("transfer_lookup_key", false) {
			return invalidRequest("", "lookup_key", fmt.Sprintf("A price (`%s`) already uses that lookup key.", e.id))
		}
		without := *e.read()
		without.LookupKey = nil
		a.prices.replace(e.id, &without)
		return nil
	}
	return nil
}

// newPrice makes the price of a product that the parameters describe.
func newPrice(c *call, data *value, product string) *price {
	made := &price{
		ID:            newID("price_1", 23),
		Object:        "price",
		Active:        true,
		BillingScheme: "per_unit",
		Created:       c.time.Unix(),
		Currency:      strings.ToLower(data.string("currency")),
		Livemode:      c.account.live,
		Metadata:      newMetadata(data),
		Product:       product,
		TaxBehavior:   cmp.Or(data.string("tax_behavior"), "unspecified"),
		Type:          "one_time",
	}
	if custom := data.hash("custom_unit_amount"); custom != nil {
		made.CustomUnitAmount = &customUnitAmount{
			custom.optionalInteger("maximum"), custom.optionalInteger("minimum"), custom.optionalInteger("preset"),
		}
	}
	if every := data.hash("recurring"); every != nil {
		made.Type = "recurring"
		made.Recurring = &recurring{
			Interval: every.string("interval"), IntervalCount: every.integer("interval_count", 1),
			Meter: every.optional("meter"), UsageType: cmp.Or(every.string("usage_type"), "licensed"),
		}
	}
	made.setUnit(cmp.Or(data.string("unit_amount_decimal"), data.string("unit_amount")))
	return made
}

// setUnit sets the amount, which is a decimal, or empty if the customer chooses
// it.
func (p *price) setUnit(amount string) {
	if amount == "" {
		return
	}
	p.UnitAmountDecimal = &amount
	if n, err := strconv.ParseInt(amount, 10, 64); err == nil {
		p.UnitAmount = &n
	}
}

// set changes the fields whose parameters were sent.
func (p *price) set(params *value) {
	params.setBoolean(&p.Active, "active")
	params.setText(&p.LookupKey, "lookup_key")
	params.setText(&p.Nickname, "nickname")
	p.TaxBehavior = cmp.Or(params.string("tax_behavior"), p.TaxBehavior)
}

func updatePrice(c *call) (any, *apiError) {
	old, failure := c.account.prices.find(c.id)
	if failure != nil {
		return nil, failure
	}
	changed := *old
	if changed.Metadata, failure = mergeMetadata(c.params, old.Metadata); failure != nil {
		return nil, failure
	}
	if failure := c.account.freeLookupKey(c.params, old.ID); failure != nil {
		return nil, failure
	}
	changed.set(c.params)
	c.account.prices.replace(old.ID, &changed)
	return &changed, nil
}

// checkUnused refuses to delete a product with prices (terraform-provider-stripe
// issue 60) or with SKUs (the documentation of Products; the text is assumed).
func (a *account) checkUnused(p *product) *apiError {
	for e := range a.prices.grouped("product", p.ID).ascend(everything) {
		if !e.read().inline {
			return invalidRequest("", "", "This product cannot be deleted because it has one or more user-created prices.")
		}
	}
	if a.skus.grouped("product", p.ID).size > 0 {
		return invalidRequest("", "", "This product cannot be deleted because it has one or more SKUs.")
	}
	return nil
}
