package stripetest

import (
	"cmp"
	"strconv"
	"strings"
	"time"
)

// sku is a legacy object: a variant of a product, with the price of one unit.
type sku struct {
	ID                string             `json:"id"`
	Object            string             `json:"object"`
	Active            bool               `json:"active"`
	Attributes        map[string]string  `json:"attributes"`
	Created           int64              `json:"created"` // seconds
	Currency          string             `json:"currency"`
	Image             *string            `json:"image"`
	Inventory         inventory          `json:"inventory"`
	Livemode          bool               `json:"livemode"`
	Metadata          map[string]string  `json:"metadata"`
	PackageDimensions *packageDimensions `json:"package_dimensions"`
	Price             int64              `json:"price"` // smallest currency unit
	Product           string             `json:"product"`
	Updated           int64              `json:"updated"` // seconds
}

type inventory struct {
	Quantity *int64  `json:"quantity"`
	Type     string  `json:"type"`
	Value    *string `json:"value"`
}

func skuFields() fields {
	return skuUpdateFields().with(fields{"id": nonEmpty})
}

func skuUpdateFields() fields {
	return fields{
		"active":     boolean,
		"attributes": anyHash,
		"currency":   currency,
		"expand":     list(text),
		"image":      text,
		"inventory": hash(fields{
			"quantity": atLeast(0), "type": oneOf("bucket", "finite", "infinite"), "value": oneOf("", "in_stock", "limited", "out_of_stock"),
		}),
		"metadata":           metadata,
		"package_dimensions": orEmpty(requiring(dimensionFields(), "height", "length", "weight", "width")),
		"price":              atLeast(0),
		"product":            nonEmpty,
	}
}

func skuFilters() fields {
	return fields{"active": boolean, "ids": list(nonEmpty), "in_stock": boolean, "product": nonEmpty}
}

func newSKUs(delay func(string) time.Duration) *collection[sku] {
	return newCollection("sku", delay, map[string]func(*sku) string{
		"active":   func(s *sku) string { return strconv.FormatBool(s.Active) },
		"in_stock": func(s *sku) string { return strconv.FormatBool(s.inStock()) },
		"product":  func(s *sku) string { return s.Product },
	})
}

func (s *sku) inStock() bool {
	switch s.Inventory.Type {
	case "finite":
		return s.Inventory.Quantity == nil || *s.Inventory.Quantity > 0
	case "bucket":
		return deref(s.Inventory.Value) != "out_of_stock"
	}
	return true
}

func createSKU(c *call) (any, *apiError) {
	if failure := required(c.params, "currency", "inventory", "price", "product"); failure != nil {
		return nil, failure
	}
	if _, taken := c.account.skus.get(c.params.string("id")); taken {
		return nil, invalidRequest("resource_already_exists", "", "SKU already exists.")
	}
	created := &sku{
		ID:         cmp.Or(c.params.string("id"), newID("sku_", 14)),
		Object:     "sku",
		Active:     true,
		Attributes: map[string]string{},
		Created:    c.time.Unix(),
		Inventory:  inventory{Type: "infinite"},
		Livemode:   c.account.live,
		Metadata:   newMetadata(c.params),
	}
	if failure := created.set(c); failure != nil {
		return nil, failure
	}
	c.account.skus.add(created.ID, created.Created, created)
	return created, nil
}

func updateSKU(c *call) (any, *apiError) {
	old, failure := c.account.skus.find(c.id)
	if failure != nil {
		return nil, failure
	}
	changed := *old
	if changed.Metadata, failure = mergeMetadata(c.params, old.Metadata); failure != nil {
		return nil, failure
	}
	if failure := changed.set(c); failure != nil {
		return nil, failure
	}
	c.account.skus.replace(old.ID, &changed)
	return &changed, nil
}

// set changes the fields whose parameters were sent.
func (s *sku) set(c *call) *apiError {
	p := c.params
	if id := p.string("product"); id != "" {
		if _, ok := c.account.products.get(id); !ok {
			return noSuch("product", id, "product")
		}
		s.Product = id
	}
	p.setBoolean(&s.Active, "active")
	if sent := p.hash("attributes"); sent != nil {
		s.Attributes = map[string]string{}
		for name, attribute := range sent.children {
			s.Attributes[name] = attribute.text
		}
	}
	s.Currency = cmp.Or(strings.ToLower(p.string("currency")), s.Currency)
	p.setText(&s.Image, "image")
	if stock := p.hash("inventory"); stock != nil {
		if n := stock.optionalInteger("quantity"); n != nil {
			s.Inventory.Quantity = n
		}
		s.Inventory.Type = cmp.Or(stock.string("type"), s.Inventory.Type)
		stock.setText(&s.Inventory.Value, "value")
	}
	setHash(&s.PackageDimensions, p, "package_dimensions", newPackageDimensions)
	p.setInteger(&s.Price, "price")
	s.Updated = c.time.Unix()
	return checkSize(s.Price, s.Currency)
}
