package tail

import (
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/internal/listing"
)

// flight is a request of a drain that is under way. The service responds at any
// moment until it lands.
type flight struct {
	request   *listing.Request
	responded bool
	page      Page
	objects   []*object // the objects on the page
	ok        bool      // the list has the cursor
}

// drain drains the backlog of a poll. Requests are sent, processed and received
// in any order.
func (h *history) drain() {
	h.tail.OpenDrain(1+h.rand.IntN(8), 400+h.rand.IntN(2000))
	h.totals.drains++
	readiness, saves := oneOf(h.rand, 0.05, 0.3, 0.8), oneOf(h.rand, 0, 0.1, 0.5)
	var flights []*flight
	var ready []*Drained
	defer func() {
		for _, f := range flights {
			h.tail.DrainDrop(f.request)
		}
		for _, d := range ready {
			h.tail.DrainReady(d)
		}
	}()
	for steps := 0; h.tail.Draining(); steps++ {
		if steps > 20_000+50*len(h.service.objects) {
			require.Fail(h.t, "the drain does not end")
		}
		moved := false
		if h.chance(0.7) {
			if r, ok := h.tail.DrainNext(); ok {
				flights = append(flights, &flight{request: r})
				moved = true
			}
		}
		h.pass(h.rand.Int64N(h.slowest/8 + 2))
		if len(flights) > 0 {
			if f := flights[h.rand.IntN(len(flights))]; !f.responded {
				h.respondFlight(f)
				moved = true
			}
		}
		if len(flights) > 0 && h.chance(0.7) {
			i := h.rand.IntN(len(flights))
			f := flights[i]
			flights = append(flights[:i], flights[i+1:]...)
			if d := h.landFlight(f); d != nil {
				ready = append(ready, d)
			}
			if h.refused {
				return
			}
			moved = true
		}
		if len(ready) > 0 && h.chance(readiness) {
			i := h.rand.IntN(len(ready))
			h.tail.DrainReady(ready[i])
			ready = append(ready[:i], ready[i+1:]...)
			moved = true
		}
		if h.takeDrained() {
			moved = true
		}
		h.between()
		if h.chance(saves) {
			h.save()
		}
		if h.chance(h.crashes) {
			flights, ready = nil, nil
			h.crash()
			h.refused = true
			return
		}
		if !moved && len(flights) == 0 && len(ready) == 0 {
			r, ok := h.tail.DrainNext()
			if ok {
				flights = append(flights, &flight{request: r})
			} else if h.tail.Draining() && !h.takeDrained() && len(h.pending)+len(h.neverAcked) < h.maxUnacked {
				require.Fail(h.t, "the drain is stuck")
			} else {
				h.makeRoom()
			}
		}
	}
}

// respondFlight chooses the response of the service, at this moment.
func (h *history) respondFlight(f *flight) {
	sent := h.mono
	q := f.request.Query
	heads, hasMore, ok := h.service.list(h.t, q)
	f.responded, f.ok = true, ok
	f.page = Page{Page: listing.Page{Heads: heads, HasMore: hasMore}, At: sent}
	for _, head := range heads {
		f.objects = append(f.objects, h.service.byID[head.ID])
	}
	second := h.service.second()
	if date := h.dates.header(second); date != 0 {
		f.page.Date = date
	}
	h.trace("%d [%d, %d) after %s before %s: %d objects, more %v, ok %v", second, q.GTE, q.LT, q.After, q.Before, len(heads), hasMore, ok)
}

func (h *history) landFlight(f *flight) *Drained {
	if !f.responded {
		h.respondFlight(f)
	}
	switch {
	case h.chance(h.failures):
		h.tail.DrainDrop(f.request)
		h.pass(h.rand.Int64N(20_000))
		return nil
	case !f.ok:
		h.totals.lost++
		h.tail.DrainLost(f.request)
		return nil
	}
	f.page.Received = h.mono
	wrong := h.lies.Float64() < h.nonsense && h.disorder(f)
	d, err := h.tail.DrainRead(f.request, f.page)
	require.NoError(h.t, err)
	if wrong {
		require.Nil(h.t, d)
		require.False(h.t, h.tail.Draining(), "a list out of order is drained")
		h.totals.plain++
	}
	h.sawStart()
	if d != nil {
		objects := make([]*object, len(d.Fresh))
		for i, fresh := range d.Fresh {
			objects[i] = f.objects[fresh.Index]
		}
		d.Value = objects
	}
	return d
}

// disorder puts a page in the wrong order, and reports whether that can be seen. The
// Poller then reads the list plainly, from where the drain has come to.
func (h *history) disorder(f *flight) bool {
	heads := slices.Clone(f.page.Heads)
	slices.Reverse(heads)
	f.page.Heads = heads
	return h.tail.Draining() && len(heads) > 0 && heads[0].Created < heads[len(heads)-1].Created
}

// takeDrained delivers the next objects, if the reader is ready for them.
func (h *history) takeDrained() bool {
	if len(h.pending)+len(h.neverAcked) >= h.maxUnacked {
		return false
	}
	d, found, ok := h.tail.DrainFound()
	if !ok {
		return false
	}
	last := int64(0)
	for _, f := range found {
		o := d.Value.([]*object)[f.Ref]
		h.deliver(o, f)
		require.GreaterOrEqual(h.t, o.created, last, "not the oldest first")
		last = o.created
		h.totals.drained++
	}
	return true
}
