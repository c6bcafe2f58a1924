package tail

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/internal/listing"
)

// flow is a Poller without trouble: all Dates are right, no request fails, and
// everything is acknowledged at once unless it is held.
type flow struct {
	t       *testing.T
	service *service
	config  Config
	tail    *Tail
	mono    time.Time
	request time.Duration // duration of a request
	date    func(second int64) int64

	hold    map[string]bool // ids not to acknowledge
	held    []Key
	refs    map[int]string
	found   []string // ids
	late    []string // ids
	maxSeen int
}

// newFlow returns a flow on an empty list, which begins now.
func newFlow(t *testing.T, overlap time.Duration, undated bool) *flow {
	f := &flow{
		t: t, mono: time.Unix(1000, 0), request: 100 * time.Millisecond,
		hold: map[string]bool{}, refs: map[int]string{},
		date: func(second int64) int64 { return second },
		service: &service{
			rand: rand.New(rand.NewPCG(1, 2)), now: 1_700_000_000_000, byID: map[string]*object{},
			overlap: int64(overlap / time.Second), undated: undated,
			traffic: traffic{limit: 1 << 40, left: 1 << 40},
		},
	}
	f.config = Config{Overlap: overlap, From: f.service.second(), Start: f.mono}
	f.tail = New(f.config)
	return f
}

// fromNow makes the flow begin at its start.
func (f *flow) fromNow() {
	f.config.From, f.config.Start = 0, f.mono
	f.tail = New(f.config)
}

func (f *flow) pass(d time.Duration) {
	f.mono = f.mono.Add(d)
	f.service.advance(d.Milliseconds())
}

// add creates n objects the given seconds ago. They are visible at once.
func (f *flow) add(n int, ago int64) (ids []string) {
	for range n {
		ids = append(ids, f.service.add(f.service.second()-ago, f.service.now).id)
	}
	return ids
}

// poll makes a poll and returns how many requests it made.
func (f *flow) poll() (requests int) {
	f.tail.Begin()
	for f.step(true) {
		requests++
	}
	return requests
}

// step makes a request. It returns false if the poll is done.
func (f *flow) step(sweep bool) bool {
	q, ok := f.tail.Next(f.mono, sweep)
	if !ok && f.tail.Draining() {
		f.drain()
		return true
	}
	if !ok {
		return false
	}
	p, ok := f.list(q)
	if !ok {
		res, err := f.tail.Lost()
		require.NoError(f.t, err)
		f.take(p, res)
		return true
	}
	res, err := f.tail.Read(p)
	require.NoError(f.t, err)
	f.take(p, res)
	return true
}

// deliver receives an object that was found, and acknowledges it unless it is
// held.
func (f *flow) deliver(id string, found Found) {
	f.found = append(f.found, id)
	if found.Late {
		f.late = append(f.late, id)
	}
	if f.hold[id] {
		f.held = append(f.held, found.Key)
		return
	}
	f.tail.Ack(found.Key)
}

// drain makes one request of a drain, and receives what it has found.
func (f *flow) drain() {
	f.tail.OpenDrain(1, 2000)
	r, ok := f.tail.DrainNext()
	require.True(f.t, ok, "the drain is stuck")
	p, ok := f.list(r.Query)
	if !ok {
		f.tail.DrainLost(r)
		return
	}
	d, err := f.tail.DrainRead(r, p)
	require.NoError(f.t, err)
	if d == nil {
		return
	}
	ids := make([]string, len(d.Fresh))
	for i, fresh := range d.Fresh {
		ids[i] = p.Heads[fresh.Index].ID
	}
	d.Value = ids
	f.tail.DrainReady(d)
	for {
		d, found, ok := f.tail.DrainFound()
		if !ok {
			return
		}
		for _, next := range found {
			f.deliver(d.Value.([]string)[next.Ref], next)
		}
	}
}

// list makes the request for a query.
func (f *flow) list(q listing.Query) (Page, bool) {
	sent := f.mono
	f.pass(f.request / 2)
	heads, more, ok := f.service.list(f.t, q)
	date := f.date(f.service.second())
	f.pass(f.request / 2)
	if date != 0 {
		date = floorSecond(date*1000 - f.request.Milliseconds())
	}
	return Page{Page: listing.Page{Heads: heads, HasMore: more}, Date: date, At: sent, Received: f.mono}, ok
}

func (f *flow) take(p Page, res Result) {
	if res.Dropped {
		clear(f.refs)
	}
	for _, fresh := range res.Fresh {
		f.refs[fresh.Ref] = p.Heads[fresh.Index].ID
	}
	for _, found := range res.Found {
		id, ok := f.refs[found.Ref]
		require.True(f.t, ok)
		f.deliver(id, found)
	}
	if f.service.requests%10 == 0 {
		f.maxSeen = max(f.maxSeen, len(f.tail.Snapshot().Seen))
	}
}

// run polls for a time, and returns the numbers of requests and polls.
func (f *flow) run(d, interval time.Duration) (requests, polls int) {
	for end := f.mono.Add(d); f.mono.Before(end); polls++ {
		next := f.mono.Add(interval)
		requests += f.poll()
		f.pass(max(next.Sub(f.mono), 0))
	}
	return requests, polls
}

// crash continues with a new Tail from the present checkpoint, and forgets what
// was found.
func (f *flow) crash() {
	f.tail = Resume(f.config, f.tail.Snapshot())
	f.found, f.late, f.held = nil, nil, nil
	clear(f.refs)
}
