package stripekit

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/stripekit/stripekit/internal/listing"
	"github.com/stripekit/stripekit/internal/transport"
)

// BackfillConfig configures a Backfill. The zero value is valid.
type BackfillConfig struct {
	// From and To select the objects with From <= created < To, to the second. The
	// zero time is no bound. Without To, a Backfill may yield some of the objects
	// that are created while it runs.
	From, To time.Time
	// Concurrency is the most requests in flight. 0 is as many as needed to use the
	// rate limit of the client at the latency of the service, and 16 for a client
	// without a rate limit.
	Concurrency int
	// MaxBuffered is the most objects held in memory, in addition to the object in
	// the loop. 0 is 400 for each request per second of the rate limit, but at least
	// 16,000 and at most 40,000. A value below 500 counts as 500. A small value slows
	// down the reading of uneven lists.
	MaxBuffered int
	// AnyOrder yields the objects in the order in which they are read. It needs less
	// memory.
	AnyOrder bool
	// Checkpoints keeps the position of the Backfill. It is saved about once a
	// second and at the end. The next Backfill with the same list, connection and
	// Name continues there, with the From and AnyOrder of the first. Objects yielded
	// since the last save are yielded again. Objects yielded before it are not,
	// except those of a created second that was not complete: in order of age, that
	// is the second of the last object before the save. Without To, the newest second
	// is not complete either, since objects may still be created in it. The loop
	// waits for each save, so a store that does not return holds it up. If nil, a
	// Backfill begins at From.
	Checkpoints CheckpointStore
	// BeforeSave is called before each save of the checkpoint, between two objects, on
	// the goroutine of the loop. An object counts as done when the loop asks for the
	// next one. So a loop that collects objects, to store many at a time, stores those
	// that it holds in BeforeSave, and a crash loses none. An object may still be
	// yielded again, so it should be stored under its ID.
	//
	// An error ends the Backfill: it is yielded, and nothing is saved any more. At the
	// end, after the last object or before an error of the Backfill is yielded, BeforeSave
	// is called with a context that is not cancelled with that of the Backfill, so that
	// what is held can be stored after a SIGTERM. If that fails too, both errors are
	// yielded as one. A loop that is left, perhaps because it could not store, is treated
	// as a crash: BeforeSave is not called, and nothing saved. BeforeSave requires
	// Checkpoints. If nil, it is not called.
	BeforeSave func(ctx context.Context) error
	// Name distinguishes Backfills of one list that have checkpoints in one store. ""
	// is a valid name.
	Name string
	// Progress is called on the goroutine of the loop, about once a second while
	// objects are yielded, and at the end. If nil, it is not called.
	Progress func(BackfillProgress)
}

// BackfillProgress is the progress of a Backfill.
type BackfillProgress struct {
	// Done is how many objects were yielded, including those before a restart.
	Done int
	// Total is the estimated number of all objects; 0 until it is known. It is
	// derived from the creation times of the objects so far, and can be far off.
	Total int
	// Rate is the current rate in objects per second, averaged over about 10 s.
	Rate float64
	// Remaining is the estimated time to the end; 0 until it is known.
	Remaining time.Duration
	// Requests is how many requests were made, including those that failed.
	Requests int
}

func (c BackfillConfig) check() error {
	for name, bad := range map[string]bool{
		"Concurrency": c.Concurrency < 0, "MaxBuffered": c.MaxBuffered < 0,
		"To": !c.To.IsZero() && c.To.Before(c.From),
	} {
		if bad {
			return fmt.Errorf("stripe: BackfillConfig.%s is out of range", name)
		}
	}
	if c.BeforeSave != nil && c.Checkpoints == nil {
		return errors.New("stripe: BackfillConfig.BeforeSave requires Checkpoints")
	}
	return nil
}

const (
	// leastBuffered is the minimum of MaxBuffered.
	leastBuffered = 5 * listing.PageSize
	// backfillPatience is how long requests may fail before a Backfill fails.
	backfillPatience = 5 * time.Minute
	// progressEvery is the time between two calls of Progress. rateSpan is the time
	// over which the Rate is averaged.
	progressEvery = time.Second
	rateSpan      = 10 * time.Second
)

// Backfill reads a whole list, the oldest objects first, as fast as the rate limit
// allows. Several requests are in flight at a time, each for another range of time.
// Objects of the same created second are in no particular order. An object that is
// in the list the whole time is yielded once. An object that is created, is deleted
// or becomes visible meanwhile is yielded once or not at all.
//
// If an object cannot be decoded into T, an error is yielded in its place, and the
// loop may continue. Every other error ends the Backfill. Temporary failures are
// retried for up to five minutes, in addition to the retries of the client.
//
// If the objects of a list have no field "created", as invoice items, the list is
// read in its order from the end, one request at a time. Then the service applies
// From and To.
func Backfill[T any](ctx context.Context, src Source[T], cfg BackfillConfig) iter.Seq2[*T, error] {
	s := src.source()
	if err := firstError(s.err, cfg.check()); err != nil {
		return failed[T](err)
	}
	return func(yield func(*T, error) bool) {
		b := newBackfill(s, cfg)
		if err := b.run(ctx, yield); err != nil {
			yield(nil, err)
		}
	}
}

// backfill is one iteration.
type backfill[T any] struct {
	source source[T]
	cfg    BackfillConfig

	// Used by the goroutine of the loop alone.
	checkpoint backfillCheckpoint
	to         int64                           // the second of To; NoBound without To
	reading    listing.Span                    // the part of the first span that is before to
	reader     *listing.Reader[*backfilled[T]] // reads that part
	batch      []*backfilled[T]                // objects that were read and not yielded yet
	last       int64                           // the created second of the object yielded last
	unstored   error                           // of BeforeSave: what the loop holds may be lost, so nothing is saved any more
	meter      backfillMeter
	lanes      *listing.Lanes

	mu          sync.Mutex
	identity    *keyIdentity
	account     string // "" if unknown
	requests    int
	respondedAt time.Time // the time of the last response
}

// backfilled is an object, or the error of decoding it.
type backfilled[T any] struct {
	object  *T
	err     error
	id      string
	created int64
}

func newBackfill[T any](s source[T], cfg BackfillConfig) *backfill[T] {
	return &backfill[T]{source: s, cfg: cfg, lanes: s.client.lanes(cfg.Concurrency), respondedAt: time.Now()}
}

// errLeft means that the caller has left the loop.
var errLeft = errors.New("the loop was left")

func (b *backfill[T]) run(ctx context.Context, yield func(*T, error) bool) error {
	if err := b.load(ctx); err != nil {
		return err
	}
	b.meter = backfillMeter{at: time.Now(), done: b.checkpoint.Done}
	err := b.read(ctx, yield)
	b.meter.complete = err == nil
	b.report(true)
	left := errors.Is(err, errLeft)
	if left && b.cfg.BeforeSave != nil {
		return nil // perhaps because the loop could not store what it holds
	}
	saveErr := b.save(context.WithoutCancel(ctx))
	switch {
	case left:
		return nil // no error can be yielded any more
	case err == nil:
		return saveErr
	case b.unstored != nil && !errors.Is(err, b.unstored):
		return fmt.Errorf("%w; %w", err, b.unstored)
	}
	return err
}

// read reads the spans of the checkpoint.
func (b *backfill[T]) read(ctx context.Context, yield func(*T, error) bool) error {
	c := &b.checkpoint
	for _, span := range slices.Clone(c.Spans) {
		if c.Undated || span.Low >= b.to {
			break
		}
		b.reading = listing.Span{Low: span.Low, High: min(span.High, b.to)}
		err := b.readSpan(ctx, yield)
		if errors.Is(err, listing.ErrUndated) && c.Done == 0 {
			c.Undated = true
		} else if err != nil {
			return err
		}
	}
	b.reader = nil
	if c.Undated {
		return b.yieldAll(ctx, b.undated(ctx), yield)
	}
	return nil
}

// readSpan reads the first span of the checkpoint, up to To. Objects that are
// created later in a span without an end are left for the next Backfill.
func (b *backfill[T]) readSpan(ctx context.Context, yield func(*T, error) bool) error {
	order := listing.OldestFirst
	if b.checkpoint.AnyOrder {
		order = listing.AnyOrder
	}
	w := listing.NewWindows(listing.Config{
		Order: order, Low: b.reading.Low, High: b.reading.High, Lanes: b.lanes.Count(),
		Buffer: max(cmp.Or(b.cfg.MaxBuffered, b.lanes.Buffer()), leastBuffered) - listing.PageSize, // without the batch
	})
	b.reader = listing.NewReader(w, b.fetch)
	if err := b.yieldAll(ctx, b.reader.All(ctx), yield); err != nil {
		return err
	}
	b.checkpoint.Spans = b.left()
	return nil
}

// yieldAll yields the objects of batches.
func (b *backfill[T]) yieldAll(ctx context.Context, batches iter.Seq2[[]*backfilled[T], error], yield func(*T, error) bool) error {
	for batch, err := range batches {
		if err != nil {
			return b.failed(err)
		}
		for b.batch = batch; len(b.batch) > 0; {
			o := b.batch[0]
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if !yield(o.object, o.err) {
				return errLeft
			}
			b.batch = b.batch[1:]
			b.yielded(o)
			b.report(false)
			if err := b.saveNow(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// yielded records that the loop is done with an object.
func (b *backfill[T]) yielded(o *backfilled[T]) {
	c := &b.checkpoint
	c.Done++
	b.last = o.created
	if c.Undated && !transport.HasKey(o.id) { // a service that echoes has the key for an id
		c.Cursors = slices.Insert(c.Cursors[:min(len(c.Cursors), listing.PageSize-1)], 0, o.id)
	}
}

func (b *backfill[T]) failed(err error) error {
	if errors.Is(err, listing.ErrPage) {
		return fmt.Errorf("stripe: GET %s: %w: %w", b.source.path, transport.QuoteError(err), ErrAPI)
	}
	return err
}

// fetch requests a page.
func (b *backfill[T]) fetch(ctx context.Context, q listing.Query) (response listing.Response[*backfilled[T]], err error) {
	err = b.retry(ctx, func() error {
		response, err = b.request(ctx, q)
		if errors.Is(err, errOtherKey) {
			if err = b.identify(ctx); err == nil {
				response, err = b.request(ctx, q)
			}
		}
		return err
	})
	if cursorLost(q, err) {
		return response, listing.ErrLost
	}
	return response, err
}

// retry makes a request, and repeats it while it fails temporarily, for up to
// backfillPatience since the last response. The time before the first attempt, in
// which the loop asked for nothing, does not count.
func (b *backfill[T]) retry(ctx context.Context, request func() error) error {
	began := time.Now()
	for failures := 0; ; failures++ {
		err := request()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		}
		b.mu.Lock()
		silent := min(time.Since(began), time.Since(b.respondedAt))
		b.mu.Unlock()
		if endsPoller(err, b.source.client.renewable()) == ends || silent > backfillPatience {
			return err
		}
		if sleepFor(ctx, backoff(failures, err)) != nil {
			return ctx.Err()
		}
	}
}

func (b *backfill[T]) request(ctx context.Context, q listing.Query) (response listing.Response[*backfilled[T]], err error) {
	s := b.source
	b.mu.Lock()
	identity := b.identity
	b.mu.Unlock()
	current, err := s.client.withKey(identity)
	if err != nil {
		return response, err
	}
	req, co, err := s.client.request(current, http.MethodGet, s.path, joined(q.Append(nil), s.query), s.opts)
	if err != nil {
		return response, err
	}
	req.Waits = func(waits bool) {
		if waits {
			return
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.requests++
	}
	var took time.Duration
	err = current.do(ctx, req, co, func(resp *transport.Response) error {
		took = resp.Duration
		body := bytes.Clone(resp.Body)
		page, err := listing.Scan(body, s.timeField)
		if err != nil {
			return err
		}
		response = listing.Response[*backfilled[T]]{Heads: page.Heads, More: page.HasMore, Objects: func(from, to int) []*backfilled[T] {
			return b.decode(page, from, to)
		}}
		return nil
	})
	if err == nil {
		b.responded(took)
	}
	return response, err
}

// decode decodes the objects of a page, in the order in which they are yielded.
func (b *backfill[T]) decode(page *listing.Page, from, to int) []*backfilled[T] {
	out := make([]*backfilled[T], to-from)
	for i := range out {
		n := from + i
		if b.checkpoint.Undated || !b.checkpoint.AnyOrder {
			n = to - 1 - i
		}
		out[i] = &backfilled[T]{id: page.Heads[n].ID, created: page.Heads[n].Created}
		if out[i].object, out[i].err = decode[T](page.Raw[n]); out[i].err != nil {
			out[i].err = transport.QuoteError(fmt.Errorf("stripe: GET %s: object %s: %w", b.source.path, out[i].id, out[i].err))
		}
	}
	return out
}

// responded records a response and its latency.
func (b *backfill[T]) responded(latency time.Duration) {
	b.mu.Lock()
	b.respondedAt = time.Now()
	b.mu.Unlock()
	if n, changed := b.lanes.Observe(latency); changed && b.reader != nil {
		b.reader.Do(func(w *listing.Windows) { w.SetLanes(n) })
	}
}

// sleepFor waits. It returns an error if the context ends first.
func sleepFor(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// backfillMeter measures the progress of a Backfill.
type backfillMeter struct {
	at       time.Time // of the last call of Progress, or the start
	done     int       // objects yielded at that time
	rate     float64   // objects per second
	known    bool      // there has been an estimate of how many objects are left
	complete bool      // the Backfill has read everything
}

// report calls Progress if the last call was at least progressEvery ago, or if the
// Backfill has ended.
func (b *backfill[T]) report(ended bool) {
	m, now := &b.meter, time.Now()
	if b.cfg.Progress == nil {
		return
	}
	passed := now.Sub(m.at)
	if passed < progressEvery && !ended {
		return
	}
	if passed > 0 {
		rate := float64(b.checkpoint.Done-m.done) / passed.Seconds()
		if m.rate == 0 {
			m.rate = rate
		}
		weight := 1 - math.Exp(-passed.Seconds()/rateSpan.Seconds())
		m.rate += (rate - m.rate) * weight
	}
	m.at, m.done = now, b.checkpoint.Done
	p := BackfillProgress{Done: b.checkpoint.Done, Rate: m.rate}
	if left, known := b.expected(); known {
		p.Total = p.Done + left
		if m.rate > 0 {
			p.Remaining = time.Duration(float64(left) / m.rate * float64(time.Second))
		}
	}
	b.mu.Lock()
	p.Requests = b.requests
	b.mu.Unlock()
	b.cfg.Progress(p)
}

// expected returns about how many objects are left. Before the first estimate, zero
// means that the number is unknown. After it, zero means that all was read.
func (b *backfill[T]) expected() (left int, known bool) {
	m := &b.meter
	if m.complete || b.reader == nil {
		return 0, m.complete
	}
	b.reader.Do(func(w *listing.Windows) {
		expected := w.Expected()
		m.known = m.known || expected > 0
		left = int(expected) + w.Held() + len(b.batch)
	})
	return left, m.known
}
