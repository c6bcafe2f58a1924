package connector

import (
	"context"
	"encoding/json"
	"log/slog"
	"reflect"
	"slices"
	"time"

	"github.com/stripekit/stripekit"
)

// Options are what a trigger needs that JSON cannot express. The zero value is valid.
type Options struct {
	// Checkpoints keeps which events were acknowledged. If nil, a flow does not
	// continue where an earlier one ended.
	Checkpoints stripekit.CheckpointStore
	// OnGiveUp is called for an event that is given up, by Event.Term or by
	// max_attempts, for example to store a dead letter. Ack, Nack and Term of e have no
	// effect. If it returns nil, the event counts as acknowledged; after an error the
	// event is redelivered. If OnGiveUp is nil, the event is logged and counts as
	// acknowledged.
	OnGiveUp func(ctx context.Context, e Event, reason error) error
	// Logger logs starts, late objects, failures and ends. If nil, nothing is logged.
	Logger *slog.Logger
	// Observe is called with the status, for metrics, as stripekit.PollConfig says. If
	// nil, it is not called.
	Observe func(stripekit.PollStatus)
}

// flowConfig is the part of the configuration that all triggers have.
type flowConfig struct {
	Every       *duration `form:"every"`        // between two polls, usually 15s to 1h, at least 100ms; less than 1s is for tests; null is 15s
	Overlap     *duration `form:"overlap"`      // how long after its creation an object may become visible and still be delivered, at least 1s; null is 10m
	From        *string   `form:"from"`         // where to begin without a checkpoint: now, beginning, or a time such as 2026-01-31T00:00:00Z; null is now
	Name        *string   `form:"name"`         // distinguishes the checkpoints of flows that have the same trigger and filter
	MaxAttempts *int      `form:"max_attempts"` // how often an event is delivered before it is given up; null is no limit
	MaxUnacked  *int      `form:"max_unacked"`  // the most events without an acknowledgement; null is 1000
}

// newConfig configures a trigger for new objects of a list with filters.
type newConfig[P any] struct {
	Flow   flowConfig `form:"*"`
	Filter *P         `form:"filter"` // only objects that match are delivered
	Expand []string   `form:"expand"` // the fields in which to return whole objects in place of ids, such as customer
}

// plainConfig configures a trigger without filters.
type plainConfig struct {
	Flow flowConfig `form:"*"`
}

// flowKind is a trigger before its schemas are made.
type flowKind struct {
	object      string
	verb        string // "new" or "changed"
	title       string
	description string
	comment     string // the key of a comment to take the description from
	config      reflect.Type
	open        func(ctx context.Context, client *stripekit.Client, config any, o Options) (*Flow, error)
}

func typeOf[T any]() reflect.Type { return reflect.TypeFor[T]() }

func newObjects[S, P, T any](r resource[S], where func(*S, P, ...stripekit.CallOption) stripekit.Source[T]) flowKind {
	return flowKind{
		object: r.name, verb: "new", title: "New " + r.one,
		description: "Delivers each new " + r.one + " once, the oldest first.",
		config:      typeOf[newConfig[P]](),
		open: func(ctx context.Context, client *stripekit.Client, config any, o Options) (*Flow, error) {
			cfg := config.(*newConfig[P])
			var filter P
			if cfg.Filter != nil {
				filter = *cfg.Filter
			}
			source := where(r.service(client), filter, expand(cfg.Expand, "")...)
			return openFlow(ctx, source, cfg.Flow, o, rawObject)
		},
	}
}

func changedObjects[S, T any](r resource[S], changes func(*S) stripekit.Source[stripekit.Change[T]]) flowKind {
	return flowKind{
		object: r.name, verb: "changed", title: "Changed " + r.one,
		comment: methodKey[S]("Changes"),
		config:  typeOf[plainConfig](),
		open: func(ctx context.Context, client *stripekit.Client, config any, o Options) (*Flow, error) {
			return openFlow(ctx, changes(r.service(client)), config.(*plainConfig).Flow, o, rawChange[T])
		},
	}
}

// rawObject returns the data of an event about a new object: a copy of the object, since
// the Poller redelivers its own.
func rawObject(_ any, raw []byte) (json.RawMessage, error) { return slices.Clone(raw), nil }

// changeData is the data of an event about a change.
type changeData struct {
	Type       string             `json:"type"`        // "created", "updated" or "deleted"
	EventType  string             `json:"event_type"`  // Stripe's own name, such as customer.updated
	EventID    string             `json:"event_id"`    // evt_…
	At         stripekit.UnixTime `json:"at"`          // when it happened
	Object     json.RawMessage    `json:"object"`      // as it was after the change, or before it was deleted
	Previous   json.RawMessage    `json:"previous"`    // the attributes that were changed, with the values from before; null if nothing is known of them
	APIVersion string             `json:"api_version"` // the version that object and previous are written in
}

// rawChange returns the data of an event about a change. If the object of the change
// could not be decoded, it is the event as Stripe sends it.
func rawChange[T any](object any, raw []byte) (json.RawMessage, error) {
	change, ok := object.(*stripekit.Change[T])
	if !ok || change == nil {
		return slices.Clone(raw), nil
	}
	var event, data map[string]json.RawMessage // maps, since structs take names in any case
	err := json.Unmarshal(raw, &event)
	if err == nil {
		err = json.Unmarshal(event["data"], &data)
	}
	if err != nil {
		return slices.Clone(raw), err
	}
	text, err := json.Marshal(changeData{
		Type: string(change.Type), EventType: change.EventType, EventID: change.EventID, At: change.At,
		Object: data["object"], Previous: change.Previous, APIVersion: change.APIVersion,
	})
	if err != nil {
		return slices.Clone(raw), err
	}
	return text, nil
}

// pollConfig returns the configuration of a Poller.
func (c flowConfig) pollConfig(o Options) (stripekit.PollConfig, error) {
	cfg := stripekit.PollConfig{Checkpoints: o.Checkpoints, Logger: o.Logger, Observe: o.Observe}
	if c.Every != nil {
		cfg.Every = time.Duration(*c.Every)
	}
	if c.Overlap != nil {
		cfg.Overlap = time.Duration(*c.Overlap)
	}
	if c.Name != nil {
		cfg.Name = *c.Name
	}
	if c.MaxAttempts != nil {
		cfg.MaxAttempts = *c.MaxAttempts
	}
	if c.MaxUnacked != nil {
		cfg.MaxUnacked = *c.MaxUnacked
	}
	var err error
	cfg.From, err = startOf(c.From)
	return cfg, err
}

func startOf(from *string) (stripekit.Start, error) {
	switch {
	case from == nil, *from == "now":
		return stripekit.FromNow, nil
	case *from == "beginning":
		return stripekit.FromBeginning, nil
	}
	at, err := time.Parse(time.RFC3339, *from)
	if err != nil {
		return 0, refuse(&path{name: "from"}, start.reason)
	}
	return stripekit.FromTime(at), nil
}
