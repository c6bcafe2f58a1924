package redpanda

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/connector"
)

const (
	// minNackDelay is the least nack_delay: a message that is always rejected must not
	// keep the engine busy. maxNackDelay bounds its growth.
	minNackDelay = 10 * time.Millisecond
	maxNackDelay = 5 * time.Minute
	// maxPause bounds how long an input waits before it begins again after an error.
	maxPause = time.Minute
	// stalledAfter is how long an input waits for the outputs before it says so.
	stalledAfter = 30 * time.Second
	// defaultMaxUnacked is that of the catalog.
	defaultMaxUnacked = 1000
)

func inputSpec() *service.ConfigSpec {
	return service.NewConfigSpec().
		Summary("Delivers what is new, or has changed, in a Stripe account.").
		Description(inputDescription).
		Fields(clientFields()...).
		Fields(
			triggerField(),
			configField(),
			checkpointField(),
			service.NewDurationField("nack_delay").Default("1s").Advanced().LintRule(leastDuration("nack_delay", minNackDelay)).
				Description("How long after it was rejected a message is delivered again. The time doubles with each delivery, up to 5m."),
		).
		Example("New charges into files", "One file for each day. A charge is acknowledged, and never delivered again, when it has been written.", inputExample).
		Example("Dead letters", "A message that cannot be processed, or cannot be sent, goes to a file and counts as done. Without that it would be delivered again, for ever or `max_attempts` times.", deadLetterExample)
}

func triggerField() *service.ConfigField {
	descriptions := map[string]string{}
	for _, t := range connector.Triggers() {
		descriptions[t.Name] = t.Description
	}
	return catalogField("trigger", "trigger", descriptions).Description("What to deliver.")
}

// configField has the fields that triggers have. Not every trigger has all of them:
// newInput refuses those that it does not have.
func configField() *service.ConfigField {
	var fields []*service.ConfigField
	seen := map[string]bool{}
	for _, t := range connector.Triggers() {
		form, err := connector.Describe(t.Name)
		if err != nil {
			panic("redpanda: " + err.Error()) // the catalog has the name
		}
		var schema struct{ Properties map[string]bounds }
		if err := json.Unmarshal(t.Config, &schema); err != nil {
			panic("redpanda: " + err.Error()) // the catalog has only valid schemas
		}
		for _, f := range form.Fields {
			if !seen[f.Name] {
				seen[f.Name] = true
				fields = append(fields, formField(f, schema.Properties[f.Name]))
			}
		}
	}
	return service.NewObjectField("config", fields...).Optional().
		Description("The settings of the trigger.")
}

// bounds are what a schema says of a value.
type bounds struct {
	Minimum float64 // in seconds if it is a duration
	Pattern string
}

// formField returns a field of a form as one of a configuration. The linter refuses what
// the start would: an engine that watches a file ends the old pipeline if only the start
// does.
func formField(f connector.Field, b bounds) *service.ConfigField {
	text := strings.ReplaceAll(f.Description, "; null is ", "; by default ")
	var field *service.ConfigField
	switch f.Type {
	case connector.TypeInteger:
		field = service.NewIntField(f.Name).LintRule(fmt.Sprintf(`root = if this < %v { [ "%v: must be at least %[1]v" ] }`, b.Minimum, f.Name))
	case connector.TypeObject:
		field = service.NewAnyMapField(f.Name)
	case connector.TypeList:
		field = service.NewStringListField(f.Name)
	case connector.TypeDuration:
		field = service.NewStringField(f.Name).LintRule(leastDuration(f.Name, time.Duration(b.Minimum*float64(time.Second))))
	default:
		field = service.NewStringField(f.Name)
		if b.Pattern != "" {
			field = field.LintRule(fmt.Sprintf(`root = if !this.re_match(%q) { [ "%v: %%v is not valid: ".format(this) + %q ] }`, b.Pattern, f.Name, text))
		}
	}
	return field.Optional().Description(strings.ToUpper(text[:1]) + text[1:] + ".")
}

// leastDuration returns a rule of the linter.
func leastDuration(name string, least time.Duration) string {
	return fmt.Sprintf(`root = if this.string().parse_duration().catch(-1) < %d { [ "%v: must be a time such as 15s, and at least %v" ] }`, least, name, least)
}

// input delivers the events of a flow. The engine calls Connect, Read and Close one
// after the other.
type input struct {
	client      *stripekit.Client
	trigger     string
	config      []byte
	maxUnacked  int64
	checkpoints checkpoints
	nackDelay   time.Duration
	log         *service.Logger
	metrics     *metrics

	store  stripekit.CheckpointStore // nil before it is open
	flow   *connector.Flow           // nil before the first one
	failed error                     // by which the flow has ended; nil once Connect has returned it
	sent   *undecided                // the messages of the flow
	pause  time.Duration             // the last one; 0 after a message
}

func newInput(conf *service.ParsedConfig, res *service.Resources) (service.Input, error) {
	in := &input{log: res.Logger(), metrics: newMetrics(res.Metrics())}
	var err error
	if in.client, err = newClient(conf, res); err != nil {
		return nil, err
	}
	if in.trigger, err = conf.FieldString("trigger"); err != nil {
		return nil, err
	}
	if in.config, err = triggerConfig(conf); err != nil {
		return nil, err
	}
	if in.maxUnacked, err = maxUnacked(in.config); err != nil {
		return nil, err
	}
	if in.nackDelay, err = conf.FieldDuration("nack_delay"); err != nil {
		return nil, err
	}
	if in.nackDelay < minNackDelay {
		return nil, fmt.Errorf("nack_delay: must be at least %v", minNackDelay)
	}
	if err = in.check(); err != nil {
		return nil, err
	}
	in.checkpoints, err = newCheckpoints(conf)
	return in, err
}

// triggerConfig returns the field config as JSON.
func triggerConfig(conf *service.ParsedConfig) ([]byte, error) {
	set := map[string]json.RawMessage{}
	if !conf.Contains("config") {
		return json.Marshal(set)
	}
	fields, err := conf.FieldAnyMap("config")
	if err != nil {
		return nil, err
	}
	for name, field := range fields {
		value, err := field.FieldAny()
		if err != nil {
			return nil, err
		}
		text, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		// The engine fills in an empty list or object for one that is absent.
		if s := string(text); s != "[]" && s != "{}" {
			set[name] = text
		}
	}
	return json.Marshal(set)
}

// maxUnacked returns the max_unacked of a trigger.
func maxUnacked(config []byte) (int64, error) {
	c := struct {
		MaxUnacked int64 `json:"max_unacked"`
	}{defaultMaxUnacked}
	err := json.Unmarshal(config, &c)
	return c.MaxUnacked, err
}

// check returns an error if the trigger or its configuration is invalid. It makes no
// request: Open refuses a configuration before it begins, and then the context has ended.
func (in *input) check() error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	flow, err := connector.Open(ctx, in.client, in.trigger, in.config, connector.Options{})
	if err != nil {
		return err
	}
	return flow.Close(context.Background())
}

// Connect starts the flow. If one has ended by an error, Connect returns that error
// first, so that the engine logs it and waits.
func (in *input) Connect(ctx context.Context) error {
	err := in.failed
	if in.failed = nil; err == nil {
		err = in.open(ctx)
	}
	if err != nil {
		return service.NewErrBackOff(err, in.nextPause(err))
	}
	return nil
}

// nextPause returns how long to wait after an error.
func (in *input) nextPause(err error) time.Duration {
	in.pause = min(max(2*in.pause, time.Second), maxPause)
	if errors.Is(err, stripekit.ErrCheckpointConflict) {
		in.pause = maxPause // two processes that take over from each other do so seldom
	}
	return in.pause
}

func (in *input) open(ctx context.Context) (err error) {
	if in.store == nil {
		if in.store, err = in.checkpoints.open(ctx); err != nil {
			in.store = nil
			return err
		}
	}
	if in.flow != nil {
		in.settle(ctx)
	}
	in.sent = &undecided{decided: make(chan struct{}, 1)}
	// The flow outlives ctx, unless that ends meanwhile.
	flowCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer context.AfterFunc(ctx, cancel)()
	in.flow, err = connector.Open(flowCtx, in.client, in.trigger, in.config, connector.Options{
		Checkpoints: in.store,
		Logger:      slog.New(logHandler{log: in.log}),
		Observe:     in.metrics.observer(),
	})
	return err
}

// undecided counts messages that were neither accepted nor rejected.
type undecided struct {
	n       atomic.Int64
	decided chan struct{} // receives a value when one was
}

// settle waits until the messages of the flow that has ended are accepted or rejected, and
// that is saved. The next flow on the checkpoint would deliver them again.
func (in *input) settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, maxPause)
	defer cancel()
	for in.sent.n.Load() > 0 {
		select {
		case <-in.sent.decided:
		case <-ctx.Done():
			in.log.Warnf("%d messages are not decided on, and may be delivered again", in.sent.n.Load())
			return
		}
	}
	if err := in.flow.Flush(ctx); err != nil {
		in.log.Warnf("What the outputs have accepted is not saved, and may be delivered again: %v", err)
	}
}

// Read returns the next event.
func (in *input) Read(ctx context.Context) (*service.Message, service.AckFunc, error) {
	flow, sent := in.flow, in.sent
	defer time.AfterFunc(stalledAfter, func() { in.reportStall(flow, sent) }).Stop()
	event, err := flow.Next(ctx)
	switch {
	case err == nil:
		in.pause = 0
		in.sent.n.Add(1)
		return in.message(event), in.acknowledge(event, in.sent), nil
	case ctx.Err() != nil:
		return nil, nil, err
	default:
		in.failed = err
		return nil, nil, service.ErrNotConnected
	}
}

// reportStall logs that nothing new is read, if there are max_unacked messages.
func (in *input) reportStall(flow *connector.Flow, sent *undecided) {
	switch {
	case int64(flow.Status().Unacked) < in.maxUnacked:
	case sent.n.Load() >= in.maxUnacked:
		in.log.Warnf("The outputs have %d messages, which is config.max_unacked, and have accepted or rejected none for %v. "+
			"A batch that waits for more needs a period, or a count of at most max_unacked", in.maxUnacked, stalledAfter)
	default:
		in.log.Warnf("%d messages, which is config.max_unacked, were rejected or wait for the outputs, and none was accepted for %v. "+
			"Others are not read before. Those that are always rejected can be dropped by config.max_attempts, or sent elsewhere by fallback", in.maxUnacked, stalledAfter)
	}
}

// message returns an event as a message.
func (in *input) message(e connector.Event) *service.Message {
	m := service.NewMessage(compact(e.Data))
	m.MetaSetMut("stripe_trigger", in.trigger)
	m.MetaSetMut("stripe_id", e.ID)
	m.MetaSetMut("stripe_attempt", int64(e.Attempt)) // a type that mappings know
	m.MetaSetMut("stripe_late", e.Late)
	if !e.Created.IsZero() {
		m.MetaSetMut("stripe_created", e.Created.UTC().Format(time.RFC3339))
	}
	if e.DecodeErr != nil {
		m.MetaSetMut("stripe_decode_error", e.DecodeErr.Error())
	}
	return m
}

// compact returns JSON on one line, as files of lines need it. Text that is not JSON stays
// as it is.
func compact(text []byte) []byte {
	var line bytes.Buffer
	if json.Compact(&line, text) != nil {
		return text
	}
	return line.Bytes()
}

// acknowledge returns what the engine calls when a message has been sent or rejected.
func (in *input) acknowledge(e connector.Event, sent *undecided) service.AckFunc {
	return func(_ context.Context, err error) error {
		if err != nil {
			e.Nack(nackDelay(in.nackDelay, e.Attempt))
		} else {
			e.Ack()
		}
		sent.n.Add(-1)
		select {
		case sent.decided <- struct{}{}:
		default:
		}
		return nil
	}
}

// nackDelay returns how long to wait after a delivery that was rejected.
func nackDelay(first time.Duration, attempt int) time.Duration {
	for ; attempt > 1 && first < maxNackDelay; attempt-- {
		first = min(2*first, maxNackDelay)
	}
	return first
}

// Close ends the flow, and returns when its acknowledgements are saved.
func (in *input) Close(ctx context.Context) error {
	defer in.checkpoints.close()
	if in.flow == nil {
		return nil
	}
	err := in.flow.Close(ctx)
	if err != nil {
		in.log.Errorf("The end of the flow: %v", err) // the engine does not log it
	}
	return err
}
