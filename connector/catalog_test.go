package connector_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/connector"
)

var update = flag.Bool("update", false, "write testdata/catalog anew")

// TestCatalogIsTheOneDecided compares the whole catalog with testdata/catalog, so that
// every change of it is seen. -update writes the files anew.
func TestCatalogIsTheOneDecided(t *testing.T) {
	files := map[string]any{}
	for _, o := range connector.Objects() {
		files[o.Name+".json"] = goldenOf(t, o)
	}
	if *update {
		require.NoError(t, os.RemoveAll("testdata/catalog"))
		require.NoError(t, os.MkdirAll("testdata/catalog", 0o755))
	}
	for name, content := range files {
		text, err := json.MarshalIndent(content, "", " ")
		require.NoError(t, err)
		text = append(text, '\n')
		path := filepath.Join("testdata/catalog", name)
		if *update {
			require.NoError(t, os.WriteFile(path, text, 0o644))
		}
		want, err := os.ReadFile(path)
		require.NoError(t, err, "go test -run CatalogIsTheOneDecided -update writes it")
		require.Equal(t, string(want), string(text), "%s: if the change is meant: go test -run CatalogIsTheOneDecided -update", path)
	}
	kept, err := filepath.Glob("testdata/catalog/*")
	require.NoError(t, err)
	require.Len(t, kept, len(files), "a file of an object that is gone")
}

// goldenOf returns an object, its actions and its triggers, with the schema of the
// object written once.
func goldenOf(t *testing.T, o connector.Object) any {
	t.Helper()
	schemas := map[string]string{}
	for _, other := range connector.Objects() {
		schemas[other.Name] = strings.Replace(string(other.Schema), `"$schema":"https://json-schema.org/draft/2020-12/schema",`, "", 1)
	}
	short := func(schema json.RawMessage, object string) json.RawMessage {
		text := strings.Replace(string(schema), `"$schema":"https://json-schema.org/draft/2020-12/schema",`, "", 1)
		return json.RawMessage(strings.ReplaceAll(text, schemas[object], `"the schema of `+object+`"`))
	}
	golden := struct {
		Object   connector.Object    `json:"object"`
		Actions  []connector.Action  `json:"actions"`
		Triggers []connector.Trigger `json:"triggers"`
	}{Object: o}
	for _, name := range o.Actions {
		a := action(t, name)
		a.Output = short(a.Output, a.Object)
		golden.Actions = append(golden.Actions, a)
	}
	for _, name := range o.Triggers {
		tr := trigger(t, name)
		tr.Data = short(tr.Data, tr.Object)
		golden.Triggers = append(golden.Triggers, tr)
	}
	return golden
}

// TestCatalogHasEveryMethodOfTheServices fails when the library has a method that no
// action or trigger calls.
func TestCatalogHasEveryMethodOfTheServices(t *testing.T) {
	verbs := map[string]string{
		"Page": "list", "SearchPage": "search", "Where": "new", "Changes": "changed", "ReturnsPage": "returns",
		"List": "", "Search": "", "Returns": "", // the same as pages
	}
	client := reflect.TypeFor[stripekit.Client]()
	var want []string
	for f := range client.Fields() {
		if !f.IsExported() {
			continue
		}
		object := snake(f.Name)
		for method := range f.Type.Methods() {
			verb, known := verbs[method.Name]
			switch {
			case !known:
				want = append(want, object+"."+strings.ToLower(method.Name))
			case verb == "returns":
				want = append(want, "order_returns.list", "order_returns.new")
			case verb != "":
				want = append(want, object+"."+verb)
			}
		}
	}
	require.Greater(t, len(want), 40)
	require.ElementsMatch(t, want, catalogNames())
}

func snake(name string) string {
	return strings.ToLower(regexp.MustCompile(`([a-z])([A-Z])`).ReplaceAllString(name, "${1}_$2"))
}

func catalogNames() []string {
	var names []string
	for _, a := range connector.Actions() {
		names = append(names, a.Name)
	}
	for _, tr := range connector.Triggers() {
		names = append(names, tr.Name)
	}
	return names
}

// TestCatalogHasWhatOtherConnectorsHave lists the actions and triggers of three public
// connectors for Stripe, and their names here.
func TestCatalogHasWhatOtherConnectorsHave(t *testing.T) {
	for connectorName, want := range map[string]map[string]string{
		// https://docs.mulesoft.com/jp/composer-salesforce/ms_composer_stripe_reference
		"MuleSoft Composer": {
			"Create charge":   "charges.create",
			"Create customer": "customers.create",
			"Create product":  "products.create",
			"Find customer":   "customers.search",
			"New charge":      "charges.new",
			"New refund":      "refunds.new",
		},
		// https://learn.microsoft.com/pt-br/connectors/stripe. The names of the triggers were
		// not in the text at hand, so those are the kinds of objects that it mentions:
		// customers, orders, invoices and more.
		"Power Automate": {
			"Create a customer":  "customers.create",
			"Create a product":   "products.create",
			"Get a customer":     "customers.get",
			"Update a customer":  "customers.update",
			"Update a product":   "products.update",
			"A new charge":       "charges.new",
			"A new customer":     "customers.new",
			"A new order":        "orders.new",
			"A new invoice item": "invoice_items.new",
		},
		// https://docs.jitterbit.com/integration-studio/design/connectors/stripe: an
		// activity, and then an object. Stripe has no search for refunds, orders and invoice
		// items, and deletes neither charges nor refunds nor orders: they are listed,
		// canceled or refunded.
		"Jitterbit": {
			"Search charges": "charges.search", "Read charges": "charges.get", "Create charges": "charges.create", "Update charges": "charges.update",
			"Search customers": "customers.search", "Read customers": "customers.get", "Create customers": "customers.create",
			"Update customers": "customers.update", "Delete customers": "customers.delete",
			"Search products": "products.search", "Read products": "products.get", "Create products": "products.create",
			"Update products": "products.update", "Delete products": "products.delete",
			"Search refunds": "refunds.list", "Read refunds": "refunds.get", "Create refunds": "refunds.create",
			"Update refunds": "refunds.update", "Delete refunds": "refunds.cancel",
			"Search orders": "orders.list", "Read orders": "orders.get", "Create orders": "orders.create", "Update orders": "orders.update",
			"Search invoice items": "invoice_items.list", "Read invoice items": "invoice_items.get", "Create invoice items": "invoice_items.create",
			"Update invoice items": "invoice_items.update", "Delete invoice items": "invoice_items.delete",
		},
	} {
		for theirs, ours := range want {
			require.Contains(t, catalogNames(), ours, "%s: %s", connectorName, theirs)
		}
	}
}

func TestNamesAreUniqueAndTitlesAreSet(t *testing.T) {
	names := catalogNames()
	require.Len(t, slices.Compact(slices.Sorted(slices.Values(names))), len(names))
	for _, a := range connector.Actions() {
		require.NotEmpty(t, a.Title, a.Name)
		require.NotEmpty(t, a.Description, a.Name)
		require.Contains(t, []connector.Access{connector.Read, connector.Write}, a.Access)
	}
	for _, tr := range connector.Triggers() {
		require.NotEmpty(t, tr.Title, tr.Name)
		require.NotEmpty(t, tr.Description, tr.Name)
	}
}

func TestCatalogCannotBeChangedByItsReader(t *testing.T) {
	before := connector.Actions()[0].Input
	kept := bytes.Clone(before)
	clear(before)
	connector.Objects()[0].Actions[0] = "changed"
	require.True(t, bytes.Equal(kept, connector.Actions()[0].Input))
	require.NotEqual(t, "changed", connector.Objects()[0].Actions[0])
}

// TestDescriptionsAreForReadersOfJSON looks for what only a reader of Go understands.
func TestDescriptionsAreForReadersOfJSON(t *testing.T) {
	for _, o := range connector.Objects() {
		all := string(o.Schema)
		for _, name := range o.Actions {
			a := action(t, name)
			all += a.Description + string(a.Input)
		}
		for _, name := range o.Triggers {
			tr := trigger(t, name)
			all += tr.Description + string(tr.Config) + string(tr.Data)
		}
		all = strings.ReplaceAll(all, "FedEx", "")
		for _, word := range []string{
			`\bnil\b`, `\biterates\b`, `&[A-Z]`, `\w+Params\b`, `\b[A-Z][a-z]+[A-Z]\w*`, `\bzero\b`, `[Tt]he parameters \w+s\b`, `\b(an|with) [A-Z][a-z]+\b`,
		} {
			require.Empty(t, regexp.MustCompile(`.{30}`+word+`.{30}`).FindString(all), o.Name)
		}
	}
}
