package listing

import (
	"math"
	"math/rand/v2"
	"slices"
)

const (
	day   = 24 * 60 * 60
	year  = 365 * day
	today = 1_764_000_000
)

// kind says how uneven a list is.
type kind uint8

const (
	steady kind = iota
	uneven
	oneSecond // nearly everything is in one second, or in two
)

// shape is a distribution of the objects of a list over time.
type shape struct {
	name  string
	kind  kind
	least int // the minimum number of objects for the shape to show; fewer are allowed
	make  func(r *rand.Rand, n int) []int64
}

var shapes = []shape{
	{"steady, 1 in 10 min", steady, 0, poisson(1.0 / 600)},
	{"steady, 1 in 20 s", steady, 0, poisson(0.05)},
	{"steady, 1/s", steady, 0, poisson(1)},
	{"steady, 20/s", steady, 0, poisson(20)},
	{"steady, 300/s", steady, 0, poisson(300)},
	{"clockwork, 1 an hour", steady, 0, clockwork(3600)},
	{"clockwork, 1/min", steady, 0, clockwork(60)},
	{"clockwork, 1/s", steady, 0, clockwork(1)},
	{"clockwork, 5/s", steady, 0, clockwork(0.2)},
	{"clockwork, 100/s", steady, 0, clockwork(0.01)},
	{"clockwork, 101/s", steady, 0, clockwork(1.0 / 101)},
	{"clockwork, 150/s", steady, 0, clockwork(1.0 / 150)},
	{"nightly, 60 in 10 s", uneven, 0, nightly(60, 10)},
	{"nightly, 60 in 1 h", uneven, 0, nightly(60, 3600)},
	{"nightly, 500 in 1 min", uneven, 10_000, nightly(500, 60)},
	{"nightly, 3000 in 10 min", uneven, 60_000, nightly(3000, 600)},
	{"nightly, 20000 in 10 s", uneven, 400_000, nightly(20_000, 10)},
	{"nightly, 20000 in 1 h", uneven, 400_000, nightly(20_000, 3600)},
	{"import", uneven, 0, imported},
	{"import, then steady", uneven, 0, importedThenSteady},
	{"steady, then import", uneven, 0, steadyThenImport},
	{"growth", uneven, 0, growth},
	{"one second", oneSecond, 0, inOneSecond},
	{"bursts", uneven, 0, bursts},
	{"empty years", uneven, 0, emptyYears},
	{"diurnal", uneven, 0, diurnal},
	{"every other hour", uneven, 0, everyOtherHour},
	{"gaps of heavy tail 0.6", uneven, 0, heavyTail(0.6)},
	{"gaps of heavy tail 1.1", uneven, 0, heavyTail(1.1)},
	{"clusters in clusters", uneven, 0, clusters},
	{"first and last second", oneSecond, 0, firstAndLast},
}

// poisson returns a list with random gaps and an average of rate objects per
// second.
func poisson(rate float64) func(*rand.Rand, int) []int64 {
	return func(r *rand.Rand, n int) []int64 {
		return backwards(n, func() float64 { return r.ExpFloat64() / rate })
	}
}

func clockwork(gap float64) func(*rand.Rand, int) []int64 {
	return func(r *rand.Rand, n int) []int64 {
		return backwards(n, func() float64 { return gap })
	}
}

func heavyTail(alpha float64) func(*rand.Rand, int) []int64 {
	return func(r *rand.Rand, n int) []int64 {
		return backwards(n, func() float64 { return min(90*day, math.Pow(1-r.Float64(), -1/alpha)-1) })
	}
}

// backwards goes back in time by gaps.
func backwards(n int, gap func() float64) []int64 {
	seconds, at := make([]int64, n), float64(today)
	for i := range seconds {
		at -= gap()
		seconds[i] = max(1, int64(at))
	}
	return seconds
}

// within returns n objects in the span that begins with a second.
func within(r *rand.Rand, n int, from, span int64) []int64 {
	seconds := make([]int64, n)
	for i := range seconds {
		seconds[i] = from + r.Int64N(span)
	}
	return seconds
}

func nightly(per int, span int64) func(*rand.Rand, int) []int64 {
	return func(r *rand.Rand, n int) []int64 {
		nights := min(1000, max(1, n/per))
		var seconds []int64
		for night := range int64(nights) {
			seconds = append(seconds, within(r, min(n, per), today-(night+1)*day, span)...)
		}
		return seconds
	}
}

func imported(r *rand.Rand, n int) []int64 { return within(r, n, today-200, 180) }

func importedThenSteady(r *rand.Rand, n int) []int64 {
	return append(within(r, n/2, today-5*year, 180), within(r, n-n/2, today-5*year, 5*year)...)
}

func steadyThenImport(r *rand.Rand, n int) []int64 {
	return append(within(r, n/2, today-5*year, 5*year), within(r, n-n/2, today-600, 300)...)
}

// growth returns a list whose rate doubles every four months.
func growth(r *rand.Rand, n int) []int64 {
	return backwardsFrom(n, func() float64 { return r.ExpFloat64() * year / 3 / math.Ln2 })
}

// backwardsFrom returns n objects, each ago() seconds old.
func backwardsFrom(n int, ago func() float64) []int64 {
	seconds := make([]int64, n)
	for i := range seconds {
		seconds[i] = max(1, today-int64(ago()))
	}
	return seconds
}

func inOneSecond(_ *rand.Rand, n int) []int64 {
	return slices.Repeat([]int64{today - 3*year}, n)
}

// bursts returns a steady flow with seconds of up to 3,000 objects.
func bursts(r *rand.Rand, n int) []int64 {
	const span = 90 * day
	seconds := within(r, n/2, today-span, span)
	for len(seconds) < n {
		burst := min(n-len(seconds), 1+r.IntN(3000))
		seconds = append(seconds, slices.Repeat([]int64{today - r.Int64N(span)}, burst)...)
	}
	return seconds
}

func emptyYears(r *rand.Rand, n int) []int64 {
	return append(within(r, n/2, today-14*year, 60*day), within(r, n-n/2, today-60*day, 60*day)...)
}

// diurnal returns objects around two in the afternoon of each day.
func diurnal(r *rand.Rand, n int) []int64 {
	days := int64(max(1, min(1000, n/1000)))
	seconds := make([]int64, n)
	for i := range seconds {
		seconds[i] = today - r.Int64N(days)*day + int64(r.NormFloat64()*3*3600)
	}
	return seconds
}

func everyOtherHour(r *rand.Rand, n int) []int64 {
	hours := int64(max(1, n/5000))
	seconds := make([]int64, n)
	for i := range seconds {
		hour := 2 * r.Int64N(hours)
		if r.IntN(50) == 0 {
			hour++
		}
		seconds[i] = today - (hour+1)*3600 + r.Int64N(3600)
	}
	return seconds
}

// clusters divides the objects unevenly between the halves of a span of years,
// and recursively between their halves.
func clusters(r *rand.Rand, n int) []int64 {
	seconds := make([]int64, 0, n)
	var divide func(n int, from, span int64)
	divide = func(n int, from, span int64) {
		if n == 0 || span <= 1 {
			seconds = append(seconds, slices.Repeat([]int64{from}, n)...)
			return
		}
		share := r.Float64()
		left := min(n, int(math.Round(share*share*float64(n))))
		if r.IntN(2) == 0 {
			left = n - left
		}
		divide(left, from, span/2)
		divide(n-left, from+span/2, span-span/2)
	}
	divide(n, today-4*year, 4*year)
	return seconds
}

// firstAndLast returns nearly all objects in the first and in the last second.
func firstAndLast(r *rand.Rand, n int) []int64 {
	const span = 2 * year
	seconds := within(r, n/20, today-span, span)
	for len(seconds) < n {
		seconds = append(seconds, today-span+(span-1)*r.Int64N(2))
	}
	return seconds
}

// fullSeconds returns a few seconds of about one page or several, adjacent or
// not.
func fullSeconds(r *rand.Rand, n int) []int64 {
	var seconds []int64
	at := int64(today - year)
	for len(seconds) < n {
		k := min(n-len(seconds), oneOf(r, 1, 50, 99, 100, 101, 199, 200, 201, r.IntN(1000)))
		seconds = append(seconds, slices.Repeat([]int64{at}, k)...)
		at += oneOf[int64](r, 1, 1, 2, 60, 5*day)
	}
	return seconds
}

// mixture returns a mixture of several shapes.
func mixture(r *rand.Rand, n int) []int64 {
	var seconds []int64
	for _, part := range []int{n / 3, n / 3, n - n/3*2} {
		some := shapes[r.IntN(len(shapes))].make(r, part)
		shift := r.Int64N(2) * r.Int64N(3*year)
		for _, second := range some {
			seconds = append(seconds, max(1, second-shift))
		}
	}
	return seconds
}

// reach is a way to set Low and High.
type reach struct {
	name  string
	bound func(r *rand.Rand, seconds []int64) (low, high int64)
}

var reaches = []reach{
	{"open", func(*rand.Rand, []int64) (int64, int64) { return 0, 0 }},
	{"exact", func(_ *rand.Rand, s []int64) (int64, int64) { return slices.Min(s), slices.Max(s) + 1 }},
	{"from", func(_ *rand.Rand, s []int64) (int64, int64) { return slices.Min(s), 0 }},
	{"until", func(_ *rand.Rand, s []int64) (int64, int64) { return 0, slices.Max(s) + 1 }},
	{"years", func(*rand.Rand, []int64) (int64, int64) { return today - 15*year, today + day }},
	{"wide", func(*rand.Rand, []int64) (int64, int64) { return 1, 8_000_000_000 }},
	{"part", func(r *rand.Rand, s []int64) (int64, int64) {
		s = slices.Sorted(slices.Values(s))
		return s[len(s)*(1+r.IntN(30))/100], s[len(s)*(70+r.IntN(30))/100] + 1
	}},
}

// boundsOf returns Low and High for a list, which can be empty.
func boundsOf(r *rand.Rand, in reach, seconds []int64) (low, high int64) {
	if len(seconds) == 0 {
		seconds = []int64{today - day, today}
	}
	return in.bound(r, seconds)
}
