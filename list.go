package stripekit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/stripekit/stripekit/internal/form"
	"github.com/stripekit/stripekit/internal/transport"
)

// maxPage is the most that the service answers on one page.
const maxPage = 100

// Paging chooses a page of a list. Lists are newest first.
type Paging struct {
	// Limit is the number of objects on a page, 1 to 100. Zero is the
	// service's default of 10 for Page, and 100 for List.
	Limit int
	// StartingAfter is an id: the page holds the objects that follow it, the
	// older ones. It does not go together with EndingBefore.
	StartingAfter string
	// EndingBefore is an id: the page holds the objects right before it, the
	// newer ones, still newest first.
	EndingBefore string
}

func (p Paging) check() error {
	switch {
	case p.Limit < 0 || p.Limit > maxPage:
		return &ParamError{Param: "limit", Reason: "must be 1 to 100, or 0 for the default"}
	case p.StartingAfter != "" && p.EndingBefore != "":
		return &ParamError{Param: "ending_before", Reason: "does not go together with starting_after"}
	}
	return nil
}

// CreatedRange is a filter on the second in which an object was created; a
// bound of zero is none. GTE and LTE both at t is that second alone.
//
// The service is reported to answer a cursor and a created filter together
// wrongly: with too few objects. So List sends the filter with a first page
// alone, and applies it itself to what follows a cursor. Page sends what it is
// given.
type CreatedRange struct {
	GT  UnixTime `form:"gt"`
	GTE UnixTime `form:"gte"`
	LT  UnixTime `form:"lt"`
	LTE UnixTime `form:"lte"`
}

// before tells whether t is older than all that the filter allows.
func (r *CreatedRange) before(t UnixTime) bool { return t < r.GTE || r.GT != 0 && t <= r.GT }

// behind tells whether t is newer than all that the filter allows.
func (r *CreatedRange) behind(t UnixTime) bool {
	return r.LTE != 0 && t > r.LTE || r.LT != 0 && t >= r.LT
}

// Page is one page of a list, newest first.
type Page[T any] struct {
	Data []*T `json:"data"`
	// HasMore tells whether there are more objects behind the page, in the
	// direction of the paging.
	HasMore bool   `json:"has_more"`
	URL     string `json:"url"`
}

// identified is what the objects of a list are to the iteration.
type identified[T any] interface {
	*T
	id() string
	at() UnixTime // when it was created, as lists are filtered; 0 where it does not say
}

// page fetches one page. params are the list's other filters.
func page[T any](ctx context.Context, c *Client, path string, p Paging, created *CreatedRange, params any, opts []CallOption) (*Page[T], error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	filter, query, err := encodeFilters(path, created, params)
	if err != nil {
		return nil, err
	}
	query = joined(filter, query)
	if p.Limit > 0 {
		query = form.AppendPair(query, "limit", strconv.Itoa(p.Limit))
	}
	if p.StartingAfter != "" {
		query = form.AppendPair(query, byStartingAfter, p.StartingAfter)
	}
	if p.EndingBefore != "" {
		query = form.AppendPair(query, byEndingBefore, p.EndingBefore)
	}
	out, err := fetchPage[T](ctx, c, path, query, opts)
	if err != nil {
		return nil, err
	}
	return &out.Page, nil
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
		return nil, nil, fmt.Errorf("stripe: GET %s: %w", path, err)
	}
	return filter, query, nil
}

// joined puts two encodings into one.
func joined(a, b []byte) []byte {
	if len(a) == 0 || len(b) == 0 {
		return append(a, b...)
	}
	return slices.Concat(a, []byte{'&'}, b)
}

// answeredPage is a page as the service answers it, of a list or of a search.
type answeredPage[T any] struct {
	Page[T]
	NextPage string `json:"next_page"` // of a search: what its next page is asked for by
}

func fetchPage[T any](ctx context.Context, c *Client, path string, query []byte, opts []CallOption) (*answeredPage[T], error) {
	req, co, err := c.request(http.MethodGet, path, query, opts)
	if err != nil {
		return nil, err
	}
	out := new(answeredPage[T])
	err = c.do(ctx, req, co, func(resp *transport.Response) error {
		if err := unmarshal(resp.Body, out); err != nil {
			return err
		}
		if out.Data == nil {
			return errNoList
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// errNoList is about an answer that is JSON, but no page.
var errNoList = errors.New("the answer has no data")

// list iterates over all pages. The filters are encoded here and now, so that
// a later change of what they point to changes nothing.
func list[T any, P identified[T]](ctx context.Context, c *Client, path string, p Paging, created *CreatedRange, params any, opts []CallOption) iter.Seq2[*T, error] {
	filter, query, err := encodeFilters(path, created, params)
	if err := firstError(p.check(), err); err != nil {
		return failed[T](err)
	}
	query = form.AppendPair(query, "limit", strconv.Itoa(cmp.Or(p.Limit, maxPage)))
	w := walk[T, P]{client: c, path: path, query: slices.Clip(query), opts: slices.Clone(opts)}
	if created != nil {
		w.filter, w.created = filter, new(*created)
	}
	w.by, w.cursor = byStartingAfter, p.StartingAfter
	if p.EndingBefore != "" {
		w.by, w.cursor = byEndingBefore, p.EndingBefore
	}
	return w.all(ctx)
}

// search iterates over all that a query finds.
func search[T any, P identified[T]](ctx context.Context, c *Client, collection, query string, opts []CallOption) iter.Seq2[*T, error] {
	if strings.TrimSpace(query) == "" {
		return failed[T](&ParamError{Param: "query", Reason: "is empty"})
	}
	params := form.AppendPair(nil, "query", query)
	params = form.AppendPair(params, "limit", strconv.Itoa(maxPage))
	w := walk[T, P]{client: c, path: collection + "/search", query: slices.Clip(params), opts: slices.Clone(opts), by: byPage}
	return w.all(ctx)
}

// failed is an iteration that ends before its first request.
func failed[T any](err error) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) { yield(nil, err) }
}

// The parameters that a walk asks for its next page by.
const (
	byStartingAfter = "starting_after" // down a list, to the older objects
	byEndingBefore  = "ending_before"  // up a list, to the newer ones
	byPage          = "page"           // through what a search has found
)

// walk is one iteration over a list or a search, page by page.
type walk[T any, P identified[T]] struct {
	client  *Client
	path    string
	query   []byte
	opts    []CallOption
	filter  []byte        // created, as it is sent
	created *CreatedRange // nil for any
	by      string
	cursor  string          // where the walk has come to; empty at the start
	used    map[string]bool // the cursors of all pages so far
}

// all is the walk as an iterator. Ranging over it again starts it anew.
func (w walk[T, P]) all(ctx context.Context) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		w := w
		w.used = map[string]bool{}
		w.run(ctx, yield)
	}
}

func (w *walk[T, P]) run(ctx context.Context, yield func(*T, error) bool) {
	for more := true; more; {
		filtered := w.cursor == ""
		page, err := w.fetch(ctx)
		if err == nil {
			more, err = w.advance(page)
		}
		if err != nil {
			yield(nil, err)
			return
		}
		if !filtered && w.created != nil {
			more = w.within(page) && more
		}
		if w.by == byEndingBefore {
			slices.Reverse(page.Data)
		}
		for _, object := range page.Data {
			if !yield(object, nil) {
				return
			}
		}
	}
}

func (w *walk[T, P]) fetch(ctx context.Context) (*answeredPage[T], error) {
	query := joined(w.filter, w.query)
	if w.cursor != "" {
		query = form.AppendPair(w.query, w.by, w.cursor)
	}
	return fetchPage[T](ctx, w.client, w.path, query, w.opts)
}

// within takes off the page what was not created in the range, and tells
// whether the range may go on behind it. An object that does not say when it
// was created is kept; a page that is all on the far side of the range is the
// end, rather than a single object, since an invoice item can be dated back.
func (w *walk[T, P]) within(page *answeredPage[T]) (more bool) {
	far := 0
	page.Data = slices.DeleteFunc(page.Data, func(object *T) bool {
		at := P(object).at()
		before, behind := at != 0 && w.created.before(at), w.created.behind(at)
		if before && w.by == byStartingAfter || behind && w.by == byEndingBefore {
			far++
		}
		return before || behind
	})
	return len(page.Data) > 0 || far == 0
}

// errEndless is wrapped by the errors for a server whose pages would never end.
var errEndless = errors.New("the list cannot be read to its end")

// advance moves the walk over a page, and tells whether another follows. It
// refuses a page that leads back to where the walk has been.
func (w *walk[T, P]) advance(page *answeredPage[T]) (more bool, err error) {
	fail := func(reason string) (bool, error) {
		return false, fmt.Errorf("stripe: GET %s: %w: %s: %w", w.path, errEndless, reason, ErrAPI)
	}
	for _, object := range page.Data {
		if object == nil || P(object).id() == "" {
			return fail("an object without an id")
		}
	}
	w.used[w.cursor] = true
	w.cursor = w.after(page)
	switch {
	case page.HasMore && len(page.Data) == 0:
		return fail("has_more on a page without objects")
	case page.HasMore && w.cursor == "":
		return fail("has_more without a next_page")
	case w.cursor != "" && w.used[w.cursor]:
		return fail("a page repeats an earlier one")
	}
	return page.HasMore, nil
}

// after is the cursor of the page behind page; empty where there is none.
func (w *walk[T, P]) after(page *answeredPage[T]) string {
	switch {
	case w.by == byPage && page.HasMore:
		return page.NextPage
	case w.by == byPage || len(page.Data) == 0:
		return ""
	case w.by == byEndingBefore:
		return P(page.Data[0]).id()
	default:
		return P(page.Data[len(page.Data)-1]).id()
	}
}
