package stripetest_test

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/stripetest"
)

func TestProductHasTheFieldsOfTheAPI(t *testing.T) {
	want := strings.Fields(`active created default_price description id images livemode marketing_features metadata name object
		package_dimensions shippable statement_descriptor tax_code type unit_label updated url`)
	a := memory(t)
	r := a.do("POST", "/v1/products", "name=Shirt")
	require.Empty(t, cmp.Diff(want, slices.Sorted(maps.Keys(r.body))))
	require.Regexp(t, `^\{\n  "id": "prod_\w{14}",\n  "object": "product",\n`, r.raw)
	require.Empty(t, cmp.Diff(r.body, a.get("/v1/products/"+r.body["id"].(string))))
}

func productForm() url.Values {
	return url.Values{
		"active": {"false"}, "attributes[]": {"size"}, "caption": {"C"}, "deactivate_on[]": {"ca_1"}, "description": {"D"},
		"images[0]": {"https://a"}, "images[1]": {"https://b"}, "marketing_features[0][name]": {"M"}, "metadata[a]": {"1"}, "name": {"Shirt"},
		"package_dimensions[height]": {"1.5"}, "package_dimensions[length]": {"2"}, "package_dimensions[weight]": {"3"}, "package_dimensions[width]": {"4"},
		"shippable": {"true"}, "statement_descriptor": {"S"}, "tax_code": {"txcd_1"}, "type": {"good"}, "unit_label": {"pc"}, "url": {"https://c"},
	}
}

func TestProductReturnsItsParameters(t *testing.T) {
	form := productForm()
	form.Set("id", "shirt-1")
	form.Set("default_price_data[currency]", "usd")
	form.Set("default_price_data[unit_amount]", "500")
	form.Set("default_price_data[recurring][interval]", "month")
	form.Set("default_price_data[recurring][interval_count]", "3")
	form.Set("default_price_data[metadata][k]", "v")
	got := memory(t, stripetest.WithClock(at(1700000000).read)).post("/v1/products", form.Encode())
	require.Regexp(t, `^price_1\w{23}$`, got["default_price"])
	delete(got, "default_price")
	require.Empty(t, cmp.Diff(map[string]any{
		"id": "shirt-1", "object": "product", "active": false, "attributes": []any{"size"}, "caption": "C", "created": 1700000000.0,
		"deactivate_on": []any{"ca_1"}, "description": "D", "images": []any{"https://a", "https://b"}, "livemode": false,
		"marketing_features": []any{map[string]any{"name": "M"}}, "metadata": map[string]any{"a": "1"}, "name": "Shirt",
		"package_dimensions": map[string]any{"height": 1.5, "length": 2.0, "weight": 3.0, "width": 4.0}, "shippable": true,
		"statement_descriptor": "S", "tax_code": "txcd_1", "type": "good", "unit_label": "pc", "updated": 1700000000.0, "url": "https://c",
	}, got))
}

func TestProductIsUpdated(t *testing.T) {
	c := at(100)
	a := memory(t, stripetest.WithClock(c.read))
	id := a.create("/v1/products", productForm().Encode())
	price := a.create("/v1/prices", "currency=usd&unit_amount=5&product="+id)
	c.now = time.Unix(200, 0)
	got := a.post("/v1/products/"+id, "active=true&name=Hat&description=&images=&marketing_features=&package_dimensions=&shippable=false"+
		"&tax_code=&unit_label=&url=&statement_descriptor=&metadata=&caption=&attributes=&deactivate_on=&type=service&default_price="+price)
	require.Empty(t, cmp.Diff(map[string]any{
		"id": id, "object": "product", "active": true, "created": 100.0, "default_price": price, "description": nil, "images": []any{},
		"livemode": false, "marketing_features": []any{}, "metadata": map[string]any{}, "name": "Hat", "package_dimensions": nil,
		"shippable": false, "statement_descriptor": nil, "tax_code": nil, "type": "service", "unit_label": nil, "updated": 200.0, "url": nil,
	}, got))
	require.Empty(t, cmp.Diff(got, a.get("/v1/products/"+id)))
	for query, want := range map[string][]string{
		"active=true": {id}, "active=false": {}, "shippable=true": {}, "shippable=false": {id}, "url=https://c": {},
	} {
		filter, err := url.ParseQuery(query)
		require.NoError(t, err)
		listed, _ := a.page("/v1/products", filter)
		require.Equal(t, want, listed, query)
	}
}

func TestProductIsDeleted(t *testing.T) {
	a := memory(t)
	id := a.create("/v1/products", "name=Shirt&id=shirt")
	other := a.create("/v1/products", "name=Hat")
	require.Equal(t, map[string]any{"id": id, "object": "product", "deleted": true}, a.del("/v1/products/"+id))
	listed, _ := a.page("/v1/products", nil)
	require.Equal(t, []string{other}, listed)
	for _, method := range []string{"GET", "POST", "DELETE"} {
		refusal{method, "/v1/products/OBJ", "", 404, "resource_missing", "id", "No such product: 'OBJ'"}.refuse(t, a, id)
	}
	require.Equal(t, id, a.create("/v1/products", "name=Again&id=shirt"))
	listed, _ = a.page("/v1/products", nil)
	require.Equal(t, []string{id, other}, listed)
}

func TestProductsAreListedByTheirFilters(t *testing.T) {
	c := at(100)
	a := memory(t, stripetest.WithClock(c.read))
	var made []string
	for i, more := range []string{"shippable=true", "active=false&shippable=true", "url=https://a", "active=false"} {
		c.now = time.Unix(100+int64(i), 0)
		made = append(made, a.create("/v1/products", "name=P&"+more))
	}
	tests := map[string]struct {
		query string
		want  []int
	}{
		"active":            {"active=true", []int{2, 0}},
		"inactive":          {"active=false", []int{3, 1}},
		"shippable":         {"shippable=true", []int{1, 0}},
		"said not to be":    {"shippable=false", []int{}},
		"both":              {"shippable=true&active=false", []int{1}},
		"url":               {"url=https://a", []int{2}},
		"created":           {"created[gt]=100&created[lte]=102", []int{2, 1}},
		"ids":               {"ids[]=" + made[0] + "&ids[]=" + made[2] + "&ids[]=prod_x&ids[]=" + made[0], []int{2, 0}},
		"ids, of an active": {"ids[]=" + made[0] + "&ids[]=" + made[1] + "&active=true", []int{0}},
		"no such ids":       {"ids[]=prod_x", []int{}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			query, err := url.ParseQuery(test.query)
			require.NoError(t, err)
			want := []string{}
			for _, i := range test.want {
				want = append(want, made[i])
			}
			got, more := a.page("/v1/products", query)
			require.Equal(t, want, got)
			require.False(t, more)
		})
	}
}

func TestProductIsRefused(t *testing.T) {
	images := func(n int) string {
		form := "name=P"
		for i := range n {
			form += fmt.Sprintf("&images[%d]=https://a", i)
		}
		return form
	}
	price := func(more string) string { return "name=P&default_price_data[currency]=usd&default_price_data" + more }
	tests := map[string]refusal{
		"without name":       {form: "active=true", code: "parameter_missing", param: "name", message: "Missing required param: name."},
		"with empty name":    {form: "name=", code: "parameter_invalid_empty", param: "name", message: "You passed an empty string for 'name'. "},
		"with a taken id":    {form: "name=P&id=OBJ", code: "resource_already_exists", message: "Product already exists."},
		"nine images":        {form: images(9), param: "images", message: "images can have at most 8 elements."},
		"half the size":      {form: "name=P&package_dimensions[height]=1&package_dimensions[length]=1&package_dimensions[width]=1", code: "parameter_missing", param: "package_dimensions[weight]", message: "Missing required param: package_dimensions[weight]."},
		"odd size":           {form: "name=P&package_dimensions[height]=tall", param: "package_dimensions[height]", message: "Invalid decimal: tall"},
		"odd type":           {form: "name=P&type=idea", param: "type", message: "Invalid type: must be one of good, service"},
		"odd flag":           {form: "name=P&active=1", param: "active", message: "Invalid boolean: 1"},
		"unnamed feature":    {form: "name=P&marketing_features[0][x]=1", code: "parameter_unknown", param: "marketing_features[0][x]", message: "Received unknown parameter: "},
		"price of nothing":   {form: price("[tax_behavior]=inclusive"), param: "default_price_data", message: "Exactly one of "},
		"price twice":        {form: price("[unit_amount]=5&default_price_data[unit_amount_decimal]=5"), param: "default_price_data", message: "Exactly one of "},
		"price in no money":  {form: "name=P&default_price_data[unit_amount]=5", code: "parameter_missing", param: "default_price_data[currency]", message: "Missing required param: "},
		"default price":      {form: "name=P&default_price=price_1", code: "parameter_unknown", param: "default_price", message: "Received unknown parameter: default_price"},
		"update without id":  {path: "/v1/products/prod_x", form: "name=P", status: 404, code: "resource_missing", param: "id", message: "No such product: 'prod_x'"},
		"update of the id":   {path: "/v1/products/OBJ", form: "id=other", code: "parameter_unknown", param: "id", message: "Received unknown parameter: id"},
		"update of its name": {path: "/v1/products/OBJ", form: "name=", code: "parameter_invalid_empty", param: "name", message: "You passed an empty string for 'name'. "},
		"ids and cursor":     {method: "GET", path: "/v1/products?ids[]=OBJ&starting_after=OBJ", param: "starting_after", message: "You may only specify one of these parameters: ids, starting_after."},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a := memory(t)
			id := a.create("/v1/products", images(8))
			before := a.get("/v1/products/" + id)
			if test.status == 0 {
				test.status = 400
			}
			if test.path == "" {
				test.path = "/v1/products"
			}
			if test.method == "" {
				test.method = "POST"
			}
			test.refuse(t, a, id)
			require.Empty(t, cmp.Diff(before, a.get("/v1/products/"+id)))
			listed, _ := a.page("/v1/products", nil)
			require.Equal(t, []string{id}, listed)
		})
	}
}
