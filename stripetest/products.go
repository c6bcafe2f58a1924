package stripetest

import (
	"fmt"
	"strconv"
	"time"
)

const (
	maxImages     = 8
	maxFeatures   = 15
	maxAttributes = 5
)

type product struct {
	ID                  string             `json:"id"`
	Object              string             `json:"object"`
	Active              bool               `json:"active"`
	Attributes          []string           `json:"attributes,omitempty"`
	Caption             *string            `json:"caption,omitempty"`
	Created             int64              `json:"created"` // seconds
	DeactivateOn        []string           `json:"deactivate_on,omitempty"`
	DefaultPrice        *string            `json:"default_price"`
	Description         *string            `json:"description"`
	Images              []string           `json:"images"`
	Livemode            bool               `json:"livemode"`
	MarketingFeatures   []marketingFeature `json:"marketing_features"`
	Metadata            map[string]string  `json:"metadata"`
	Name                string             `json:"name"`
	PackageDimensions   *packageDimensions `json:"package_dimensions"`
	Shippable           *bool              `json:"shippable"`
	StatementDescriptor *string            `json:"statement_descriptor"`
	TaxCode             *string            `json:"tax_code"`
	Type                string             `json:"type"` // good or service
	UnitLabel           *string            `json:"unit_label"`
	Updated             int64              `json:"updated"` // seconds
	URL                 *string            `json:"url"`
}

type marketingFeature struct {
	Name string `json:"name"`
}

// packageDimensions are in inches and ounces.
type packageDimensions struct {
	Height float64 `json:"height"`
	Length float64 `json:"length"`
	Weight float64 `json:"weight"`
	Width  float64 `json:"width"`
}

func productFields() fields {
	return fields{
		"active":               boolean,
		"attributes":           orEmpty(atMost(maxAttributes, list(nonEmpty))),
		"caption":              text,
		"deactivate_on":        orEmpty(list(nonEmpty)),
		"default_price_data":   hash(priceAmountFields()),
		"description":          upTo(maxDescription),
		"expand":               list(text),
		"id":                   nonEmpty,
		"images":               orEmpty(atMost(maxImages, list(nonEmpty))),
		"marketing_features":   orEmpty(atMost(maxFeatures, list(requiring(fields{"name": nonEmpty}, "name")))),
		"metadata":             metadata,
		"name":                 nonEmpty,
		"package_dimensions":   orEmpty(requiring(dimensionFields(), "height", "length", "weight", "width")),
		"shippable":            boolean,
		"statement_descriptor": statementDescriptor,
		"tax_code":             text,
		"type":                 oneOf("good", "service"),
		"unit_label":           upTo(12),
		"url":                  text,
	}
}

func productUpdateFields() fields {
	return productFields().without("id", "default_price_data").with(fields{"default_price": text})
}

func dimensionFields() fields {
	return fields{"height": decimal, "length": decimal, "weight": decimal, "width": decimal}
}

func productFilters() fields {
	return fields{"active": boolean, "ids": list(nonEmpty), "shippable": boolean, "url": nonEmpty}
}

func newProducts(delay func(string) time.Duration) *collection[product] {
	return newCollection("product", delay, map[string]func(*product) string{
		"active":    func(p *product) string { return strconv.FormatBool(p.Active) },
		"shippable": (*product).shippable,
		"url":       func(p *product) string { return deref(p.URL) },
	})
}

func (p *product) shippable() string {
	if p.Shippable == nil {
		return ""
	}
	return strconv.FormatBool(*p.Shippable)
}

func createProduct(c *call) (any, *apiError) {
	if failure := required(c.params, "name"); failure != nil {
		return nil, failure
	}
	if _, taken := c.account.products.get(c.params.string("id")); taken {
		return nil, invalidRequest("resource_already_exists", "", "Product already exists.")
	}
	data := c.params.hash("default_price_data")
	if failure := checkDefaultPrice(c.params, data); failure != nil {
		return nil, failure
	}
	created := newProduct(c)
	if data != nil {
		made := newPrice(c, data, created.ID)
		c.account.prices.add(made.ID, made.Created, made)
		created.DefaultPrice = &made.ID
	}
	c.account.products.add(created.ID, created.Created, created)
	return created, nil
}

func checkDefaultPrice(params, data *value) *apiError {
	if data == nil {
		return nil
	}
	if failure := required(params, "default_price_data[currency]"); failure != nil {
		return failure
	}
	return checkAmounts("default_price_data", data, "unit_amount", "unit_amount_decimal", "custom_unit_amount")
}

// newProduct makes the product that the parameters describe.
func newProduct(c *call) *product {
	created := &product{
		ID:                c.params.string("id"),
		Object:            "product",
		Active:            true,
		Created:           c.time.Unix(),
		Images:            []string{},
		Livemode:          c.account.live,
		MarketingFeatures: []marketingFeature{},
		Metadata:          newMetadata(c.params),
		Type:              "service",
	}
	if created.ID == "" {
		created.ID = newID("prod_", 14)
	}
	created.set(c)
	return created
}

// set changes the fields whose parameters were sent.
func (p *product) set(c *call) {
	params := c.params
	params.setBoolean(&p.Active, "active")
	params.setItems(&p.Attributes, "attributes")
	params.setText(&p.Caption, "caption")
	params.setItems(&p.DeactivateOn, "deactivate_on")
	params.setText(&p.DefaultPrice, "default_price")
	params.setText(&p.Description, "description")
	params.setItems(&p.Images, "images")
	if params.has("marketing_features") {
		p.MarketingFeatures = []marketingFeature{}
		for _, feature := range params.elements("marketing_features") {
			p.MarketingFeatures = append(p.MarketingFeatures, marketingFeature{feature.string("name")})
		}
	}
	if params.has("name") {
		p.Name = params.string("name")
	}
	setHash(&p.PackageDimensions, params, "package_dimensions", newPackageDimensions)
	if params.has("shippable") {
		p.Shippable = new(params.boolean("shippable", false))
	}
	params.setText(&p.StatementDescriptor, "statement_descriptor")
	params.setText(&p.TaxCode, "tax_code")
	if params.has("type") {
		p.Type = params.string("type")
	}
	params.setText(&p.UnitLabel, "unit_label")
	params.setText(&p.URL, "url")
	p.Updated = c.time.Unix()
}

func newPackageDimensions(params *value) *packageDimensions {
	if params == nil {
		return nil
	}
	number := func(name string) float64 {
		n, _ := strconv.ParseFloat(params.string(name), 64) // checked by decimal
		return n
	}
	return &packageDimensions{number("height"), number("length"), number("weight"), number("width")}
}

func updateProduct(c *call) (any, *apiError) {
	old, failure := c.account.products.find(c.id)
	if failure != nil {
		return nil, failure
	}
	changed := *old
	if changed.Metadata, failure = mergeMetadata(c.params, old.Metadata); failure != nil {
		return nil, failure
	}
	if failure := c.account.checkNewDefault(old, c.params); failure != nil {
		return nil, failure
	}
	changed.set(c)
	c.account.products.replace(old.ID, &changed)
	return &changed, nil
}

// checkNewDefault refuses a default price that does not exist, or that is one of
// another product (the text of that is assumed).
func (a *account) checkNewDefault(p *product, params *value) *apiError {
	id := params.string("default_price")
	if id == "" {
		return nil
	}
	known, ok := a.prices.get(id)
	if !ok {
		return noSuch("price", id, "default_price")
	}
	if known.Product != p.ID {
		return invalidRequest("", "default_price", fmt.Sprintf("The price %s does not belong to product %s.", id, p.ID))
	}
	return nil
}

// listProducts refuses the ids parameter together with a cursor.
func listProducts(c *call) (any, *apiError) {
	for _, cursor := range []string{"starting_after", "ending_before"} {
		if c.params.has("ids") && c.params.has(cursor) {
			return nil, invalidRequest("", cursor, "You may only specify one of these parameters: ids, "+cursor+".")
		}
	}
	return listing(products)(c)
}
