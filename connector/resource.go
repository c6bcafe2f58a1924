package connector

import (
	"context"
	"reflect"
	"strings"

	"github.com/stripekit/stripekit"
)

// resource is a kind of objects, with the service S for it.
type resource[S any] struct {
	name    string // in the catalog: "invoice_items"
	one     string // for people: "invoice item"
	many    string // for people: "invoice items"
	service func(*stripekit.Client) *S
}

// operation is an action before its schemas are made.
type operation struct {
	name   string // in the catalog; if empty, it is object.verb
	object string // the name of the object that it returns
	verb   string // the second part of its name
	title  string
	access Access
	// comments are the keys of the comments that describe it.
	comments []string
	input    reflect.Type
	output   output
	// call calls the method of the library. in points to a value of the type input.
	call func(ctx context.Context, client *stripekit.Client, in any, opts ...stripekit.CallOption) error
}

// output is what an operation returns.
type output int

const (
	oneObject output = iota
	listPage
	searchPage
)

// methodKey returns the key of the comment of a method.
func methodKey[S any](method string) string { return reflect.TypeFor[S]().Name() + "." + method }

func create[S, P, T any](r resource[S], method func(*S, context.Context, P, ...stripekit.CallOption) (*T, error)) operation {
	return operation{
		object: r.name, verb: "create", title: "Create " + r.one, access: Write,
		comments: []string{methodKey[S]("Create"), reflect.TypeFor[P]().Name()},
		input:    reflect.TypeFor[createInput[P]](),
		call: func(ctx context.Context, client *stripekit.Client, in any, opts ...stripekit.CallOption) error {
			input := in.(*createInput[P])
			_, err := method(r.service(client), ctx, input.Params, append(opts, input.options()...)...)
			return err
		},
	}
}

func get[S, T any](r resource[S], method func(*S, context.Context, string, ...stripekit.CallOption) (*T, error)) operation {
	return operation{
		object: r.name, verb: "get", title: "Get " + r.one, access: Read,
		comments: []string{methodKey[S]("Get")},
		input:    reflect.TypeFor[getInput](),
		call: func(ctx context.Context, client *stripekit.Client, in any, opts ...stripekit.CallOption) error {
			input := in.(*getInput)
			_, err := method(r.service(client), ctx, input.ID, append(opts, input.options()...)...)
			return err
		},
	}
}

// update makes an operation that changes an object: update itself, or another with
// parameters, such as capture.
func update[S, P, T any](r resource[S], verb string, method func(*S, context.Context, string, P, ...stripekit.CallOption) (*T, error)) operation {
	return operation{
		object: r.name, verb: verb, title: title(verb) + " " + r.one, access: Write,
		comments: []string{methodKey[S](title(verb)), reflect.TypeFor[P]().Name()},
		input:    reflect.TypeFor[updateInput[P]](),
		call: func(ctx context.Context, client *stripekit.Client, in any, opts ...stripekit.CallOption) error {
			input := in.(*updateInput[P])
			_, err := method(r.service(client), ctx, input.ID, input.Params, append(opts, input.options()...)...)
			return err
		},
	}
}

func cancel[S, T any](r resource[S], method func(*S, context.Context, string, ...stripekit.CallOption) (*T, error)) operation {
	return operation{
		object: r.name, verb: "cancel", title: "Cancel " + r.one, access: Write,
		comments: []string{methodKey[S]("Cancel")},
		input:    reflect.TypeFor[cancelInput](),
		call: func(ctx context.Context, client *stripekit.Client, in any, opts ...stripekit.CallOption) error {
			input := in.(*cancelInput)
			_, err := method(r.service(client), ctx, input.ID, append(opts, input.options()...)...)
			return err
		},
	}
}

func remove[S, T any](r resource[S], method func(*S, context.Context, string, ...stripekit.CallOption) (*T, error)) operation {
	return operation{
		object: r.name, verb: "delete", title: "Delete " + r.one, access: Write,
		comments: []string{methodKey[S]("Delete")},
		input:    reflect.TypeFor[removeInput](),
		call: func(ctx context.Context, client *stripekit.Client, in any, opts ...stripekit.CallOption) error {
			_, err := method(r.service(client), ctx, in.(*removeInput).ID, opts...)
			return err
		},
	}
}

func list[S, P, T any](r resource[S], method func(*S, context.Context, P, ...stripekit.CallOption) (*stripekit.Page[T], error)) operation {
	return operation{
		object: r.name, verb: "list", title: "List " + r.many, access: Read, output: listPage,
		input: reflect.TypeFor[listInput[P]](),
		call: func(ctx context.Context, client *stripekit.Client, in any, opts ...stripekit.CallOption) error {
			input := in.(*listInput[P])
			_, err := method(r.service(client), ctx, input.Params, append(opts, input.options()...)...)
			return err
		},
	}
}

func search[S, T any](r resource[S], method func(*S, context.Context, string, string, ...stripekit.CallOption) (*stripekit.Page[T], error)) operation {
	return operation{
		object: r.name, verb: "search", title: "Search " + r.many, access: Read, output: searchPage,
		comments: []string{methodKey[S]("Search")},
		input:    reflect.TypeFor[searchInput](),
		call: func(ctx context.Context, client *stripekit.Client, in any, opts ...stripekit.CallOption) error {
			input, page := in.(*searchInput), ""
			if input.Page != nil {
				page = *input.Page
			}
			_, err := method(r.service(client), ctx, input.Query, page, append(opts, input.options()...)...)
			return err
		},
	}
}

// title returns a name of the API for people: "statement_descriptor" is "Statement
// descriptor".
func title(name string) string {
	if name, ok := titles[name]; ok {
		return name
	}
	words := strings.Split(name, "_")
	for i, word := range words {
		switch word {
		case "id", "ids", "ip", "url", "api":
			word = strings.Replace(strings.ToUpper(word), "IDS", "IDs", 1)
		}
		words[i] = word
	}
	text := strings.Join(words, " ")
	return strings.ToUpper(text[:1]) + text[1:]
}

// titles has the names that are no words.
var titles = map[string]string{
	"gt": "After", "gte": "At or after", "lt": "Before", "lte": "At or before",
	"livemode": "Live mode", "metadata": "Metadata", "last4": "Last four digits",
	"fulfiled": "Fulfilled", "line1": "Line 1", "line2": "Line 2",
}
