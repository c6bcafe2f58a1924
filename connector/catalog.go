package connector

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/stripekit/stripekit"
)

// ErrUnknownName: the catalog has no action or trigger of that name.
var ErrUnknownName = errors.New("stripe: the catalog has no such name")

// Access is what an action does.
type Access string

// The kinds of access. A stripekit.Connection that is read-only refuses actions that
// write, and one that is write-only those that read.
const (
	Read  Access = "read"
	Write Access = "write"
)

// Action is an operation on objects of Stripe, for Invoke.
type Action struct {
	Name        string          `json:"name"` // "charges.create"; it does not change
	Title       string          `json:"title"`
	Description string          `json:"description"`
	Object      string          `json:"object"` // the name of the object that it returns, or returns a page of
	Access      Access          `json:"access"`
	Input       json.RawMessage `json:"input"`  // the JSON Schema of the input
	Output      json.RawMessage `json:"output"` // the JSON Schema of the output
}

// Trigger delivers events, by Open.
type Trigger struct {
	Name        string          `json:"name"` // "charges.new"; it does not change
	Title       string          `json:"title"`
	Description string          `json:"description"`
	Object      string          `json:"object"` // the name of the object that its events are about
	Config      json.RawMessage `json:"config"` // the JSON Schema of the configuration
	Data        json.RawMessage `json:"data"`   // the JSON Schema of Event.Data
}

// Object is a kind of objects of Stripe.
type Object struct {
	Name        string          `json:"name"` // "charges"; it does not change
	Title       string          `json:"title"`
	Description string          `json:"description"`
	Schema      json.RawMessage `json:"schema"` // the JSON Schema of an object, as Stripe sends it
	Actions     []string        `json:"actions"`
	Triggers    []string        `json:"triggers"`
}

// Actions returns all actions, those of an object one after the other. What is returned
// is a copy.
func Actions() []Action {
	var all []Action
	for _, a := range built().actions {
		one := a.Action
		one.Input, one.Output = slices.Clone(one.Input), slices.Clone(one.Output)
		all = append(all, one)
	}
	return all
}

// Triggers returns all triggers.
func Triggers() []Trigger {
	var all []Trigger
	for _, t := range built().triggers {
		one := t.Trigger
		one.Config, one.Data = slices.Clone(one.Config), slices.Clone(one.Data)
		all = append(all, one)
	}
	return all
}

// Objects returns all objects.
func Objects() []Object {
	var all []Object
	for _, o := range built().objects {
		o.Schema, o.Actions, o.Triggers = slices.Clone(o.Schema), slices.Clone(o.Actions), slices.Clone(o.Triggers)
		all = append(all, o)
	}
	return all
}

// Invoke carries out an action. The input is JSON as Action.Input says, and the output
// is JSON as Stripe has sent it.
//
// A field of the input that is null is not sent. An empty string, object or array
// unsets a field: it is sent as an empty value, which Stripe takes as that. A key of
// metadata that is "" is removed.
//
// An input that is refused, by Invoke or by the library, is a *stripekit.ParamError
// with the path of the field, such as shipping[address][line1]. A failure of the call is
// a *stripekit.Error. A connection that does not allow the action returns
// stripekit.ErrReadOnly or stripekit.ErrWriteOnly. If there is no such action, Invoke
// returns ErrUnknownName.
func Invoke(ctx context.Context, client *stripekit.Client, name string, input []byte) (json.RawMessage, error) {
	a, ok := built().actionNames[name]
	if !ok {
		return nil, fmt.Errorf("%w: %s", ErrUnknownName, name)
	}
	if client == nil {
		return nil, errNoClient
	}
	in := reflect.New(a.operation.input)
	if err := decode(input, a.input, in.Interface()); err != nil {
		return nil, err
	}
	var response stripekit.Response
	if err := a.operation.call(ctx, client, in.Interface(), stripekit.CaptureResponse(&response)); err != nil {
		return nil, err
	}
	return response.Body, nil
}

var errNoClient = errors.New("stripe: the client is nil")

// Open starts a trigger. The configuration is JSON as Trigger.Config says. The flow
// ends with ctx. An invalid configuration is a *stripekit.ParamError with the path of
// the field. If there is no such trigger, Open returns ErrUnknownName.
func Open(ctx context.Context, client *stripekit.Client, name string, config []byte, o Options) (*Flow, error) {
	t, ok := built().triggerNames[name]
	if !ok {
		return nil, fmt.Errorf("%w: %s", ErrUnknownName, name)
	}
	if client == nil {
		return nil, errNoClient
	}
	in := reflect.New(t.flow.config)
	if err := decode(config, t.config, in.Interface()); err != nil {
		return nil, err
	}
	return t.flow.open(ctx, client, in.Interface(), o)
}

// catalog is all that is made of the Go types.
type catalog struct {
	actions      []*action
	triggers     []*trigger
	objects      []Object
	actionNames  map[string]*action
	triggerNames map[string]*trigger
}

type action struct {
	Action
	operation operation
	input     *shape
}

type trigger struct {
	Trigger
	flow   flowKind
	config *shape
}

// objectKind is an object before its schema is made.
type objectKind struct {
	name, one string
	typ       reflect.Type
}

func kindOf[T, S any](r resource[S]) objectKind {
	return objectKind{r.name, r.one, reflect.TypeFor[T]()}
}

// built returns the catalog, which is made at its first use and never changed.
var built = sync.OnceValue(func() *catalog {
	b := builder{comments: readComments(), types: map[string]reflect.Type{}, names: map[string]string{}}
	for _, kind := range kinds() {
		b.types[kind.name], b.names[kind.typ.Name()] = kind.typ, kind.name
	}
	c := &catalog{actionNames: map[string]*action{}, triggerNames: map[string]*trigger{}}
	for _, op := range operations() {
		a := b.action(op)
		c.actions = append(c.actions, a)
		c.actionNames[a.Name] = a
	}
	for _, flow := range flows() {
		t := b.trigger(flow)
		c.triggers = append(c.triggers, t)
		c.triggerNames[t.Name] = t
	}
	for _, kind := range kinds() {
		c.objects = append(c.objects, c.object(b, kind))
	}
	return c
})

func (c *catalog) object(b builder, kind objectKind) Object {
	object := Object{
		Name: kind.name, Title: title(kind.one),
		Description: b.comments.sentence(kind.typ.Name(), fieldNames(kind.typ, "json")),
		Schema:      encoded(outputSchema(b.object(kind.name))),
	}
	for _, a := range c.actions {
		if strings.HasPrefix(a.Name, kind.name+".") {
			object.Actions = append(object.Actions, a.Name)
		}
	}
	for _, t := range c.triggers {
		if strings.HasPrefix(t.Name, kind.name+".") {
			object.Triggers = append(object.Triggers, t.Name)
		}
	}
	return object
}
