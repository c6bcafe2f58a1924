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

// BackfillConfig configures a Backfill. Its zero value is good.
type BackfillConfig struct {
	// From and To choose the objects: From <= created < To, to the second. The
	// zero time is no bound. Without To, some of what is created while the Backfill
	// runs may be handed out, too.
	From, To time.Time
	// Concurrency is how many requests are under way at the most; 0 is as many as
	// the client's rate limit needs at the service's latency, 16 without a limit.
	Concurrency int
	// MaxBuffered is how many objects are held in memory at the most, beside
	// the one that the loop has; 0 is 400 for each request a second of the client's
	// rate limit, between 16,000 and 40,000. At the least it is 500. Fewer make the
	// reading of uneven lists slower.
	MaxBuffered int
	// AnyOrder hands the objects out as they come. It needs less memory.
	AnyOrder bool
	// Checkpoints keeps how far a Backfill has come: about once a second, and at the
	// end. The next one with the same list, connection and Name goes on there, with
	// the From and the AnyOrder of the first. What the loop had since the last save
	// comes again. What it had before comes once, except for objects of a created
	// second that was not done with: if the oldest come first, that is the second of
	// the last object before the save. The end of a list without To is such a second
	// too, since objects may still be created in it. If Checkpoints is nil, a Backfill
	// begins at From.
	Checkpoints CheckpointStore
	// Name distinguishes Backfills of one list with a checkpoint. "" is a name
	// too.
	Name string
	// Progress is called in the goroutine of the loop, about once a second while
	// objects come, and at the end. If it is nil, it is not called.
	Progress func(BackfillProgress)
}

// BackfillProgress tells how far a Backfill has come.
type BackfillProgress struct {
	// Done is how many objects were handed out, those before a restart included.
	Done int
	// Total is about how many there are in all, 0 until that is known. It is
	// found from when the objects so far were created, and can be far off.
	Total int
	// Rate is in objects a second, lately.
	Rate float64
	// Remaining is about how long it takes, 0 until that is known.
	Remaining time.Duration
	// Requests is how many were made, those that failed included.
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
	return nil
}

const (
	// leastBuffered is the least MaxBuffered.
	leastBuffered = 5 * listing.PageSize
	// backfillPatience is how long requests may fail before a Backfill does.
	backfillPatience = 5 * time.Minute
	// progressEvery is the time between two calls of Progress, and rateSpan that
	// for which its Rate is.
	progressEvery = time.Second
	rateSpan      = 10 * time.Second
)

// Backfill reads a whole list, the oldest objects first, as fast as the rate
// limit allows: several requests are under way at a time, each for another part
// of the time. Objects of the same created second come in no particular order.
// What is in the list all the while comes once; what is created, deleted or
// becomes visible meanwhile may come, at most once.
//
// An object that T cannot hold is an error in its place, and the loop may go on
// behind it. Every other error is the last. A request that fails in a way that
// passes is repeated, for up to five minutes, in addition to the client's own
// retries.
//
// A list whose objects do not tell when they were created, such as that of invoice
// items, is read by one request at a time: in the list's order from its end, and
// From and To are applied by the service.
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

	// Of the goroutine of the loop.
	checkpoint backfillCheckpoint
	to         int64
	reading    listing.Span                    // the part of the first span that is before to
	reader     *listing.Reader[*backfilled[T]] // of it
	batch      []*backfilled[T]                // what the loop has not had of it yet
	last       int64                           // the created second of what it had last
	meter      backfillMeter
	lanes      *lanes

	mu         sync.Mutex
	identity   *keyIdentity
	account    string // "" if it is not known
	requests   int
	answeredAt time.Time
}

// backfilled is an object, or why T cannot hold it.
type backfilled[T any] struct {
	object  *T
	err     error
	id      string
	created int64
}

func newBackfill[T any](s source[T], cfg BackfillConfig) *backfill[T] {
	return &backfill[T]{source: s, cfg: cfg, lanes: newLanes(s.client, cfg.Concurrency), answeredAt: time.Now()}
}

// errLeft: the loop was left.
var errLeft = errors.New("the loop was left")

func (b *backfill[T]) run(ctx context.Context, yield func(*T, error) bool) error {
	if err := b.load(ctx); err != nil {
		return err
	}
	b.meter = backfillMeter{at: time.Now(), done: b.checkpoint.Done}
	err := b.read(ctx, yield)
	b.meter.complete = err == nil
	b.report(true)
	saveErr := b.save(context.WithoutCancel(ctx))
	switch {
	case errors.Is(err, errLeft):
		return nil // nobody is there to hear of an error
	case err != nil:
		return err
	}
	return saveErr
}

// read reads what the checkpoint says is left.
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
		return b.hand(ctx, b.undated(ctx), yield)
	}
	return nil
}

// readSpan reads the first span of the checkpoint, up to To. What is created later
// in one without an end is left for another time.
func (b *backfill[T]) readSpan(ctx context.Context, yield func(*T, error) bool) error {
	order := listing.OldestFirst
	if b.checkpoint.AnyOrder {
		order = listing.AnyOrder
	}
	w := listing.NewWindows(listing.Config{
		Order: order, Low: b.reading.Low, High: b.reading.High, Lanes: b.lanes.count(),
		Buffer: max(cmp.Or(b.cfg.MaxBuffered, b.lanes.buffer()), leastBuffered) - listing.PageSize, // without the batch
	})
	b.reader = listing.NewReader(w, b.fetch)
	if err := b.hand(ctx, b.reader.All(ctx), yield); err != nil {
		return err
	}
	b.checkpoint.Spans = b.left()
	return nil
}

// hand hands out the objects of batches.
func (b *backfill[T]) hand(ctx context.Context, batches iter.Seq2[[]*backfilled[T], error], yield func(*T, error) bool) error {
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
			b.handed(o)
			b.report(false)
			if err := b.saveNow(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// handed takes notice that the loop is done with an object.
func (b *backfill[T]) handed(o *backfilled[T]) {
	c := &b.checkpoint
	c.Done++
	b.last = o.created
	if c.Undated {
		c.Cursors = slices.Insert(c.Cursors[:min(len(c.Cursors), listing.PageSize-1)], 0, o.id)
	}
}

func (b *backfill[T]) failed(err error) error {
	if errors.Is(err, listing.ErrPage) {
		return fmt.Errorf("stripe: GET %s: %w: %w", b.source.path, err, ErrAPI)
	}
	return err
}

// fetch requests a page.
func (b *backfill[T]) fetch(ctx context.Context, q listing.Query) (answer listing.Answer[*backfilled[T]], err error) {
	err = b.insist(ctx, func() error {
		answer, err = b.request(ctx, q)
		if errors.Is(err, errKeyChanged) {
			if err = b.identify(ctx); err == nil {
				answer, err = b.request(ctx, q)
			}
		}
		return err
	})
	if cursorLost(q, err) {
		return answer, listing.ErrLost
	}
	return answer, err
}

// insist makes a request, again and again if it fails in a way that passes. How
// long a loop has not asked for anything does not count as failing.
func (b *backfill[T]) insist(ctx context.Context, request func() error) error {
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
		silent := min(time.Since(began), time.Since(b.answeredAt))
		b.mu.Unlock()
		if endsPoller(err, b.source.client.current.Load().connection != "") == ends || silent > backfillPatience {
			return err
		}
		if sleepFor(ctx, backoff(failures, err)) != nil {
			return ctx.Err()
		}
	}
}

func (b *backfill[T]) request(ctx context.Context, q listing.Query) (answer listing.Answer[*backfilled[T]], err error) {
	s := b.source
	b.mu.Lock()
	identity := b.identity
	b.mu.Unlock()
	current, err := s.client.withKey(identity)
	if err != nil {
		return answer, err
	}
	req, co, err := s.client.request(current, http.MethodGet, s.path, joined(q.Append(nil), s.query), s.opts)
	if err != nil {
		return answer, err
	}
	var sent time.Time
	req.Passed = func() {
		sent = time.Now()
		b.mu.Lock()
		defer b.mu.Unlock()
		b.requests++
	}
	err = current.do(ctx, req, co, func(resp *transport.Response) error {
		body := bytes.Clone(resp.Body)
		page, err := listing.Scan(body, s.timeField)
		if err != nil {
			return err
		}
		answer = listing.Answer[*backfilled[T]]{Heads: page.Heads, More: page.HasMore, Objects: func(from, to int) []*backfilled[T] {
			return b.decode(page, from, to)
		}}
		return nil
	})
	if err == nil {
		b.answered(time.Since(sent))
	}
	return answer, err
}

// decode decodes the objects of a page, in the order in which they are handed
// out.
func (b *backfill[T]) decode(page *listing.Page, from, to int) []*backfilled[T] {
	out := make([]*backfilled[T], to-from)
	for i := range out {
		n := from + i
		if b.checkpoint.Undated || !b.checkpoint.AnyOrder {
			n = to - 1 - i
		}
		out[i] = &backfilled[T]{id: page.Heads[n].ID, created: page.Heads[n].Created}
		if out[i].object, out[i].err = decode[T](page.Raw[n]); out[i].err != nil {
			out[i].err = fmt.Errorf("stripe: GET %s: object %s: %w", b.source.path, out[i].id, out[i].err)
		}
	}
	return out
}

func (b *backfill[T]) answered(latency time.Duration) {
	b.mu.Lock()
	b.answeredAt = time.Now()
	b.mu.Unlock()
	if n, changed := b.lanes.answered(latency); changed && b.reader != nil {
		b.reader.Do(func(w *listing.Windows) { w.SetLanes(n) })
	}
}

// sleepFor waits; an error if the context ends before that.
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

// backfillMeter is what Progress is told of.
type backfillMeter struct {
	at       time.Time // of the last call, or the start
	done     int       // at that time
	rate     float64
	known    bool // about how many are left, or were
	complete bool
}

// report calls Progress, if it is time.
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

// expected is about how many objects are left. Once that was known, none that are
// expected are none: all that is left was read.
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
