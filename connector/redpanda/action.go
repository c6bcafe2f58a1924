package redpanda

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/redpanda-data/benthos/v4/public/bloblang"
	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/connector"
)

func processorSpec() *service.ConfigSpec {
	return service.NewConfigSpec().
		Categories("Integration").
		Summary("Carries out an action in Stripe for each message, and replaces the message with the result.").
		Description(processorDescription).
		Fields(clientFields()...).
		Fields(actionFields(anyAction, connector.Actions())...).
		Example("Look up the customer of a charge", "`branch` adds the customer to the charge.", lookupExample)
}

func outputSpec() *service.ConfigSpec {
	return service.NewConfigSpec().
		Categories("Integration").
		Summary("Carries out an action in Stripe for each message.").
		Description(outputDescription).
		Fields(clientFields()...).
		Fields(actionFields(writingAction, writes())...).
		Field(service.NewOutputMaxInFlightField()).
		Example("Refund charges of a test product", "Each charge is refunded once, however often its message is delivered.", refundExample)
}

// writes returns the actions that write.
func writes() []connector.Action {
	return slices.DeleteFunc(connector.Actions(), func(a connector.Action) bool { return a.Access != connector.Write })
}

// What the components can do.
const (
	anyAction     = "action"
	writingAction = "action that writes"
)

func actionFields(what string, actions []connector.Action) []*service.ConfigField {
	descriptions := map[string]string{}
	for _, a := range actions {
		descriptions[a.Name] = a.Description
	}
	return []*service.ConfigField{
		catalogField("action", what, descriptions).Description("What to do."),
		service.NewBloblangField("input").Optional().Example("root.id = this.customer\nroot.metadata.last_charge = this.id").
			Description("A mapping that makes the input of the action from the message. If absent, the message is the input." +
				" The fields are those of Stripe's API; unknown ones are refused."),
		service.NewBloblangField("idempotency_key").Optional().Example(`root = @stripe_id + "-refund"`).
			Description("A mapping that makes a name for what is to be done, for an action that writes, as a text. Stripe carries out requests with the same key once," +
				" within at least 24 hours, and repeats the first response for the others." +
				" So a message that is delivered again changes nothing. Messages that are made from one, by `unarchive` for example, need a key each." +
				" If absent, each message has a random key."),
	}
}

// action carries out an action of the catalog. It is safe for concurrent use.
type action struct {
	client *stripekit.Client
	name   string
	input  *bloblang.Executor // nil: the message is the input
	key    *bloblang.Executor // nil: a random key
}

// newAction returns an error if the configuration names none of the allowed actions.
func newAction(conf *service.ParsedConfig, res *service.Resources, what string, allowed []connector.Action) (*action, error) {
	a := new(action)
	var err error
	if a.client, err = newClient(conf, res); err != nil {
		return nil, err
	}
	if a.name, err = conf.FieldString("action"); err != nil {
		return nil, err
	}
	i := slices.IndexFunc(allowed, func(known connector.Action) bool { return known.Name == a.name })
	if i < 0 {
		return nil, fmt.Errorf("there is no %s named %s", what, a.name)
	}
	if conf.Contains("input") {
		if a.input, err = conf.FieldBloblang("input"); err != nil {
			return nil, err
		}
	}
	if !conf.Contains("idempotency_key") {
		return a, nil
	}
	if allowed[i].Access == connector.Read {
		return nil, errors.New("idempotency_key: is for actions that write, and " + a.name + " reads")
	}
	a.key, err = conf.FieldBloblang("idempotency_key")
	return a, err
}

// invoke carries out the action for a message, and returns its output.
func (a *action) invoke(ctx context.Context, m *service.Message) (json.RawMessage, error) {
	input, err := a.inputOf(m)
	if err != nil {
		return nil, err
	}
	return connector.Invoke(ctx, a.client, a.name, input)
}

func (a *action) inputOf(m *service.Message) ([]byte, error) {
	source := m
	if a.input != nil {
		var err error
		if source, err = m.BloblangQuery(a.input); err != nil {
			return nil, fmt.Errorf("input: %w", err)
		}
		if source == nil {
			return nil, errors.New("input: the mapping deletes the message")
		}
	}
	input, err := source.AsBytes()
	if err != nil || a.key == nil {
		return input, err
	}
	key, err := a.keyOf(m)
	if err != nil {
		return nil, fmt.Errorf("idempotency_key: %w", err)
	}
	return withKey(input, key)
}

// keyOf returns the idempotency key for a message. A mapping refuses to add a missing
// value to a text: one key for all messages would let Stripe carry out the first alone.
func (a *action) keyOf(m *service.Message) (string, error) {
	result, err := m.BloblangQuery(a.key)
	if err != nil {
		return "", err
	}
	if result == nil {
		return "", errors.New("the mapping deletes the message")
	}
	if key, err := result.AsStructured(); err == nil {
		if _, isText := key.(string); !isText {
			return "", errors.New("the mapping does not make a text")
		}
	}
	key, err := result.AsBytes()
	if err == nil && len(key) == 0 {
		err = errors.New("is empty for this message")
	}
	return string(key), err
}

// withKey adds an idempotency key to a JSON object. It leaves the rest as it is, so that
// Invoke finds all that is wrong with it.
func withKey(input []byte, key string) ([]byte, error) {
	member, err := json.Marshal(map[string]string{"idempotency_key": key})
	if err != nil {
		return nil, err
	}
	rest, isObject := bytes.CutPrefix(bytes.TrimLeft(input, " \t\r\n"), []byte("{"))
	if !isObject {
		return input, nil
	}
	end := member[len(member)-1:]
	if rest = bytes.TrimLeft(rest, " \t\r\n"); !bytes.HasPrefix(rest, end) {
		end = []byte(",")
	} else {
		end = nil
	}
	return slices.Concat(member[:len(member)-1], end, rest), nil
}

// processor is an action as a processor.
type processor struct{ *action }

func newProcessor(conf *service.ParsedConfig, res *service.Resources) (service.Processor, error) {
	a, err := newAction(conf, res, anyAction, connector.Actions())
	return processor{a}, err
}

// Process replaces the message with the output of the action.
func (p processor) Process(ctx context.Context, m *service.Message) (service.MessageBatch, error) {
	result, err := p.invoke(ctx, m)
	if err != nil {
		return nil, err
	}
	m.SetBytes(compact(result))
	return service.MessageBatch{m}, nil
}

// Close does nothing: the client may be another component's, too.
func (p processor) Close(context.Context) error { return nil }

// output is an action as an output.
type output struct{ *action }

func newOutput(conf *service.ParsedConfig, res *service.Resources) (service.Output, int, error) {
	inFlight, err := conf.FieldMaxInFlight()
	if err != nil {
		return nil, 0, err
	}
	a, err := newAction(conf, res, writingAction, writes())
	return output{a}, inFlight, err
}

// Connect does nothing: each request finds a network connection by itself.
func (o output) Connect(context.Context) error { return nil }

// Write carries out the action. After an error the message is rejected.
func (o output) Write(ctx context.Context, m *service.Message) error {
	_, err := o.invoke(ctx, m)
	return err
}

// Close does nothing: the client may be another component's, too.
func (o output) Close(context.Context) error { return nil }
