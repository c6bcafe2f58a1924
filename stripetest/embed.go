package stripetest

// embeddedList is a list that is part of an object. The responses of versions
// before last include it. Later ones do if it is expanded.
type embeddedList struct {
	kind, field string
	last        version
	list        func(a *account, id string) *listObject
}

// The versions are those of Stripe's changelog of the API: "no longer included by
// default". An object has its lists at its end, in this order.
var embeddedLists = []embeddedList{
	{"charge", "refunds", "2022-11-15", (*account).refundsOf},
	{"payment_intent", "charges", "2022-11-15", (*account).chargesOf},
	{"product", "skus", "2018-02-05", (*account).skusOf}, // gone between the descriptions of 2017-08-15 and 2018-05-21; the day is assumed
	{"customer", "sources", "2020-08-27", (*account).sourcesOf},
	{"customer", "subscriptions", "2020-08-27", (*account).subscriptionsOf},
	{"customer", "tax_ids", "2020-08-27", (*account).taxIDsOf},
}

func (a *account) refundsOf(charge string) *listObject {
	list := newest(a.refunds, "charge", charge, "/v1/charges/"+charge+"/refunds")
	return &list
}

func (a *account) skusOf(product string) *listObject {
	list := newest(a.skus, "product", product, "/v1/skus?product="+product)
	return &list
}

func (a *account) sourcesOf(customer string) *listObject {
	if owner, ok := a.customers.get(customer); ok {
		return owner.sources()
	}
	return nil
}

// subscriptionsOf returns an empty list: this server has no subscriptions.
func (a *account) subscriptionsOf(customer string) *listObject {
	return &listObject{Object: "list", Data: []struct{}{}, URL: "/v1/customers/" + customer + "/subscriptions"}
}

func (a *account) taxIDsOf(customer string) *listObject {
	if owner, ok := a.customers.get(customer); ok {
		return owner.listTaxIDs()
	}
	return nil
}

func (cus *customer) listTaxIDs() *listObject {
	return firstPage(cus.taxIDs, "/v1/customers/"+cus.ID+"/tax_ids")
}

// firstPage returns the list of objects that are stored oldest first.
func firstPage[T any](objects []*T, url string) *listObject {
	page := []*T{}
	for i := len(objects) - 1; i >= 0 && len(page) < defaultLimit; i-- {
		page = append(page, objects[i])
	}
	return &listObject{Object: "list", Data: page, HasMore: len(objects) > len(page), URL: url}
}

// embed adds a list to an object that does not have it yet. A deleted object has
// no lists.
func (a *account) embed(object *tree, kind, field string) {
	if _, known := object.values[field]; known || object.values["deleted"] == true {
		return
	}
	for _, e := range embeddedLists {
		if e.kind == kind && e.field == field {
			if list := e.list(a, object.text("id")); list != nil {
				object.set(field, newTree(list))
			}
		}
	}
}

// embedAll adds the lists that the version includes to all objects of a
// response.
func (a *account) embedAll(response any, v version) {
	if v.current() {
		return
	}
	eachObject(response, func(object *tree) {
		kind := object.text("object")
		for _, e := range embeddedLists {
			if e.kind == kind && v.before(e.last) {
				a.embed(object, kind, e.field)
			}
		}
	})
}
