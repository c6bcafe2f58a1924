package tail

import (
	"math/rand/v2"
	"time"

	"github.com/stretchr/testify/require"
)

// newHistory chooses everything that stays the same during a history.
func newHistory(t require.TestingT, seed uint64, sum *totals) *history {
	r := rand.New(rand.NewPCG(seed, 2))
	h := &history{
		t: t, rand: r, lies: rand.New(rand.NewPCG(seed, 3)), totals: sum, life: 1, refs: map[int]*object{},
		trace: func(string, ...any) {},
		mono:  time.Unix(r.Int64N(1<<31), r.Int64N(1e9)),
	}
	h.service = &service{
		rand: r, now: 1_700_000_000_000 + r.Int64N(day*1000),
		byID: map[string]*object{}, undated: r.IntN(3) == 0,
		overlap: oneOf[int64](r, 60, 300, 600, 600, 600, 3600, day, 1+r.Int64N(1000)),
	}
	h.chooseTraffic()
	h.chooseDates()
	h.chooseReader()
	h.backlog()
	h.chooseBeginning()
	h.tail = New(h.config)
	h.save()
	return h
}

func oneOf[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

func (h *history) chooseTraffic() {
	r := h.rand
	h.interval = oneOf[int64](r, 1, 15, 15, 60, 600, 3600, 6*3600) * 1000
	perPoll := oneOf(r, 0.02, 0.3, 3, 3, 10, 60)
	tr := traffic{rate: perPoll * 1000 / float64(h.interval), limit: 250, left: 700}
	h.large = r.IntN(100) == 0
	if h.readerSlow = r.IntN(100) == 0; h.readerSlow {
		h.interval = 15_000
		tr.rate, tr.limit, tr.left = oneOf(r, 3.0, 6, 10), 3000, 12_000
	}
	if r.IntN(4) == 0 {
		tr.burst, tr.bursts, tr.burstMax = 0.02, 1+r.IntN(3), oneOf(r, 120, 120, 250)
	}
	if r.IntN(6) == 0 {
		tr.nightly, tr.nights = oneOf(r, 30, 120, 250), 1+r.IntN(3)
	}
	if h.large {
		tr.limit, tr.left, tr.burstMax, tr.nightly = 1500, 6_000, 1500, tr.nightly*8
	}
	tr.late = oneOf(r, 0, 0, 0.03, 0.3, 0.9)
	tr.outage = oneOf(r, 0, 0, 0.1, 0.5)
	tr.tooLate = oneOf(r, 0, 0, 0.02)
	tr.gone = oneOf(r, 0, 0, 0.02, 0.3)
	tr.reuse = oneOf(r, 0, 0.05, 0.5)
	h.service.traffic = tr
}

func (h *history) chooseDates() {
	r := h.rand
	kinds := []int{datesRight, datesRight, datesRight, datesSome, datesSingle, datesNone, datesBehind}
	if !h.service.undated {
		kinds = append(kinds, datesStretch, datesOff, datesAny)
	}
	h.dates = dates{rand: r, kind: oneOf(r, kinds...)}
	h.dates.offset = h.dates.anyOffset()
	if h.dates.mostlyRight() && r.IntN(6) == 0 {
		h.service.traffic.future, h.future = 0.02, true
	}
}

func (h *history) chooseReader() {
	r := h.rand
	h.polls = 4 + r.IntN(30)
	h.maxRequests = 100
	if h.large {
		h.maxRequests = 400
	}
	h.slowest = oneOf[int64](r, 100, 500, 500, 3000, 90_000)
	if h.readerSlow {
		h.slowest, h.maxRequests = 60_000, 150
	}
	h.quick = h.slowest <= 3000
	h.gaps = oneOf(r, 0, 0.03, 0.1)
	h.asleep = oneOf(r, 0, 0, 0.05, 0.3)
	h.sleeps = oneOf(r, 0, 0, 0.02)
	h.crashes = oneOf(r, 0, 0.005, 0.03, 0.1)
	h.saves = oneOf(r, 0.05, 0.2, 0.5)
	h.failures = oneOf(r, 0, 0, 0.02, 0.2)
	h.cursorGone = oneOf(r, 0, 0, 0.1)
	h.nonsense = oneOf(r, 0, 0, 0, 0.02)
	h.noSweep = oneOf(r, 0, 0, 0.3, 0.8)
	h.ackShare = oneOf(r, 0.05, 0.5, 1)
	h.maxUnacked = oneOf(r, 50, 300, 1000)
	h.never = oneOf(r, 0, 0, 0, 1, 1, 10)
}

// backlog creates the objects from before the start.
func (h *history) backlog() {
	r, s := h.rand, h.service
	n := oneOf(r, 0, 3, 80, 120, 250, 400)
	if h.large {
		n *= 10
	}
	span := oneOf[int64](r, 20, 600, 2*3600, 3*day, 45*day) * 1000
	end := s.now
	s.now -= span
	for range n {
		at := s.now + r.Int64N(span)
		if r.IntN(3) == 0 && len(s.objects) > 0 {
			at = s.objects[r.IntN(len(s.objects))].created * 1000
		}
		s.happen(at, false)
	}
	s.now = end
}

func (h *history) chooseBeginning() {
	r := h.rand
	h.start = h.service.second()
	h.config = Config{Overlap: time.Duration(h.service.overlap) * time.Second, Start: h.mono, Reused: h.service.traffic.reuse > 0}
	for i := range h.config.Seed {
		h.config.Seed[i] = byte(r.Uint32())
	}
	switch r.IntN(4) {
	case 0:
		h.start -= r.Int64N(50 * day)
		h.config.From = h.start
	case 1:
		h.start += r.Int64N(4000) - 3900
		h.config.From = h.start
	}
	h.begin, h.settled = h.start, h.service.second()
}
