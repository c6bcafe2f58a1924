package stripekit

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"sync"

	"github.com/stripekit/stripekit/internal/listing"
)

// direction is the order in which a walk reads pages.
type direction uint8

const (
	down  direction = iota // a list, to the older objects
	up                     // a list, to the newer objects
	along                  // a search, in the order of its results
)

// query returns the query for the page at a cursor.
func (d direction) query(cursor string) listing.Query {
	switch d {
	case up:
		return listing.Query{Before: cursor}
	case along:
		return listing.Query{Page: cursor}
	default:
		return listing.Query{After: cursor}
	}
}

// cursor returns the cursor of the page that follows page, or "" if there is none.
func (d direction) cursor(page *listing.Page) string {
	switch {
	case d == along && page.HasMore:
		return page.NextPage
	case d == along || len(page.Heads) == 0:
		return ""
	case d == up:
		return page.Heads[0].ID
	default:
		return page.Heads[len(page.Heads)-1].ID
	}
}

// walk is one iteration over a list or a search, page by page.
//
// A page is requested while the previous page is yielded, and no earlier: at most
// one page is ahead. The second page is requested once half of the first has been
// yielded, so that a loop that ends soon costs one request. An error is yielded
// after the objects of the previous pages.
type walk[T any, P dated[T]] struct {
	client     *Client
	path       string
	params     []byte // of every page
	limit      int
	opts       []CallOption
	filter     []byte        // created, form-encoded
	created    *CreatedRange // nil for no limit
	direction  direction
	sequential bool            // no page is requested ahead
	cursor     string          // of the next page; empty at the start
	used       listing.Cursors // the cursors so far
}

func newWalk[T any, P dated[T]](c *Client, path string, params []byte, opts []CallOption) walk[T, P] {
	return walk[T, P]{
		client: c, path: path, params: slices.Clip(params), opts: slices.Clone(opts), sequential: captures(opts),
	}
}

// captures reports whether opts contain CaptureResponse. The Response must be that
// of the page being yielded, so no page is requested ahead.
func captures(opts []CallOption) bool {
	var co callOptions
	for _, opt := range opts {
		if opt(&co) != nil {
			return false // the request fails with this error
		}
	}
	return co.capture != nil
}

// all returns the walk as an iterator. Ranging over it again begins anew.
func (w walk[T, P]) all(ctx context.Context) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		w := w
		w.used = listing.Cursors{}
		if w.cursor != "" {
			w.used[w.cursor] = true
		}
		if err := w.run(ctx, yield); err != nil {
			yield(nil, err)
		}
	}
}

// run yields the objects of all pages, until yield returns false. When it
// returns, no request is in flight.
func (w *walk[T, P]) run(ctx context.Context, yield func(*T, error) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	var requests sync.WaitGroup
	defer requests.Wait()
	defer cancel()
	ahead := func() *pageRequest[T] {
		r := w.request()
		requests.Go(func() { r.doAhead(ctx) })
		return r
	}

	current := w.request()
	current.do(ctx)
	for first := true; ; first = false {
		more, err := w.advance(<-current.scanned)
		if err != nil {
			return err
		}
		var next *pageRequest[T]
		if more && !first && !w.sequential && w.created == nil {
			next = ahead() // while current is decoded
		}
		page, err := current.wait()
		if err != nil {
			return err
		}
		more = w.within(page, current.filtered) && more
		if w.direction == up {
			slices.Reverse(page.Data)
		}
		due := w.due(first, len(page.Data))
		for i, object := range page.Data {
			if more && i == due && next == nil {
				next = ahead()
			}
			if !yield(object, nil) {
				return nil
			}
		}
		if !more {
			return nil
		}
		if next == nil {
			next = w.request()
			next.do(ctx)
		}
		current = next
	}
}

// due returns how many of the n objects of a page are yielded before the next page
// is requested.
func (w *walk[T, P]) due(first bool, n int) int {
	switch {
	case w.sequential:
		return n
	case first:
		return (n + 1) / 2
	default:
		return 0
	}
}

// advance moves the cursor behind a page, and reports whether another page
// follows. page is nil if its request has failed.
func (w *walk[T, P]) advance(page *listing.Page) (more bool, err error) {
	if page == nil {
		return false, nil
	}
	err = page.Check()
	if err == nil {
		w.cursor = w.direction.cursor(page)
		switch {
		case w.cursor != "":
			err = w.used.Add(w.cursor)
		case page.HasMore:
			err = fmt.Errorf("%w: has_more without a next_page", listing.ErrPage)
		}
	}
	if err != nil {
		return false, fmt.Errorf("stripe: GET %s: %w: %w", w.path, err, ErrAPI)
	}
	return page.HasMore, nil
}

// within removes from the page the objects that were not created in the range, and
// reports whether the range may continue on the next page. A page that was
// requested with the filter is left as it is. An object without a creation time is
// kept. The range ends with a page that lies entirely beyond it: one object beyond
// it is not enough, since an invoice item can be dated back.
func (w *walk[T, P]) within(page *Page[T], filtered bool) (more bool) {
	if w.created == nil || filtered {
		return true
	}
	far := 0
	page.Data = slices.DeleteFunc(page.Data, func(object *T) bool {
		at := P(object).at()
		before, behind := at != 0 && w.created.before(at), w.created.behind(at)
		if before && w.direction == down || behind && w.direction == up {
			far++
		}
		return before || behind
	})
	return len(page.Data) > 0 || far == 0
}

// request returns the request for the page at the cursor. It is not sent yet.
func (w *walk[T, P]) request() *pageRequest[T] {
	q := w.direction.query(w.cursor)
	q.Limit = w.limit
	r := &pageRequest[T]{filtered: w.cursor == "", scanned: make(chan *listing.Page, 1)}
	params := w.params
	if r.filtered {
		params = joined(w.filter, params)
	}
	params = q.Append(params)
	r.fetch = func(ctx context.Context) (*Page[T], error) {
		return fetchPage(ctx, w.client, w.path, params, w.opts, r.read)
	}
	return r
}

// pageRequest is the request for a page. do or doAhead sends it. The page is
// available in two steps: the scanned page first, which has the next cursor, and
// then the decoded objects.
type pageRequest[T any] struct {
	fetch    func(context.Context) (*Page[T], error)
	filtered bool               // the request has the created filter
	scanned  chan *listing.Page // receives the scanned page; closed when the request has ended

	page     *Page[T]
	err      error
	returned bool // fetch has returned
	panicked any  // the value that fetch panicked with
}

// do makes the request on the goroutine that waits for it.
func (r *pageRequest[T]) do(ctx context.Context) {
	r.page, r.err = r.fetch(ctx)
	r.returned = true
	close(r.scanned)
}

// doAhead makes the request on another goroutine. If that goroutine ends by a
// panic or by runtime.Goexit, the goroutine that waits does the same.
func (r *pageRequest[T]) doAhead(ctx context.Context) {
	defer func() {
		if !r.returned {
			r.panicked = recover()
			close(r.scanned)
		}
	}()
	r.do(ctx)
}

// wait returns the page of a request that has ended.
func (r *pageRequest[T]) wait() (*Page[T], error) {
	for range r.scanned {
	}
	switch {
	case r.panicked != nil:
		panic(r.panicked)
	case !r.returned:
		runtime.Goexit()
	}
	return r.page, r.err
}

// read reads the page in a response. If the page cannot be scanned, decoding mostly
// fails too, and its error names the field at fault.
func (r *pageRequest[T]) read(body []byte) (*Page[T], error) {
	scanned, scanErr := listing.Scan(body, "created")
	if scanErr == nil {
		r.scanned <- scanned
	}
	page, err := decodePage[T](body)
	return page, firstError(err, scanErr)
}
