package main

import (
	"context"
	"fmt"
	"strings"
)

// row is one measurement.
type row struct {
	name  string
	title string
	goal  goal
	// Either pair or own is set. pair returns sides to be compared; own
	// measures by itself.
	pair func(options) (pair, error)
	own  func(context.Context, options) ([]line, error)
}

var rows = []row{
	{name: "decode-indented", title: "decode a page of 100 charges, indented", goal: goal{faster: 6, bytes: 5}, pair: decodeClient(indented)},
	{name: "decode-compact", title: "decode a page of 100 charges, compact", goal: goal{faster: 6, bytes: 5}, pair: decodeClient(compact)},
	{name: "decode-bare-indented", title: "the JSON of it alone, indented", pair: decodeBare(indented)},
	{name: "decode-bare-compact", title: "the JSON of it alone, compact", pair: decodeBare(compact)},

	{name: "poll-same-indented", title: "poll, 75 known charges, body unchanged, indented", goal: goal{faster: 250}, pair: polled(staying(indented), inMemory)},
	{name: "poll-same-compact", title: "poll, 75 known charges, body unchanged, compact", goal: goal{faster: 250}, pair: polled(staying(compact), inMemory)},
	{name: "poll-changed-indented", title: "poll, 75 known charges, bytes changed, indented", goal: goal{faster: 12}, pair: polled(touched(indented), inMemory)},
	{name: "poll-changed-compact", title: "poll, 75 known charges, bytes changed, compact", goal: goal{faster: 12}, pair: polled(touched(compact), inMemory)},
	{name: "poll-new-indented", title: "poll, 75 charges, 2 of them new, indented", goal: goal{faster: 9}, pair: polled(growing(indented), inMemory)},
	{name: "poll-new-compact", title: "poll, 75 charges, 2 of them new, compact", goal: goal{faster: 9}, pair: polled(growing(compact), inMemory)},
	{name: "poll-https-indented", title: "poll over HTTPS, 75 known charges, body unchanged, indented", goal: goal{faster: 20}, pair: polled(staying(indented), byHTTPS)},
	{name: "poll-https-compact", title: "poll over HTTPS, 75 known charges, body unchanged, compact", goal: goal{faster: 20}, pair: polled(staying(compact), byHTTPS)},

	{name: "get-1", title: "Get over HTTP, 1 goroutine", goal: goal{faster: 1.3, floor: 1.25}, pair: gets(1)},
	{name: "get-64", title: "Get over HTTP, 64 goroutines", goal: goal{faster: 3, floor: 1.25}, pair: gets(64)},
	{name: "list-1", title: "empty List over HTTP, 1 goroutine", goal: goal{faster: 1.3, floor: 1.25}, pair: emptyLists(1)},
	{name: "list-64", title: "empty List over HTTP, 64 goroutines", goal: goal{faster: 3, floor: 1.25}, pair: emptyLists(64)},
	{name: "create", title: "Create over HTTP, form and all", goal: goal{faster: 2}, pair: creates},
	{name: "form", title: "the form encoding alone", goal: goal{faster: 10, allocs: 1}, pair: encodes},

	{name: "rest", own: rests},
	{name: "drain", own: drains},
	{name: "backfill-25", own: backfills(25)},
	{name: "backfill-100", own: backfills(100)},
	{name: "backfill-faults", own: backfillFaults},
	{name: "backfill-others", own: backfillOthers},
	{name: "save", own: saves},
	{name: "import", own: imports},
}

// goal is the goal of a row; a field of 0 is no goal.
type goal struct {
	faster float64 // the minimum of stripe-go's time / our time
	bytes  float64 // the minimum of stripe-go's allocated bytes / ours
	floor  float64 // the maximum of our time / the floor's time
	allocs float64 // the maximum number of allocations
}

func (g goal) String() string {
	var parts []string
	if g.faster > 0 {
		parts = append(parts, fmt.Sprintf("≥ %g ×", g.faster))
	}
	if g.bytes > 0 {
		parts = append(parts, fmt.Sprintf("≤ 1/%g of the bytes", g.bytes))
	}
	if g.floor > 0 {
		parts = append(parts, fmt.Sprintf("≤ %g × the floor", g.floor))
	}
	if g.allocs > 0 {
		parts = append(parts, fmt.Sprintf("≤ %g allocation", g.allocs))
	}
	return strings.Join(parts, ", ")
}

// met returns "yes", or "no" with the parts of the goal that were missed.
func (g goal) met(c comparison) string {
	if g == (goal{}) {
		return ""
	}
	var missed []string
	if g.faster > 0 && c.faster < g.faster {
		missed = append(missed, "speed")
	}
	if g.bytes > 0 && c.ours.bytes*g.bytes > c.theirs.bytes {
		missed = append(missed, fmt.Sprintf("bytes: 1/%.1f", c.theirs.bytes/c.ours.bytes))
	}
	if g.floor > 0 && c.overFloor > g.floor {
		missed = append(missed, fmt.Sprintf("floor: %.2f ×", c.overFloor))
	}
	if g.allocs > 0 && c.ours.allocs > g.allocs+0.5 {
		missed = append(missed, "allocations")
	}
	if len(missed) > 0 {
		return "no (" + strings.Join(missed, ", ") + ")"
	}
	return "yes"
}

// line is a row of the table.
type line struct {
	title, ours, theirs, ratio, goal, met, ourMemory, theirMemory, floor string
}

func (l line) String() string {
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s | %s | %s | %s |",
		l.title, l.ours, l.theirs, l.ratio, l.goal, l.met, l.ourMemory, l.theirMemory, l.floor)
}

// lines measures a row.
func (r row) lines(ctx context.Context, o options) ([]line, error) {
	if r.own != nil {
		return r.own(ctx, o)
	}
	p, err := r.pair(o)
	if err != nil {
		return nil, err
	}
	if p.close != nil {
		defer p.close()
	}
	c, err := compare(p, o)
	if err != nil {
		return nil, err
	}
	return []line{{
		title: r.title, ours: c.ours.String(), theirs: c.theirs.String(), ratio: fmt.Sprintf("%.1f ×", c.faster),
		goal: r.goal.String(), met: r.goal.met(c),
		ourMemory: c.ours.memory(), theirMemory: c.theirs.memory(), floor: c.floor.String() + ", " + c.floor.memory(),
	}}, nil
}

func yes(met bool) string {
	if met {
		return "yes"
	}
	return "no"
}
