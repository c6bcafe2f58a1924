package stripekit

import (
	"context"
	"encoding/json"
	"iter"
	"time"

	jsonv2 "github.com/stripekit/stripekit/internal/json"
)

// AccountEvent is Stripe's record of something that happened in an account, for 30
// days. Poller delivers values of another type, Event.
type AccountEvent struct {
	ID      string `json:"id"`      // "evt_…"
	Account string `json:"account"` // the connected account that it happened in; empty for the account of the key
	// APIVersion is the version that Data is written in: the default of the account at
	// that moment, and not the version that the client asks for.
	APIVersion      string              `json:"api_version"`
	Created         UnixTime            `json:"created"`
	Data            AccountEventData    `json:"data"`
	Livemode        bool                `json:"livemode"`
	PendingWebhooks int64               `json:"pending_webhooks"` // webhooks that have not accepted it yet
	Request         AccountEventRequest `json:"request"`
	Type            string              `json:"type"` // what has happened, such as "customer.updated"
}

func (e *AccountEvent) at() UnixTime { return e.Created }

// AccountEventData is the object that an event is about. It does not change any more.
type AccountEventData struct {
	Object json.RawMessage `json:"object"` // as it was after the event
	// PreviousAttributes has the attributes that were changed, with the values from
	// before the event; nil if the event is no update.
	PreviousAttributes json.RawMessage `json:"previous_attributes"`
}

// UnmarshalJSON reads the data of an event.
func (d *AccountEventData) UnmarshalJSON(b []byte) error { return jsonv2.Unmarshal(b, d, inOnePass) }

func decodeAccountEventData(d *jsonv2.Decoder, data *AccountEventData) error {
	type plain AccountEventData
	*data = AccountEventData{}
	if err := jsonv2.UnmarshalDecode(d, (*plain)(data), byMethods); err != nil {
		return err
	}
	if previous := string(data.PreviousAttributes); previous == "null" || previous == "{}" {
		data.PreviousAttributes = nil
	}
	return nil
}

// AccountEventRequest is the request that caused an event. It is empty for what Stripe
// did of itself.
type AccountEventRequest struct {
	ID             string `json:"id"`              // "req_…"
	IdempotencyKey string `json:"idempotency_key"` // empty in versions before 2017-05-25
}

// UnmarshalJSON reads an object, an id as in versions before 2017-05-25, or null.
func (r *AccountEventRequest) UnmarshalJSON(b []byte) error {
	*r = AccountEventRequest{}
	if len(b) == 0 || b[0] != '{' {
		return unmarshal(b, &r.ID)
	}
	type plain AccountEventRequest
	return unmarshal(b, (*plain)(r))
}

// AccountEventListParams filter a list of events. Type and Types exclude each other.
type AccountEventListParams struct {
	ListParams
	DeliverySuccess *bool    `form:"delivery_success"` // whether all webhooks have accepted it
	Type            *string  `form:"type"`             // a name, or a group such as "charge.*"
	Types           []string `form:"types"`            // up to 20 names
	Extra           Extra    `form:"*"`
}

// EventsService reads the events of the last 30 days. Older ones are not there any
// more.
type EventsService service

const (
	eventsPath = "/v1/events"
	// eventsKept is how long an event is listed.
	eventsKept = 30 * 24 * time.Hour
)

// Get reads an event.
func (s *EventsService) Get(ctx context.Context, id string, opts ...CallOption) (*AccountEvent, error) {
	return get[AccountEvent](ctx, s.client, eventsPath, id, opts)
}

// List iterates over all events that match p, newest first. List requests the next
// page ahead, but the second page only when half of the first has been yielded.
func (s *EventsService) List(ctx context.Context, p AccountEventListParams, opts ...CallOption) iter.Seq2[*AccountEvent, error] {
	return list[AccountEvent](ctx, s.client, eventsPath, p.ListParams, p, opts)
}

// Page reads one page of events that match p.
func (s *EventsService) Page(ctx context.Context, p AccountEventListParams, opts ...CallOption) (*Page[AccountEvent], error) {
	return page[AccountEvent](ctx, s.client, eventsPath, p.ListParams, p, opts)
}

func (s *EventsService) source() source[AccountEvent] {
	return source[AccountEvent]{client: s.client, path: eventsPath, timeField: "created"}
}

// Where returns a Source of the events that match p, for a Poller or a Backfill.
// Different filters have different checkpoints. NewPoller returns a ParamError if
// p.ListParams is set, because a Poller sets these parameters itself.
//
// A Poller ends with ErrGap if it may have missed events because they were older than
// 30 days before it could read them.
func (s *EventsService) Where(p AccountEventListParams, opts ...CallOption) Source[AccountEvent] {
	return where(s.source(), p.ListParams, p, opts)
}
