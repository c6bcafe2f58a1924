package listing

import (
	"cmp"
	"math"
	"slices"
)

// mark is the span of created seconds that a number of objects cover.
type mark struct {
	low, high int64
	objects   int
}

// marksOf returns the marks of a run, the oldest first. There are two if more
// than half of its span is a single pause.
func marksOf(heads []Head) []mark {
	low, high := heads[len(heads)-1].Created, heads[0].Created
	at, longest := 0, int64(0)
	for i := 1; i < len(heads); i++ {
		if pause := heads[i-1].Created - heads[i].Created; pause > longest {
			at, longest = i, pause
		}
	}
	if 2*longest <= high-low {
		return []mark{{low, high, len(heads)}}
	}
	return []mark{{low, heads[at].Created, len(heads) - at}, {heads[at-1].Created, high, at}}
}

// maxMarks is how many marks a block keeps.
const maxMarks = 64

// trim drops the marks of a block that are farthest from where it grows.
func (w *Windows) trim(b *block) {
	if extra := len(b.marks) - maxMarks; extra > maxMarks {
		if w.c.Order == OldestFirst {
			b.marks = slices.Delete(b.marks, 0, extra)
		} else {
			b.marks = slices.Delete(b.marks, maxMarks, len(b.marks))
		}
	}
}

// pace estimates how many seconds the given number of objects span beyond an
// edge, NoBound if nothing is known. One page may be from a single busy minute:
// the fewer pages the block has, the more weight the front of the reading has.
func (w *Windows) pace(e *edge, objects int) float64 {
	front := w.front()
	if e.quiet > 0 {
		return typical(front.marks, objects, e.quiet)
	}
	if e.block == front || len(front.marks) == 0 {
		return typical(e.block.marks, objects, 0)
	}
	marks := e.block.marks
	if e.up {
		marks = afterPause(marks)
	}
	long := int64(max(typical(marks, objects, 0), typical(front.marks, objects, 0)))
	low, high := e.block.from(), e.block.to()
	here := e.block.within(low, low+long)
	if e.up {
		here = e.block.within(high-long, high)
	}
	last := w.last(long)
	if here.objects+last.objects == 0 {
		return NoBound
	}
	return max(1, float64(objects)*(here.seconds+last.seconds)/(here.objects+last.objects))
}

// typical returns the median of the seconds that the given number of objects
// span, at least 1. If pause is not 0, it counts only objects that followed a
// pause of at least that many seconds.
func typical(marks []mark, objects int, pause int64) float64 {
	var spans []float64
	j, count := 0, 0
	for i := range marks {
		for j < len(marks) && count < objects {
			count += marks[j].objects
			j++
		}
		if count < objects && (len(spans) > 0 || pause > 0) {
			break
		}
		from := marks[i].low
		if pause > 0 && i > 0 {
			from = marks[i-1].high
		}
		if marks[i].low-from >= pause {
			spans = append(spans, float64(marks[j-1].high-from+1)*float64(objects)/float64(count))
		}
		count -= marks[i].objects
	}
	if len(spans) == 0 {
		return NoBound
	}
	slices.Sort(spans)
	return max(spans[len(spans)/2], 1)
}

// afterPause returns the marks after a pause that is more than half of the
// whole span, and all marks if there is no such pause.
func afterPause(marks []mark) []mark {
	from, longest := 0, int64(0)
	for i := 1; i < len(marks); i++ {
		if pause := marks[i].low - marks[i-1].high; pause > longest {
			from, longest = i, pause
		}
	}
	if 2*longest > marks[len(marks)-1].high-marks[0].low {
		return marks[from:]
	}
	return marks
}

// rate returns the objects per second of the marks, 0 if there are none.
func rate(marks []mark) float64 {
	objects := 0
	for _, m := range marks {
		objects += m.objects
	}
	if objects == 0 {
		return 0
	}
	return float64(objects) / float64(marks[len(marks)-1].high-marks[0].low+1)
}

// nearMarks is how many marks at an end of a block the rate there is taken
// from.
const nearMarks = 3

func (b *block) rateBelow() float64 { return rate(b.marks[:min(nearMarks, len(b.marks))]) }

func (b *block) rateAbove() float64 { return rate(b.marks[max(0, len(b.marks)-nearMarks):]) }

// quietBefore returns the seconds from the last object of the block to a
// second, 0 if that is not much longer than between its objects.
func (b *block) quietBefore(second int64) int64 {
	const objects = 12
	quiet := second - b.marks[len(b.marks)-1].high
	if float64(quiet)*b.rateAbove() > objects {
		return quiet
	}
	return 0
}

// remaining estimates how many objects there are in a gap. It takes the rate
// from time spans as long as the gap: on both sides of it, and at the end of
// the front.
func (w *Windows) remaining(i int) float64 {
	below, above := w.blocks[i], w.blocks[i+1]
	low, high := below.top.second, above.bottom.second
	left := high - low + 1
	var objects, seconds float64
	for _, c := range []count{below.within(low-left, low), above.within(high, high+left), w.last(left)} {
		objects += c.objects
		seconds += c.seconds
	}
	if seconds == 0 {
		return float64(left)
	}
	return objects / seconds * float64(left)
}

// front returns the block that is being delivered.
func (w *Windows) front() *block {
	if w.c.Order == OldestFirst {
		return w.blocks[0]
	}
	return w.blocks[len(w.blocks)-1]
}

// last returns the count for that many seconds at the growing end of the front.
func (w *Windows) last(seconds int64) count {
	b := w.front()
	if w.c.Order == OldestFirst {
		return b.within(b.to()-seconds, b.to())
	}
	return b.within(b.from(), b.from()+seconds)
}

// from returns the first second that the marks of the block cover.
func (b *block) from() int64 {
	if len(b.marks) == 0 {
		return 0
	}
	return b.marks[0].low
}

// to returns the last second that is known of the block.
func (b *block) to() int64 {
	switch {
	case len(b.marks) == 0:
		return 0
	case b.top == nil:
		return b.marks[len(b.marks)-1].high
	}
	return b.top.second
}

// count is a number of objects and the number of seconds they were created in.
type count struct{ objects, seconds float64 }

// within returns the count of the block for the seconds from low to high.
func (b *block) within(low, high int64) (c count) {
	low, high = max(low, b.from()), min(high, b.to())
	if len(b.marks) == 0 || low > high {
		return c
	}
	c.seconds = float64(high - low + 1)
	for _, m := range b.marks {
		if from, to := max(m.low, low), min(m.high, high); from <= to {
			c.objects += float64(m.objects) * float64(to-from+1) / float64(m.high-m.low+1)
		}
	}
	return c
}

// rateAt estimates the objects per second beyond an edge.
func (w *Windows) rateAt(e *edge) float64 {
	if len(e.block.marks) == 0 {
		return 0
	}
	objects := max(w.gapPages(), 1) * PageSize
	return float64(objects) / w.pace(e, objects)
}

// middle returns a second that splits the objects of a gap about in half, if
// the rate changes evenly from one side to the other.
func (w *Windows) middle(i int) int64 {
	low, high := w.blocks[i].top, w.blocks[i+1].bottom
	span := float64(high.second - low.second)
	before, after := w.blocks[i].rateAbove(), w.blocks[i+1].rateBelow()
	if low.quiet > 0 {
		before = 0
	}
	share := 0.5
	if math.Abs(after-before) > 0.01*(after+before) {
		share = (math.Sqrt((before*before+after*after)/2) - before) / (after - before)
	}
	return low.second + min(max(int64(span*share), 1), int64(span)-1) + 1
}

// Expected estimates how many objects of the range were not read yet. It is 0
// while nothing is known, and in any other order than OldestFirst.
func (w *Windows) Expected() float64 {
	if w.c.Order != OldestFirst || w.read == 0 || w.complete() {
		return 0
	}
	gaps, outer := w.gaps()
	sum := 0.0
	for _, i := range gaps {
		sum += w.remaining(i)
	}
	if outer < 0 {
		return sum
	}
	top := w.blocks[outer].top
	left := float64(w.search.newest - top.second)
	if left <= 0 {
		return sum
	}
	// At first the pages of the search are the better sample, later what was
	// read.
	read := float64(max(top.second-w.search.oldest, 1))
	share := read / (read + left)
	average := float64(w.read) / read * left
	return sum + share*average + (1-share)*w.search.expected(top.second, w.rateAt(top))
}

// expected estimates how many objects there are from a second on, if rate is
// the number of objects per second there.
func (s *search) expected(second int64, rate float64) float64 {
	slices.SortFunc(s.seen, func(a, b mark) int { return cmp.Compare(a.low, b.low) })
	sum := 0.0
	for _, m := range s.seen {
		if m.high <= second {
			continue
		}
		next := float64(m.objects) / float64(m.high-m.low+1)
		sum += (rate + next) / 2 * float64(m.high-second)
		second, rate = m.high, next
	}
	return sum
}
