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

// returnOrder takes back the items that the parameters name, or all that are
// left, and refunds what they cost.
func returnOrder(c *call) (any, *apiError) {
	old, failure := c.account.orders.find(c.id)
	if failure != nil {
		return nil, failure
	}
	if old.Status != "paid" && old.Status != "fulfilled" {
		return nil, invalidRequest("", "", fmt.Sprintf("Order %s cannot be returned because its status is %s, not paid or fulfilled.", old.ID, old.Status))
	}
	changed := *old
	changed.left = slices.Clone(old.left)
	created := newOrderReturn(c, old)
	if created.Items, failure = changed.take(c.params.elements("items")); failure != nil {
		return nil, failure
	}
	for _, item := range created.Items {
		created.Amount += item.Amount
	}
	if failure := c.account.refundReturn(old, created); failure != nil {
		return nil, failure
	}
	c.account.orderReturns.add(created.ID, created.Created, created)
	changed.returned(created)
	changed.Returns = newest(c.account.orderReturns, "order", old.ID, old.Returns.URL)
	c.account.replaceOrder(c, &changed)
	return created, nil
}

// newOrderReturn is a return of nothing yet.
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

// take moves items from what is left of the order into a return.
func (o *order) take(wanted []*value) ([]orderItem, *apiError) {
	taken := []orderItem{}
	if len(wanted) == 0 {
		for i := range o.left {
			if !o.left[i].gone() {
				taken = append(taken, o.left[i])
				o.left[i].reduce(o.left[i])
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

// takeItem finds an item by what the parameters say of it. Without a quantity
// and an amount it is all that is left of it; a quantity alone takes its share
// of the amount.
func (o *order) takeItem(name string, params *value) (orderItem, *apiError) {
	i := slices.IndexFunc(o.left, func(item orderItem) bool { return !item.gone() && item.is(params) })
	if i < 0 {
		return orderItem{}, invalidRequest("", name, fmt.Sprintf("Order %s has no such item left to return.", o.ID))
	}
	left := &o.left[i]
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

// beyond says whether an amount is not between nothing and what is left, which
// is negative for a discount.
func beyond(amount, left int64) bool {
	return amount < min(0, left) || amount > max(0, left)
}

// is compares what the parameters name; the type is sku unless they say.
func (item *orderItem) is(params *value) bool {
	return (!params.has("parent") || params.string("parent") == deref(item.Parent)) &&
		(!params.has("description") || params.string("description") == deref(item.Description)) &&
		(!params.has("type") || params.string("type") == item.Type)
}

func (item *orderItem) gone() bool {
	return item.Amount == 0 && (item.Quantity == nil || *item.Quantity == 0)
}

// reduce takes part away. An amount that is returned on its own, with all of
// the quantity, leaves the rest of the amount to be returned.
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

// returned adds a return to the order, which ends with the last item.
func (o *order) returned(r *orderReturn) {
	total := r.Amount
	if o.AmountReturned != nil {
		total += *o.AmountReturned
	}
	o.AmountReturned = &total
	if slices.ContainsFunc(o.left, func(item orderItem) bool { return !item.gone() }) {
		return
	}
	if o.Status == "paid" {
		o.reach("canceled", r.Created)
	} else {
		o.reach("returned", r.Created)
	}
}
