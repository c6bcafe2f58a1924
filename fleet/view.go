package fleet

import (
	"fmt"
	"html/template"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// view is what the page shows.
type view struct {
	Style      template.CSS
	Script     template.JS
	NotRunning string

	*overview
	List   *listing
	Query  listQuery
	Alerts []string
	Charts []chart
	Bars   []bar
	States []stateOption
}

// stateOption is a state that can be selected, and how many connections have it.
type stateOption struct {
	State    State
	Count    int
	Selected bool
}

func newView(q listQuery) *view {
	return &view{
		Style: template.CSS(pageStyle), Script: template.JS(pageScript), //nolint:gosec // they are constants
		NotRunning: notRunning, Query: q,
	}
}

func (v *view) fill(o *overview, l *listing) {
	v.NotRunning, v.overview, v.List = "", o, l
	v.Alerts = o.alerts()
	v.Charts = o.charts()
	v.Bars = o.bars()
	troubled, all := 0, 0
	for state, n := range l.States {
		all += n
		if inTrouble.selects(state) {
			troubled += n
		}
	}
	v.States = append(v.States, stateOption{"", all, v.Query.State == ""}, stateOption{inTrouble, troubled, v.Query.State == inTrouble})
	for _, state := range conditions {
		v.States = append(v.States, stateOption{state, l.States[state], v.Query.State == state})
	}
}

// alerts returns what an operator must know first.
func (o *overview) alerts() (alerts []string) {
	alert := func(format string, args ...any) { alerts = append(alerts, fmt.Sprintf(format, args...)) }
	if o.Stale {
		alert("This worker has observed nothing for %s: it does not reach the engine. What follows is old.", formatDuration(o.Observed))
	}
	if !o.Complete {
		alert("This worker has not read all records yet. What follows is not complete.")
	}
	if o.Shards.Unowned > 0 {
		alert("No worker holds %s of %s shards. Their %s connections are not polled.",
			formatCount(o.Shards.Unowned), formatCount(o.Shards.Total), formatCount(o.Connections.Unowned))
	}
	for i := range o.Workers {
		w := &o.Workers[i]
		if w.State == workerSilent {
			alert("Worker %s is silent: its last heartbeat was %s ago.", w.Name, formatDuration(w.Heartbeat))
		}
		if w.Unreported > 0 {
			alert("Worker %s has %s more flows that are not all right than its report has place for. Their state is unknown here; the page of that worker has it.",
				w.Name, formatCount(w.Unreported))
		}
	}
	return alerts
}

// Link returns the URL of the page with another part of the list.
func (v *view) Link(after string) string {
	q := url.Values{}
	if v.Query.Q != "" {
		q.Set("q", v.Query.Q)
	}
	if v.Query.State != "" {
		q.Set("state", string(v.Query.State))
	}
	if len(q) == 0 {
		q.Set("sort", "name")
	}
	if after != "" {
		q.Set("after", after)
	}
	return "./?" + q.Encode()
}

// chart is a line over the last hour.
type chart struct {
	Title, Now, Max string
	Line, Area      string // paths in 360 by 60 units
	Empty           bool
}

const chartWidth, chartHeight = 360, 60

func (o *overview) charts() []chart {
	trouble := func(p *point) float64 { return float64(p.Failing + p.Parked + p.Lagging) }
	f := o.Flows
	return []chart{
		o.chart("Events per second", formatRate(o.Events), func(p *point) float64 { return p.Events }),
		o.chart("Requests per second", formatRate(o.Requests), func(p *point) float64 { return p.Requests }),
		o.chart("Flows failing, parked or lagging", formatCount(f.Failing+f.Parked+f.Lagging), trouble),
	}
}

func (o *overview) chart(title, now string, value func(*point) float64) chart {
	top := 0.0
	for i := range o.History {
		top = max(top, value(&o.History[i]))
	}
	c := chart{Title: title, Now: now, Max: formatRate(top), Empty: len(o.History) == 0}
	begin := o.At.Add(-historyTime)
	var line strings.Builder
	first, last := 0, 0
	for i := range o.History {
		p := &o.History[i]
		x := int(p.At.Add(pointTime).Sub(begin).Seconds() / historyTime.Seconds() * chartWidth)
		y := chartHeight
		if top > 0 {
			y = int(math.Round(chartHeight - (chartHeight-2)*value(p)/top))
		}
		command := "L"
		if i == 0 {
			command, first = "M", x
		}
		fmt.Fprintf(&line, "%s%d %d", command, x, y)
		last = x
	}
	if !c.Empty {
		c.Line = line.String()
		c.Area = fmt.Sprintf("%sL%d %dL%d %dZ", c.Line, last, chartHeight, first, chartHeight)
	}
	return c
}

// bar is a bucket of the histogram.
type bar struct {
	Label string
	Flows int
	Width float64 // in percent
	Bad   bool
}

func (o *overview) bars() (bars []bar) {
	most := 1
	for _, l := range o.Lags {
		most = max(most, l.Flows)
	}
	from := 0.0
	for _, l := range o.Lags {
		b := bar{Flows: l.Flows, Bad: from >= lagNoticed.Seconds()}
		switch {
		case l.UpTo == nil:
			b.Label = "over " + formatDuration(from)
		case *l.UpTo == 0:
			b.Label = "none"
		default:
			b.Label = "up to " + formatDuration(*l.UpTo)
			from = *l.UpTo
		}
		if l.Flows > 0 {
			b.Width = math.Round(max(100*float64(l.Flows)/float64(most), 0.5)*10) / 10
		}
		bars = append(bars, b)
	}
	return bars
}

var viewFuncs = template.FuncMap{
	"count": formatCount, "whole": func(f float64) string { return formatCount(int(math.Round(f))) },
	"given": func(n uint64) string { return formatCount(int(n)) }, //nolint:gosec // it is a count
	"rate":  formatRate, "duration": formatDuration, "word": formatState,
	"lag": formatLag, "healthy": formatHealthy,
	"clock": func(t time.Time) string { return t.UTC().Format("15:04:05") },
	"date":  func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") },
	"since": func(t, now time.Time) string { return formatDuration(now.Sub(t).Seconds()) },
	"bad":   func(s State) bool { return s != Polling },
}

// formatLag returns the lag of a connection. That of one that polls on another worker is
// not reported, since it is not lagging.
func formatLag(c connectionStatus) string {
	switch {
	case c.Lag != nil:
		return formatDuration(*c.Lag)
	case c.State == Polling:
		return "< " + formatDuration(lagNoticed.Seconds())
	}
	return "–"
}

// formatHealthy returns the triggers that poll.
func formatHealthy(flows []flowReport) string {
	var healthy []string
	for _, fl := range flows {
		if fl.State == Polling {
			healthy = append(healthy, fl.Trigger)
		}
	}
	return strings.Join(healthy, ", ")
}

// formatState returns a condition in words.
func formatState(s State) string {
	switch s {
	case "":
		return "all"
	case inTrouble:
		return "in trouble"
	case gaveUp:
		return "gave up"
	case unowned:
		return "no worker"
	}
	return string(s)
}

// formatCount returns a number with a comma between thousands.
func formatCount(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// formatRate returns a number with about three digits.
func formatRate(f float64) string {
	switch {
	case f == 0 || f >= 100:
		return formatCount(int(math.Round(f)))
	case f >= 10:
		return strconv.FormatFloat(f, 'f', 1, 64)
	}
	return strconv.FormatFloat(f, 'f', 2, 64)
}

// formatDuration returns seconds in the two largest units.
func formatDuration(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	two := func(a time.Duration, aName string, b time.Duration, bName string) string {
		if rest := d % a / b; rest > 0 {
			return fmt.Sprintf("%d %s %d %s", d/a, aName, rest, bName)
		}
		return fmt.Sprintf("%d %s", d/a, aName)
	}
	const day = 24 * time.Hour
	switch {
	case d == 0:
		return "0 s"
	case d < 10*time.Second:
		return strconv.FormatFloat(math.Round(10*d.Seconds())/10, 'f', -1, 64) + " s"
	case d < time.Minute:
		return strconv.Itoa(int(d.Seconds())) + " s"
	case d < time.Hour:
		return two(time.Minute, "min", time.Second, "s")
	case d < day:
		return two(time.Hour, "h", time.Minute, "min")
	}
	return two(day, "d", time.Hour, "h")
}
