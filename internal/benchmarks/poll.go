package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/stripe/stripe-go/v85"

	"github.com/stripekit/stripekit"
)

// gate holds a poller's requests until run or polls lets them pass.
type gate struct {
	next    http.RoundTripper
	left    int           // number of requests that may pass
	arrived chan struct{} // receives a value when a request waits
	open    chan int      // receives the number of requests that may pass
}

func (g *gate) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Path == "/v1/account" {
		return g.next.RoundTrip(r)
	}
	if g.left == 0 {
		select {
		case g.arrived <- struct{}{}:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
		select {
		case g.left = <-g.open:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	g.left--
	return g.next.RoundTrip(r)
}

// poller is a real Poller that polls without a pause, as often as its gate
// allows.
type poller struct {
	gate   *gate
	poller *stripekit.Poller[stripekit.Charge]
	events <-chan stripekit.Event[stripekit.Charge]
	cancel context.CancelFunc
}

// startPoller starts a poller, and lets it find the first charges.
func startPoller(k feedKind, e endpoint) (*poller, error) {
	g := &gate{next: e.transport, arrived: make(chan struct{}), open: make(chan int)}
	client, err := ourClient(e.url, g)
	if err != nil {
		return nil, err
	}
	p := &poller{gate: g}
	p.poller, err = stripekit.NewPoller(client.Charges, stripekit.PollConfig{
		Every: time.Microsecond, Overlap: k.overlap() - k.lag(), From: stripekit.FromTime(time.Unix(k.Start, 0)),
	})
	if err != nil {
		return nil, err
	}
	var ctx context.Context
	ctx, p.cancel = context.WithCancel(context.Background())
	if p.events, err = p.poller.Start(ctx); err != nil {
		return nil, err
	}
	if err := p.await(func(string) {}); err != nil {
		return nil, err
	}
	first, err := p.polls(1)
	if err == nil && len(first) != known {
		err = fmt.Errorf("the first poll found %d charges, not %d", len(first), known)
	}
	return p, err
}

// await receives and acknowledges events until the poller requests a page, and
// has no unacknowledged events from earlier pages.
func (p *poller) await(found func(id string)) error {
	timeout := time.NewTimer(time.Minute)
	defer timeout.Stop()
	for arrived := false; !arrived || p.poller.Status().Unacked > 0; {
		select {
		case e, ok := <-p.events:
			if !ok {
				return fmt.Errorf("the poller has ended: %w", p.poller.Err())
			}
			found(e.ID)
			e.Ack()
		case <-p.gate.arrived:
			arrived = true
		case <-timeout.C:
			return fmt.Errorf("the poller does not poll: %w", p.poller.Status().LastError)
		}
	}
	return nil
}

// run lets n polls happen: from the response to the waiting request until the
// next request waits.
func (p *poller) run(n int) error {
	p.gate.open <- n
	return p.await(func(string) {})
}

// polls lets n polls happen and returns what they found.
func (p *poller) polls(n int) (found []string, err error) {
	p.gate.open <- n
	err = p.await(func(id string) { found = append(found, id) })
	return found, err
}

// stop stops the poller.
func (p *poller) stop() {
	p.cancel()
	for range p.events {
	}
}

// naive is a simple poller with stripe-go: it lists the overlap and looks up
// each id.
type naive struct {
	client  *stripe.Client
	overlap int64
	since   int64
	seen    map[string]int64
}

// poll calls found with each new charge.
func (p *naive) poll(ctx context.Context, found func(*stripe.Charge)) error {
	charges := p.client.V1Charges.List(ctx, &stripe.ChargeListParams{
		ListParams:   stripe.ListParams{Limit: new(int64(pageSize))},
		CreatedRange: &stripe.RangeQueryParams{GreaterThanOrEqual: p.since},
	})
	for charge, err := range charges.All(ctx) {
		if err != nil {
			return err
		}
		if _, known := p.seen[charge.ID]; !known {
			p.seen[charge.ID] = charge.Created
			found(charge)
		}
		p.since = max(p.since, charge.Created-p.overlap)
	}
	for id, created := range p.seen {
		if created < p.since {
			delete(p.seen, id)
		}
	}
	return nil
}

// polled returns a constructor of the sides of a row that polls.
func polled(k feedKind, connect func(feedKind) (wiring, error)) func() (pair, error) {
	return func() (_ pair, err error) {
		k := k.startedNow()
		w, err := connect(k)
		if err != nil {
			return pair{}, err
		}
		defer func() {
			if err != nil {
				w.close()
			}
		}()
		theirs, err := pollNaively(k, w)
		if err != nil {
			return pair{}, err
		}
		p, err := startPoller(k, w.ours)
		if err != nil {
			return pair{}, err
		}
		want := ids(known, known+4*k.Grows+2)
		slices.Reverse(want)
		return pair{
			ours: side{run: p.run, work: func() ([]string, error) {
				return fourPolls(w.ours, func() ([]string, error) { return p.polls(1) })
			}},
			theirs: theirs, floor: pollBarely(k, w.floor), want: want,
			close: func() {
				p.stop()
				w.close()
			},
		}, nil
	}
}

// pollNaively returns the side of stripe-go, which has polled once.
func pollNaively(k feedKind, w wiring) (side, error) {
	ctx := context.Background()
	their := &naive{
		client: theirClient(w.theirs.url, w.theirs.transport), seen: map[string]int64{},
		overlap: int64(k.overlap()/time.Second) + margin, since: k.Start,
	}
	poll := func() (found []string, err error) {
		err = their.poll(ctx, func(c *stripe.Charge) { found = append(found, c.ID) })
		return found, err
	}
	if _, err := poll(); err != nil {
		return side{}, err
	}
	return side{run: discarding(poll), work: func() ([]string, error) {
		found, err := fourPolls(w.theirs, poll)
		if err != nil {
			return nil, err
		}
		return found, sameWork(w)
	}}, nil
}

// pollBarely returns a side that reads the page of each poll, and no more.
func pollBarely(k feedKind, e endpoint) side {
	bare, newest := newPlain(e.url, e.transport), known-1
	return side{run: func(n int) error {
		return repeat(n, func() error {
			since := max(k.created(newest)-int64(k.overlap()/time.Second)-margin, k.Start)
			newest += k.Grows
			return bare.get(context.Background(), nil, "/v1/charges?limit=100&created[gte]="+strconv.FormatInt(since, 10))
		})
	}}
}

// fourPolls is the work of a test: three polls, and one more with two new charges.
func fourPolls(e endpoint, poll func() ([]string, error)) (all []string, err error) {
	for i := range 4 {
		if i == 3 {
			if err := newPlain(e.url, e.transport).get(context.Background(), nil, "/new?2"); err != nil {
				return nil, err
			}
		}
		found, err := poll()
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	slices.Sort(all)
	return all, nil
}

// sameWork returns an error unless both sides were listed the same number of charges.
func sameWork(w wiring) error {
	var ours, theirs [2]int // charges, responses
	ctx := context.Background()
	err := newPlain(w.ours.url, w.ours.transport).get(ctx, &ours, "/listed")
	if err == nil {
		err = newPlain(w.theirs.url, w.theirs.transport).get(ctx, &theirs, "/listed")
	}
	// The second that a Poller reads from may be off by one.
	if err == nil && max(ours[0]-theirs[0], theirs[0]-ours[0]) > ours[1] {
		err = fmt.Errorf("%d charges were listed to stripekit, and %d to stripe-go", ours[0], theirs[0])
	}
	return err
}
