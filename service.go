package stripekit

import (
	"context"
	"net/http"
)

// The common parts of the services. Each method of a service is one line on top of
// these functions.

// params is a struct of parameters of a write. check returns an error for parameters
// that are missing or wrong.
type params interface{ check() error }

// noParams is for a write without parameters.
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

// postAction sends checked parameters to an action on one object, such as capture.
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

// remove deletes one object of a collection. The response has its id and Deleted
// alone.
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

// required returns an error unless a parameter is set, in its field or in extra.
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
