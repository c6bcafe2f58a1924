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
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/pprof"
	"strings"
)

// options are the flags.
type options struct {
	rows   string // measure the rows whose names contain this
	rounds int
	quick  bool   // do everything once; the figures mean nothing
	only   string // the side to run, for a profile; empty: all sides
}

func main() {
	var o options
	var profile string
	flag.StringVar(&o.rows, "row", "", "measure the rows whose name contains `text`")
	flag.IntVar(&o.rounds, "rounds", 9, "measure each side so many times")
	flag.BoolVar(&o.quick, "quick", false, "do everything once: the figures mean nothing")
	flag.StringVar(&o.only, "side", "", "run this side alone: ours, theirs or floor")
	flag.StringVar(&profile, "cpuprofile", "", "write a CPU profile to `file`")
	flag.Parse()
	if err := profiled(profile, func() error { return run(o) }); err != nil {
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

func run(o options) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if o.quick {
		o.rounds = 1
	}
	fmt.Printf("%s, %s, %d cores, %s/%s\n\n", processor(), runtime.Version(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH)
	fmt.Println("| | stripekit | stripe-go | ratio | goal | met | stripekit allocates | stripe-go allocates | floor |")
	fmt.Println("|---|---|---|---|---|---|---|---|---|")
	for _, r := range rows {
		if !strings.Contains(r.name, o.rows) {
			continue
		}
		lines, err := r.lines(ctx, o)
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		for _, l := range lines {
			fmt.Println(l)
		}
	}
	return nil
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
