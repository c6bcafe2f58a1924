package stripekit

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strings"

	"github.com/stripekit/stripekit/internal/form"
	"github.com/stripekit/stripekit/internal/listing"
	"github.com/stripekit/stripekit/internal/transport"
)

// ListParams are the common parameters of lists: the page, and when the objects
// were created. Lists are newest first.
type ListParams struct {
	// Limit is the number of objects on a page, 1 to 100. If zero, Page uses the
	// service's default of 10, and List uses 100.
	Limit int
	// StartingAfter is the id of an object. The page begins with the next older
	// object. It cannot be combined with EndingBefore.
	StartingAfter string
	// EndingBefore is the id of an object. The page ends with the next newer
	// object, and is newest first too. List yields the newer objects oldest first.
	EndingBefore string
	// Created limits the list to objects that were created in a range of time. If
	// nil, there is no limit.
	Created *CreatedRange
}

func (p ListParams) check() error {
	switch {
	case p.Limit < 0 || p.Limit > listing.PageSize:
		return &ParamError{Param: "limit", Reason: "must be 1 to 100, or 0 for the default"}
	case p.StartingAfter != "" && p.EndingBefore != "":
		return &ParamError{Param: "ending_before", Reason: "does not go together with starting_after"}
	}
	return nil
}

// CreatedRange is a filter on the second in which an object was created. Both
// bounds are optional. With GTE and LTE equal to t it selects one second.
//
// The service is reported to return too few objects if a request has both a cursor
// and a created filter. So List sends the filter only with a request without a
// cursor, and filters the other pages itself. Page sends the parameters as they
// are.
type CreatedRange struct {
	GT  UnixTime `form:"gt"`  // created after; zero for no bound
	GTE UnixTime `form:"gte"` // created at or after; zero for no bound
	LT  UnixTime `form:"lt"`  // created before; zero for no bound
	LTE UnixTime `form:"lte"` // created at or before; zero for no bound
}

// before reports whether t is older than all times that the filter allows.
func (r *CreatedRange) before(t UnixTime) bool { return t < r.GTE || r.GT != 0 && t <= r.GT }

// behind reports whether t is newer than all times that the filter allows.
func (r *CreatedRange) behind(t UnixTime) bool {
	return r.LTE != 0 && t > r.LTE || r.LT != 0 && t >= r.LT
}

// Page is one page of a list, newest first.
type Page[T any] struct {
	Data []*T `json:"data"`
	// HasMore reports whether more objects follow the page, in the direction of
	// the paging.
	HasMore bool   `json:"has_more"`
	URL     string `json:"url"` // the path of the list
	// NextPage is the cursor of the next page of a search. It is empty in a list,
	// and on the last page.
	NextPage string `json:"next_page"`
}

// dated is an object of a list, as an iteration needs it.
type dated[T any] interface {
	*T
	at() UnixTime // when the object was created, as lists are filtered; 0 if unknown
}

// page fetches one page. params are the other filters of the list.
func page[T any](ctx context.Context, c *Client, path string, p ListParams, params any, opts []CallOption) (*Page[T], error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	filter, query, err := encodeFilters(path, p.Created, params)
	if err != nil {
		return nil, err
	}
	query = listing.Query{Limit: p.Limit, After: p.StartingAfter, Before: p.EndingBefore}.Append(joined(filter, query))
	return fetchPage[T](ctx, c, path, query, opts, decodePage[T])
}

// encodeFilters encodes the created filter and the other parameters of a list.
func encodeFilters(path string, created *CreatedRange, params any) (filter, query []byte, err error) {
	filter, err = form.Append(nil, struct {
		Created *CreatedRange `form:"created"`
	}{created})
	if err == nil {
		query, err = form.Append(nil, params)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("stripe: GET %s: %w", path, transport.QuoteError(err))
	}
	return filter, query, nil
}

// joined joins two form encodings.
func joined(a, b []byte) []byte {
	if len(a) == 0 || len(b) == 0 {
		return append(a, b...)
	}
	return slices.Concat(a, []byte{'&'}, b)
}

// fetchPage requests a page, and reads the body of the response with read.
func fetchPage[T any](ctx context.Context, c *Client, path string, query []byte, opts []CallOption, read func(body []byte) (*Page[T], error)) (page *Page[T], err error) {
	current := c.current.Load()
	req, co, err := c.request(current, http.MethodGet, path, query, opts)
	if err != nil {
		return nil, err
	}
	err = current.do(ctx, req, co, func(resp *transport.Response) (err error) {
		page, err = read(resp.Body)
		return err
	})
	if err != nil {
		return nil, err
	}
	return page, nil
}

func decodePage[T any](body []byte) (*Page[T], error) {
	page := new(Page[T])
	if err := unmarshal(body, page); err != nil {
		return nil, err
	}
	if page.Data == nil {
		return nil, listing.ErrNoData
	}
	return page, nil
}

// list iterates over all pages. It encodes the filters at once, so that a later
// change of the values that they point to has no effect.
func list[T any, P dated[T]](ctx context.Context, c *Client, path string, p ListParams, params any, opts []CallOption) iter.Seq2[*T, error] {
	filter, query, err := encodeFilters(path, p.Created, params)
	if err := firstError(p.check(), err); err != nil {
		return failed[T](err)
	}
	w := newWalk[T, P](c, path, query, opts)
	w.limit = cmp.Or(p.Limit, listing.PageSize)
	if p.Created != nil {
		w.filter, w.created = filter, new(*p.Created)
	}
	w.cursor = p.StartingAfter
	if p.EndingBefore != "" {
		w.direction, w.cursor = up, p.EndingBefore
	}
	return w.all(ctx)
}

// searchPage fetches one page of a search.
func searchPage[T any](ctx context.Context, c *Client, collection, query, cursor string, opts []CallOption) (*Page[T], error) {
	if strings.TrimSpace(query) == "" {
		return nil, errEmptyQuery
	}
	params := listing.Query{Limit: listing.PageSize, Page: cursor}.Append(form.AppendPair(nil, "query", query))
	return fetchPage[T](ctx, c, collection+"/search", params, opts, decodePage[T])
}

var errEmptyQuery = &ParamError{Param: "query", Reason: "is empty"}

// search iterates over all objects that a query finds.
func search[T any, P dated[T]](ctx context.Context, c *Client, collection, query string, opts []CallOption) iter.Seq2[*T, error] {
	if strings.TrimSpace(query) == "" {
		return failed[T](errEmptyQuery)
	}
	w := newWalk[T, P](c, collection+"/search", form.AppendPair(nil, "query", query), opts)
	w.limit, w.direction = listing.PageSize, along
	return w.all(ctx)
}

// failed returns an iteration that yields err alone, without a request.
func failed[T any](err error) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) { yield(nil, err) }
}
