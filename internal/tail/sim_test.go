package tail

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// object is one that the simulated service has, will have or had.
type object struct {
	id      string
	created int64 // by which the list is ordered and filtered
	shown   int64 // what the object itself says
	visible int64 // the service's second from which lists show it
	deleted bool
	seq     int // order within a second
}

// service is a list that grows and shrinks while it is read.
type service struct {
	rand    *rand.Rand
	now     int64
	objects []*object // newest first
	byID    map[string]*object
	seq     int
	asked   int // requests

	wrongDates bool // now and then
	wrongDate  bool // in the last answer
}

func (s *service) create(created, visible int64) *object {
	s.seq++
	o := &object{id: fmt.Sprint("o", s.rand.Uint32(), "_", s.seq), created: created, shown: created, visible: visible, seq: s.seq}
	s.objects = slices.Insert(s.objects, s.index(o), o)
	s.byID[o.id] = o
	return o
}

// ask answers a query as the facts about the API say; false is an unknown cursor.
func (s *service) ask(t require.TestingT, q Query) (Answer, bool) {
	s.asked++
	filters := 0
	for _, set := range []bool{q.GTE != 0 || q.LTE != 0 || q.LT != 0, q.EndingBefore != "", q.StartingAfter != ""} {
		if set {
			filters++
		}
	}
	require.LessOrEqual(t, filters, 1, "a cursor and a filter in one query: %+v", q)
	from, step := 0, 1
	switch cursor := q.EndingBefore + q.StartingAfter; {
	case cursor != "":
		o := s.byID[cursor]
		if o == nil || o.deleted {
			return Answer{}, false
		}
		from = s.index(o) + 1
		if q.EndingBefore != "" {
			from, step = from-2, -1
		}
	case q.LTE != 0:
		from = s.index(&object{created: q.LTE, seq: math.MaxInt})
	case q.LT != 0:
		from = s.index(&object{created: q.LT - 1, seq: math.MaxInt})
	}
	a := Answer{Asked: s.now, At: time.Unix(s.now, 0)}
	// One Date now and then is wrong, never two in a row.
	if s.wrongDate = s.wrongDates && !s.wrongDate && s.rand.IntN(30) == 0; s.wrongDate {
		a.Asked += []int64{-86400, -3600, 3600, 86400}[s.rand.IntN(4)]
	}
	for i := from; i >= 0 && i < len(s.objects) && s.objects[i].created >= q.GTE; i += step {
		o := s.objects[i]
		if o.visible > s.now || o.deleted {
			continue
		}
		if a.HasMore = len(a.Items) == q.Limit; a.HasMore {
			break
		}
		a.Items = append(a.Items, Item{ID: o.id, Created: o.shown})
	}
	if step < 0 {
		slices.Reverse(a.Items)
	}
	return a, true
}

// index is where o stands, or would.
func (s *service) index(o *object) int {
	at, _ := slices.BinarySearchFunc(s.objects, o, func(a, b *object) int {
		return cmp.Or(cmp.Compare(b.created, a.created), cmp.Compare(b.seq, a.seq))
	})
	return at
}

// history drives a Tail through a random life and knows what it must find.
type history struct {
	t       require.TestingT
	rand    *rand.Rand
	service *service
	tail    *Tail
	overlap int64
	start   int64
	rate    int // objects a step, at the most
	clock   time.Time

	delivered map[string]int
	pending   []uint64          // seqs to acknowledge
	ids       map[uint64]string // their objects
	acked     []string          // their objects, in order

	saved      Snapshot
	hasSaved   bool
	ackedSaved int // how many of acked it holds

	crashes, found int
}

func newHistory(t require.TestingT, seed uint64) *history {
	r := rand.New(rand.NewPCG(seed, 1))
	h := &history{
		t: t, rand: r, overlap: 600, clock: time.Unix(0, 0),
		service:   &service{rand: r, now: 1_700_000_000, byID: map[string]*object{}, wrongDates: r.IntN(3) == 0},
		rate:      []int{1, 1, 3, 3, 30, 100}[r.IntN(6)],
		delivered: map[string]int{}, ids: map[uint64]string{},
	}
	for range r.IntN(250) {
		h.service.create(h.service.now-r.Int64N(5000)-1, h.service.now-1)
	}
	h.start = h.service.now
	switch r.IntN(4) {
	case 0:
		h.start = 0
	case 1:
		h.start = h.service.now - r.Int64N(4000)
	default:
		h.tail = New(time.Duration(h.overlap) * time.Second)
		return h
	}
	h.tail = NewAt(time.Duration(h.overlap)*time.Second, h.start)
	return h
}

// live lets some time pass at the service.
func (h *history) live() {
	s, r := h.service, h.rand
	pass := int64(r.IntN(4))
	if r.IntN(50) == 0 {
		pass = r.Int64N(2000)
	}
	s.now += pass
	h.clock = h.clock.Add(time.Duration(pass) * time.Second)
	for range r.IntN(h.rate + 1) {
		late := int64(0)
		if r.IntN(10) == 0 {
			late = r.Int64N(h.overlap)
		}
		created := s.now
		if r.IntN(5) == 0 && late > 0 {
			created = s.now - late // appears now, stamped long ago
		}
		o := s.create(created, created+late)
		switch r.IntN(60) {
		case 0:
			o.shown = 0
		case 1:
			o.shown = created - r.Int64N(3000) // backdated
		case 2:
			o.shown = s.now + 1e7 // a date ahead of every clock
		}
	}
	if len(s.objects) > 0 && r.IntN(8) == 0 {
		s.objects[r.IntN(min(len(s.objects), 150))].deleted = true
	}
}

// poll makes one pass, with the service living on between its requests.
func (h *history) poll(faults bool) {
	h.tail.Begin(h.clock)
	for !h.tail.Done() {
		a, ok := h.service.ask(h.t, h.tail.Next())
		if faults && h.rand.IntN(12) == 0 {
			return // the answer was lost
		}
		if !ok {
			if h.tail.Lost() != nil {
				return
			}
			continue
		}
		found, err := h.tail.Read(a)
		if err != nil && !h.tail.started {
			require.True(h.t, h.service.wrongDates, err)
			return // no two Dates of five agree
		}
		require.NoError(h.t, err)
		for _, f := range found {
			id := a.Items[f.Index].ID
			h.delivered[id]++
			h.found++
			require.Equal(h.t, 1, h.delivered[id], "delivered twice: %+v, floor %d, saved %d, ledger low %d, pass %+v", *h.service.byID[id], h.tail.floor, h.saved.Floor, h.tail.ledger.low, h.tail.pass.step)
			h.pending = append(h.pending, f.Seq)
			h.ids[f.Seq] = id
		}
		if faults {
			h.acknowledge(0.8)
			if h.rand.IntN(25) == 0 {
				h.crash()
				return
			}
			if h.rand.IntN(3) == 0 {
				h.live()
			}
		}
	}
}

// acknowledge acks some of what is pending in any order, and saves sometimes.
func (h *history) acknowledge(share float64) {
	var rest []uint64
	for _, seq := range h.pending {
		if h.rand.Float64() < share {
			require.True(h.t, h.tail.Ack(seq))
			require.False(h.t, h.tail.Ack(seq), "a second ack is no news")
			h.acked = append(h.acked, h.ids[seq])
		} else {
			rest = append(rest, seq)
		}
	}
	h.pending = rest
	if h.rand.IntN(2) == 0 {
		if h.tail.Started() {
			s := h.tail.Snapshot()
			require.GreaterOrEqual(h.t, s.Floor, h.saved.Floor, "the checkpoint moves back")
			h.saved, h.hasSaved, h.ackedSaved = s, true, len(h.acked)
		}
	}
}

// crash loses everything since the last save: what was delivered and not
// acknowledged by then must come again, and nothing else may.
func (h *history) crash() {
	if !h.hasSaved {
		return
	}
	h.crashes++
	h.tail = Resume(time.Duration(h.overlap)*time.Second, h.saved)
	h.acked = h.acked[:h.ackedSaved]
	clear(h.delivered)
	for _, id := range h.acked {
		h.delivered[id] = 1
	}
	h.pending, h.ids = nil, map[uint64]string{}
}

func (h *history) run(steps int) {
	for h.poll(false); !h.tail.started; {
		h.poll(false)
	}
	for range steps {
		h.live()
		h.poll(true)
		if h.rand.IntN(20) == 0 {
			h.crash()
		}
	}
	// The service rests until everything is visible, and the tail catches up.
	h.service.now += h.overlap + 1
	h.poll(false) // what was broken off
	h.clock = h.clock.Add(time.Hour)
	h.poll(false)
	for _, o := range h.service.objects {
		if o.created >= h.start && !o.deleted {
			require.Equal(h.t, 1, h.delivered[o.id], "lost: %+v, floor %d", *o, h.tail.floor)
		}
	}
}

// verdict takes a history's failure in place of the test.
type verdict struct{ text string }

func (v *verdict) Errorf(format string, args ...any) { v.text += fmt.Sprintf(format, args...) }
func (v *verdict) FailNow()                          { panic(v) }

// try runs a history of a seed over so many steps, and returns why it fails.
func try(seed uint64, steps int) (h *history, failure string) {
	v := new(verdict)
	defer func() {
		if r := recover(); r != nil && r != any(v) {
			panic(r)
		}
		failure = v.text
	}()
	h = newHistory(v, seed)
	h.run(steps)
	return h, ""
}

// shrink finds the fewest steps of a seed that fail.
func shrink(seed uint64, steps int) (int, string) {
	for n := range steps {
		if _, failure := try(seed, n); failure != "" {
			return n, failure
		}
	}
	_, failure := try(seed, steps)
	return steps, failure
}

// TestTailLosesNothingAndRepeatsNothingInRandomHistories runs random lives:
// objects created, late, backdated, deleted, answers lost, crashes at any
// point. STRIPEKIT_HISTORIES sets how many, STRIPEKIT_SEED and STRIPEKIT_STEPS
// replay one.
func TestTailLosesNothingAndRepeatsNothingInRandomHistories(t *testing.T) {
	histories, first := 1000, uint64(0)
	if n, err := strconv.Atoi(os.Getenv("STRIPEKIT_HISTORIES")); err == nil {
		histories = n
	}
	if seed, err := strconv.ParseUint(os.Getenv("STRIPEKIT_SEED"), 10, 64); err == nil {
		histories, first = 1, seed
	}
	fixed, _ := strconv.Atoi(os.Getenv("STRIPEKIT_STEPS")) // 0: as the seed says
	var found, crashes, asked int
	for i := range uint64(histories) {
		seed := first + i
		steps := cmp.Or(fixed, 10+int(seed*7919%60))
		h, failure := try(seed, steps)
		if failure != "" {
			steps, failure = shrink(seed, steps)
			t.Fatalf("STRIPEKIT_SEED=%d STRIPEKIT_STEPS=%d: %s", seed, steps, failure)
		}
		found, crashes, asked = found+h.found, crashes+h.crashes, asked+h.service.asked
	}
	t.Logf("histories %d, crashes %d, deliveries %d, requests %d, lost 0, duplicated without a crash 0", histories, crashes, found, asked)
}
