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

// Answer is a page as a Reader takes it.
type Answer[T any] struct {
	Heads []Head
	More  bool
	// Objects are those of Heads[from:to]. It is called once at the most, beside
	// other requests and calls.
	Objects func(from, to int) []T
}

// ErrLost is returned by a fetch whose cursor is an object that is not there any
// more.
var ErrLost = errors.New("the object of the cursor is gone")

// errStuck is about pages that contradict each other.
var errStuck = fmt.Errorf("%w: its pages do not fit together", ErrPage)

// Reader reads Windows by requests that are made side by side.
type Reader[T any] struct {
	fetch   func(context.Context, Query) (Answer[T], error)
	ctx     context.Context
	running *sync.WaitGroup
	pace    Pace          // nil for none
	changed chan struct{} // something may be there to hand on

	mu       sync.Mutex
	windows  *Windows
	ahead    int // pages, of the pace
	flying   int // requests that were begun and whose runs are not ready
	waiting  int // runs that are ready and were not handed on
	returned int // runs
	err      error
}

// Pace says how far a Reader may be ahead when it has handed on so many runs:
// lanes is how many requests may be under way, and ahead is how many pages may be
// under way or wait to be handed on. At 0 ahead, a page is requested once it is
// waited for. Neither may decrease.
type Pace func(returned int) (lanes, ahead int)

// NewReader makes a Reader, to be used once. The Windows are its own from then
// on.
func NewReader[T any](w *Windows, fetch func(context.Context, Query) (Answer[T], error)) *Reader[T] {
	return &Reader[T]{windows: w, fetch: fetch, ahead: math.MaxInt, changed: make(chan struct{}, 1)}
}

// Do has a look at the Windows, or changes them.
func (r *Reader[T]) Do(f func(*Windows)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(r.windows)
}

// All hands on what is new on a page at a time. An error of fetch is the last,
// after what comes before it in order. When it returns, no fetch is under way any
// more.
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

// Pull returns a function that returns what All hands on, and io.EOF at the end.
// After an error of fetch it returns first what is under way, as far as it comes
// next. The fetches that are under way end with ctx, and are counted in running.
func (r *Reader[T]) Pull(ctx context.Context, running *sync.WaitGroup, pace Pace) (next func() ([]T, error)) {
	r.ctx, r.running, r.pace = ctx, running, pace
	return r.next
}

// next is what comes next, when it is there.
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

// step is what comes next if it is there. It makes the requests that may be made
// now.
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
	case r.err != nil && (r.flying == 0 || r.pace == nil || r.ctx.Err() != nil):
		return nil, false, r.err
	case r.err == nil && r.windows.Done():
		return nil, false, io.EOF
	case r.flying == 0:
		return nil, false, errStuck
	}
	return nil, false, nil
}

// start makes the requests that may be made now. The caller holds mu. If next
// waits and no request is under way, one is made however far the Reader is ahead:
// it is for what comes next.
func (r *Reader[T]) start(waits bool) {
	if r.err != nil {
		return
	}
	r.keepPace()
	for r.flying+r.waiting < r.ahead || waits && r.flying == 0 {
		request, ok := r.windows.Next()
		if !ok {
			return
		}
		r.flying++
		r.running.Go(func() { r.request(request) })
	}
}

// keepPace has the Windows plan for what the Reader may be ahead. Without an order
// no page waits for another, and the Buffer does not count.
func (r *Reader[T]) keepPace() {
	if r.pace == nil {
		return
	}
	var lanes int
	lanes, r.ahead = r.pace(r.returned)
	r.windows.SetLanes(lanes)
	if r.windows.c.Order != AnyOrder {
		r.windows.SetBuffer((r.ahead + aheadPlan) * PageSize)
	}
}

// aheadPlan is how many pages more the Windows plan for than may be ahead: with
// less, the gaps that they make at the beginning are too small to be worth it.
const aheadPlan = 8

func (r *Reader[T]) request(request *Request) {
	answer, err := r.fetch(r.ctx, request.Query)
	run := r.answered(request, answer, err)
	var objects []T
	if run != nil {
		objects = answer.Objects(run.From, run.To)
	}
	r.mu.Lock()
	r.flying--
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

// answered takes an answer and makes the next requests before anything is done
// with its objects.
func (r *Reader[T]) answered(request *Request, answer Answer[T], err error) (run *Run) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case errors.Is(err, ErrLost):
		r.windows.Lost(request)
	case err != nil:
		r.windows.Drop(request)
	default:
		run, err = r.windows.Read(request, answer.Heads, answer.More)
	}
	if err != nil && !errors.Is(err, ErrLost) && r.err == nil {
		r.err = err
	}
	r.start(false)
	return run
}
