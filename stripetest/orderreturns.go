package stripetest

import (
	"fmt"
	"slices"
	"time"
)

type orderReturn struct {
	ID       string      `json:"id"`
	Object   string      `json:"object"`
	Amount   int64       `json:"amount"`  // smallest currency unit
	Created  int64       `json:"created"` // seconds
	Currency string      `json:"currency"`
	Items    []orderItem `json:"items"`
	Livemode bool        `json:"livemode"`
	Order    string      `json:"order"`
	Refund   *string     `json:"refund"`
}

func orderReturnFields() fields {
	return fields{
		"expand": list(text),
		"items":  orEmpty(atMost(maxOrderItems, list(hash(orderItemFields())))),
	}
}

func newOrderReturns(delay func(string) time.Duration) *collection[orderReturn] {
	return newCollection("order_return", delay, map[string]func(*orderReturn) string{
		"order": func(r *orderReturn) string { return r.Order },
	})
}

// returnOrder returns the items that the parameters name, or all that are left,
// and refunds their amount.
func returnOrder(c *call) (any, *apiError) {
	old, failure := c.account.orders.find(c.id)
	if failure != nil {
		return nil, failure
	}
	if old.Status != "paid" && old.Status != "fulfilled" {
		return nil, invalidRequest("", "", fmt.Sprintf("Order %s cannot be returned because its status is %s, not paid or fulfilled.", old.ID, old.Status))
	}
	changed := *old
	changed.unreturned = slices.Clone(old.unreturned)
	created := newOrderReturn(c, old)
	if created.Items, failure = changed.takeItems(c.params.elements("items")); failure != nil {
		return nil, failure
	}
	for _, item := range created.Items {
		created.Amount += item.Amount
	}
	if failure := c.account.refundReturn(old, created); failure != nil {
		return nil, failure
	}
	c.account.orderReturns.add(created.ID, created.Created, created)
	changed.addReturn(created)
	changed.Returns = newest(c.account.orderReturns, "order", old.ID, old.Returns.URL)
	c.account.replaceOrder(c, &changed)
	return created, nil
}

// newOrderReturn makes a return without items.
func newOrderReturn(c *call, o *order) *orderReturn {
	return &orderReturn{
		ID:       newID("orret_1", 23),
		Object:   "order_return",
		Created:  c.time.Unix(),
		Currency: o.Currency,
		Livemode: c.account.live,
		Order:    o.ID,
	}
}

// takeItems moves items from the unreturned items of the order into a return.
func (o *order) takeItems(wanted []*value) ([]orderItem, *apiError) {
	taken := []orderItem{}
	if len(wanted) == 0 {
		for i := range o.unreturned {
			if !o.unreturned[i].fullyReturned() {
				taken = append(taken, o.unreturned[i])
				o.unreturned[i].reduce(o.unreturned[i])
			}
		}
	}
	for n, params := range wanted {
		item, failure := o.takeItem(fmt.Sprintf("items[%d]", n), params)
		if failure != nil {
			return nil, failure
		}
		taken = append(taken, item)
	}
	return taken, nil
}

// takeItem moves one item, which is found by its parameters. Without a quantity
// and an amount it takes all that is left of the item. With a quantity only, it
// takes the proportional amount.
func (o *order) takeItem(name string, params *value) (orderItem, *apiError) {
	i := slices.IndexFunc(o.unreturned, func(item orderItem) bool { return !item.fullyReturned() && item.matches(params) })
	if i < 0 {
		return orderItem{}, invalidRequest("", name, fmt.Sprintf("Order %s has no such item left to return.", o.ID))
	}
	left := &o.unreturned[i]
	item := *left
	if quantity := params.optionalInteger("quantity"); quantity != nil && left.Quantity != nil {
		if *quantity > *left.Quantity {
			return orderItem{}, invalidRequest("", name+"[quantity]", fmt.Sprintf("Only %d of this item are left to return.", *left.Quantity))
		}
		item.Quantity = quantity
		item.Amount = left.Amount * *quantity / *left.Quantity
	}
	item.Amount = params.integer("amount", item.Amount)
	if beyond(item.Amount, left.Amount) {
		return orderItem{}, invalidRequest("", name+"[amount]", fmt.Sprintf("Only %s of this item are left to return.", formatMoney(left.Amount, o.Currency)))
	}
	left.reduce(item)
	return item, nil
}

// beyond reports whether an amount is outside the range from 0 to left. For a
// discount, left is negative.
func beyond(amount, left int64) bool {
	return amount < min(0, left) || amount > max(0, left)
}

// matches reports whether an item has the parent, description and type of the
// parameters. A parameter that was not sent matches any.
func (item *orderItem) matches(params *value) bool {
	return (!params.has("parent") || params.string("parent") == deref(item.Parent)) &&
		(!params.has("description") || params.string("description") == deref(item.Description)) &&
		(!params.has("type") || params.string("type") == item.Type)
}

func (item *orderItem) fullyReturned() bool {
	return item.Amount == 0 && (item.Quantity == nil || *item.Quantity == 0)
}

// reduce subtracts part from the item. If only an amount is returned, with the
// whole quantity, the rest of the amount stays to be returned.
func (item *orderItem) reduce(part orderItem) {
	item.Amount -= part.Amount
	if item.Quantity != nil {
		item.Quantity = new(*item.Quantity - *part.Quantity)
	}
}

// refundReturn refunds the order's charge, if it has one.
func (a *account) refundReturn(o *order, r *orderReturn) *apiError {
	if len(r.Items) == 0 {
		return invalidRequest("", "items", fmt.Sprintf("Order %s has nothing left to return.", o.ID))
	}
	if r.Amount < 0 {
		return invalidRequest("", "items", "The amount of a return must not be negative.")
	}
	if o.Charge == nil || r.Amount == 0 {
		return nil
	}
	ch, ok := a.charges.get(*o.Charge)
	if !ok {
		return nil
	}
	if failure := ch.checkRefund(r.Amount); failure != nil {
		return failure
	}
	made := newRefund(ch, r.Amount, r.Created)
	a.addRefund(ch, made)
	r.Refund = &made.ID
	return nil
}

// addReturn adds a return to the order. The return of the last item ends the
// order.
func (o *order) addReturn(r *orderReturn) {
	total := r.Amount
	if o.AmountReturned != nil {
		total += *o.AmountReturned
	}
	o.AmountReturned = &total
	if slices.ContainsFunc(o.unreturned, func(item orderItem) bool { return !item.fullyReturned() }) {
		return
	}
	if o.Status == "paid" {
		o.setStatus("canceled", r.Created)
	} else {
		o.setStatus("returned", r.Created)
	}
}
