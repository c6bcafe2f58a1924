package stripekit

import (
	"errors"
	"sync"
	"time"

	"github.com/stripekit/stripekit/internal/listing"
	"github.com/stripekit/stripekit/internal/tail"
)

const (
	// drainBuffer is how many objects a drain holds that the reader has not room
	// for yet.
	drainBuffer = 16_000
	// maxDrains is how many Pollers of a process drain a backlog by several requests
	// at once. A further one makes one request after the other, and holds narrowBuffer
	// objects: ten thousand of them are not to need ten thousand buffers.
	maxDrains    = 8
	narrowBuffer = 4 * listing.PageSize
)

var drains = make(chan struct{}, maxDrains)

// drainer is a drain under way. The Poller's mu guards it.
type drainer struct {
	wide    bool // it is one of drains
	rekey   bool // the key was changed
	lanes   *lanes
	flying  int           // requests under way
	waiting int           // of those, for the client's limits
	changed chan struct{} // tells the fetcher of an answer or an acknowledgement
}

// openDrain begins a drain, or goes on with one. The caller holds mu.
func (p *Poller[T]) openDrain() *drainer {
	if p.drainer != nil {
		return p.drainer
	}
	d := &drainer{changed: make(chan struct{}, 1)}
	n, buffer := 1, narrowBuffer
	select {
	case drains <- struct{}{}:
		d.wide, n, buffer = true, 0, drainBuffer
	default:
	}
	d.lanes = newLanes(p.source.client, n)
	p.tail.OpenDrain(d.lanes.count(), buffer)
	p.drainer = d
	return d
}

// closeDrain ends a drain that is read, or is not read any more. The caller holds
// mu.
func (p *Poller[T]) closeDrain() {
	if p.drainer != nil && p.drainer.wide {
		<-drains
	}
	p.drainer = nil
}

// notify tells the fetcher that there may be something to do for it.
func (d *drainer) notify() {
	select {
	case d.changed <- struct{}{}:
	default:
	}
}

// drain reads a backlog by several requests at once. It returns when that is read,
// when the reader is far behind, when a request fails, or at the end.
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

// nextDrain hands on what can be handed on, and returns the next request. It is
// idle if there is none and none is under way.
func (p *Poller[T]) nextDrain(d *drainer) (request *listing.Request, idle bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.takeDrained()
	free := p.ctx.Err() == nil && p.identity != nil && !d.rekey && !p.pollAt.After(time.Now())
	if free {
		if r, ok := p.tail.DrainNext(); ok {
			d.flying++
			d.waiting++
			if p.waitingSince.IsZero() {
				p.waitingSince = time.Now()
			}
			return r, false
		}
	}
	switch {
	case d.flying > 0:
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

// takeDrained queues what comes next, as long as there is room. The caller holds
// mu.
func (p *Poller[T]) takeDrained() {
	added := false
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
	if added {
		p.kick()
	}
}

// drainRequest makes a request of a drain.
func (p *Poller[T]) drainRequest(d *drainer, r *listing.Request, identity *keyIdentity) {
	var sent time.Time
	err := p.source.request(p.ctx, identity, r.Query, func() {
		sent = time.Now()
		p.mu.Lock()
		defer p.mu.Unlock()
		p.passed(d)
	}, nil, func(page *listed) error { return p.readDrained(d, r, page) })
	if err == nil {
		if n, changed := d.lanes.answered(time.Since(sent)); changed {
			p.mu.Lock()
			p.tail.DrainLanes(n)
			p.mu.Unlock()
		}
	}
	p.mu.Lock()
	if sent.IsZero() {
		p.passed(d)
	}
	failed := false
	switch {
	case err == nil:
		p.requestEnded(nil)
	case cursorLost(r.Query, err):
		p.tail.DrainLost(r)
		p.requestEnded(nil)
	case errors.Is(err, errKeyChanged):
		p.tail.DrainDrop(r)
		d.rekey = true
	default:
		p.tail.DrainDrop(r)
		failed = p.requestEnded(err)
	}
	d.flying--
	failures, next := p.status.Failures, p.pollAt
	p.mu.Unlock()
	d.notify()
	if failed {
		p.log.Warn("stripe poll failed", "error", err, "failures", failures, "next", next)
	}
}

// passed takes notice that a request waits no longer for the client's limits. The
// caller holds mu.
func (p *Poller[T]) passed(d *drainer) {
	d.waiting--
	p.waitingSince = time.Time{}
	if d.waiting > 0 {
		p.waitingSince = time.Now()
	}
}

// readDrained takes in a page. The next requests are made before its objects are
// decoded.
func (p *Poller[T]) readDrained(d *drainer, r *listing.Request, page *listed) error {
	p.mu.Lock()
	drained, err := p.tail.DrainRead(r, page.Page)
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
