package stripetest

import "slices"

// watch makes events of all changes of the account's objects. A collection reports
// a change before it is made.
func (a *account) watch() {
	watched(a, a.charges, chargeEvents)
	watched(a, a.paymentIntents, intentEvents)
	watched(a, a.paymentMethods, paymentMethodEvents)
	watched(a, a.products, plainEvents[product]("product", "created", "updated", "deleted"))
	watched(a, a.prices, plainEvents[price]("price", "created", "updated", "deleted"))
	watched(a, a.skus, plainEvents[sku]("sku", "created", "updated", "deleted"))
	watched(a, a.orders, plainEvents[order]("order", "created", "updated", ""))
	watched(a, a.orderReturns, plainEvents[orderReturn]("order_return", "created", "", ""))

	a.invoiceItems.changed = func(before, after *invoiceItem) {
		if r := a.journal.recorder; r != nil {
			r.add(orNil(before), orNil(after), invoiceItemEvents(before, after, r.cause.Version)...)
		}
	}
	a.refunds.changed = func(before, after *refund) {
		if r := a.journal.recorder; r != nil {
			known := before
			if known == nil {
				known = after
			}
			r.noteRefunds(known.Charge)
			r.add(orNil(before), orNil(after), refundEvents(before, after)...)
		}
	}
	a.customers.changed = func(before, after *customer) {
		if r := a.journal.recorder; r != nil {
			r.add(orNil(before), orNil(after), plainEvents[customer]("customer", "created", "updated", "deleted")(before, after)...)
			r.addSources(before, after)
		}
	}
}

func watched[T any](a *account, objects *collection[T], types func(before, after *T) []string) {
	objects.changed = func(before, after *T) {
		if r := a.journal.recorder; r != nil {
			r.add(orNil(before), orNil(after), types(before, after)...)
		}
	}
}

// orNil returns nil for a nil pointer, so that it compares equal to nil.
func orNil[T any](object *T) any {
	if object == nil {
		return nil
	}
	return object
}

// plainEvents returns the types of the events of a resource that has one for each
// kind of change. An empty name stands for none.
func plainEvents[T any](resource, created, updated, deleted string) func(before, after *T) []string {
	return func(before, after *T) []string {
		name := updated
		switch {
		case before == nil:
			name = created
		case after == nil:
			name = deleted
		}
		if name == "" {
			return nil
		}
		return []string{resource + "." + name}
	}
}

// chargeEvents returns the types of the events of a changed charge. There is no
// charge.created: a new charge makes the event of its status.
func chargeEvents(before, after *charge) []string {
	switch {
	case before == nil:
		return []string{"charge." + after.Status}
	case after == nil:
		return nil
	case after.Captured && !before.Captured:
		return []string{"charge.captured", "charge.updated"}
	case after.expired && !before.expired:
		return []string{"charge.expired"}
	case after.AmountRefunded > before.AmountRefunded:
		return []string{"charge.refunded"}
	}
	return []string{"charge.updated"}
}

func refundEvents(before, after *refund) []string {
	switch {
	case before == nil:
		return []string{"refund.created"}
	case after == nil:
		return nil
	case after.Status == "failed" && before.Status != "failed":
		return []string{"refund.updated", "charge.refund.updated", "refund.failed"}
	}
	return []string{"refund.updated", "charge.refund.updated"}
}

// invoiceItemEvents has no invoiceitem.updated for new versions: the descriptions
// of versions up to 2020-08-27 have this type, and the newest has not.
func invoiceItemEvents(before, after *invoiceItem, v version) []string {
	updated := "updated"
	if lastOrders.before(v) {
		updated = ""
	}
	return plainEvents[invoiceItem]("invoiceitem", "created", updated, "deleted")(before, after)
}

// addSources makes the events of the cards that a change of a customer adds,
// changes and removes. A deleted customer makes none for its cards.
func (r *recorder) addSources(before, after *customer) {
	if after == nil {
		return
	}
	if before == nil {
		before = &customer{}
	}
	for _, made := range after.cards {
		switch old := before.card(made.ID); {
		case old == nil:
			r.add(nil, made, "customer.source.created")
		case old != made:
			r.add(old, made, "customer.source.updated")
		}
	}
	for _, old := range before.cards {
		if !slices.ContainsFunc(after.cards, func(c *card) bool { return c.ID == old.ID }) {
			r.add(old, nil, "customer.source.deleted")
		}
	}
}
