package connector

import (
	"strings"

	"github.com/stripekit/stripekit"
)

// The inputs of actions. The comments of their fields are the descriptions that users
// of a form read.

type createInput[P any] struct {
	Params P          `form:"*"`
	Write  writeInput `form:"*"`
}

func (in createInput[P]) options() []stripekit.CallOption { return in.Write.options() }

type updateInput[P any] struct {
	ID     string     `form:"id"` // of the object
	Params P          `form:"*"`
	Write  writeInput `form:"*"`
}

func (in updateInput[P]) options() []stripekit.CallOption { return in.Write.options() }

type removeInput struct {
	ID             string  `form:"id"`              // of the object
	IdempotencyKey *string `form:"idempotency_key"` // has no effect: Stripe ignores it, since an object can be deleted only once
}

type cancelInput struct {
	ID    string     `form:"id"` // of the object
	Write writeInput `form:"*"`
}

func (in cancelInput) options() []stripekit.CallOption { return in.Write.options() }

type getInput struct {
	ID     string   `form:"id"`     // of the object
	Expand []string `form:"expand"` // the fields in which to return whole objects in place of ids, such as customer
}

func (in getInput) options() []stripekit.CallOption { return expand(in.Expand, "") }

type listInput[P any] struct {
	Params P        `form:"*"`
	Expand []string `form:"expand"` // the fields in which to return whole objects in place of ids, such as customer
}

func (in listInput[P]) options() []stripekit.CallOption { return expand(in.Expand, "data.") }

type searchInput struct {
	Query  string   `form:"query"`  // in Stripe's search language
	Page   *string  `form:"page"`   // the next_page of the previous page; null is the first page
	Expand []string `form:"expand"` // the fields in which to return whole objects in place of ids, such as customer
}

func (in searchInput) options() []stripekit.CallOption { return expand(in.Expand, "data.") }

type writeInput struct {
	Expand         []string `form:"expand"`          // the fields in which to return whole objects in place of ids, such as customer
	IdempotencyKey *string  `form:"idempotency_key"` // writes with the same key are carried out once at most, within at least 24 hours; null is a random key
}

func (in writeInput) options() []stripekit.CallOption {
	opts := expand(in.Expand, "")
	if in.IdempotencyKey != nil {
		opts = append(opts, stripekit.WithIdempotencyKey(*in.IdempotencyKey))
	}
	return opts
}

// expand returns the option for fields that are named as in an object. In a page they
// are below a prefix.
func expand(fields []string, prefix string) []stripekit.CallOption {
	if len(fields) == 0 {
		return nil
	}
	names := make([]string, len(fields))
	for i, name := range fields {
		names[i] = prefix + strings.TrimPrefix(name, prefix)
	}
	return []stripekit.CallOption{stripekit.WithExpand(names...)}
}
