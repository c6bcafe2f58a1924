package listing

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"sync"
)

// Response is a page as a fetch returns it to a Reader.
type Response[T any] struct {
	Heads []Head
	More  bool // has_more
	// Objects returns the objects of Heads[from:to]. It is called at most once,
	// and concurrently with other requests and calls.
	Objects func(from, to int) []T
}

// ErrLost is returned by a fetch if the object that its cursor names was
// deleted.
var ErrLost = errors.New("the object of the cursor is gone")

// errStuck is returned if no request is left to make but the range is
// incomplete, because the pages contradict each other.
var errStuck = fmt.Errorf("%w: its pages do not fit together", ErrPage)

// Reader reads Windows with concurrent requests.
type Reader[T any] struct {
	fetch   func(context.Context, Query) (Response[T], error)
	ctx     context.Context
	running *sync.WaitGroup
	pace    Pace          // nil: no limit ahead
	changed chan struct{} // receives a value when a request has ended

	mu       sync.Mutex
	windows  *Windows
	ahead    int // pages; see Pace
	inFlight int // requests that have started and whose runs are not ready
	waiting  int // runs that are ready and were not delivered
	returned int // runs delivered
	err      error
}

// Pace returns how far a Reader may read ahead after it has delivered the given
// number of runs. lanes is the maximum number of requests under way, and ahead
// the maximum number of pages that are under way or wait for delivery. If ahead
// is 0, a page is requested only when the caller waits for it. In an order, the Reader
// keeps to the largest ahead so far: with less, the pages that were read would leave no
// room for the next.
type Pace func(returned int) (lanes, ahead int)

// NewReader returns a Reader, which can be used once. It takes ownership of w.
func NewReader[T any](w *Windows, fetch func(context.Context, Query) (Response[T], error)) *Reader[T] {
	return &Reader[T]{windows: w, fetch: fetch, ahead: math.MaxInt, changed: make(chan struct{}, 1)}
}

// Do calls f with the Windows while it holds the Reader's lock.
func (r *Reader[T]) Do(f func(*Windows)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(r.windows)
}

// All yields the new objects of one page at a time. An error of fetch is
// yielded last, after the objects that are ready and next in order. When the
// iteration ends, no fetch is under way any more.
func (r *Reader[T]) All(ctx context.Context) iter.Seq2[[]T, error] {
	return func(yield func([]T, error) bool) {
		var cancel context.CancelFunc
		r.ctx, cancel = context.WithCancel(ctx)
		r.running = new(sync.WaitGroup)
		defer r.running.Wait()
		defer cancel()
		for {
			objects, err := r.next()
			if err == io.EOF || !yield(objects, err) || err != nil {
				return
			}
		}
	}
}

// Pull returns a function that returns what All yields, and io.EOF at the end.
// After an error of fetch, it first returns those pages under way that are next
// in order. The fetches end with ctx, and are counted in running.
func (r *Reader[T]) Pull(ctx context.Context, running *sync.WaitGroup, pace Pace) (next func() ([]T, error)) {
	r.ctx, r.running, r.pace, r.ahead = ctx, running, pace, 0
	return r.next
}

// next waits for the objects that are next in order, and returns them.
func (r *Reader[T]) next() ([]T, error) {
	for {
		objects, ok, err := r.step()
		if ok || err != nil {
			return objects, err
		}
		select {
		case <-r.changed:
		case <-r.ctx.Done():
		}
	}
}

// step returns the objects that are next in order; ok is false if they are not
// ready. It starts the requests that may be made now.
func (r *Reader[T]) step() (objects []T, ok bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ctx.Err() != nil {
		r.err = r.ctx.Err()
	}
	run, ok := r.windows.Pop()
	if ok {
		r.waiting--
		r.returned++
	}
	r.start(!ok)
	switch {
	case ok:
		return run.Value.([]T), true, nil
	case r.err != nil && (r.inFlight == 0 || r.pace == nil || r.ctx.Err() != nil):
		return nil, false, r.err
	case r.err == nil && r.windows.Done():
		return nil, false, io.EOF
	case r.inFlight == 0:
		return nil, false, errStuck
	}
	return nil, false, nil
}

// start starts the requests that may be made now. The caller holds mu. If next
// waits and no request is under way, start makes one however far the Reader is
// ahead: that request is for the page that next waits for.
func (r *Reader[T]) start(waits bool) {
	if r.err != nil {
		return
	}
	r.keepPace()
	for r.inFlight+r.waiting < r.ahead || waits && r.inFlight == 0 {
		request, ok := r.windows.Next()
		if !ok {
			return
		}
		r.inFlight++
		r.running.Go(func() { r.request(request) })
	}
}

// keepPace sets the lanes and the buffer of the Windows to what the Pace
// allows. Without an order no page waits for another, so the buffer stays as it
// is.
func (r *Reader[T]) keepPace() {
	if r.pace == nil {
		return
	}
	lanes, ahead := r.pace(r.returned)
	r.windows.SetLanes(lanes)
	if r.windows.c.Order == AnyOrder {
		r.ahead = ahead
		return
	}
	r.ahead = max(r.ahead, ahead)
	r.windows.SetBuffer((r.ahead + aheadPlan) * PageSize)
}

// aheadPlan is how many pages the Windows plan for beyond those that may be
// ahead. With fewer, the gaps that they make at the beginning are too small to
// pay off.
const aheadPlan = 8

func (r *Reader[T]) request(request *Request) {
	response, err := r.fetch(r.ctx, request.Query)
	run := r.responded(request, response, err)
	var objects []T
	if run != nil {
		objects = response.Objects(run.From, run.To)
	}
	r.mu.Lock()
	r.inFlight--
	if run != nil {
		run.Value = objects
		r.windows.Ready(run)
		r.waiting++
	}
	r.mu.Unlock()
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// responded processes a response, and starts the next requests before the
// objects of this one are decoded.
func (r *Reader[T]) responded(request *Request, response Response[T], err error) (run *Run) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case errors.Is(err, ErrLost):
		r.windows.Lost(request)
	case err != nil:
		r.windows.Drop(request)
	default:
		run, err = r.windows.Read(request, response.Heads, response.More)
	}
	if err != nil && !errors.Is(err, ErrLost) && r.err == nil {
		r.err = err
	}
	r.start(false)
	return run
}
