// Command benchmarks measures stripekit beside stripe-go, and both beside what
// the work takes at the least, and prints a table in Markdown. From the
// repository's root:
//
//	go run ./internal/benchmarks
//
// The sides of a row are measured in turns in one process: a round of each,
// then the next round of each. A figure is the median of the rounds,
// and a ratio the median of the rounds' ratios. What is allocated over HTTP
// includes the server's part, which is the same for every side.
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

// options say how to measure.
type options struct {
	rows   string // that are measured: part of their names
	rounds int
	quick  bool   // do everything once, whatever it takes
	only   string // the side to run, for a profile
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

// processor is the name of the machine's processor, where the system tells.
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
