// Command benchmarks compares stripekit to stripe-go, and both to a floor, the
// least that the work takes. It prints a table in Markdown. From the
// repository's root:
//
//	go run ./internal/benchmarks
//
// The sides of a row alternate in one process: one round of each side, then the
// next round of each side. A figure is the median of the rounds, and a ratio
// the median of the rounds' ratios. The allocations over HTTP include those of
// the server, which are the same for every side.
//
// The command also builds itself with GOEXPERIMENT=jsonv2, the default of Go 1.27,
// and measures the rows that decode JSON by that build.
//
// To compare the library at two commits:
//
//	go run ./internal/benchmarks -compare main~1..main -row 'decode|poll'
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"syscall"
)

// options are the flags.
type options struct {
	row     string // measure the rows whose names match this
	rounds  int
	quick   bool   // do everything once; the figures mean nothing
	only    string // the side to run, for a profile; empty: all sides
	json    bool   // print the lines as JSON
	child   string // measure this for the process that has started this one
	commits string // compare these commits
	cpu     bool   // measure the CPU time of the process; not a flag
}

func main() {
	var o options
	var profile string
	flag.StringVar(&o.row, "row", "", "measure the rows whose name matches `regexp`, those that are measured only by name too")
	flag.IntVar(&o.rounds, "rounds", 5, "measure each side so many times")
	flag.BoolVar(&o.quick, "quick", false, "do everything once: the figures mean nothing")
	flag.StringVar(&o.only, "side", "", "run this side alone: ours, theirs or floor")
	flag.BoolVar(&o.json, "json", false, "print a line of JSON for each line of the table, and do not measure with jsonv2")
	flag.StringVar(&o.commits, "compare", "", "compare the library at two `commits`: A..B")
	flag.StringVar(&o.child, "child", "", "measure a part of a row, named `name`, and print the result as JSON")
	flag.StringVar(&profile, "cpuprofile", "", "write a CPU profile to `file`")
	flag.Parse()
	if err := profiled(profile, func() error { return run(o, os.Stdout) }); err != nil {
		fmt.Fprintln(os.Stderr, "benchmarks:", err)
		os.Exit(1)
	}
}

func profiled(file string, run func() error) error {
	if file == "" {
		return run()
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := pprof.StartCPUProfile(f); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	return run()
}

func run(o options, w io.Writer) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if o.quick {
		o.rounds = 1
	}
	if err := o.check(); err != nil {
		return err
	}
	switch {
	case o.child != "":
		return runChild(ctx, o, w)
	case o.commits != "":
		return compareCommits(ctx, o, w)
	}
	wanted, err := o.wanted()
	if err != nil {
		return err
	}
	if o.json {
		encoder := json.NewEncoder(w)
		return eachLine(ctx, o, wanted, func(_ row, l line) error { return encoder.Encode(l) })
	}
	return table(ctx, o, w, wanted)
}

// check returns an error for flags with which nothing, or something else, would be
// measured.
func (o options) check() error {
	switch {
	case o.rounds < 1:
		return fmt.Errorf("-rounds %d: at least one round is needed", o.rounds)
	case o.only != "" && !slices.Contains(sideNames, o.only):
		return fmt.Errorf("-side %s: the sides are %s", o.only, strings.Join(sideNames, ", "))
	}
	return nil
}

// wanted returns the rows to measure.
func (o options) wanted() (wanted []row, err error) {
	pattern, err := regexp.Compile(o.row)
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		if o.row == "" && !r.named || o.row != "" && pattern.MatchString(r.name) {
			wanted = append(wanted, r)
		}
	}
	if len(wanted) == 0 {
		return nil, fmt.Errorf("-row %s: no row has such a name", o.row)
	}
	return wanted, nil
}

func eachLine(ctx context.Context, o options, wanted []row, do func(row, line) error) error {
	for _, r := range wanted {
		lines, err := r.lines(ctx, o)
		for _, l := range lines {
			if o.only != "" {
				l.Ratio, l.Met = "", "" // the other sides were not measured
			}
			if err == nil {
				err = do(r, l)
			}
		}
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
	}
	return nil
}

// table prints the table.
func table(ctx context.Context, o options, w io.Writer, wanted []row) error {
	fmt.Fprintf(w, "%s, %s, %d cores, %s/%s\n\n", processor(), runtime.Version(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH)
	var second build
	var err error
	if slices.ContainsFunc(wanted, func(r row) bool { return r.json }) {
		second, err = newBuild(ctx)
		defer second.remove()
	}
	column := "with jsonv2"
	if err != nil {
		column = "with jsonv2: not measured"
	}
	fmt.Fprintf(w, "| | stripekit | stripe-go | ratio | goal | met | the least | %s | stripekit allocates | stripe-go allocates |\n", column)
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|---|---|")
	measured := eachLine(ctx, o, wanted, func(r row, l line) error {
		if err == nil && r.json {
			if err := second.measure(ctx, o, r, &l); err != nil {
				return err
			}
		}
		_, err := fmt.Fprintln(w, l)
		return err
	})
	if measured != nil {
		return measured
	}
	if err != nil {
		fmt.Fprintf(w, "\nThe rows were not measured with jsonv2: %v.\n", err)
	}
	_, err = fmt.Fprint(w, notes)
	return err
}

// notes explain the table.
const notes = `
"The least" is the same work by net/http alone: it decodes into the same structs with
the same JSON module. In the rows of decoding and polling it only reads the body, and in
those of Backfill it is a loop that decodes the ids and the times alone.
The rows of polling compare an algorithm with a loop: a Poller skips the objects that
it knows, and recognises a page that has not changed; the loop on stripe-go decodes
each page and looks up each id, as programs usually do.
`

func (l line) String() string {
	return "| " + strings.Join([]string{l.Title, l.Ours, l.Theirs, l.Ratio, l.Goal, l.Met, l.Floor, l.V2, l.OurMemory, l.TheirMemory}, " | ") + " |"
}

// processor returns the name of the machine's processor, if the system has it.
func processor() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, value, _ := strings.Cut(lines.Text(), ":"); strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown processor"
}
