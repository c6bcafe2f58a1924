package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/stripe/stripe-go/v85"

	"github.com/stripekit/stripekit"
)

// feed is a list of charges that is polled: the newest 100, which are all there
// are within the overlap. A side has one of its own, and asks for one page at a
// time, so that the page can be changed in place.
type feed struct {
	mold    *mold
	page    []byte
	newest  int // the number of the newest charge
	clock   func() time.Time
	created func(number int) int64
	overlap time.Duration

	grows   int // so many new charges with each answer
	touches bool
	answers int
	due     atomic.Int32 // so many more with the next
}

// secondsApart is the time between two charges.
const secondsApart = 6

// staying makes feeds of charges that stay as they are, by the real clock.
func staying(l layout) func() (*feed, error) {
	return func() (*feed, error) {
		start := time.Now().Unix() - pageSize - 2
		return newFeed(l, &feed{
			clock: time.Now, overlap: 10 * time.Minute,
			created: func(number int) int64 { return start + int64(number) },
		})
	}
}

// touched makes feeds like that, but in each answer one charge has another
// text in its metadata.
func touched(l layout) func() (*feed, error) {
	return func() (*feed, error) {
		f, err := staying(l)()
		if err == nil {
			f.touches = true
		}
		return f, err
	}
}

// growing makes feeds with two new charges in each answer. Their clock stands
// at the newest charge, so that an answer is 12 s after the last, and for each
// new charge an old one leaves the overlap.
func growing(l layout) func() (*feed, error) {
	return func() (*feed, error) {
		start := time.Now().Unix()
		f := &feed{grows: 2, created: func(number int) int64 { return start + int64(number)*secondsApart }}
		f.overlap = (pageSize-2)*secondsApart*time.Second - 7*time.Second
		f.clock = func() time.Time { return time.Unix(f.created(f.newest), 0) }
		return newFeed(l, f)
	}
}

func newFeed(l layout, f *feed) (*feed, error) {
	var err error
	if f.mold, err = newMold(l); err != nil {
		return nil, err
	}
	f.newest = pageSize - 1
	f.page = f.mold.page(nil, 0, pageSize, false, f.created)
	return f, nil
}

// answer answers what a poll asks.
func (f *feed) answer(r *http.Request) answer {
	if isAccount(r) {
		return answer{account, f.clock()}
	}
	f.answers++
	first := len(f.mold.head)
	if f.touches {
		at := first + pageSize/2*len(f.mold.charge) + f.mold.references[len(f.mold.references)/2]
		digits(f.page[at:at+referenceDigits], int64(f.answers))
	}
	if grow := f.grows + int(f.due.Swap(0)); grow > 0 && f.answers > 1 {
		size := len(f.mold.charge)
		charges := f.page[first : first+pageSize*size-len(f.mold.between)]
		copy(charges[grow*size:], charges)
		for i := range grow {
			f.newest++
			f.mold.stamp(charges[(grow-1-i)*size:], f.newest, f.created(f.newest))
		}
	}
	if oldest := f.created(f.newest - pageSize + 1); since(r) > oldest {
		panic(fmt.Sprintf("a poll asks for what was created from %d on, and the page begins at %d", since(r), oldest))
	}
	return answer{f.page, f.clock()}
}

// since is the second from which a request asks; 0 where it does not say.
func since(r *http.Request) int64 {
	_, after, _ := strings.Cut(r.URL.RawQuery, "created[gte]=")
	value, _, _ := strings.Cut(after, "&")
	second, _ := strconv.ParseInt(value, 10, 64)
	return second
}

// gate lets a poller's requests pass as they are called for.
type gate struct {
	next    http.RoundTripper
	left    int           // that may pass; of the request under way
	arrived chan struct{} // the next request is here
	open    chan int      // let so many pass
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

// poller is a real Poller that polls without rest, as often as it is let.
type poller struct {
	gate   *gate
	poller *stripekit.Poller[stripekit.Charge]
	events <-chan stripekit.Event[stripekit.Charge]
	cancel context.CancelFunc
}

// startPoller starts one, and leads it to where it knows the first 100 charges.
func startPoller(f *feed, url string, rt http.RoundTripper) (*poller, error) {
	g := &gate{next: rt, arrived: make(chan struct{}), open: make(chan int)}
	client, err := ourClient(url, g)
	if err != nil {
		return nil, err
	}
	p := &poller{gate: g}
	p.poller, err = stripekit.NewPoller(client.Charges, stripekit.PollConfig{
		Every: time.Nanosecond, Overlap: f.overlap, From: stripekit.FromTime(time.Unix(f.created(0), 0)),
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
	if err == nil && len(first) != pageSize {
		err = fmt.Errorf("the first poll found %d charges, not %d", len(first), pageSize)
	}
	return p, err
}

// await takes and acknowledges events until the poller asks for a page. By then
// it has handed over all that came of the pages before.
func (p *poller) await(found func(id string)) error {
	timeout := time.NewTimer(time.Minute)
	defer timeout.Stop()
	for {
		select {
		case e, ok := <-p.events:
			if !ok {
				return fmt.Errorf("the poller has ended: %w", p.poller.Err())
			}
			found(e.ID)
			e.Ack()
		case <-p.gate.arrived:
			return nil
		case <-timeout.C:
			return fmt.Errorf("the poller does not poll: %w", p.poller.Status().LastError)
		}
	}
}

// run lets n polls happen: from the answer to the request that waits until the
// one that follows the last is there.
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

// stop ends it.
func (p *poller) stop() {
	p.cancel()
	for range p.events {
	}
}

// naive is what one would poll with, given stripe-go: it lists the overlap and
// looks each id up.
type naive struct {
	client  *stripe.Client
	overlap int64
	since   int64
	seen    map[string]int64
}

// poll calls found with what is new.
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

// polled makes the sides of a row that polls.
func polled(make func() (*feed, error), wire func(service) (wiring, error)) func(options) (pair, error) {
	return func(options) (pair, error) {
		var feeds [3]*feed
		var wires [3]wiring
		for i := range feeds {
			var err error
			if feeds[i], err = make(); err != nil {
				return pair{}, err
			}
			if wires[i], err = wire(feeds[i].answer); err != nil {
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
			overlap: int64(feeds[1].overlap/time.Second) + 1, // as a Poller reads: it allows for the part of a second
			since:   feeds[1].created(0),
		}
		var theirFound []string
		if err := their.poll(ctx, func(c *stripe.Charge) { theirFound = append(theirFound, c.ID) }); err != nil {
			return pair{}, err
		}
		floor := plain{&http.Client{Transport: wires[2].ours}, wires[2].url}
		var buffer into
		// What a test sees: three polls, and one more with two charges that
		// were not there before.
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
		want := ids(pageSize, pageSize+4*feeds[0].grows+2)
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
					return work(feeds[1], func() (found []string, err error) {
						err = their.poll(ctx, func(c *stripe.Charge) { found = append(found, c.ID) })
						return found, err
					})
				},
			},
			floor: side{run: func(n int) error {
				return repeat(n, func() error {
					_, err := floor.copy(ctx, &buffer, http.MethodGet, "/v1/charges?limit=100&created[gte]=1780000000", nil)
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

// wiring is how a side reaches its service.
type wiring struct {
	url          string
	ours, theirs http.RoundTripper
	close        func()
}

func inMemory(s service) (wiring, error) {
	return wiring{url: noNetwork, ours: s, theirs: s, close: func() {}}, nil
}

// byHTTPS is over loopback, with the settings that each library has by default.
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
