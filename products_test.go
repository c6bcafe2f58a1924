package stripekit_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
)

func fullProduct(t *testing.T) (stripekit.ProductCreateParams, stripekit.ProductUpdateParams) {
	custom := &stripekit.CustomUnitAmountParams{Enabled: true, Maximum: new(int64(9)), Minimum: new(int64(1)), Preset: new(int64(5))}
	create := full(t, stripekit.ProductCreateParams{
		Name: "shirt", Active: new(false), Attributes: []string{"size"}, Caption: new("c"), DeactivateOn: []string{"ca_1"},
		DefaultPriceData: &stripekit.DefaultPriceDataParams{
			Currency: "usd",
			CurrencyOptions: map[string]stripekit.PriceCurrencyOptionParams{"eur": {
				CustomUnitAmount: custom, TaxBehavior: new("exclusive"), UnitAmount: new(int64(3)), UnitAmountDecimal: new("3.5"),
				Tiers: []stripekit.PriceTierParams{{
					UpTo: "inf", FlatAmount: new(int64(1)), FlatAmountDecimal: new("1.5"), UnitAmount: new(int64(2)), UnitAmountDecimal: new("2.5"),
				}},
			}},
			CustomUnitAmount: custom, Metadata: stripekit.Metadata{"p": "q"},
			Recurring:   &stripekit.PriceRecurring{Interval: "month", IntervalCount: 3},
			TaxBehavior: new("inclusive"), UnitAmount: new(int64(4)), UnitAmountDecimal: new("4.5"),
		},
		Description: new("d"), ID: new("shirt-1"), Images: []string{"i1", "i2"}, MarketingFeatures: []stripekit.MarketingFeature{{Name: "soft"}},
		Metadata: stripekit.Metadata{"k": "v"}, PackageDimensions: &stripekit.PackageDimensions{Height: 1, Length: 2.5, Weight: 3, Width: 4},
		Shippable: new(true), StatementDescriptor: new("SD"), TaxCode: new("txcd_1"), Type: new("good"), UnitLabel: new("seat"), URL: new("u"),
		Extra: stripekit.Extra{"x": 1},
	})
	update := full(t, stripekit.ProductUpdateParams{
		Active: create.Active, Attributes: create.Attributes, Caption: create.Caption, DeactivateOn: create.DeactivateOn, DefaultPrice: new("price_1"),
		Description: create.Description, Images: create.Images, MarketingFeatures: create.MarketingFeatures, Metadata: create.Metadata,
		Name: new("shirt"), PackageDimensions: create.PackageDimensions, Shippable: create.Shippable, StatementDescriptor: create.StatementDescriptor,
		TaxCode: create.TaxCode, UnitLabel: create.UnitLabel, URL: create.URL, Extra: create.Extra,
	})
	return create, update
}

func TestProductsSendEveryParameter(t *testing.T) {
	create, update := fullProduct(t)
	filter := full(t, stripekit.ProductListParams{ListParams: stripekit.ListParams{Created: &someCreated}, Active: new(false), IDs: []string{"prod_1", "prod_2"}, Shippable: new(true), URL: new("u"), Extra: stripekit.Extra{"x": 1}})
	const (
		legacy     = "active=false&attributes[0]=size&caption=c&deactivate_on[0]=ca_1"
		option     = "default_price_data[currency_options][eur]"
		sentFilter = sentCreated + "&active=false&ids[0]=prod_1&ids[1]=prod_2&shippable=true&url=u&x=1"
		dimensions = "package_dimensions[height]=1&package_dimensions[length]=2.5&package_dimensions[weight]=3&package_dimensions[width]=4"
	)
	custom := func(in string) string {
		in += "[custom_unit_amount]"
		return "&" + in + "[enabled]=true&" + in + "[maximum]=9&" + in + "[minimum]=1&" + in + "[preset]=5"
	}
	price := "default_price_data[currency]=usd" + custom(option) + "&" + option + "[tax_behavior]=exclusive&" +
		option + "[tiers][0][up_to]=inf&" + option + "[tiers][0][flat_amount]=1&" + option + "[tiers][0][flat_amount_decimal]=1.5&" +
		option + "[tiers][0][unit_amount]=2&" + option + "[tiers][0][unit_amount_decimal]=2.5&" + option + "[unit_amount]=3&" + option +
		"[unit_amount_decimal]=3.5" + custom("default_price_data") + "&default_price_data[metadata][p]=q&default_price_data[recurring][interval]=month" +
		"&default_price_data[recurring][interval_count]=3&default_price_data[tax_behavior]=inclusive&default_price_data[unit_amount]=4" +
		"&default_price_data[unit_amount_decimal]=4.5"

	requireOperations(t, map[string]operation{
		"create": {
			func(ctx context.Context, c *stripekit.Client) error { return done(c.Products.Create(ctx, create)) },
			sentRequest{"POST", "/v1/products", "name=shirt&" + legacy + "&" + price + "&description=d&id=shirt-1&images[0]=i1&images[1]=i2" +
				"&marketing_features[0][name]=soft&metadata[k]=v&" + dimensions +
				"&shippable=true&statement_descriptor=SD&tax_code=txcd_1&type=good&unit_label=seat&url=u&x=1"},
		},
		"get": {
			func(ctx context.Context, c *stripekit.Client) error { return done(c.Products.Get(ctx, "prod_1")) },
			sentRequest{"GET", "/v1/products/prod_1", ""},
		},
		"update": {
			func(ctx context.Context, c *stripekit.Client) error {
				return done(c.Products.Update(ctx, "prod_1", update))
			},
			sentRequest{"POST", "/v1/products/prod_1", legacy + "&default_price=price_1&description=d&images[0]=i1&images[1]=i2" +
				"&marketing_features[0][name]=soft&metadata[k]=v&name=shirt&" + dimensions +
				"&shippable=true&statement_descriptor=SD&tax_code=txcd_1&unit_label=seat&url=u&x=1"},
		},
		"delete": {
			func(ctx context.Context, c *stripekit.Client) error { return done(c.Products.Delete(ctx, "prod_1")) },
			sentRequest{"DELETE", "/v1/products/prod_1", ""},
		},
		"list": {
			func(ctx context.Context, c *stripekit.Client) error { return drained(c.Products.List(ctx, filter)) },
			sentRequest{"GET", "/v1/products", sentFilter + "&limit=100"},
		},
		"page": {
			func(ctx context.Context, c *stripekit.Client) error { return done(c.Products.Page(ctx, filter)) },
			sentRequest{"GET", "/v1/products", sentFilter},
		},
		"search": {
			func(ctx context.Context, c *stripekit.Client) error {
				return drained(c.Products.Search(ctx, `active:"true"`))
			},
			sentRequest{"GET", "/v1/products/search", `query=active:"true"&limit=100`},
		},
	})
}

func TestIncompleteProductIsRefusedBeforeARequest(t *testing.T) {
	requireParamErrors(t, map[string]refusal{
		"no name": {"name", func(ctx context.Context, c *stripekit.Client) error {
			return done(c.Products.Create(ctx, stripekit.ProductCreateParams{Description: new("d")}))
		}},
		"nine images": {"images", func(ctx context.Context, c *stripekit.Client) error {
			return done(c.Products.Create(ctx, stripekit.ProductCreateParams{Name: "shirt", Images: make([]string, 9)}))
		}},
		"nine images in an update": {"images", func(ctx context.Context, c *stripekit.Client) error {
			return done(c.Products.Update(ctx, "prod_1", stripekit.ProductUpdateParams{Images: make([]string, 9)}))
		}},
	})
	_, client := newTape(t)
	_, err := client.Products.Create(t.Context(), stripekit.ProductCreateParams{Name: "shirt", Images: make([]string, 8)})
	require.NoError(t, err)
}

// requireDecodes requires that a response decodes to want, by the client and by
// encoding/json.
func requireDecodes[T any](t *testing.T, response string, want T, get func(*stripekit.Client) (*T, error)) {
	t.Helper()
	tp, client := newTape(t)
	tp.play = func(int) string { return response }
	got, err := get(client)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(&want, got))

	var std T
	require.NoError(t, json.Unmarshal([]byte(response), &std))
	require.Empty(t, cmp.Diff(want, std))
}

func TestProductDecodesInEveryVersion(t *testing.T) {
	read := func(c *stripekit.Client) (*stripekit.Product, error) { return c.Products.Get(t.Context(), "prod_1") }
	tests := map[string]struct {
		response string
		want     stripekit.Product
	}{
		"2026": {
			`{"id":"prod_1","object":"product","active":true,"created":5,"default_price":{"id":"price_1","object":"price","product":"prod_1",
			"recurring":{"interval":"month","interval_count":1},"type":"recurring","unit_amount":900,"unit_amount_decimal":"900"},
			"description":null,"images":["i"],"livemode":false,"marketing_features":[{"name":"soft"}],"metadata":{"k":"v"},"name":"shirt",
			"package_dimensions":{"height":1.5,"length":2,"weight":3,"width":4},"shippable":null,"tax_code":"txcd_1","unknown":{"x":[1]},
			"unit_label":"seat","updated":6,"url":null}`,
			stripekit.Product{
				ID: "prod_1", Active: true, Created: 5, Images: []string{"i"}, MarketingFeatures: []stripekit.MarketingFeature{{Name: "soft"}},
				DefaultPrice: stripekit.Ref[stripekit.Price]{ID: "price_1", Object: &stripekit.Price{
					ID: "price_1", Product: stripekit.Ref[stripekit.Product]{ID: "prod_1"}, Type: "recurring", UnitAmount: 900, UnitAmountDecimal: "900",
					Recurring: &stripekit.PriceRecurring{Interval: "month", IntervalCount: 1},
				}},
				Metadata: stripekit.Metadata{"k": "v"}, Name: "shirt", UnitLabel: "seat", Updated: 6,
				PackageDimensions: &stripekit.PackageDimensions{Height: 1.5, Length: 2, Weight: 3, Width: 4},
				TaxCode:           stripekit.Ref[stripekit.ObjectID]{ID: "txcd_1"},
			},
		},
		"2023": {
			`{"id":"prod_1","default_price":"price_1","features":[{"name":"soft"}],"type":"service"}`,
			stripekit.Product{
				ID: "prod_1", DefaultPrice: stripekit.Ref[stripekit.Price]{ID: "price_1"},
				MarketingFeatures: []stripekit.MarketingFeature{{Name: "soft"}}, Type: "service",
			},
		},
		"2017": {
			`{"id":"prod_1","active":null,"attributes":["size"],"caption":"c","deactivate_on":[],"skus":{"object":"list","data":[]},
			"package_dimensions":null,"statement_descriptor":null,"type":"good"}`,
			stripekit.Product{ID: "prod_1", Attributes: []string{"size"}, Caption: "c", DeactivateOn: []string{}, Type: "good"},
		},
		"deleted": {
			`{"id":"prod_1","object":"product","deleted":true}`,
			stripekit.Product{ID: "prod_1", Deleted: true},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { requireDecodes(t, tt.response, tt.want, read) })
	}
}
