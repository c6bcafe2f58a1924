package stripetest

import (
	"errors"
	"slices"
	"time"
)

// maxDelivered is how many deliveries that are no longer pending an account keeps.
const maxDelivered = 1000

// The states of a delivery.
const (
	deliveryPending   = "pending"
	deliverySucceeded = "succeeded"
	deliveryFailed    = "failed"
)

// webhook is an event that is sent to one endpoint until it is received.
type webhook struct {
	ID       string // of the event and of the endpoint
	Event    string
	Type     string
	Endpoint string
	URL      string // of the last attempt
	State    string
	Attempts int
	Status   int    // HTTP status of the last attempt; 0: there was no response
	Error    string // of the last attempt
	Due      int64  // when the next attempt is made, in seconds
	Payload  string // what is sent; empty once it is no longer pending
}

// check refuses a loaded delivery that is no longer to be made.
func (d *webhook) check() error {
	if d.State != deliveryPending || d.Payload == "" {
		return errors.New("it is not pending, by its State or Payload")
	}
	return nil
}

// retryWaits returns the times between the attempts of a delivery. The documentation
// of webhooks says that Stripe retries three times over a few hours in test mode,
// and for up to three days with growing waits in live mode. The single waits are
// assumed.
func retryWaits(live bool) []time.Duration {
	if live {
		return []time.Duration{time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour, 16 * time.Hour, 32 * time.Hour}
	}
	return []time.Duration{10 * time.Minute, time.Hour, 3 * time.Hour}
}

func newDeliveries() *collection[webhook] {
	return newCollection("delivery", nil, map[string]func(*webhook) string{
		"endpoint": func(d *webhook) string { return d.Endpoint },
	})
}

// queueWebhooks makes the deliveries of an event that has just been stored. What is
// sent is made now, and is the same in all attempts.
func (a *account) queueWebhooks(d draft) {
	if !a.journal.webhooks {
		return
	}
	var receivers []*endpoint
	for e := range a.endpoints.all.ascend(everything) {
		if receiver := e.read(); receiver.receives(d.event.Type) {
			receivers = append(receivers, receiver)
		}
	}
	if len(receivers) == 0 {
		return
	}
	d.event.Pending = len(receivers)
	for _, receiver := range receivers {
		made := &webhook{
			ID:       d.event.ID + "/" + receiver.ID,
			Event:    d.event.ID,
			Type:     d.event.Type,
			Endpoint: receiver.ID,
			URL:      receiver.URL,
			State:    deliveryPending,
			Due:      d.event.Created,
			Payload:  string(a.webhookPayload(d, version(deref(receiver.APIVersion)))),
		}
		a.deliveries.add(made.ID, made.Due, made)
	}
	a.journal.notify()
}

// webhookPayload encodes an event in a version, or in that of the event if the
// version is empty.
func (a *account) webhookPayload(d draft, v version) []byte {
	shown := *d.event
	if v != "" && v != shown.Cause.Version {
		inVersion := *shown.Cause
		inVersion.Version = v
		shown.Cause = &inVersion
		r := &recorder{account: a, cause: &inVersion}
		shown.Context, _ = r.context(d.before, d.after, v)
	}
	return render(shown.show(shown.Cause.Version, "", a.live))
}

// nextDelivery returns the next delivery to an endpoint, or nil if none is pending.
func (a *account) nextDelivery(endpoint string) *webhook {
	for e := range a.deliveries.grouped("endpoint", endpoint).ascend(everything) {
		return e.read()
	}
	return nil
}

// settle stores the result of an attempt. A delivery that has failed is tried again
// later, unless there were too many attempts.
func (a *account) settle(d webhook, now time.Time) {
	if _, ok := a.deliveries.get(d.ID); !ok {
		return // its endpoint was deleted during the attempt
	}
	a.deliveries.forget(d.ID)
	waits := retryWaits(a.live)
	switch {
	case d.Error == "":
		d.State = deliverySucceeded
		if e, ok := a.events.get(d.Event); ok {
			changed := *e
			changed.Pending--
			a.events.replace(e.ID, &changed)
		}
	case d.Attempts <= len(waits):
		d.Due = now.Add(waits[d.Attempts-1]).Unix()
		a.deliveries.add(d.ID, d.Due, &d)
		return
	default:
		d.State = deliveryFailed
	}
	a.keepDelivered(d)
}

func (a *account) keepDelivered(d webhook) {
	d.Payload, d.Due = "", 0
	a.delivered = append(a.delivered, d)
	if len(a.delivered) > 2*maxDelivered { // dropping half at a time moves each delivery once
		a.delivered = slices.Clone(a.delivered[len(a.delivered)-maxDelivered:])
	}
}

// giveUpDeliveries ends the pending deliveries to an endpoint.
func (a *account) giveUpDeliveries(endpoint, reason string) {
	for d := a.nextDelivery(endpoint); d != nil; d = a.nextDelivery(endpoint) {
		a.deliveries.forget(d.ID)
		ended := *d
		ended.State, ended.Error = deliveryFailed, reason
		a.keepDelivered(ended)
	}
}
