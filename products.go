package stripekit

import (
	"context"
	"fmt"
	"iter"

	"github.com/stripekit/stripekit/internal/json"
)

// Product is something that is sold. What it costs is in its prices, or in its SKUs
// for the orders of old versions.
type Product struct {
	ID                  string             `json:"id"` // made by Stripe, or set at creation
	Active              bool               `json:"active"`
	Attributes          []string           `json:"attributes"` // legacy: the attributes that distinguish its SKUs
	Caption             string             `json:"caption"`    // legacy
	Created             UnixTime           `json:"created"`
	DeactivateOn        []string           `json:"deactivate_on"` // legacy: the Connect applications that must not sell it
	DefaultPrice        Ref[Price]         `json:"default_price"`
	Deleted             bool               `json:"deleted"` // if true, only ID is also set
	Description         string             `json:"description"`
	Images              []string           `json:"images"` // URLs, up to 8
	Livemode            bool               `json:"livemode"`
	MarketingFeatures   []MarketingFeature `json:"marketing_features"` // called features in versions of 2023
	Metadata            Metadata           `json:"metadata"`
	Name                string             `json:"name"`
	PackageDimensions   *PackageDimensions `json:"package_dimensions"`
	Shippable           bool               `json:"shippable"`
	StatementDescriptor string             `json:"statement_descriptor"`
	TaxCode             Ref[ObjectID]      `json:"tax_code"`
	Type                string             `json:"type"` // legacy: "good" or "service"
	UnitLabel           string             `json:"unit_label"`
	Updated             UnixTime           `json:"updated"`
	URL                 string             `json:"url"`
}

func (p *Product) at() UnixTime { return p.Created }

// UnmarshalJSON reads the object by its current and its former field names.
func (p *Product) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, p, inOnePass) }

func decodeProduct(d *json.Decoder, p *Product) error {
	type plain Product
	former := struct {
		*plain
		Features []MarketingFeature `json:"features"`
	}{plain: (*plain)(p)}
	if err := json.UnmarshalDecode(d, &former, byMethods); err != nil {
		return err
	}
	if former.Features != nil {
		p.MarketingFeatures = former.Features
	}
	return nil
}

// MarketingFeature is an advertised feature of a product, in an object or in
// parameters.
type MarketingFeature struct {
	Name string `json:"name" form:"name"`
}

// PackageDimensions is the size and weight of a product for shipping, in an object or
// in parameters. In parameters all four are required.
type PackageDimensions struct {
	Height float64 `json:"height" form:"height"` // in inches
	Length float64 `json:"length" form:"length"` // in inches
	Weight float64 `json:"weight" form:"weight"` // in ounces
	Width  float64 `json:"width" form:"width"`   // in inches
}

// Price is what a product costs, once or at regular intervals.
type Price struct {
	ID                string          `json:"id"`
	Active            bool            `json:"active"`
	Created           UnixTime        `json:"created"`
	Currency          string          `json:"currency"`
	Livemode          bool            `json:"livemode"`
	LookupKey         string          `json:"lookup_key"`
	Metadata          Metadata        `json:"metadata"`
	Nickname          string          `json:"nickname"`
	Product           Ref[Product]    `json:"product"`
	Recurring         *PriceRecurring `json:"recurring"` // nil for a price that is paid once
	TaxBehavior       string          `json:"tax_behavior"`
	Type              string          `json:"type"`                // "one_time" or "recurring"
	UnitAmount        int64           `json:"unit_amount"`         // in the smallest unit of Currency; 0 if it is not a whole number
	UnitAmountDecimal string          `json:"unit_amount_decimal"` // the exact unit amount
}

// PriceRecurring is how often a price is paid, in an object or in parameters.
type PriceRecurring struct {
	Interval      string `json:"interval" form:"interval"`             // "day", "week", "month" or "year"
	IntervalCount int64  `json:"interval_count" form:"interval_count"` // the intervals between two payments; in parameters 0 is 1
}

// ProductCreateParams are the parameters of a new product. Name is required.
// The API version of this library refuses the fields called legacy. They need an
// older version, set by WithAPIVersion.
type ProductCreateParams struct {
	Name                string                  `form:"name"`
	Active              *bool                   `form:"active"`        // nil is true
	Attributes          []string                `form:"attributes"`    // legacy
	Caption             *string                 `form:"caption"`       // legacy
	DeactivateOn        []string                `form:"deactivate_on"` // legacy
	DefaultPriceData    *DefaultPriceDataParams `form:"default_price_data"`
	Description         *string                 `form:"description"`
	ID                  *string                 `form:"id"`                 // if nil, Stripe makes one
	Images              []string                `form:"images"`             // URLs, up to 8
	MarketingFeatures   []MarketingFeature      `form:"marketing_features"` // up to 15
	Metadata            Metadata                `form:"metadata"`
	PackageDimensions   *PackageDimensions      `form:"package_dimensions"`
	Shippable           *bool                   `form:"shippable"`
	StatementDescriptor *string                 `form:"statement_descriptor"` // up to 22 characters
	TaxCode             *string                 `form:"tax_code"`
	Type                *string                 `form:"type"`       // legacy: "good" or "service"
	UnitLabel           *string                 `form:"unit_label"` // up to 12 characters
	URL                 *string                 `form:"url"`
	Extra               Extra                   `form:"*"`
}

// DefaultPriceDataParams makes the default price of a new product. Currency is
// required, and one of UnitAmount, UnitAmountDecimal and CustomUnitAmount.
type DefaultPriceDataParams struct {
	Currency          string                               `form:"currency"`
	CurrencyOptions   map[string]PriceCurrencyOptionParams `form:"currency_options"` // prices in other currencies, by currency
	CustomUnitAmount  *CustomUnitAmountParams              `form:"custom_unit_amount"`
	Metadata          Metadata                             `form:"metadata"`
	Recurring         *PriceRecurring                      `form:"recurring"`           // nil is a price that is paid once
	TaxBehavior       *string                              `form:"tax_behavior"`        // "inclusive", "exclusive" or "unspecified"
	UnitAmount        *int64                               `form:"unit_amount"`         // in the smallest currency unit
	UnitAmountDecimal *string                              `form:"unit_amount_decimal"` // in the smallest currency unit, with up to 12 decimals
}

// PriceCurrencyOptionParams is a price in another currency.
type PriceCurrencyOptionParams struct {
	CustomUnitAmount  *CustomUnitAmountParams `form:"custom_unit_amount"`
	TaxBehavior       *string                 `form:"tax_behavior"`
	Tiers             []PriceTierParams       `form:"tiers"`
	UnitAmount        *int64                  `form:"unit_amount"` // in the smallest currency unit
	UnitAmountDecimal *string                 `form:"unit_amount_decimal"`
}

// PriceTierParams is the price up to a quantity. Amounts are in the smallest
// currency unit.
type PriceTierParams struct {
	UpTo              string  `form:"up_to"`       // the last quantity of the tier, or "inf"
	FlatAmount        *int64  `form:"flat_amount"` // for the whole tier, in addition to the unit amount
	FlatAmountDecimal *string `form:"flat_amount_decimal"`
	UnitAmount        *int64  `form:"unit_amount"`
	UnitAmountDecimal *string `form:"unit_amount_decimal"`
}

// CustomUnitAmountParams lets the customer choose the price.
type CustomUnitAmountParams struct {
	Enabled bool   `form:"enabled"` // must be true
	Maximum *int64 `form:"maximum"` // in the smallest currency unit
	Minimum *int64 `form:"minimum"` // in the smallest currency unit
	Preset  *int64 `form:"preset"`  // in the smallest currency unit; the amount that is shown at first
}

func (p *DefaultPriceDataParams) check(extra Extra) error {
	switch {
	case p == nil:
		return nil
	case p.UnitAmount == nil && blank(p.UnitAmountDecimal) && p.CustomUnitAmount == nil &&
		!extra.has("default_price_data[unit_amount]", "default_price_data[unit_amount_decimal]", "default_price_data[custom_unit_amount]"):
		return &ParamError{Param: "default_price_data[unit_amount]", Reason: "unit_amount, unit_amount_decimal or custom_unit_amount is required"}
	}
	return firstError(required("default_price_data[currency]", p.Currency, extra), p.Metadata.checkAs("default_price_data[metadata]"))
}

func (p *ProductCreateParams) check() error {
	if p.Name == "" && !p.Extra.has("name") {
		return &ParamError{Param: "name", Reason: "is required"}
	}
	return firstError(checkImages(p.Images), p.DefaultPriceData.check(p.Extra), p.Metadata.check())
}

// maxImages is the most images that Stripe allows for a product.
const maxImages = 8

func checkImages(images []string) error {
	if len(images) > maxImages {
		return &ParamError{Param: "images", Reason: fmt.Sprintf("has more than %d", maxImages)}
	}
	return nil
}

// ProductUpdateParams change a product. Nil fields stay as they are. The API version
// of this library refuses the fields called legacy.
type ProductUpdateParams struct {
	Active              *bool              `form:"active"`
	Attributes          []string           `form:"attributes"`    // legacy
	Caption             *string            `form:"caption"`       // legacy
	DeactivateOn        []string           `form:"deactivate_on"` // legacy
	DefaultPrice        *string            `form:"default_price"` // the id of a price of the product
	Description         *string            `form:"description"`
	Images              []string           `form:"images"`             // URLs, up to 8; they replace the former ones
	MarketingFeatures   []MarketingFeature `form:"marketing_features"` // up to 15; they replace the former ones
	Metadata            Metadata           `form:"metadata"`
	Name                *string            `form:"name"`
	PackageDimensions   *PackageDimensions `form:"package_dimensions"`
	Shippable           *bool              `form:"shippable"`
	StatementDescriptor *string            `form:"statement_descriptor"`
	TaxCode             *string            `form:"tax_code"`
	UnitLabel           *string            `form:"unit_label"`
	URL                 *string            `form:"url"`
	Extra               Extra              `form:"*"`
}

func (p *ProductUpdateParams) check() error {
	return firstError(checkImages(p.Images), p.Metadata.check())
}

// ProductListParams filter a list of products.
type ProductListParams struct {
	ListParams
	Active    *bool    `form:"active"`
	IDs       []string `form:"ids"` // up to 100, on one page: the service refuses them together with a cursor
	Shippable *bool    `form:"shippable"`
	URL       *string  `form:"url"`
	Extra     Extra    `form:"*"`
}

// ProductsService creates, reads, changes and deletes products.
type ProductsService service

const productsPath = "/v1/products"

// Create creates a product.
func (s *ProductsService) Create(ctx context.Context, p ProductCreateParams, opts ...CallOption) (*Product, error) {
	return create[Product](ctx, s.client, productsPath, &p, opts)
}

// Get reads a product.
func (s *ProductsService) Get(ctx context.Context, id string, opts ...CallOption) (*Product, error) {
	return get[Product](ctx, s.client, productsPath, id, opts)
}

// Update changes a product.
func (s *ProductsService) Update(ctx context.Context, id string, p ProductUpdateParams, opts ...CallOption) (*Product, error) {
	return update[Product](ctx, s.client, productsPath, id, &p, opts)
}

// Delete deletes a product without prices and SKUs. For any other product it returns
// an ErrInvalidRequest; Update can make that product inactive. The returned Product
// has only ID and Deleted set.
func (s *ProductsService) Delete(ctx context.Context, id string, opts ...CallOption) (*Product, error) {
	return remove[Product](ctx, s.client, productsPath, id, opts)
}

// List iterates over all products that match p, newest first. List requests the
// next page ahead, but the second page only when half of the first has been
// yielded.
func (s *ProductsService) List(ctx context.Context, p ProductListParams, opts ...CallOption) iter.Seq2[*Product, error] {
	return list[Product](ctx, s.client, productsPath, p.ListParams, p, opts)
}

// Page reads one page of products that match p.
func (s *ProductsService) Page(ctx context.Context, p ProductListParams, opts ...CallOption) (*Page[Product], error) {
	return page[Product](ctx, s.client, productsPath, p.ListParams, p, opts)
}

func (s *ProductsService) source() source[Product] {
	return source[Product]{client: s.client, path: productsPath, timeField: "created"}
}

// Changes returns a Source of the products that were created, updated or deleted, by
// the events of the account, which Stripe keeps for 30 days. A Poller that may have
// missed some because they were older ends with ErrGap.
func (s *ProductsService) Changes() Source[Change[Product]] {
	return changes[Product](s.client, productsPath)
}

// Where returns a Source of the products that match p, for a Poller or a
// Backfill. Different filters have different checkpoints. NewPoller returns a
// ParamError if p.ListParams is set, because a Poller sets these parameters
// itself. The same holds for p.IDs, because Stripe refuses them together with a
// cursor. A product that matches only after a later change, such as of Active,
// may not be delivered.
//
// WithExpand is the only option that NewPoller accepts. It names the fields as
// in a product, such as "default_price", and does not change the checkpoint.
func (s *ProductsService) Where(p ProductListParams, opts ...CallOption) Source[Product] {
	return where(s.source(), p.ListParams, p, opts)
}

// Search iterates over all products that a query finds, such as `active:"true"
// AND name~"shirt"`. A query can use active, description, metadata, name,
// shippable and url. Changes appear in the results within a minute, or within an
// hour at worst. Search requests the next page ahead, but the second page only
// when half of the first has been yielded. An empty query is a ParamError.
func (s *ProductsService) Search(ctx context.Context, query string, opts ...CallOption) iter.Seq2[*Product, error] {
	return search[Product](ctx, s.client, productsPath, query, opts)
}

// SearchPage reads one page of up to 100 products that a query finds. cursor is
// the NextPage of the previous page, or empty for the first page.
func (s *ProductsService) SearchPage(ctx context.Context, query, cursor string, opts ...CallOption) (*Page[Product], error) {
	return searchPage[Product](ctx, s.client, productsPath, query, cursor, opts)
}
