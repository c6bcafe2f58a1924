package stripekit

import (
	"errors"
	"sync"
	"time"

	"github.com/stripekit/stripekit/internal/listing"
	"github.com/stripekit/stripekit/internal/tail"
)

const (
	// drainBuffer is how many objects a drain holds while the queue is full.
	drainBuffer = 16_000
	// maxDrains is how many Pollers of a process drain a backlog by several requests
	// at the same time. Any other Poller makes one request at a time, and holds
	// narrowBuffer objects. This bounds the memory for thousands of Pollers.
	maxDrains    = 8
	narrowBuffer = 4 * listing.PageSize
)

var drains = make(chan struct{}, maxDrains)

// drainer is the state of a drain. The mu of the Poller guards it.
type drainer struct {
	wide     bool // it counts in drains
	rekey    bool // the key was changed
	lanes    *listing.Lanes
	inFlight int                            // requests in flight
	waiting  map[*listing.Request]time.Time // since when requests wait for the rate limits of the client
	changed  chan struct{}                  // wakes the fetching role after a response or an acknowledgement
}

// openDrain begins a drain, or returns the current one. The caller holds mu.
func (p *Poller[T]) openDrain() *drainer {
	if p.drainer != nil {
		return p.drainer
	}
	d := &drainer{
		lanes: p.source.client.lanes(1), waiting: map[*listing.Request]time.Time{}, changed: make(chan struct{}, 1),
	}
	p.tail.OpenDrain(1, narrowBuffer)
	p.widen(d)
	p.drainer = d
	return d
}

// widen lets a drain make several requests at the same time, unless maxDrains
// Pollers do so already. The caller holds mu.
func (p *Poller[T]) widen(d *drainer) {
	if d.wide {
		return
	}
	select {
	case drains <- struct{}{}:
		d.wide, d.lanes = true, p.source.client.lanes(0)
		p.tail.WidenDrain(d.lanes.Count(), drainBuffer)
	default:
	}
}

// longestWait returns since when the first of the waiting requests waits; zero if
// there is none.
func (d *drainer) longestWait() (since time.Time) {
	for _, at := range d.waiting {
		if since.IsZero() || at.Before(since) {
			since = at
		}
	}
	return since
}

// closeDrain ends the drain, complete or not. The caller holds mu.
func (p *Poller[T]) closeDrain() {
	if p.drainer != nil && p.drainer.wide {
		<-drains
	}
	p.drainer = nil
}

// notify wakes the fetching role.
func (d *drainer) notify() {
	select {
	case d.changed <- struct{}{}:
	default:
	}
}

// drain reads a backlog by several requests at the same time. It returns when the
// backlog is read, when the buffer is full, when a request fails, or when the
// Poller ends.
func (p *Poller[T]) drain() {
	p.mu.Lock()
	d := p.openDrain()
	p.mu.Unlock()
	var running sync.WaitGroup
	defer running.Wait()
	for {
		if p.identity == nil {
			if err := p.identify(); err != nil {
				p.requested(listing.Query{}, err)
			}
		}
		request, idle := p.nextDrain(d)
		switch {
		case request != nil:
			identity := p.identity
			running.Go(func() { p.drainRequest(d, request, identity) })
		case idle:
			return
		default:
			<-d.changed
		}
	}
}

// nextDrain queues the objects for which there is room, and returns the next
// request. idle reports whether there is none and none is in flight.
func (p *Poller[T]) nextDrain(d *drainer) (request *listing.Request, idle bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.widen(d)
	if p.takeDrained() {
		p.kick()
	}
	free := p.ctx.Err() == nil && p.identity != nil && !d.rekey && !p.pollAt.After(time.Now())
	if free {
		if r, ok := p.tail.DrainNext(); ok {
			d.inFlight++
			return r, false
		}
	}
	switch {
	case d.inFlight > 0:
		return nil, false
	case d.rekey:
		d.rekey, p.identity = false, nil
		d.notify()
		return nil, false
	case free && p.tail.Draining() && !p.queue.Full():
		p.tail.GiveUpDrain()
	}
	if !p.tail.Draining() {
		p.closeDrain()
	}
	return nil, true
}

// takeDrained queues the next objects of the drain, as long as there is room, and
// reports whether there were any. The caller holds mu.
func (p *Poller[T]) takeDrained() (added bool) {
	for !p.queue.Full() {
		d, found, ok := p.tail.DrainFound()
		if !ok {
			break
		}
		for _, f := range found {
			in := d.Value.([]*incoming[T])[f.Ref]
			in.key = f.Key
			p.queue.Add(in)
			added = true
		}
	}
	return added
}

// drainRequest makes a request of a drain.
func (p *Poller[T]) drainRequest(d *drainer, r *listing.Request, identity *keyIdentity) {
	var sent time.Time
	err := p.source.request(p.ctx, identity, r.Query, func(waits bool) {
		sent = time.Now()
		p.mu.Lock()
		defer p.mu.Unlock()
		p.drainWaits(d, r, waits)
	}, nil, func(page *listed) error { return p.readDrained(d, r, page) })
	if err == nil {
		p.mu.Lock()
		lanes := d.lanes // widen may replace them
		p.mu.Unlock()
		if n, changed := lanes.Observe(time.Since(sent)); changed {
			p.mu.Lock()
			p.tail.DrainLanes(n)
			p.mu.Unlock()
		}
	}
	p.mu.Lock()
	p.drainWaits(d, r, false)
	failed := false
	switch {
	case err == nil:
		p.requestEnded(nil)
	case cursorLost(r.Query, err):
		p.tail.DrainLost(r)
		p.requestEnded(nil)
	case errors.Is(err, errOtherKey):
		p.tail.DrainDrop(r)
		d.rekey = true
	default:
		p.tail.DrainDrop(r)
		failed = p.requestEnded(err)
	}
	d.inFlight--
	failures, next := p.status.Failures, p.pollAt
	p.mu.Unlock()
	d.notify()
	if failed {
		p.log.Warn("stripe poll failed", "error", err, "failures", failures, "next", next)
	}
}

// drainWaits records whether a request waits for the rate limits of the client. The
// caller holds mu.
func (p *Poller[T]) drainWaits(d *drainer, r *listing.Request, waits bool) {
	delete(d.waiting, r)
	if waits {
		d.waiting[r] = time.Now()
	}
	p.waitingSince = d.longestWait()
}

// readDrained reads a page. The next requests are sent while its objects are
// decoded.
func (p *Poller[T]) readDrained(d *drainer, r *listing.Request, page *listed) error {
	p.mu.Lock()
	unread := p.unread()
	drained, err := p.tail.DrainRead(r, page.Page)
	if gap := p.checkGap(unread, page.At); gap != nil {
		err = gap
	}
	p.mu.Unlock()
	d.notify()
	if err != nil || drained == nil {
		return err
	}
	p.decodeDrained(drained, page)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tail.DrainReady(drained)
	return nil
}

func (p *Poller[T]) decodeDrained(drained *tail.Drained, page *listed) {
	decoded := make([]*incoming[T], len(drained.Fresh))
	for _, f := range drained.Fresh {
		decoded[f.Ref] = newIncoming[T](page, f.Index, page.Raw[f.Index])
	}
	drained.Value = decoded
}
