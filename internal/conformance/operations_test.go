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
	name string // of the service and the method

	// params are the call's parameters with every field set, nested ones too;
	// nil for a call without.
	params any
	// required are the fields that no request can be without, in some version.
	required []string
	// apart are the fields that are left out where all are sent together.
	apart []string
	// never are the fields of a shared type that this call does not have.
	never []string
	// former are the fields that only a former version has, and which.
	former map[string]string

	call func(ctx context.Context, c *stripekit.Client, params any) error
}

// operations is the table of all calls that the services have.
func operations() []operation {
	return slices.Concat(
		chargeOperations(), customerOperations(), productOperations(),
		refundOperations(), orderOperations(), invoiceItemOperations(),
	)
}

// versionOf is the version that a field of an operation is sent to, and that
// of the operation itself for no field.
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

// fieldsOf are the fields of an operation's parameters that a version has.
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

// with types the parameters of an operation's call.
func with[P any](call func(context.Context, *stripekit.Client, P) error) func(context.Context, *stripekit.Client, any) error {
	return func(ctx context.Context, c *stripekit.Client, params any) error {
		return call(ctx, c, params.(P))
	}
}

// got is the error of a call that answers an object.
func got[T any](object *T, err error) error {
	if err == nil && object == nil {
		return fmt.Errorf("no %T and no error", object)
	}
	return err
}

// is wants the object of an id.
func is[T any](want string, object *T, err error, id func() string) error {
	if err := got(object, err); err != nil {
		return err
	}
	if id() != want {
		return fmt.Errorf("id %q, not %q", id(), want)
	}
	return nil
}

// deleted is the id of an object that says it is deleted.
func deleted(id string, deleted bool) string {
	if !deleted {
		return id + ", not deleted"
	}
	return id
}

// some wants at least one object of a list.
func some[T any](list iter.Seq2[*T, error]) error {
	for object, err := range list {
		return got(object, err)
	}
	return fmt.Errorf("no %T in the list", *new(T))
}

// filled wants at least one object on a page.
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
