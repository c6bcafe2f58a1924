package stripetest

import (
	"encoding/json"
	"maps"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// API versions in which objects changed.
const (
	defaultVersion version = "2026-08-26.dahlia" // for a request without a version

	customerBalance version = "2019-10-17" // account_balance was renamed to balance
	lastOrders      version = "2020-08-27" // the last version with orders
	basil           version = "2025-03-31" // the invoice of charges and payment intents was removed, invoice items changed
)

// version is a date with an optional name: 2020-08-27, 2025-03-31.basil.
type version string

var versionForm = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}(\.[a-z]+)?$`)

// readVersion reads the API version from the Stripe-Version header.
func (c *call) readVersion() *apiError {
	sent := c.request.Header.Get(headerVersion)
	if sent == "" {
		return nil
	}
	v, ok := parseVersion(sent)
	if !ok {
		return invalidVersion(sent)
	}
	c.version = v
	return nil
}

func invalidVersion(sent string) *apiError {
	return invalidRequest("", "", "Invalid Stripe API version: "+sent)
}

func (v version) date() string { return string(v[:len(time.DateOnly)]) }

func (v version) before(other version) bool { return v.date() < other.date() }

// current reports whether responses show objects as they are stored.
func (v version) current() bool { return !v.before(basil) }

// has reports whether the version has a route. Versions after lastOrders have
// no orders.
func (v version) has(r route) bool { return !r.legacy || !lastOrders.before(v) }

// readParams renames the parameters of an older version to their current names.
// It returns the old names of the parameters it renamed, by current name.
func (v version) readParams(r route, params *value) map[string]string {
	renamed := make(map[string]string)
	if strings.HasPrefix(r.pattern, "/v1/customers") && v.before(customerBalance) {
		renamed["balance"] = "account_balance"
	}
	if strings.HasPrefix(r.pattern, "/v1/invoiceitems") && v.before(basil) {
		renamed["pricing[price]"] = "price"
		renamed["unit_amount_decimal"] = "unit_amount"
	}
	for now, old := range maps.Clone(renamed) {
		if !params.rename(old, now) {
			delete(renamed, now)
		}
	}
	return renamed
}

// rename moves a parameter to another name. It returns false if the parameter
// was not sent or the new name is in use.
func (v *value) rename(from, to string) bool {
	moved := v.children[from]
	path := splitName(to)
	if moved == nil || v.walk(path) != nil || v.children[path[0]] != nil {
		return false
	}
	delete(v.children, from)
	for i, name := range v.names {
		if name == from {
			v.names[i] = path[0]
		}
	}
	for i := len(path) - 1; i > 0; i-- {
		outer := newValue()
		outer.add(path[i], moved)
		moved = outer
	}
	v.children[path[0]] = moved
	return true
}

// rewrite gives every object in a response the fields that it had in the
// version. The argument returns the price with an id, for invoice items.
func (v version) rewrite(prices func(id string) (*price, bool), response any) {
	if v.current() {
		return
	}
	eachObject(response, func(object *tree) {
		if object.values["deleted"] == true {
			return // id, object and deleted, in every version
		}
		switch object.text("object") {
		case "charge":
			v.rewriteCharge(object)
		case "customer":
			if v.before(customerBalance) {
				object.rename("balance", "account_balance")
			}
		case "payment_intent":
			object.add("invoice", nil)
		case "invoiceitem":
			v.rewriteInvoiceItem(prices, object)
		}
	})
}

func (v version) rewriteCharge(charge *tree) {
	charge.add("invoice", nil)
	if !lastOrders.before(v) {
		charge.add("order", nil)
	}
}

// rewriteInvoiceItem reverts the changes of basil, which moved the price into
// pricing and the subscription into parent.
func (v version) rewriteInvoiceItem(prices func(id string) (*price, bool), item *tree) {
	item.set("plan", nil)
	item.set("price", nil)
	item.set("subscription", nil)
	item.set("unit_amount", nil)
	item.set("unit_amount_decimal", nil)
	if pricing, ok := item.values["pricing"].(*tree); ok {
		unit := pricing.text("unit_amount_decimal")
		item.set("unit_amount_decimal", unit)
		if _, err := strconv.ParseInt(unit, 10, 64); err == nil {
			item.set("unit_amount", json.Number(unit))
		}
		if details, ok := pricing.values["price_details"].(*tree); ok {
			if price, ok := prices(details.text("price")); ok {
				item.set("price", newTree(price))
			}
		}
	}
	if parent, ok := item.values["parent"].(*tree); ok {
		if details, ok := parent.values["subscription_details"].(*tree); ok {
			item.set("subscription", details.text("subscription"))
		}
	}
	item.remove("customer_account", "net_amount", "parent", "pricing", "quantity_decimal")
}
