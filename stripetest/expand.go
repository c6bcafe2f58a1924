package stripetest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// maxExpand is the maximum number of levels in an expand path. The data of a
// list is one level.
const maxExpand = 4

// expandable returns the fields of an object type that can be expanded, each
// with the type that it refers to. The type is empty if this server stores no
// such objects: the field then stays as it is. A list of charges has the type
// []charge.
func expandable(kind string) map[string]string {
	if element, ok := strings.CutPrefix(kind, "[]"); ok {
		return map[string]string{"data": element, "total_count": ""}
	}
	switch kind {
	case "charge":
		return map[string]string{
			"application": "", "application_fee": "", "balance_transaction": "balance_transaction", "customer": "customer",
			"dispute": "", "failure_balance_transaction": "", "invoice": "", "on_behalf_of": "", "order": "order",
			"payment_intent": "payment_intent", "refunds": "[]refund", "review": "", "source_transfer": "", "transfer": "",
			"transfer_data": "transfer_data",
		}
	case "customer":
		return map[string]string{
			"cash_balance": "", "default_source": "card", "sources": "[]card", "subscriptions": "", "tax": "", "tax_ids": "", "test_clock": "",
		}
	case "payment_intent":
		return map[string]string{
			"application": "", "charges": "[]charge", "customer": "customer", "latest_charge": "charge", "on_behalf_of": "",
			"payment_method": "payment_method", "review": "", "transfer_data": "transfer_data",
		}
	case "payment_method":
		return map[string]string{"customer": "customer"}
	case "product":
		return map[string]string{"default_price": "price", "tax_code": ""}
	case "refund":
		return map[string]string{
			"balance_transaction": "balance_transaction", "charge": "charge", "failure_balance_transaction": "",
			"payment_intent": "payment_intent", "source_transfer_reversal": "", "transfer_reversal": "",
		}
	case "invoiceitem":
		return map[string]string{"customer": "customer", "discounts": "", "invoice": "invoice", "subscription": "", "test_clock": ""}
	case "invoice":
		return map[string]string{"customer": "customer"}
	case "order":
		return map[string]string{"application": "", "charge": "charge", "customer": "customer", "items": "order_item", "returns": "[]order_return"}
	case "order_item":
		return map[string]string{"parent": "sku"}
	case "order_return":
		return map[string]string{"order": "order", "refund": "refund"}
	case "card":
		return map[string]string{"customer": "customer"}
	case "price":
		return map[string]string{"currency_options": "", "product": "product", "tiers": ""}
	case "sku":
		return map[string]string{"product": "product"}
	case "transfer_data":
		return map[string]string{"destination": ""}
	}
	return nil
}

// respondedKind returns the type of the object in a route's responses.
func respondedKind(r route) string {
	parts := strings.Split(strings.TrimPrefix(r.pattern, "/v1/"), "/")
	kind := strings.TrimSuffix(parts[0], "s")
	if len(parts) > 2 {
		switch parts[2] {
		case "refunds":
			kind = "refund"
		case "returns":
			kind = "order_return"
		case "sources":
			kind = "card"
		case "payment_methods":
			kind = "payment_method"
		}
	}
	last := parts[len(parts)-1]
	if r.method == http.MethodGet && !strings.HasPrefix(last, "{") && last != "account" {
		return "[]" + kind
	}
	return kind
}

// expansions checks the expand parameter and returns its paths. It runs before
// the handler, so that a refused request changes nothing.
func expansions(r route, params *value) ([][]string, *apiError) {
	var paths [][]string
	for _, name := range params.items("expand") {
		path := strings.Split(name, ".")
		if len(path) > maxExpand {
			return nil, invalidRequest("", "expand", fmt.Sprintf("You cannot expand more than %d levels of a property (%s).", maxExpand, name))
		}
		kind := respondedKind(r)
		for i, field := range path {
			next, ok := expandable(kind)[field]
			if !ok {
				return nil, invalidRequest("", "expand", fmt.Sprintf("This property cannot be expanded (%s).", name))
			}
			if kind = next; kind == "" && i < len(path)-1 {
				break // this server does not know the fields below
			}
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// expands reports whether the request expands a field of the response itself.
func (c *call) expands(field string) bool {
	return slices.ContainsFunc(c.expand, func(path []string) bool { return len(path) == 1 && path[0] == field })
}

// expand replaces ids by their objects along a path.
func (a *account) expand(node any, kind string, path []string) {
	switch node := node.(type) {
	case []any:
		for _, element := range node {
			a.expand(element, kind, path)
		}
	case *tree:
		name := path[0]
		next := expandable(kind)[name]
		a.embed(node, kind, name)
		if id := node.text(name); id != "" {
			if object := a.lookup(next, id, node); object != nil {
				node.set(name, newTree(object))
			}
		}
		if len(path) > 1 {
			a.expand(node.values[name], next, path[1:])
		}
	}
}

// lookup returns the object of a type that an id in a field of parent refers
// to, or nil.
func (a *account) lookup(kind, id string, parent *tree) any {
	switch kind {
	case "charge":
		return stored(a.charges, id)
	case "customer":
		return stored(a.customers, id)
	case "payment_intent":
		return stored(a.paymentIntents, id)
	case "payment_method", methodName:
		return stored(a.paymentMethods, id)
	case "order":
		return stored(a.orders, id)
	case "product":
		return stored(a.products, id)
	case "invoiceitem":
		return stored(a.invoiceItems, id)
	case "order_return":
		return stored(a.orderReturns, id)
	case "sku":
		return stored(a.skus, id)
	case "invoice":
		return stored(a.invoices, id)
	case "refund":
		return stored(a.refunds, id)
	case "card":
		if parent == nil {
			return nil
		}
		if owner, ok := a.customers.get(parent.text("id")); ok {
			if card := owner.card(id); card != nil {
				return card
			}
		}
	case "price":
		return stored(a.prices, id)
	case "balance_transaction":
		return newBalanceTransaction(id, parent)
	}
	return nil
}

func stored[T any](objects *collection[T], id string) any {
	if e := objects.byID[id]; e != nil {
		return e.stored()
	}
	if objects.wasDeleted(id) {
		return &deletedObject{ID: id, Object: objects.object, Deleted: true}
	}
	return nil
}

// balanceTransaction is the balance change of a charge or refund. It has no
// fees.
type balanceTransaction struct {
	ID                string     `json:"id"`
	Object            string     `json:"object"`
	Amount            int64      `json:"amount"` // smallest currency unit; negative for a refund
	AvailableOn       any        `json:"available_on"`
	BalanceType       string     `json:"balance_type"`
	Created           any        `json:"created"`
	Currency          any        `json:"currency"`
	Description       any        `json:"description"`
	ExchangeRate      null       `json:"exchange_rate"`
	Fee               int64      `json:"fee"`
	FeeDetails        []struct{} `json:"fee_details"`
	Net               int64      `json:"net"`
	ReportingCategory string     `json:"reporting_category"`
	Source            string     `json:"source"`
	Status            string     `json:"status"`
	Type              string     `json:"type"`
}

func newBalanceTransaction(id string, source *tree) *balanceTransaction {
	kind, amount := source.text("object"), source.integer("amount_captured")
	if kind == "refund" {
		amount = -source.integer("amount")
	}
	created := source.values["created"]
	return &balanceTransaction{
		ID:                id,
		Object:            "balance_transaction",
		Amount:            amount,
		AvailableOn:       created,
		BalanceType:       "payments",
		Created:           created,
		Currency:          source.values["currency"],
		Description:       source.values["description"],
		FeeDetails:        []struct{}{},
		Net:               amount,
		ReportingCategory: kind,
		Source:            source.text("id"),
		Status:            "available",
		Type:              kind,
	}
}
