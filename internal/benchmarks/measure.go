package main

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"
)

// side is one implementation of the operation of a row.
type side struct {
	// run does the operation n times. It is what is measured.
	run func(n int) error
	// work does the operation for a test, and returns its result.
	work func() ([]string, error)
}

// pair is a row with sides that do the same operation, in alternating rounds. The floor
// is optional.
type pair struct {
	ours, theirs, floor side
	// want is the expected result of work.
	want  []string
	close func()
}

// cost is the cost of one operation.
type cost struct {
	time          time.Duration // by the clock, or CPU time of this process
	bytes, allocs float64
}

// roundTime is the approximate duration of a round of one side. It is long
// enough for the garbage of a round to be collected within it.
const roundTime = 100 * time.Millisecond

// comparison is the result of a pair. A ratio is the median of the ratios of
// two sides in the same round. If the machine has other work, that is more
// precise than the ratio of the medians.
type comparison struct {
	ours, theirs, floor cost
	faster              float64 // theirs / ours, in time
	overFloor           float64 // ours / floor, in time
}

// compare measures the sides in alternating rounds, so that other work on the
// machine affects all of them. It ends with the context, between two rounds.
func compare(ctx context.Context, p pair, o options) (c comparison, err error) {
	sides := []side{p.ours, p.theirs, p.floor}
	if i := slices.Index(sideNames, o.only); i >= 0 {
		only := sides[i]
		sides = make([]side, 3)
		sides[i] = only
	}
	times := make([]int, len(sides))
	for i, s := range sides {
		if times[i], err = calibrate(s, o); err != nil {
			return c, err
		}
	}
	costs := make([][]cost, len(sides))
	for round := range o.rounds {
		for i := range sides {
			if err := ctx.Err(); err != nil {
				return c, err
			}
			i = (i + round) % len(sides)
			spent, err := measure(sides[i], times[i], o.cpu)
			if err != nil {
				return c, err
			}
			costs[i] = append(costs[i], spent)
		}
	}
	return comparison{
		ours: medianCost(costs[0]), theirs: medianCost(costs[1]), floor: medianCost(costs[2]),
		faster: medianRatio(costs[1], costs[0]), overFloor: medianRatio(costs[0], costs[2]),
	}, nil
}

// sideNames are the sides in their order.
var sideNames = []string{"ours", "theirs", "floor"}

// calibrate finds how many operations fill a round.
func calibrate(s side, o options) (n int, err error) {
	if s.run == nil {
		return 0, nil
	}
	for n = 1; ; n *= 2 {
		start := time.Now()
		if err := s.run(n); err != nil || o.quick {
			return n, err
		}
		if took := time.Since(start); took > roundTime/4 {
			return max(1, int(float64(n)*float64(roundTime)/float64(took))), nil
		}
	}
}

// measure runs one round. It starts with a heap without garbage.
func measure(s side, n int, cpu bool) (cost, error) {
	if s.run == nil {
		return cost{}, nil
	}
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start, used := time.Now(), processTime()
	err := s.run(n)
	took := time.Since(start)
	if cpu {
		took = processTime() - used
	}
	runtime.ReadMemStats(&after)
	return cost{
		time:   took / time.Duration(n),
		bytes:  float64(after.TotalAlloc-before.TotalAlloc) / float64(n),
		allocs: float64(after.Mallocs-before.Mallocs) / float64(n),
	}, err
}

// medianCost returns the median of each figure.
func medianCost(costs []cost) cost {
	return cost{
		time:   time.Duration(medianOf(costs, func(c cost) float64 { return float64(c.time) })),
		bytes:  medianOf(costs, func(c cost) float64 { return c.bytes }),
		allocs: medianOf(costs, func(c cost) float64 { return c.allocs }),
	}
}

// medianRatio returns the median of the ratios of two sides in time, round by round.
func medianRatio(above, below []cost) float64 {
	var ratios []float64
	for i := range above {
		ratios = append(ratios, float64(above[i].time)/float64(below[i].time))
	}
	return median(ratios)
}

func medianOf[T any](all []T, figure func(T) float64) float64 {
	var figures []float64
	for _, one := range all {
		figures = append(figures, figure(one))
	}
	return median(figures)
}

func median(figures []float64) float64 {
	slices.Sort(figures)
	return figures[len(figures)/2]
}

func (c cost) String() string { return formatTime(c.time) }

func formatTime(d time.Duration) string {
	switch {
	case d >= time.Second:
		return fmt.Sprintf("%.2f s", d.Seconds())
	case d >= time.Millisecond:
		return fmt.Sprintf("%.2f ms", float64(d)/1e6)
	case d >= time.Microsecond:
		return fmt.Sprintf("%.1f µs", float64(d)/1e3)
	}
	return fmt.Sprintf("%d ns", d)
}

// memory formats the bytes and the number of allocations.
func (c cost) memory() string { return fmt.Sprintf("%s / %.0f", size(c.bytes), c.allocs) }

func size(bytes float64) string {
	switch {
	case bytes >= 1<<20:
		return fmt.Sprintf("%.1f MiB", bytes/(1<<20))
	case bytes >= 1<<10:
		return fmt.Sprintf("%.1f KiB", bytes/(1<<10))
	}
	return fmt.Sprintf("%.0f B", bytes)
}
