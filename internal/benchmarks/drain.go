package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"runtime/metrics"
	"time"

	"github.com/stripe/stripe-go/v85"

	"github.com/stripekit/stripekit"
)

// backlog is an account with a number of charges, created at a steady rate up
// to now, and no new ones.
type backlog struct {
	mold  *mold
	count int
	rate  int // charges per second
	start int64
}

func newBacklog(count, rate int) (*backlog, error) {
	m, err := newMold(compact)
	return &backlog{mold: m, count: count, rate: rate, start: time.Now().Unix() - int64(count/rate) - 60}, err
}

func (b *backlog) created(number int) int64 { return b.start + int64(number/b.rate) }

// from returns the number of the first charge created in second or later.
func (b *backlog) from(second int64) int { return min(max(int(second-b.start)*b.rate, 0), b.count) }

func (b *backlog) response(r *http.Request) response {
	now := time.Now()
	if isAccount(r) {
		return response{body: account, date: now}
	}
	low, high, more := requested(r, b.count, b.from)
	return b.mold.list(low, high, more, b.created, now)
}

// drained is the result of a drain.
type drained struct {
	objects int
	took    time.Duration
	before  uint64  // bytes of the heap before the drain
	peak    uint64  // maximum bytes of the heap during the drain
	bytes   float64 // allocated per object
	allocs  float64 // per object
}

func (d drained) rate() float64 { return float64(d.objects) / d.took.Seconds() }

// growth returns by how many bytes the heap has grown at most.
func (d drained) growth() uint64 { return d.peak - min(d.peak, d.before) }

// heapNow returns the bytes in the heap, including garbage.
func heapNow() uint64 {
	heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(heap)
	return heap[0].Value.Uint64()
}

// drain measures the function read, which reads a list to its end.
func drain(read func() (objects int, err error)) (d drained, err error) {
	runtime.GC()
	d.before = heapNow()
	done, peak := make(chan struct{}), make(chan uint64)
	go func() {
		var most uint64
		for tick := time.NewTicker(2 * time.Millisecond); ; {
			most = max(most, heapNow())
			select {
			case <-tick.C:
			case <-done:
				tick.Stop()
				peak <- most
				return
			}
		}
	}()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	d.objects, err = read()
	d.took = time.Since(start)
	runtime.ReadMemStats(&after)
	close(done)
	d.peak = <-peak
	d.bytes = float64(after.TotalAlloc-before.TotalAlloc) / float64(d.objects)
	d.allocs = float64(after.Mallocs-before.Mallocs) / float64(d.objects)
	return d, err
}

// drains reads 200,000 charges over HTTP on loopback: with a Poller from the
// beginning, each acknowledged; with stripe-go's List, a tenth of them; and
// page by page with net/http.
func drains(ctx context.Context, o options) ([]line, error) {
	count, share := 200_000, 10
	if o.quick {
		count = 2_000
	}
	var ours, theirs, floor drained
	for _, s := range []struct {
		name   string
		into   *drained
		count  int
		reader func(context.Context, *backlog, string) (int, error)
	}{
		{"floor", &floor, count, drainPlain},
		{"ours", &ours, count, drainPoller},
		{"theirs", &theirs, count / share, drainList},
	} {
		if o.only != "" && o.only != s.name {
			continue
		}
		b, err := newBacklog(s.count, 1)
		if err != nil {
			return nil, err
		}
		server := httptest.NewServer(service(b.response))
		*s.into, err = drain(func() (int, error) { return s.reader(ctx, b, server.URL) })
		server.Close()
		if err == nil && s.into.objects != s.count {
			err = fmt.Errorf("%s: %d of %d charges were read", s.name, s.into.objects, s.count)
		}
		if err != nil {
			return nil, err
		}
	}
	share100 := ours.rate() / floor.rate()
	figure := func(d drained) string {
		return fmt.Sprintf("%.0f/s, heap ≤ %s", d.rate(), size(float64(d.peak)))
	}
	return []line{{
		title: fmt.Sprintf("drain %d charges over HTTP", count), ours: figure(ours), theirs: figure(theirs),
		ratio: fmt.Sprintf("%.1f ×", ours.rate()/theirs.rate()), goal: "≥ 60 % of the floor's rate", met: fmt.Sprintf("%s (%.0f %%)", yes(share100 >= 0.6), share100*100),
		ourMemory: cost{bytes: ours.bytes, allocs: ours.allocs}.memory(), theirMemory: cost{bytes: theirs.bytes, allocs: theirs.allocs}.memory(),
		floor: figure(floor),
	}}, nil
}

func drainPoller(ctx context.Context, b *backlog, url string) (int, error) {
	client, err := ourClient(url, nil)
	if err != nil {
		return 0, err
	}
	p, err := stripekit.NewPoller(client.Charges, stripekit.PollConfig{From: stripekit.FromBeginning, Every: time.Millisecond})
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	events, err := p.Start(ctx)
	if err != nil {
		return 0, err
	}
	seen := 0
	for e := range events {
		if e.ID != chargeID(seen) || e.Object.Status != "succeeded" {
			return seen, fmt.Errorf("event %d is %s", seen, e.ID)
		}
		e.Ack()
		if seen++; seen == b.count {
			return seen, nil
		}
	}
	return seen, fmt.Errorf("the poller has ended: %w", p.Err())
}

func drainList(ctx context.Context, b *backlog, url string) (seen int, err error) {
	list := theirClient(url, nil).V1Charges.List(ctx, &stripe.ChargeListParams{ListParams: stripe.ListParams{Limit: new(int64(pageSize))}})
	for charge, err := range list.All(ctx) {
		if err != nil {
			return seen, err
		}
		if charge.ID != chargeID(b.count-1-seen) {
			return seen, fmt.Errorf("charge %d is %s", seen, charge.ID)
		}
		seen++
	}
	return seen, nil
}

func drainPlain(ctx context.Context, b *backlog, url string) (seen int, err error) {
	p := plain{&http.Client{Transport: likeOurs(nil)}, url}
	for seen < b.count {
		path := "/v1/charges?limit=100"
		if seen > 0 {
			path += "&starting_after=" + chargeID(b.count-seen)
		}
		if err := p.do(ctx, http.MethodGet, path, nil); err != nil {
			return seen, err
		}
		seen = min(seen+pageSize, b.count)
	}
	return seen, nil
}
