package stripekit

import (
	"context"
	"net/http"
)

// What the services share. A method of theirs is one line on top of these.

// params is what the parameter structs of writes are: they know their rules.
type params interface{ check() error }

// noParams is the parameters of a write that takes none.
type noParams struct{}

func (noParams) check() error { return nil }

// create sends checked parameters to a collection.
func create[T any](ctx context.Context, c *Client, collection string, p params, opts []CallOption) (*T, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	return call[T](ctx, c, http.MethodPost, collection, p, opts)
}

// update sends checked parameters to one object of a collection.
func update[T any](ctx context.Context, c *Client, collection, id string, p params, opts []CallOption) (*T, error) {
	path, err := itemPath(collection, id)
	if err != nil {
		return nil, err
	}
	return create[T](ctx, c, path, p, opts)
}

// postAction sends checked parameters to an action on one object: its capture, say.
func postAction[T any](ctx context.Context, c *Client, collection, id, action string, p params, opts []CallOption) (*T, error) {
	path, err := itemPath(collection, id, action)
	if err != nil {
		return nil, err
	}
	return create[T](ctx, c, path, p, opts)
}

// get reads one object of a collection.
func get[T any](ctx context.Context, c *Client, collection, id string, opts []CallOption) (*T, error) {
	return sendItem[T](ctx, c, http.MethodGet, collection, id, opts)
}

// remove deletes one object of a collection. The answer is what is left of it:
// its id and Deleted.
func remove[T any](ctx context.Context, c *Client, collection, id string, opts []CallOption) (*T, error) {
	return sendItem[T](ctx, c, http.MethodDelete, collection, id, opts)
}

func sendItem[T any](ctx context.Context, c *Client, method, collection, id string, opts []CallOption) (*T, error) {
	path, err := itemPath(collection, id)
	if err != nil {
		return nil, err
	}
	return call[T](ctx, c, method, path, nil, opts)
}

func call[T any](ctx context.Context, c *Client, method, path string, params any, opts []CallOption) (*T, error) {
	out := new(T)
	if err := c.call(ctx, method, path, params, out, opts); err != nil {
		return nil, err
	}
	return out, nil
}

// blank reports whether a parameter is nil or empty.
func blank(s *string) bool { return s == nil || *s == "" }

// required returns an error unless a parameter is given: in its field or in extra.
func required(param, value string, extra Extra) error {
	if value != "" || extra.has(param) {
		return nil
	}
	return &ParamError{Param: param, Reason: "is required"}
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
