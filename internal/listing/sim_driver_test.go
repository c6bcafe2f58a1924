package listing

import (
	"math"
	"sort"

	"github.com/stretchr/testify/require"
)

// A reader checks the guarantees of Windows, with any driver:
//
//   - Every object that was in the range all the time is delivered.
//   - No object is delivered twice, and none that is outside the range.
//   - In an order, the created seconds of delivered objects never decrease, or
//     never increase.
//   - Objects that were not delivered are within the spans of Unread.
//   - No more requests are under way than Lanes, and no more objects are held
//     than Buffer.
//   - The reading ends, and Done is true only when everything was read and
//     delivered.

// flight is a request under way. Its page is chosen at some moment between Next
// and Read.
type flight struct {
	request *Request
	page    *response
	arrives float64 // in seconds of virtual time
	order   int     // position in the order in which the requests were made
}

// driver drives Windows and checks their guarantees.
type driver struct {
	t       require.TestingT
	trace   func(format string, args ...any)
	lister  lister
	config  Config
	windows *Windows

	flights []*flight
	unready []*Run
	held    int // objects that Read has returned and Pop has not
	last    int64
	begun   bool

	requests, responses, lost, dropped, popped, maxHeld, maxFlights int
	lenient                                                         bool // the server is hostile
	changes                                                         bool // the list changes
}

func newDriver(t require.TestingT, from lister, c Config) *driver {
	return &driver{
		t: t, lister: from, config: c, windows: NewWindows(c),
		trace: func(string, ...any) {},
	}
}

// next starts a request, if there is one.
func (r *driver) next() *flight {
	request, ok := r.windows.Next()
	if !ok {
		return nil
	}
	if request == nil {
		require.Fail(r.t, "Next returned true without a request")
	}
	f := &flight{request: request, order: r.requests}
	r.requests++
	r.flights = append(r.flights, f)
	r.trace("%d: next %+v, %d under way, %d held", f.order, request.Query, len(r.flights), r.held)
	r.count()
	if n := len(r.flights); n > r.config.Lanes {
		require.Fail(r.t, "more requests than Lanes", "%d of %d", n, r.config.Lanes)
	}
	if r.windows.Done() {
		require.Fail(r.t, "done with a request under way", "%+v", request.Query)
	}
	return f
}

// count checks Buffer.
func (r *driver) count() {
	n, held := len(r.flights), r.held+PageSize*len(r.flights)
	r.maxFlights, r.maxHeld = max(r.maxFlights, n), max(r.maxHeld, held)
	if held > r.config.Buffer {
		require.Fail(r.t, "more objects held than Buffer", "%d held, %d requests under way, Buffer %d", r.held, n, r.config.Buffer)
	}
}

// setLanes changes the maximum number of requests under way. Those under way go
// on.
func (r *driver) setLanes(n int) {
	r.trace("%d lanes", n)
	r.config.Lanes = n
	r.windows.SetLanes(n)
}

// see chooses the page that the service has at this moment.
func (r *driver) see(f *flight) {
	if f.page == nil {
		f.page = r.lister.list(r.t, f.request.Query)
	}
}

// land removes the flight at an index.
func (r *driver) land(i int) *flight {
	f, n := r.flights[i], len(r.flights)-1
	r.flights[i] = r.flights[n]
	r.flights = r.flights[:n]
	return f
}

// response passes the response to the request at an index to the Windows.
func (r *driver) response(i int) error {
	f := r.land(i)
	r.see(f)
	r.responses++
	if f.page.lost {
		r.lost++
		r.trace("%d: lost", f.order)
		r.windows.Lost(f.request)
		return nil
	}
	run, err := r.windows.Read(f.request, f.page.heads(), f.page.more)
	if err != nil {
		r.trace("%d: %d objects, more %v: %v", f.order, len(f.page.entries), f.page.more, err)
		return err
	}
	if run == nil {
		r.trace("%d: %d objects, more %v: nothing new", f.order, len(f.page.entries), f.page.more)
		return nil
	}
	r.trace("%d: %d objects, more %v: %d to %d", f.order, len(f.page.entries), f.page.more, run.From, run.To)
	r.accept(f, run)
	return nil
}

func (r *driver) accept(f *flight, run *Run) {
	if run.From < 0 || run.From >= run.To || run.To > len(f.page.entries) {
		require.Fail(r.t, "a run that is not of the page", "%d to %d of %d", run.From, run.To, len(f.page.entries))
	}
	for _, e := range f.page.entries[run.From:run.To] {
		if e.object.offered {
			require.Fail(r.t, "read twice", "%+v; %+v", *e.object, f.request.Query)
		}
		e.object.offered = true
	}
	run.Value = f
	r.held += run.To - run.From
	r.unready = append(r.unready, run)
	if !r.lenient {
		r.count()
	}
}

// drop gives up the request at an index.
func (r *driver) drop(i int) {
	f := r.land(i)
	r.dropped++
	r.trace("%d: dropped", f.order)
	r.windows.Drop(f.request)
}

// ready makes the run at an index ready.
func (r *driver) ready(i int) {
	run, n := r.unready[i], len(r.unready)-1
	r.unready[i] = r.unready[n]
	r.unready = r.unready[:n]
	r.windows.Ready(run)
}

// pop receives a run, if there is one, and checks its objects.
func (r *driver) pop() bool {
	run, ok := r.windows.Pop()
	if !ok {
		return false
	}
	f, ok := run.Value.(*flight)
	if !ok {
		require.Fail(r.t, "Pop returned a run that Read did not")
	}
	for _, waiting := range r.unready {
		if waiting == run {
			require.Fail(r.t, "Pop returned a run that is not ready")
		}
	}
	r.trace("pop %d to %d of request %d", run.From, run.To, f.order)
	entries := f.page.entries[run.From:run.To]
	for i := range entries {
		if r.config.Order == OldestFirst {
			i = len(entries) - 1 - i
		}
		r.check(entries[i])
	}
	r.held -= len(entries)
	run.Value = nil
	return true
}

// check checks an object that is delivered.
func (r *driver) check(e entry) {
	o, c, created := e.object, r.config, e.head.Created
	fail := func(what string) { require.Fail(r.t, what, "%+v; after second %d", *o, r.last) }
	if o.popped {
		fail("delivered twice")
	}
	if !o.offered {
		fail("delivered, but not read")
	}
	o.popped = true
	r.popped++
	if created == 0 && r.lenient {
		return
	}
	if created < c.Low || c.High != 0 && created >= c.High {
		fail("outside the range")
	}
	if r.begun && c.Order == OldestFirst && created < r.last {
		fail("not the oldest first")
	}
	if r.begun && c.Order == NewestFirst && created > r.last {
		fail("not the newest first")
	}
	r.begun, r.last = true, created
}

// finish checks that the Windows are done, and stay so.
func (r *driver) finish(objects []*object) {
	c := r.config
	if len(r.flights) > 0 || r.held > 0 {
		require.Fail(r.t, "done too early", "%d requests under way, %d objects held", len(r.flights), r.held)
	}
	if request, ok := r.windows.Next(); ok {
		require.Fail(r.t, "a request after the end", "%+v", request.Query)
	}
	if _, ok := r.windows.Pop(); ok || !r.windows.Done() {
		require.Fail(r.t, "not done any more")
	}
	if spans := r.windows.Unread(); len(spans) > 0 {
		require.Fail(r.t, "unread at the end", "%v", spans)
	}
	r.checkSpans(objects)
	if r.lenient {
		return
	}
	for _, o := range objects {
		if o.stays && !o.popped && o.created >= c.Low && (c.High == 0 || o.created < c.High) {
			require.Fail(r.t, "lost", "%+v", *o)
		}
	}
}

// checkSpans checks what the Windows report about themselves.
func (r *driver) checkSpans(objects []*object) {
	if r.windows.Held() != r.held {
		require.Fail(r.t, "Held", "%d, and it is %d", r.windows.Held(), r.held)
	}
	if e := r.windows.Expected(); !(e >= 0 && e < math.MaxInt64) {
		require.Fail(r.t, "Expected", "%v", e)
	}
	spans := r.windows.Unread()
	for i, s := range spans {
		if s.Low >= s.High || i > 0 && spans[i-1].High >= s.Low {
			require.Fail(r.t, "Unread is not in order", "%v", spans)
		}
	}
	if r.lenient {
		return
	}
	c, n := r.config, len(spans)
	if n > 0 && (spans[0].Low < c.Low || c.High != 0 && spans[n-1].High > c.High) {
		require.Fail(r.t, "Unread is outside the range", "%v", spans)
	}
	if n > 0 && r.begun && (c.Order == OldestFirst && spans[0].Low < r.last || c.Order == NewestFirst && spans[n-1].High > r.last+1) {
		require.Fail(r.t, "Unread goes back", "%v, after second %d", spans, r.last)
	}
	newest := int64(0)
	for _, o := range objects {
		if o.created < c.Low || c.High != 0 && o.created >= c.High {
			continue
		}
		newest = max(newest, o.created)
		if o.popped || !o.stays {
			continue
		}
		at := sort.Search(n, func(i int) bool { return o.created < spans[i].High })
		if at == n || o.created < spans[at].Low {
			require.Fail(r.t, "neither delivered nor unread", "%+v: %v", *o, spans)
		}
	}
	if at := r.windows.Newest(); !r.changes && at != 0 && at != newest {
		require.Fail(r.t, "Newest", "%d, and it is %d", at, newest)
	}
}

// stuck fails the test: nothing is left to do before the end.
func (r *driver) stuck() {
	require.Fail(r.t, "no request, none under way, nothing to pop, and not done",
		"%d requests, %d objects held, %d delivered", r.requests, r.held, r.popped)
}
