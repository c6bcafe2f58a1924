package stripekit

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/stripekit/stripekit/internal/form"
)

// Change is an object that was created, updated or deleted. It is what a Poller of
// client.Customers.Changes() and the like delivers.
//
// A change of Stripe may make several events, such as charge.captured and
// charge.updated. Stripe does not promise their order, and the same second may have
// several changes of an object. So treat a Change as a notice: either take Object only
// if the event is not older than what is stored, or read the object.
type Change[T any] struct {
	Type      ChangeType
	EventType string   // Stripe's own name, such as "customer.updated"
	EventID   string   // "evt_…"; also the ID of the Poller's Event
	At        UnixTime // when it happened
	// Object is the object as it was after the change, or before it was deleted.
	Object *T
	// Previous has the attributes that were changed, as JSON, with the values from
	// before; nil if nothing is known of them.
	Previous json.RawMessage
	// APIVersion is the version that Object and Previous are written in: that of the
	// account at the time of the change. Former names of fields are read as
	// everywhere.
	APIVersion string
}

// ChangeType is the kind of a Change.
type ChangeType string

// The kinds of a Change.
const (
	// Created is the first event of an object. A charge that was pending is announced a
	// second time as Created when it succeeds or fails.
	Created ChangeType = "created"
	Updated ChangeType = "updated"
	Deleted ChangeType = "deleted" // only customers, products and invoice items can be
)

// changeEvent has the fields of an AccountEvent that a Change is made from.
type changeEvent struct {
	ID         string           `json:"id"`
	APIVersion string           `json:"api_version"`
	Created    UnixTime         `json:"created"`
	Data       AccountEventData `json:"data"`
	Type       string           `json:"type"`
}

// UnmarshalJSON reads an event of Stripe.
func (c *Change[T]) UnmarshalJSON(b []byte) error {
	var e changeEvent
	if err := unmarshal(b, &e); err != nil {
		return err
	}
	if len(e.Data.Object) == 0 || e.Data.Object[0] != '{' {
		return errors.New("stripe: an event without an object")
	}
	object := new(T)
	if err := unmarshal(e.Data.Object, object); err != nil {
		return err
	}
	*c = Change[T]{
		Type: changeType(e.Type, e.Data.PreviousAttributes != nil), EventType: e.Type, EventID: e.ID, At: e.Created, Object: object,
		Previous: e.Data.PreviousAttributes, APIVersion: e.APIVersion,
	}
	return nil
}

// changeEvents are the names of the events about the objects of a list. Events about
// something that belongs to an object, such as charge.dispute.created or
// customer.source.updated, have another object.
var changeEvents = map[string][]string{
	// There is no charge.created.
	chargesPath: {
		"charge.succeeded", "charge.pending", "charge.failed",
		"charge.captured", "charge.expired", "charge.refunded", "charge.updated",
	},
	customersPath:    {"customer.created", "customer.updated", "customer.deleted"},
	productsPath:     {"product.created", "product.updated", "product.deleted"},
	refundsPath:      {"refund.created", "refund.updated", "refund.failed", "charge.refund.updated"},
	ordersPath:       {"order.created", "order.updated", "order.payment_succeeded", "order.payment_failed"},
	invoiceItemsPath: {"invoiceitem.created", "invoiceitem.updated", "invoiceitem.deleted"}, // updated in versions of old
}

// changeType returns what an event says about its object. updates reports whether it has
// previous attributes.
func changeType(event string, updates bool) ChangeType {
	switch {
	case strings.HasSuffix(event, ".deleted"):
		return Deleted
	case strings.HasSuffix(event, ".created"):
		return Created
	case slices.Contains(changeEvents[chargesPath][:3], event) && !updates:
		return Created
	}
	return Updated
}

// changes returns the source of the changes of a list.
func changes[T any](c *Client, list string) Source[Change[T]] {
	var query []byte
	for i, name := range changeEvents[list] {
		query = form.AppendPair(query, "types["+strconv.Itoa(i)+"]", name)
	}
	return source[Change[T]]{
		client: c, path: eventsPath, timeField: "created", query: query,
		// The names of the events are no part of the key: there may be more in the future.
		// No encoded filter has a space.
		flow: "changes of " + strings.TrimPrefix(list, "/v1/"),
	}
}
