package fleet

import "time"

const (
	// slotTime is the resolution of the history.
	slotTime = sampleEvery
	// historyTime is how long it is kept.
	historyTime = time.Hour
	// historySlots is how many slots there are: those of an hour, and the present one.
	historySlots = int(historyTime/slotTime) + 1
)

// history is what a process has observed of the fleet within the last hour, by its own
// clock. It has the sums of all workers, so that a worker that has died remains in them.
type history struct{ slots [historySlots]slot }

// slot is 10 s of the history.
type slot struct {
	n        int64 // the Unix time divided by 10 s
	rates    rates
	gauges   gauges
	observed bool // gauges were noted
}

// rates are events and requests, as parts of the samples that cover several slots.
type rates struct{ Events, Requests, Late, GivenUp float64 }

func (r *rates) add(c counts, share float64) {
	r.Events += share * float64(c.Events)
	r.Requests += share * float64(c.Requests)
	r.Late += share * float64(c.Late)
	r.GivenUp += share * float64(c.GivenUp)
}

// gauges are flows in trouble.
type gauges struct{ Failing, Parked, Lagging int }

func slotOf(t time.Time) int64 { return t.UnixNano() / int64(slotTime) }

// at returns slot n, which is not older than an hour.
func (h *history) at(n int64) *slot {
	s := &h.slots[n%int64(historySlots)]
	if s.n < n {
		*s = slot{n: n}
	}
	return s
}

// add adds what was counted in the time that has ended now. It is spread evenly, because
// the samples of the workers do not begin with a slot.
func (h *history) add(c counts, took time.Duration, now time.Time) {
	if took <= 0 {
		return
	}
	share := 1.0
	if longest := historyTime - slotTime; took > longest { // what is older is not shown
		share = float64(longest) / float64(took)
		took = longest
	}
	end := now.UnixNano()
	begin := end - int64(took)
	for n := begin / int64(slotTime); n <= end/int64(slotTime); n++ {
		from, to := max(begin, n*int64(slotTime)), min(end, (n+1)*int64(slotTime))
		h.at(n).rates.add(c, share*float64(to-from)/float64(took))
	}
}

// note notes the present state.
func (h *history) note(g gauges, now time.Time) {
	s := h.at(slotOf(now))
	s.gauges, s.observed = g, true
}

// sum returns what was counted within the last hour.
func (h *history) sum(now time.Time) (sum rates) {
	for n := range h.slots {
		if s := &h.slots[n]; s.n > slotOf(now)-int64(historySlots) {
			sum.Events += s.rates.Events
			sum.Requests += s.rates.Requests
			sum.Late += s.rates.Late
			sum.GivenUp += s.rates.GivenUp
		}
	}
	return sum
}

const (
	// pointTime is the resolution of the charts.
	pointTime = 30 * time.Second
	// settled is how long the samples of all workers take to arrive.
	settled = 2 * slotTime
)

// point is a part of a chart.
type point struct {
	At       time.Time `json:"at"` // its begin
	Events   float64   `json:"events_per_second"`
	Requests float64   `json:"requests_per_second"`
	Failing  int       `json:"failing"` // flows, at the end
	Parked   int       `json:"parked"`
	Lagging  int       `json:"lagging"`
}

// points returns the last hour from since on, without the present moments.
func (h *history) points(since, now time.Time) []point {
	const slots = int64(pointTime / slotTime)
	end := slotOf(now.Add(-settled)) / slots
	begin := max(end-int64(historyTime/pointTime)+1, slotOf(since)/slots+1)
	points := []point{}
	for p := begin; p < end; p++ {
		next := point{At: time.Unix(0, p*int64(pointTime)).UTC()}
		for n := p * slots; n < (p+1)*slots; n++ {
			s := &h.slots[n%int64(historySlots)]
			if s.n != n {
				continue
			}
			next.Events += s.rates.Events / pointTime.Seconds()
			next.Requests += s.rates.Requests / pointTime.Seconds()
			if s.observed {
				next.Failing, next.Parked, next.Lagging = s.gauges.Failing, s.gauges.Parked, s.gauges.Lagging
			}
		}
		points = append(points, next)
	}
	return points
}
