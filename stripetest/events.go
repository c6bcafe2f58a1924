package stripetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	eventsPath = "/v1/events"
	eventLife  = 30 * 24 * time.Hour
	maxTypes   = 20

	// objectRequests is the first version in which the request of an event is an
	// object. Before it was an id.
	objectRequests version = "2017-05-25"
)

// event is a change of an object. It refers to the stored object, which is never
// modified, and is encoded when a response shows it. So an event takes little
// memory as long as the object does not change again.
type event struct {
	ID      string
	Created int64 // seconds
	Type    string
	Cause   *cause
	Object  any           // as it is stored, in no version; JSON after Load
	Context *eventContext // nil: none

	// Pending is the number of webhooks that have not been delivered.
	Pending int
}

// cause is what the events of one request have in common.
type cause struct {
	Version        version // in which the events show their objects
	Request        string  // its id; empty for what the server did by itself
	IdempotencyKey string
}

// eventContext is what an event shows besides its object.
type eventContext struct {
	Previous any            // the former values of what has changed, as JSON; nil: none
	Lists    []embeddedData // the lists that the version includes, as they were
	Price    *price         // of an invoice item, for versions that show it
	Undated  bool           // the object shows no timestamp
}

// embeddedData is a list in an object.
type embeddedData struct {
	Field string
	List  *listObject
}

// check refuses a loaded event that could not be shown.
func (e *event) check() error {
	if e.Cause == nil || e.Type == "" {
		return errors.New("its Cause or Type is missing")
	}
	if _, ok := parseVersion(string(e.Cause.Version)); !ok {
		return fmt.Errorf("its Version %q is no API version", e.Cause.Version)
	}
	if _, ok := newTree(e.Object).(*tree); !ok {
		return errors.New("its Object is no object")
	}
	return nil
}

// eventObject is the JSON object for an event.
type eventObject struct {
	ID              string    `json:"id"`
	Object          string    `json:"object"`
	Account         string    `json:"account,omitempty"` // only of a connected account
	APIVersion      version   `json:"api_version"`
	Created         int64     `json:"created"` // seconds
	Data            eventData `json:"data"`
	Livemode        bool      `json:"livemode"`
	PendingWebhooks int       `json:"pending_webhooks"`
	Request         any       `json:"request"`
	Type            string    `json:"type"`
}

type eventData struct {
	Object             any `json:"object"`
	PreviousAttributes any `json:"previous_attributes,omitempty"`
}

type eventRequest struct {
	ID             *string `json:"id"`
	IdempotencyKey *string `json:"idempotency_key"`
}

// show returns the event as a response of a version has it. Its data is in the
// version of the event.
func (e *event) show(reader version, account string, live bool) *eventObject {
	shown := &eventObject{
		ID:              e.ID,
		Object:          "event",
		Account:         account,
		APIVersion:      e.Cause.Version,
		Created:         e.Created,
		Data:            eventData{Object: e.shape()},
		Livemode:        live,
		PendingWebhooks: e.Pending,
		Request:         e.Cause.show(reader),
		Type:            e.Type,
	}
	if e.Context != nil {
		shown.Data.PreviousAttributes = e.Context.Previous
	}
	return shown
}

func (c *cause) show(reader version) any {
	if reader.before(objectRequests) {
		return optionalText(c.Request)
	}
	return eventRequest{optionalText(c.Request), optionalText(c.IdempotencyKey)}
}

// optionalText returns a pointer to a text, or nil if it is empty.
func optionalText(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// shape returns the object in the version of the event.
func (e *event) shape() any { return shapeObject(e.Object, e.Context, e.Cause.Version) }

// shapeObject returns an object in a version, with what its context has. Most
// need no change.
func shapeObject(object any, context *eventContext, v version) any {
	if context == nil {
		context = &eventContext{}
	}
	if v.current() && !context.Undated {
		return object
	}
	shaped, ok := newTree(object).(*tree)
	if !ok {
		return object
	}
	for _, embedded := range context.Lists {
		shaped.set(embedded.Field, newTree(embedded.List))
	}
	if context.Undated {
		hideDates(shaped)
	}
	v.rewrite(func(string) (*price, bool) { return context.Price, context.Price != nil }, shaped)
	return shaped
}

func eventFields() fields {
	return listFields(fields{
		"delivery_success": boolean,
		"type":             nonEmpty,
		"types":            atMost(maxTypes, list(nonEmpty)),
	})
}

func newEvents(delay func(string) time.Duration) *collection[event] {
	events := newCollection("event", delay, map[string]func(*event) string{
		"type": func(e *event) string { return e.Type },
	})
	events.sets = map[string]func(*event) string{
		"types":     func(e *event) string { return e.Type },
		"delivered": (*event).delivered,
	}
	return events
}

// delivered returns "true" if no webhook of the event is left to be delivered.
func (e *event) delivered() string {
	if e.Pending > 0 {
		return "false"
	}
	return "true"
}

// listEvents lists the events of the last 30 days.
func listEvents(c *call) (any, *apiError) {
	if c.params.count("type", "types") > 1 {
		return nil, invalidRequest("", "types", "You may only specify one of these parameters: type, types.")
	}
	a := c.account
	for _, cursor := range []string{"starting_after", "ending_before"} {
		if id := c.params.string(cursor); a.tooOld(id, c.time) {
			return nil, noSuch("event", id, cursor)
		}
	}
	q := a.events.newQuery(c.params, c.time)
	q.created = q.created.from(startOf(oldestEvent(c.time)))
	if group := q.where["type"]; strings.Contains(group, "*") {
		delete(q.where, "type")
		q.among["types"] = a.typesOf(group)
	}
	if c.params.has("delivery_success") {
		q.among["delivered"] = []string{c.params.string("delivery_success")}
	}
	page, more, failure := a.events.page(q)
	if failure != nil {
		return nil, failure
	}
	shown, account := make([]*eventObject, len(page)), c.connectedAccount()
	for i, e := range page {
		shown[i] = e.object.show(c.version, account, a.live)
	}
	result := &listObject{Object: "list", Data: shown, HasMore: more, URL: c.path}
	if c.expands("total_count") {
		result.Total = new(a.events.total(q))
	}
	return result, nil
}

// typesOf returns the types of the stored events that a group such as charge.*
// has. A star stands for any text.
func (a *account) typesOf(group string) []string {
	var types []string
	for known := range a.events.groups {
		if known.index == "type" && matchesStars(group, known.value) {
			types = append(types, known.value)
		}
	}
	return types
}

func matchesStars(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	last := len(parts) - 1
	text, ok := strings.CutPrefix(text, parts[0])
	if !ok {
		return false
	}
	for _, part := range parts[1:last] {
		if _, text, ok = strings.Cut(text, part); !ok {
			return false
		}
	}
	return strings.HasSuffix(text, parts[last])
}

func retrieveEvent(c *call) (any, *apiError) {
	found, failure := c.account.events.find(c.id)
	if failure != nil {
		return nil, failure
	}
	if c.account.tooOld(c.id, c.time) {
		return nil, notFound("event", c.id)
	}
	return found.show(c.version, c.connectedAccount(), c.account.live), nil
}

// connectedAccount returns the account of the request if it is not that of its key,
// and "" otherwise.
func (c *call) connectedAccount() string {
	if named := c.account.profile.ID; named != c.server.AccountOf(apiKey(c.request)) {
		return named
	}
	return ""
}

// oldestEvent returns the second of the oldest events that can be read.
func oldestEvent(now time.Time) int64 { return now.Add(-eventLife).Unix() }

// tooOld reports whether an event exists that can no longer be read. It is
// removed with the next request.
func (a *account) tooOld(id string, now time.Time) bool {
	e, ok := a.events.get(id)
	return ok && e.Created < oldestEvent(now)
}

// hasOldEvents reports whether dropOldEvents would remove an event.
func (a *account) hasOldEvents(now time.Time) bool {
	for range a.events.all.ascend(everything.until(startOf(oldestEvent(now)))) {
		return true
	}
	return false
}

// dropOldEvents removes the events of more than 30 days ago.
func (a *account) dropOldEvents(now time.Time) {
	old := slices.Collect(a.events.all.ascend(everything.until(startOf(oldestEvent(now)))))
	for _, e := range old {
		a.events.forget(e.id)
	}
	if len(old) > len(a.events.byID) {
		a.events.shrink()
	}
}
