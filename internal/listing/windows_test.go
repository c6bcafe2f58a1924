package listing

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

// windowsOf returns a driver for a list of objects with the created seconds.
func windowsOf(t *testing.T, c Config, seconds ...int64) (*driver, *server) {
	s := newServer(rand.New(rand.NewPCG(uint64(len(seconds)), 13)), seconds)
	d := newDriver(t, s, c)
	d.trace = t.Logf
	return d, s
}

// drain makes requests and reads their responses, one after another, until the
// Windows are done.
func (r *driver) drain(s *server) {
	for !r.windows.Done() {
		more := r.next() != nil || len(r.flights) > 0
		for len(r.flights) > 0 {
			r.receive()
		}
		for len(r.unready) > 0 {
			r.ready(0)
		}
		for r.pop() {
			more = true
		}
		if !more && !r.windows.Done() {
			r.stuck()
		}
		require.Less(r.t, r.requests, 10_000)
	}
	r.finish(s.all)
}

// fill makes requests until no more may be made.
func (r *driver) fill() {
	for r.next() != nil {
	}
}

// receive reads the response to the oldest request.
func (r *driver) receive() {
	require.NotEmpty(r.t, r.flights)
	oldest := 0
	for i, f := range r.flights {
		if f.order < r.flights[oldest].order {
			oldest = i
		}
	}
	require.NoError(r.t, r.response(oldest))
}

// empty marks everything read as ready, and pops what can be popped.
func (r *driver) empty() {
	for len(r.unready) > 0 {
		r.ready(0)
	}
	for r.pop() {
	}
}

func TestWindowsHandOnInOrder(t *testing.T) {
	var seconds []int64
	for i := range int64(950) {
		seconds = append(seconds, 5000+i/7)
	}
	for _, o := range orders {
		s := newServer(rand.New(rand.NewPCG(1, 14)), seconds)
		w := NewWindows(Config{Order: o.order, Low: 5010, High: 5100, Lanes: 1, Buffer: 1000})
		var got []string
		for !w.Done() {
			if request, ok := w.Next(); ok {
				p := s.list(t, request.Query)
				run, err := w.Read(request, p.heads(), p.more)
				require.NoError(t, err)
				if run != nil {
					run.Value = p.heads()
					w.Ready(run)
				}
			}
			for run, ok := w.Pop(); ok; run, ok = w.Pop() {
				heads := slices.Clone(run.Value.([]Head)[run.From:run.To])
				if o.order == OldestFirst {
					slices.Reverse(heads)
				}
				for _, head := range heads {
					got = append(got, head.ID)
				}
			}
		}
		var want []string
		for _, o := range s.objects[s.below(5100):s.below(5010)] {
			want = append(want, o.id)
		}
		switch o.order {
		case OldestFirst:
			slices.Reverse(want)
		case AnyOrder:
			slices.Sort(want)
			slices.Sort(got)
		}
		require.Empty(t, cmp.Diff(want, got), o.name)
	}
}

func TestWindowsOfAnEmptyListTakeOneRequest(t *testing.T) {
	for _, c := range []Config{{}, {Low: 1000}, {High: 2000}, {Low: 1000, High: 2000}} {
		c.Lanes, c.Buffer = 4, 1000
		d, s := windowsOf(t, c)
		d.drain(s)
		require.Equal(t, 1, d.requests, "%+v", c)
	}
}

func TestWindowsOfARangeWithoutObjectsTakeOneRequest(t *testing.T) {
	d, s := windowsOf(t, Config{Low: 2000, High: 3000, Lanes: 4, Buffer: 1000}, 1000, 1999, 3000, 3001)
	d.drain(s)
	require.Equal(t, 1, d.requests)
}

// A range that ends where it begins is empty and needs no request.
func TestWindowsOfAnEmptyRangeAreDone(t *testing.T) {
	for _, c := range []Config{{Low: 1000, High: 1000}, {Low: 1001, High: 1000}} {
		for _, o := range orders {
			c.Order, c.Lanes, c.Buffer = o.order, 4, 1000
			d, s := windowsOf(t, c, 999, 1000, 1001)
			require.True(t, d.windows.Done(), "%+v", c)
			d.drain(s)
			require.Zero(t, d.requests)
		}
	}
}

func TestWindowsHandOnOnlyWhatIsReady(t *testing.T) {
	seconds := within(rand.New(rand.NewPCG(1, 15)), 250, 1000, 100_000)
	for _, o := range orders {
		d, s := windowsOf(t, Config{Order: o.order, Lanes: 2, Buffer: 2000}, seconds...)
		for d.held < 250 {
			d.fill()
			d.receive()
			require.False(t, d.pop(), "a run that is not ready was delivered")
			require.False(t, d.windows.Done())
		}
		for len(d.unready) > 0 {
			d.ready(len(d.unready) - 1)
		}
		d.drain(s)
		require.Equal(t, 250, d.popped)
	}
}

func TestWindowsAskAgainWhatWasDropped(t *testing.T) {
	seconds := within(rand.New(rand.NewPCG(1, 16)), 1000, 1000, 100_000)
	for _, o := range orders {
		d, s := windowsOf(t, Config{Order: o.order, Lanes: 3, Buffer: 2000}, seconds...)
		for range 50 {
			d.fill()
			require.NotEmpty(t, d.flights)
			for len(d.flights) > 0 {
				d.drop(0)
			}
		}
		d.drain(s)
	}
}

// As many requests as allowed are under way as soon as there is work for them.
func TestWindowsUseTheirLanes(t *testing.T) {
	seconds := within(rand.New(rand.NewPCG(1, 17)), 20_000, 1000, 1_000_000)
	for _, o := range orders {
		d, s := windowsOf(t, Config{Order: o.order, Low: 1000, High: 1_001_000, Lanes: 6, Buffer: 10_000}, seconds...)
		full := 0
		for !d.windows.Done() {
			d.fill()
			if len(d.flights) == 6 {
				full++
			}
			d.receive()
			d.empty()
		}
		d.finish(s.all)
		require.Greater(t, full, d.requests/2, o.name)
	}
}

// The object of the cursor is deleted while the cursor is used, in a second
// that no filter can divide.
func TestWindowsGoOnWhereACursorIsGone(t *testing.T) {
	for _, o := range orders {
		d, s := windowsOf(t, Config{Order: o.order, Lanes: 2, Buffer: 2000}, slices.Repeat([]int64{1000}, 1500)...)
		for step := 0; !d.windows.Done(); step++ {
			d.fill()
			if len(d.flights) > 0 {
				q := d.flights[0].request.Query
				if at := s.byID(q.After + q.Before); at != nil && !at.gone && step%3 == 0 {
					i := s.index(at)
					s.remove(i, i+1)
				}
				d.receive()
			}
			d.empty()
			require.Less(t, step, 1000)
		}
		require.Positive(t, d.lost)
		d.finish(s.all)
	}
}

// All objects that were read of a second are deleted, so no cursor is left in
// it.
func TestWindowsGoOnWhereAllCursorsAreGone(t *testing.T) {
	for _, o := range orders {
		d, s := windowsOf(t, Config{Order: o.order, Lanes: 1, Buffer: 2000}, slices.Repeat([]int64{1000}, 1500)...)
		for d.requests < 5 {
			d.fill()
			d.receive()
			d.empty()
		}
		for i := len(s.objects) - 1; i >= 0; i-- {
			if s.objects[i].offered {
				s.remove(i, i+1)
			}
		}
		d.drain(s)
	}
}

// If the cursors in a second of hundreds of pages are gone, the second is read
// again from its top. All its known objects may come before anything new.
func TestWindowsReadALongSecondAgain(t *testing.T) {
	for _, o := range orders {
		d, s := windowsOf(t, Config{Order: o.order, Lanes: 1, Buffer: 2000}, slices.Repeat([]int64{1000}, 20_000)...)
		d.trace = func(string, ...any) {}
		for d.popped < 15_000 {
			d.fill()
			d.receive()
			d.empty()
		}
		from, to := len(s.objects), 0
		for i, o := range s.objects {
			if o.offered {
				from, to = min(from, i), max(to, i+1)
			}
		}
		s.remove(max(from, to-150), to)
		s.remove(from, from+150)
		d.drain(s)
	}
}

func TestWindowsEndWhereEverythingWasDeleted(t *testing.T) {
	seconds := within(rand.New(rand.NewPCG(1, 18)), 5000, 1000, 100_000)
	for _, o := range orders {
		for after := 1; after < 10; after++ {
			d, s := windowsOf(t, Config{Order: o.order, Lanes: 3, Buffer: 2000}, seconds...)
			for d.responses < after {
				d.fill()
				d.receive()
			}
			s.remove(0, len(s.objects))
			d.drain(s)
			require.Less(t, d.requests, 200)
		}
	}
}

func TestWindowsWithFewerLanesMakeFewerRequests(t *testing.T) {
	seconds := within(rand.New(rand.NewPCG(1, 19)), 20_000, 1000, 1_000_000)
	d, s := windowsOf(t, Config{Low: 1000, High: 1_001_000, Lanes: 8, Buffer: 10_000}, seconds...)
	for d.fill(); len(d.flights) < 8; d.fill() {
		d.receive()
		d.empty()
	}
	d.setLanes(2)
	for len(d.flights) > 2 {
		require.Nil(t, d.next())
		d.receive()
	}
	d.drain(s)
}

// A page that a well-formed list cannot have is refused, because the list
// cannot be read on from it.
func TestWindowsRefusePagesThatNoListHas(t *testing.T) {
	page := func(n int, change func(heads []Head) []Head) []Head {
		heads := make([]Head, n)
		for i := range heads {
			heads[i] = Head{ID: objectID(i), Created: 1900 - int64(i)}
		}
		return change(heads)
	}
	same := func(heads []Head) []Head { return heads }
	for _, c := range []struct {
		name   string
		heads  []Head
		more   bool
		filter bool // the page is wrong only for a filter
	}{
		{"has_more without objects", nil, true, false},
		{"more than a page", page(101, same), true, false},
		{"no id", page(3, func(h []Head) []Head { h[1].ID = ""; return h }), false, false},
		{"no created", page(3, func(h []Head) []Head { h[2].Created = 0; return h }), false, false},
		{"the oldest first", page(3, func(h []Head) []Head { slices.Reverse(h); return h }), false, false},
		{"outside of the window", page(3, func(h []Head) []Head { h[0].Created = 2000; return h }), false, true},
		{"an object twice", page(3, func(h []Head) []Head { h[1] = h[0]; return h }), false, false},
	} {
		for _, open := range []bool{false, true} {
			config := Config{Low: 1000, High: 2000, Lanes: 1, Buffer: 1000}
			if open {
				config.Low, config.High = 0, 0
			}
			w := NewWindows(config)
			request, ok := w.Next()
			require.True(t, ok)
			_, err := w.Read(request, c.heads, c.more)
			if open && c.filter {
				require.NoError(t, err, c.name)
			} else {
				require.ErrorIs(t, err, ErrPage, c.name)
			}
		}
	}
}
