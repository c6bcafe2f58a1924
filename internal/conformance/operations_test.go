package conformance_test

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
)

// operation is one call of the library.
type operation struct {
	name string // the service and the method

	// params are the call's parameters with every field set, including nested
	// ones; nil for a call without parameters.
	params any
	// required are the fields that every request needs in some version.
	required []string
	// apart are the fields that cannot be sent together with the others.
	apart []string
	// never are the fields of a shared type that do not apply to this call.
	never []string
	// former are the fields that only an older version has, and that version.
	former map[string]string

	call func(ctx context.Context, c *stripekit.Client, params any) error
}

// operations returns the table of all calls of the services.
func operations() []operation {
	return slices.Concat(
		chargeOperations(), customerOperations(), productOperations(),
		refundOperations(), orderOperations(), invoiceItemOperations(), eventOperations(),
	)
}

// versionOf returns the version that a field of an operation is sent to. If
// field is empty, it returns the version of the operation.
func (o operation) versionOf(field string) string {
	switch {
	case o.former[field] != "":
		return o.former[field]
	case strings.HasPrefix(o.name, "Orders."):
		return stripekit.OrdersAPIVersion
	default:
		return stripekit.APIVersion
	}
}

// fieldsOf returns the fields of an operation's parameters that a version has.
func (o operation) fieldsOf(version string) []string {
	if o.params == nil {
		return nil
	}
	all := slices.Sorted(maps.Keys(fields(reflect.ValueOf(o.params))))
	return slices.DeleteFunc(all, func(field string) bool { return o.versionOf(field) != version })
}

func created() *stripekit.CreatedRange {
	return &stripekit.CreatedRange{GT: 1, GTE: 2, LT: 4, LTE: 3}
}

func listParams() stripekit.ListParams {
	return stripekit.ListParams{
		Limit: 3, StartingAfter: "id_1", EndingBefore: "id_2",
		Created: created(),
	}
}

func address() stripekit.Address {
	return stripekit.Address{
		City: "Berlin", Country: "DE", Line1: "Weg 1", Line2: "Hof", PostalCode: "10115", State: "BE",
	}
}

// with adapts a call to untyped parameters.
func with[P any](call func(context.Context, *stripekit.Client, P) error) func(context.Context, *stripekit.Client, any) error {
	return func(ctx context.Context, c *stripekit.Client, params any) error {
		return call(ctx, c, params.(P))
	}
}

// got returns the error of a call that returns an object.
func got[T any](object *T, err error) error {
	if err == nil && object == nil {
		return fmt.Errorf("no %T and no error", object)
	}
	return err
}

// is checks that a call returns the object with an id.
func is[T any](want string, object *T, err error, id func() string) error {
	if err := got(object, err); err != nil {
		return err
	}
	if id() != want {
		return fmt.Errorf("id %q, not %q", id(), want)
	}
	return nil
}

// deleted returns id if the object is marked as deleted.
func deleted(id string, deleted bool) string {
	if !deleted {
		return id + ", not deleted"
	}
	return id
}

// some checks that a list has at least one object.
func some[T any](list iter.Seq2[*T, error]) error {
	for object, err := range list {
		return got(object, err)
	}
	return fmt.Errorf("no %T in the list", *new(T))
}

// filled checks that a page has at least one object.
func filled[T any](page *stripekit.Page[T], err error) error {
	if err == nil && len(page.Data) == 0 {
		return fmt.Errorf("no object on the page")
	}
	return err
}

func TestOperationsAreAllMethodsOfTheServices(t *testing.T) {
	table := map[string]int{}
	for _, o := range operations() {
		table[o.name]++
	}
	methods := map[string]int{}
	for _, name := range serviceMethods() {
		methods[name]++
	}
	require.Equal(t, methods, table)
}
