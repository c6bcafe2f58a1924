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

// direction is where a walk goes.
type direction uint8

const (
	down  direction = iota // a list, to the older objects
	up                     // a list, to the newer ones
	along                  // what a search has found
)

// query asks for the page at a cursor.
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

// cursor is that of the page behind page; empty where there is none.
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
// A page is requested while the one before it is handed out, and no earlier: at
// most one page is ahead. The second waits until half of the first is taken, so
// that a loop that ends soon costs one request. Errors come in their place,
// after the objects of the pages before.
type walk[T any, P dated[T]] struct {
	client    *Client
	path      string
	params    []byte // of every page
	limit     int
	opts      []CallOption
	filter    []byte        // created, as it is sent
	created   *CreatedRange // nil for any
	direction direction
	inTurn    bool            // no page is requested ahead
	cursor    string          // where the walk has come to; empty at the start
	used      listing.Cursors // so far
}

func newWalk[T any, P dated[T]](c *Client, path string, params []byte, opts []CallOption) walk[T, P] {
	return walk[T, P]{
		client: c, path: path, params: slices.Clip(params), opts: slices.Clone(opts), inTurn: captures(opts),
	}
}

// captures reports whether the Response of a call is wanted, which is to be that
// of the page that is handed out.
func captures(opts []CallOption) bool {
	var co callOptions
	for _, opt := range opts {
		if opt(&co) != nil {
			return false // the request fails with it
		}
	}
	return co.capture != nil
}

// all is the walk as an iterator. Ranging over it again starts it anew.
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

// run hands out the objects of all pages, until yield returns false. When it
// returns, no request is under way.
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
		if more && !first && !w.inTurn && w.created == nil {
			next = ahead() // current is still to be decoded
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

// due is how many of the n objects of a page are taken before the next page is
// requested.
func (w *walk[T, P]) due(first bool, n int) int {
	switch {
	case w.inTurn:
		return n
	case first:
		return (n + 1) / 2
	default:
		return 0
	}
}

// advance moves the walk over a page, and reports whether another follows. page
// is nil if its request has failed.
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

// within takes off the page what was not created in the range, unless it was
// requested by the filter, and reports whether the range may go on behind it. An
// object that does not say when it was created is kept; a page that is all on the
// far side of the range is the end, rather than a single object, since an invoice
// item can be dated back.
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

// request is the request for the page at the cursor, to be made.
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

// pageRequest is the request for a page, which do or doAhead makes. The page
// comes in two steps: what says how to go on, and then its objects.
type pageRequest[T any] struct {
	fetch    func(context.Context) (*Page[T], error)
	filtered bool               // by created
	scanned  chan *listing.Page // closed when the request has ended

	page     *Page[T]
	err      error
	returned bool // fetch has
	panicked any  // of fetch
}

// do makes the request in the goroutine that waits for it.
func (r *pageRequest[T]) do(ctx context.Context) {
	r.page, r.err = r.fetch(ctx)
	r.returned = true
	close(r.scanned)
}

// doAhead makes the request in another goroutine. If that ends by a panic or by
// runtime.Goexit, the one that waits will do the same.
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

// read reads the page in a response. If it cannot be scanned, decoding mostly
// fails too, and its error says which field is at fault.
func (r *pageRequest[T]) read(body []byte) (*Page[T], error) {
	scanned, scanErr := listing.Scan(body, "created")
	if scanErr == nil {
		r.scanned <- scanned
	}
	page, err := decodePage[T](body)
	return page, firstError(err, scanErr)
}
