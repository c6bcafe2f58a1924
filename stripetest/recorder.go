package stripetest

import (
	"cmp"
	"time"
)

// journal makes the events of an account. Each change of an object runs in the
// account's critical section, and so does the end of the request, where its events
// are stored. So no reader sees a change without its event, or an event without its
// change.
type journal struct {
	version  func() version // the default version
	notify   func()         // called when a webhook is due
	webhooks bool           // webhooks are sent

	recorder *recorder // of the request in progress; nil: changes make no events
}

// recorder collects the events of one request until it is known to succeed.
type recorder struct {
	account *account
	cause   *cause
	drafts  []draft

	// refunds has the refunds of a charge before the first of them changed.
	// Former versions show them in the charge.
	refunds map[string]*listObject
}

// draft is an event that is not stored yet, with the object before and after the
// change. Both are nil pointers of an interface where there is none.
type draft struct {
	event         *event
	before, after any
}

func (a *account) newRecorder(request, key string) *recorder {
	return &recorder{account: a, cause: &cause{a.journal.version(), request, key}}
}

// recording runs a handler and stores the events of its changes. A refused request
// makes none, except a declined charge, which is stored.
func (c *call) recording(handle handler) (any, *apiError) {
	j := c.account.journal
	key, _ := idempotencyKey(c.request) // it was checked before
	j.recorder = c.account.newRecorder(c.requestID, key)
	defer func() { j.recorder = nil }()
	result, failure := handle(c)
	if failure == nil || failure.kept {
		j.recorder.commit(c.time)
	}
	return result, failure
}

// automatically runs a change that no request asks for, such as an expiry. Its
// events are stored at once, whatever becomes of the request in progress.
func (a *account) automatically(now time.Time, change func()) {
	outer := a.journal.recorder
	a.journal.recorder = a.newRecorder("", "")
	defer func() { a.journal.recorder = outer }()
	change()
	a.journal.recorder.commit(now)
}

// commit stores the events.
func (r *recorder) commit(now time.Time) {
	for _, d := range r.drafts {
		d.event.ID, d.event.Created = newID("evt_1", 23), now.Unix()
		r.account.events.add(d.event.ID, d.event.Created, d.event)
		r.account.queueWebhooks(d)
	}
	r.drafts = nil
}

// add makes events of a change: of a new object if before is nil, and of a deleted
// one if after is nil. A change that responses do not show makes none.
func (r *recorder) add(before, after any, types ...string) {
	if r == nil || len(types) == 0 {
		return
	}
	context, changed := r.context(before, after, r.cause.Version)
	if ch, ok := after.(*charge); ok {
		delete(r.refunds, ch.ID)
	}
	if !changed {
		return
	}
	object := after
	if object == nil {
		object = before
	}
	stored := r.account.shapes.pack(object)
	for _, name := range types {
		made := &event{Type: name, Cause: r.cause, Object: stored, Context: context}
		r.drafts = append(r.drafts, draft{made, before, after})
	}
}

// context returns what an event of a change shows besides the object, or nil for
// nothing. It reports whether there is a change.
func (r *recorder) context(before, after any, v version) (*eventContext, bool) {
	object := after
	if object == nil {
		object = before
	}
	made := r.account.eventContext(object, v)
	if before != nil && after != nil {
		former := r.account.eventContext(before, v)
		r.restoreRefunds(before, former)
		previous := previousAttributes(shapeObject(before, former, v), shapeObject(after, made, v), made.notAlone())
		if previous == nil {
			return nil, false
		}
		made.Previous = previous
	}
	if made.Previous == nil && made.Lists == nil && made.Price == nil && !made.Undated {
		return nil, true
	}
	return made, true
}

// notAlone returns the fields that make no event if nothing else changes: the time
// of the last update, and the lists that some versions have.
func (context *eventContext) notAlone() []string {
	names := []string{"updated"}
	for _, embedded := range context.Lists {
		names = append(names, embedded.Field)
	}
	return names
}

// restoreRefunds puts the former refunds of a charge into its context.
func (r *recorder) restoreRefunds(object any, context *eventContext) {
	ch, ok := object.(*charge)
	if !ok || r.refunds[ch.ID] == nil {
		return
	}
	for i := range context.Lists {
		if context.Lists[i].Field == "refunds" {
			context.Lists[i].List = r.refunds[ch.ID]
		}
	}
}

// noteRefunds keeps the refunds of a charge before one of them changes.
func (r *recorder) noteRefunds(charge string) {
	if r == nil || r.refunds[charge] != nil || r.cause.Version.current() {
		return
	}
	if r.refunds == nil {
		r.refunds = make(map[string]*listObject)
	}
	r.refunds[charge] = r.account.refundsOf(charge)
}

// eventContext returns what a version shows of an object besides its fields, at
// this moment.
func (a *account) eventContext(object any, v version) *eventContext {
	kind, id := kindOf(object)
	context := &eventContext{Undated: a.undated[id]}
	if item, ok := object.(*invoiceItem); ok && item.Pricing != nil && item.Pricing.PriceDetails != nil && !v.current() {
		context.Price, _ = a.prices.get(item.Pricing.PriceDetails.Price)
	}
	for _, e := range embeddedLists {
		if e.kind == kind && v.before(e.last) {
			if list := cmp.Or(listWithin(object, e.field), e.list(a, id)); list != nil {
				context.Lists = append(context.Lists, embeddedData{e.field, list})
			}
		}
	}
	return context
}

// kindOf returns the type and the id of a stored object.
func kindOf(object any) (kind, id string) {
	switch object := object.(type) {
	case packed:
		return object.string("object"), object.string("id")
	case *charge:
		return object.Object, object.ID
	case *paymentIntent:
		return object.Object, object.ID
	case *paymentMethod:
		return object.Object, object.ID
	case *customer:
		return object.Object, object.ID
	case *product:
		return object.Object, object.ID
	case *price:
		return object.Object, object.ID
	case *sku:
		return object.Object, object.ID
	case *refund:
		return object.Object, object.ID
	case *invoiceItem:
		return object.Object, object.ID
	case *order:
		return object.Object, object.ID
	case *orderReturn:
		return object.Object, object.ID
	}
	return "", ""
}

// listWithin returns a list that is a part of the object itself, so that it is
// the one of this state of the object.
func listWithin(object any, field string) *listObject {
	owner, ok := object.(*customer)
	switch {
	case ok && field == "sources":
		return owner.sources()
	case ok && field == "tax_ids":
		return owner.listTaxIDs()
	}
	return nil
}
