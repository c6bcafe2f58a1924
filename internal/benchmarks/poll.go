package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sort"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/stripe/stripe-go/v85"

	"github.com/stripekit/stripekit"
)

// feed is a list of charges that is polled. The charges of the overlap are
// fewer than a page: as many as a Poller reads again with each poll of a quiet
// list. Each side has its own feed and requests one page at a time, so the page
// can be changed in place.
type feed struct {
	mold    *mold
	page    []byte
	low     int // the number of the oldest charge on the page
	newest  int // the number of the newest charge
	clock   func() time.Time
	created func(number int) int64
	overlap time.Duration

	grows     int          // number of new charges in each response
	touches   bool         // a charge changes with each response
	responses int          // number of responses so far
	listed    int          // number of charges in all responses so far
	due       atomic.Int32 // number of additional charges in the next response
}

const (
	// known is how many charges a Poller reads again in a poll of one page.
	known = 75
	// secondsApart is the time between two charges of a growing feed.
	secondsApart = 6
	// margin is how many seconds before its overlap a Poller reads.
	margin = 60
)

// staying returns a constructor of feeds that do not change. Their clock is
// real.
func staying(l layout) func() (*feed, error) {
	return func() (*feed, error) {
		start := time.Now().Unix() - known - 2
		return newFeed(l, &feed{
			clock: time.Now, overlap: 10 * time.Minute,
			created: func(number int) int64 { return start + int64(number) },
		})
	}
}

// touched returns a constructor of feeds in which the metadata of one charge
// changes with each response.
func touched(l layout) func() (*feed, error) {
	return func() (*feed, error) {
		f, err := staying(l)()
		if err == nil {
			f.touches = true
		}
		return f, err
	}
}

// growing returns a constructor of feeds with two new charges in each response.
// Their clock is the time of the newest charge. So each response is 12 s after
// the last, and for each new charge an old one leaves the overlap.
func growing(l layout) func() (*feed, error) {
	return func() (*feed, error) {
		start := time.Now().Unix()
		f := &feed{grows: 2, created: func(number int) int64 { return start + int64(number)*secondsApart }}
		f.overlap = ((known-2)*secondsApart - margin) * time.Second
		f.clock = func() time.Time { return time.Unix(f.created(f.newest), 0) }
		return newFeed(l, f)
	}
}

// lag returns how far a Poller stays behind the clock of a growing feed. That
// clock jumps with each response, and the Poller believes a jump one response
// later.
func (f *feed) lag() time.Duration { return time.Duration(f.grows*secondsApart) * time.Second }

func newFeed(l layout, f *feed) (*feed, error) {
	var err error
	if f.mold, err = newMold(l); err != nil {
		return nil, err
	}
	f.newest = known - 1
	f.page = f.mold.page(nil, 0, known, false, f.created)
	return f, nil
}

// response responds to a list request by its filters.
func (f *feed) response(r *http.Request) response {
	if isAccount(r) {
		return response{body: account, date: f.clock()}
	}
	f.responses++
	before := f.newest
	if f.responses > 1 {
		f.newest += f.grows + int(f.due.Swap(0))
	}
	low, high, more := requested(r, f.newest+1, func(second int64) int {
		return sort.Search(f.newest+1, func(number int) bool { return f.created(number) >= second })
	})
	if more || high != f.newest+1 {
		panic("a poll of a quiet list reads more than its newest page: " + r.URL.RawQuery)
	}
	f.setPage(low, f.newest-before)
	f.listed += high - low
	if f.touches {
		at := len(f.mold.head) + known/2*len(f.mold.charge) + f.mold.references[len(f.mold.references)/2]
		digits(f.page[at:at+referenceDigits], int64(f.responses))
	}
	return response{body: f.page, date: f.clock()}
}

// setPage adds a number of new charges to the beginning of the page, and makes
// charge low its last.
func (f *feed) setPage(low, added int) {
	switch {
	case low == f.low && added == 0:
	case low == f.low+added:
		first, size := len(f.mold.head), len(f.mold.charge)
		charges := f.page[first : first+(f.newest-low+1)*size-len(f.mold.between)]
		copy(charges[added*size:], charges)
		for i := range added {
			f.mold.stamp(charges[i*size:], f.newest-i, f.created(f.newest-i))
		}
	default:
		f.page = f.mold.page(f.page[:0], low, f.newest+1, false, f.created)
	}
	f.low = low
}

// requested returns which of the charges from 0 to count, exclusive, a request
// lists: from low to high, exclusive. from returns the first charge created in
// a second or later.
func requested(r *http.Request, count int, from func(second int64) int) (low, high int, more bool) {
	query := r.URL.Query()
	limit := pageSize
	high = count
	for name, values := range query {
		second, _ := strconv.ParseInt(values[0], 10, 64)
		number, _ := numberOf(values[0])
		switch name {
		case "limit":
			limit = int(second)
		case "created[gte]":
			low = max(low, from(second))
		case "created[lt]":
			high = min(high, from(second))
		case "created[lte]":
			high = min(high, from(second+1))
		case "starting_after":
			high = min(high, number)
		case "ending_before":
			low = max(low, number+1)
		}
	}
	high = max(low, high)
	more = high-low > limit
	switch {
	case more && query.Has("ending_before"):
		high = low + limit
	case more:
		low = high - limit
	}
	return low, high, more
}

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
func startPoller(f *feed, url string, rt http.RoundTripper) (*poller, error) {
	g := &gate{next: rt, arrived: make(chan struct{}), open: make(chan int)}
	client, err := ourClient(url, g)
	if err != nil {
		return nil, err
	}
	p := &poller{gate: g}
	p.poller, err = stripekit.NewPoller(client.Charges, stripekit.PollConfig{
		Every: time.Nanosecond, Overlap: f.overlap - f.lag(), From: stripekit.FromTime(time.Unix(f.created(0), 0)),
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
func polled(make func() (*feed, error), wire func(service) (wiring, error)) func(options) (pair, error) {
	return func(options) (pair, error) {
		var feeds [3]*feed
		var wires [3]wiring
		for i := range feeds {
			var err error
			if feeds[i], err = make(); err != nil {
				return pair{}, err
			}
			if wires[i], err = wire(feeds[i].response); err != nil {
				return pair{}, err
			}
		}
		ctx := context.Background()
		p, err := startPoller(feeds[0], wires[0].url, wires[0].ours)
		if err != nil {
			return pair{}, err
		}
		their := &naive{
			client: theirClient(wires[1].url, wires[1].theirs), seen: map[string]int64{},
			overlap: int64(feeds[1].overlap/time.Second) + margin,
			since:   feeds[1].created(0),
		}
		var theirFound []string
		if err := their.poll(ctx, func(c *stripe.Charge) { theirFound = append(theirFound, c.ID) }); err != nil {
			return pair{}, err
		}
		floor := plain{&http.Client{Transport: wires[2].ours}, wires[2].url}
		var buffer into
		// A test makes three polls, and one more with two new charges.
		work := func(f *feed, poll func() ([]string, error)) ([]string, error) {
			var all []string
			for i := range 4 {
				if i == 3 {
					f.due.Store(2)
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
		want := ids(known, known+4*feeds[0].grows+2)
		slices.Reverse(want)
		return pair{
			ours: side{
				run:  p.run,
				work: func() ([]string, error) { return work(feeds[0], func() ([]string, error) { return p.polls(1) }) },
			},
			theirs: side{
				run: func(n int) error {
					return repeat(n, func() error { return their.poll(ctx, func(*stripe.Charge) {}) })
				},
				work: func() ([]string, error) {
					found, err := work(feeds[1], func() (found []string, err error) {
						err = their.poll(ctx, func(c *stripe.Charge) { found = append(found, c.ID) })
						return found, err
					})
					// The second that a Poller reads from may be off by one.
					ours, theirs := feeds[0].listed, feeds[1].listed
					if max(ours-theirs, theirs-ours) > feeds[0].responses && err == nil {
						err = fmt.Errorf("%d charges were listed to stripekit, and %d to stripe-go", ours, theirs)
					}
					return found, err
				},
			},
			floor: side{run: func(n int) error {
				return repeat(n, func() error {
					f := feeds[2]
					since := f.created(f.newest) - int64(f.overlap/time.Second) - margin
					path := "/v1/charges?limit=100&created[gte]=" + strconv.FormatInt(max(since, f.created(0)), 10)
					_, err := floor.copy(ctx, &buffer, http.MethodGet, path, nil)
					return err
				})
			}},
			want: want,
			close: func() {
				p.stop()
				for _, w := range wires {
					w.close()
				}
			},
		}, nil
	}
}

// wiring connects a side to its service.
type wiring struct {
	url          string
	ours, theirs http.RoundTripper
	close        func()
}

func inMemory(s service) (wiring, error) {
	return wiring{url: noNetwork, ours: s, theirs: s, close: func() {}}, nil
}

// byHTTPS returns a wiring over loopback, with the default settings of each
// library.
func byHTTPS(s service) (wiring, error) {
	server, config := serveTLS(s)
	ours := likeOurs(config)
	theirs := http.DefaultTransport.(*http.Transport).Clone()
	theirs.TLSClientConfig = config.Clone()
	return wiring{url: server.URL, ours: ours, theirs: theirs, close: func() {
		ours.CloseIdleConnections()
		theirs.CloseIdleConnections()
		server.Close()
	}}, nil
}
