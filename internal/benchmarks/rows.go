package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// row is one measurement.
type row struct {
	name  string
	title string
	goal  goal
	json  bool // it decodes JSON, and is measured with jsonv2 as well
	named bool // it is measured only by its name
	cpu   bool // its figures are the CPU time of the process
	// Either pair or own is set. pair returns sides to be compared; own
	// measures by itself.
	pair func() (pair, error)
	own  func(context.Context, options) ([]line, error)
}

var rows = []row{
	{name: "decode-indented", title: "decode a page of 100 charges", goal: goal{faster: 6, fasterV2: 2.5}, json: true, pair: decodeClient(indented)},
	{name: "decode-compact", title: "the same, without white space", goal: goal{faster: 6, fasterV2: 2.5}, json: true, pair: decodeClient(compact)},
	{name: "decode-package-ours", title: "only the JSON package: stripekit's structs, by the module and by encoding/json", json: true, pair: decodeBare(
		decodePage(module, ourSummary), decodePage(standard, ourSummary))},
	{name: "decode-package-theirs", title: "only the JSON package: stripe-go's structs parsed once, by the module and by encoding/json", json: true, pair: decodeBare(
		decodePage(module, bareSummary), decodePage(standard, bareSummary))},
	{name: "decode-fields", title: "only the fields: both structs parsed once by encoding/json", json: true, pair: decodeBare(
		decodePage(standard, ourSummary), decodePage(standard, bareSummary))},
	{name: "decode-parse", title: "only the second parse: stripe-go's structs by encoding/json, without and with UnmarshalJSON", json: true, pair: decodeBare(
		decodePage(standard, bareSummary), decodePage(standard, theirSummary))},
	{name: "decode-client", title: "only the client: stripe-go's structs by encoding/json, without and with its client", json: true, pair: decodeByClient},

	{name: "poll-same", title: "poll, 75 known charges, page unchanged", json: true, pair: polled(feedKind{}, inMemory)},
	{name: "poll-changed", title: "poll, 75 known charges, page changed", goal: goal{faster: 12, fasterV2: 6}, json: true, pair: polled(feedKind{Touches: true}, inMemory)},
	{name: "poll-new", title: "poll, 75 charges, 2 of them new", json: true, pair: polled(feedKind{Grows: 2}, inMemory)},
	{name: "poll-https", title: "CPU of a poll over HTTPS, 75 known charges, page unchanged", goal: goal{faster: 20, time: 250 * time.Microsecond}, json: true, cpu: true, pair: polled(feedKind{}, byHTTPS)},

	{name: "get-1", title: "Get over HTTP", goal: goal{floor: 1.1}, json: true, pair: gets(1, sameTransport)},
	{name: "get-64", title: "Get over HTTP, 64 goroutines", json: true, pair: gets(64, sameTransport)},
	{name: "get-64-default", title: "the same, stripe-go with its default transport", json: true, pair: gets(64, theirTransport)},
	{name: "list-1", title: "empty List over HTTP", json: true, pair: emptyLists(1)},
	{name: "create", title: "Create over HTTP, form and all", goal: goal{faster: 2}, json: true, pair: creates},

	{name: "drain", title: "drain 10,000 charges over HTTP", json: true, pair: drains},
	{name: "rest", own: rests},
	{name: "save", own: saves},
	{name: "import", own: imports},
	{name: "backfill-25", own: backfills(25)},
	{name: "backfill-100", named: true, own: backfills(100)},
}

// goal is the goal of a row; a field of 0 is no goal.
type goal struct {
	faster   float64       // the minimum of stripe-go's time / our time
	fasterV2 float64       // the same with jsonv2; if 0, faster does not depend on it
	floor    float64       // the maximum of our time / the floor's time
	time     time.Duration // the maximum of our time
}

func (g goal) String() string {
	var all []string
	if g.faster > 0 {
		all = append(all, fmt.Sprintf("≥ %g ×", g.faster))
	}
	if g.fasterV2 > 0 {
		all[0] += fmt.Sprintf(" (jsonv2: ≥ %g ×)", g.fasterV2)
	}
	if g.floor > 0 {
		all = append(all, fmt.Sprintf("≤ %g × the floor", g.floor))
	}
	if g.time > 0 {
		all = append(all, "≤ "+formatTime(g.time))
	}
	return strings.Join(all, ", ")
}

// met returns "yes", or "no" with the parts of the goal that were missed.
func (g goal) met(c comparison) string {
	if jsonV2 && g.fasterV2 > 0 {
		g.faster = g.fasterV2
	}
	if g == (goal{}) {
		return ""
	}
	var missed []string
	if c.faster < g.faster {
		missed = append(missed, fmt.Sprintf("%.1f ×", c.faster))
	}
	if g.floor > 0 && c.overFloor > g.floor {
		missed = append(missed, fmt.Sprintf("%.2f × the floor", c.overFloor))
	}
	if g.time > 0 && c.ours.time > g.time {
		missed = append(missed, c.ours.String())
	}
	if len(missed) > 0 {
		return "no (" + strings.Join(missed, ", ") + ")"
	}
	return "yes"
}

// line is a line of the table.
type line struct {
	Title, Ours, Theirs, Ratio, Goal, Met, Floor, OurMemory, TheirMemory string

	V2     string        // what the build with jsonv2 has measured
	Figure time.Duration // our time, of a pair
}

// lines measures a row.
func (r row) lines(ctx context.Context, o options) ([]line, error) {
	if r.own != nil {
		return r.own(ctx, o)
	}
	p, err := r.pair()
	if err != nil {
		return nil, err
	}
	if p.close != nil {
		defer p.close()
	}
	o.cpu = r.cpu
	c, err := compare(ctx, p, o)
	if err != nil {
		return nil, err
	}
	l := line{
		Title: r.title, Ours: c.ours.String(), Theirs: c.theirs.String(), Ratio: fmt.Sprintf("%.1f ×", c.faster),
		Goal: r.goal.String(), Met: r.goal.met(c), Figure: c.ours.time,
		OurMemory: c.ours.memory(), TheirMemory: c.theirs.memory(),
	}
	switch {
	case p.floor.run != nil && p.floor.work != nil:
		l.Floor = fmt.Sprintf("%v (%.2f ×)", c.floor, c.overFloor)
	case p.floor.run != nil:
		l.Floor = fmt.Sprintf("%v to read it", c.floor)
	}
	return []line{l}, nil
}

func yes(met bool) string {
	if met {
		return "yes"
	}
	return "no"
}
