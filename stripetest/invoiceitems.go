package stripetest

import (
	"cmp"
	"strconv"
	"strings"
	"time"
)

type invoiceItem struct {
	ID              string             `json:"id"`
	Object          string             `json:"object"`
	Amount          int64              `json:"amount"` // smallest currency unit
	Currency        string             `json:"currency"`
	Customer        *string            `json:"customer"`
	CustomerAccount *string            `json:"customer_account"`
	Date            int64              `json:"date"` // seconds; invoice items have no created field
	Description     *string            `json:"description"`
	Discountable    bool               `json:"discountable"`
	Discounts       []string           `json:"discounts"`
	Invoice         *string            `json:"invoice"`
	Livemode        bool               `json:"livemode"`
	Metadata        map[string]string  `json:"metadata"`
	NetAmount       int64              `json:"net_amount"`
	Parent          *invoiceItemParent `json:"parent"`
	Period          period             `json:"period"`
	Pricing         *pricing           `json:"pricing"`
	Proration       bool               `json:"proration"`
	Quantity        int64              `json:"quantity"`
	QuantityDecimal string             `json:"quantity_decimal"`
	TaxRates        []taxRate          `json:"tax_rates"`
	TestClock       *string            `json:"test_clock"`
}

type invoiceItemParent struct {
	SubscriptionDetails subscriptionDetails `json:"subscription_details"`
	Type                string              `json:"type"`
}

type subscriptionDetails struct {
	Subscription string `json:"subscription"`
}

type period struct {
	End   int64 `json:"end"`   // seconds
	Start int64 `json:"start"` // seconds
}

type pricing struct {
	PriceDetails      *priceDetails `json:"price_details,omitempty"`
	Type              string        `json:"type"`
	UnitAmountDecimal *string       `json:"unit_amount_decimal"`
}

type priceDetails struct {
	Price   string `json:"price"`
	Product string `json:"product"`
}

type taxRate struct {
	ID     string `json:"id"`
	Object string `json:"object"`
}

func invoiceItemFields() fields {
	return fields{
		"amount":              integer,
		"currency":            currency,
		"customer":            nonEmpty,
		"customer_account":    nonEmpty,
		"description":         text,
		"discountable":        boolean,
		"discounts":           orEmpty(list(hash(fields{"coupon": nonEmpty, "discount": nonEmpty, "promotion_code": nonEmpty}))),
		"expand":              list(text),
		"invoice":             nonEmpty,
		"metadata":            metadata,
		"period":              requiring(fields{"end": integer, "start": integer}, "end", "start"),
		"price_data":          requiring(priceDataFields(), "currency", "product"),
		"pricing":             requiring(fields{"price": nonEmpty}, "price"),
		"quantity":            atLeast(0),
		"quantity_decimal":    decimal,
		"subscription":        nonEmpty,
		"tax_behavior":        oneOf("exclusive", "inclusive", "unspecified"),
		"tax_code":            text,
		"tax_rates":           orEmpty(list(nonEmpty)),
		"unit_amount_decimal": decimal,
	}
}

func invoiceItemUpdateFields() fields {
	return invoiceItemFields().without("currency", "customer", "customer_account", "invoice", "subscription")
}

func priceDataFields() fields {
	return fields{
		"currency":            currency,
		"product":             nonEmpty,
		"tax_behavior":        oneOf("exclusive", "inclusive", "unspecified"),
		"unit_amount":         integer,
		"unit_amount_decimal": decimal,
	}
}

func invoiceItemFilters() fields {
	return fields{"customer": nonEmpty, "customer_account": nonEmpty, "invoice": nonEmpty, "pending": boolean}
}

func newInvoiceItems(delay func(string) time.Duration) *collection[invoiceItem] {
	items := newCollection("invoiceitem", delay, map[string]func(*invoiceItem) string{
		"customer":         func(i *invoiceItem) string { return deref(i.Customer) },
		"customer_account": func(i *invoiceItem) string { return deref(i.CustomerAccount) },
		"invoice":          func(i *invoiceItem) string { return deref(i.Invoice) },
		"pending":          func(i *invoiceItem) string { return strconv.FormatBool(i.Invoice == nil) },
	})
	items.param = "invoiceitem"
	return items
}

func createInvoiceItem(c *call) (any, *apiError) {
	if failure := c.account.checkInvoiceItem(c.params); failure != nil {
		return nil, failure
	}
	created := newInvoiceItem(c)
	if failure := c.account.checkInvoice(created); failure != nil {
		return nil, failure
	}
	if failure := created.set(c); failure != nil {
		return nil, failure
	}
	if created.Currency == "" {
		return nil, missingParam("currency")
	}
	c.account.invoiceItems.add(created.ID, created.Date, created)
	return created, nil
}

func (a *account) checkInvoiceItem(params *value) *apiError {
	if params.count("customer", "customer_account") == 0 {
		return missingParam("customer")
	}
	if id := params.string("customer"); id != "" {
		if _, ok := a.customers.get(id); !ok {
			return noSuch("customer", id, "customer")
		}
	}
	if params.count(amountParams()...) == 0 {
		return missingParam("amount")
	}
	return nil
}

// amountParams returns the parameters that set the amount. A request may have
// only one of them.
func amountParams() []string {
	return []string{"amount", "price_data", "pricing", "unit_amount_decimal"}
}

// newInvoiceItem makes the item without its price and amount, which set adds.
func newInvoiceItem(c *call) *invoiceItem {
	p, now := c.params, c.time.Unix()
	created := &invoiceItem{
		ID:              newID("ii_1", 23),
		Object:          "invoiceitem",
		Currency:        strings.ToLower(p.string("currency")),
		Customer:        p.optional("customer"),
		CustomerAccount: p.optional("customer_account"),
		Date:            now,
		Discountable:    p.integer("amount", 0) >= 0,
		Discounts:       []string{},
		Invoice:         p.optional("invoice"),
		Livemode:        c.account.live,
		Metadata:        newMetadata(p),
		Period:          period{now, now},
		Quantity:        1,
		QuantityDecimal: "1",
		TaxRates:        []taxRate{},
	}
	if payer, ok := c.account.customers.get(p.string("customer")); ok {
		created.TestClock = payer.TestClock
	}
	if id := p.string("subscription"); id != "" {
		created.Parent = &invoiceItemParent{subscriptionDetails{id}, "subscription_details"}
	}
	return created
}

// set changes the fields whose parameters were sent.
func (i *invoiceItem) set(c *call) *apiError {
	p := c.params
	if p.count(amountParams()...) > 1 {
		return invalidRequest("", "", "You may only specify one of these parameters: "+strings.Join(amountParams(), ", ")+".")
	}
	if p.count("quantity", "quantity_decimal") > 1 {
		return invalidRequest("", "quantity", "You may only specify one of these parameters: quantity, quantity_decimal.")
	}
	p.setText(&i.Description, "description")
	p.setBoolean(&i.Discountable, "discountable")
	if p.has("discounts") {
		i.Discounts = newDiscounts(p.elements("discounts"))
	}
	if span := p.hash("period"); span != nil {
		i.Period = period{End: span.integer("end", 0), Start: span.integer("start", 0)}
	}
	if p.has("tax_rates") {
		i.TaxRates = []taxRate{}
		for _, id := range p.items("tax_rates") {
			i.TaxRates = append(i.TaxRates, taxRate{id, "tax_rate"})
		}
	}
	i.setQuantity(cmp.Or(p.string("quantity_decimal"), p.string("quantity")))
	if failure := i.setPrice(c); failure != nil {
		return failure
	}
	i.setAmount(p)
	return checkSize(i.Amount, i.Currency)
}

func newDiscounts(params []*value) []string {
	ids := []string{}
	for _, discount := range params {
		ids = append(ids, cmp.Or(discount.string("discount"), newID("di_1", 23)))
	}
	return ids
}

// setQuantity keeps the old quantity if the new one is empty. Quantity is the
// integer part of QuantityDecimal.
func (i *invoiceItem) setQuantity(quantity string) {
	if quantity == "" {
		return
	}
	i.QuantityDecimal = quantity
	whole := rational(quantity)
	i.Quantity, _ = strconv.ParseInt(whole.Num().Div(whole.Num(), whole.Denom()).String(), 10, 64)
}

// setPrice sets the pricing: an existing price, a new price made from
// price_data, or a unit amount only.
func (i *invoiceItem) setPrice(c *call) *apiError {
	p := c.params
	switch {
	case p.has("pricing"):
		id := p.hash("pricing").string("price")
		known, ok := c.account.prices.get(id)
		if !ok {
			return noSuch("price", id, "pricing[price]")
		}
		if known.Type == "recurring" {
			return invalidRequest("", "pricing[price]", "The price specified is set to `type=recurring` but this field only accepts prices with `type=one_time`.")
		}
		i.setUnit(known, &priceDetails{id, known.Product})
	case p.has("price_data"):
		data := p.hash("price_data")
		if failure := checkPriceData(c.account, data); failure != nil {
			return failure
		}
		made := newPrice(c, data, data.string("product"))
		made.inline = true
		c.account.prices.add(made.ID, made.Created, made)
		i.setUnit(made, &priceDetails{made.ID, made.Product})
	case p.has("unit_amount_decimal"):
		i.setUnit(&price{UnitAmountDecimal: new(p.string("unit_amount_decimal"))}, nil)
	}
	return nil
}

func checkPriceData(a *account, data *value) *apiError {
	if _, ok := a.products.get(data.string("product")); !ok {
		return noSuch("product", data.string("product"), "price_data[product]")
	}
	return checkAmounts("price_data", data, "unit_amount", "unit_amount_decimal")
}

func (i *invoiceItem) setUnit(p *price, details *priceDetails) {
	i.Currency = cmp.Or(i.Currency, p.Currency)
	i.Pricing = &pricing{PriceDetails: details, Type: "price_details", UnitAmountDecimal: new(cmp.Or(deref(p.UnitAmountDecimal), "0"))}
}

// setAmount takes the amount parameter. Without it, it computes the amount anew
// if the price or the quantity changes.
func (i *invoiceItem) setAmount(p *value) {
	switch {
	case p.has("amount"):
		i.Amount = p.integer("amount", 0)
		i.Pricing = &pricing{Type: "price_details", UnitAmountDecimal: new(p.string("amount"))}
	case i.Pricing != nil && p.count("quantity", "quantity_decimal", "price_data", "pricing", "unit_amount_decimal") > 0:
		i.Amount = multiply(*i.Pricing.UnitAmountDecimal, i.QuantityDecimal)
	}
	i.NetAmount = i.Amount
}

func updateInvoiceItem(c *call) (any, *apiError) {
	old, failure := c.account.invoiceItems.find(c.id)
	if failure != nil {
		return nil, failure
	}
	if failure := c.account.checkInvoice(old); failure != nil {
		return nil, failure
	}
	changed := *old
	if changed.Metadata, failure = mergeMetadata(c.params, old.Metadata); failure != nil {
		return nil, failure
	}
	if failure := changed.set(c); failure != nil {
		return nil, failure
	}
	c.account.invoiceItems.replace(old.ID, &changed)
	return &changed, nil
}
