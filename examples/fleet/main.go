// Command fleet polls thousands of accounts from several processes, kills one of them
// now and then, and counts whether each new charge arrives in a stream of JetStream, and
// does so once:
//
//	go run ./examples/fleet
//
// It needs nothing but this command. It starts a NATS server in its own process, three
// workers as processes of their own, and simulated shops in place of Stripe: each worker
// asks a fake Stripe in its process, which is a pure function of the time, so that all of
// them see the same charges. Nothing leaves the machine. Every 20 seconds one worker is
// killed (SIGKILL) and started again: a second later, or only after the others have taken
// its shards over. Each worker serves the status page of the fleet on a loopback address.
//
// At the end the program compares the stream with the shops, charge by charge, and exits
// with status 1 if one is missing or there twice. Ctrl-C ends it earlier.
//
// With NATS_URL it uses that server or cluster, in streams of its own, which it prints,
// and deletes at the end (unless -keep is set).
//
// The file worker.go is what a program with real accounts has. Its keys come from a
// vault, its connections from whoever signs an account up (fleet.Fleet.Put), and its
// HTTP client is the default one. docs/scale.md says how to run it on machines.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// options are the flags and the environment.
type options struct {
	workers, connections int
	selling, kill        time.Duration
	every, period        time.Duration
	ttl                  time.Duration
	natsURL              string // empty starts a server in the process
	replicas             int
	keep                 bool
	job                  string // of a worker
}

func main() {
	o := options{natsURL: os.Getenv("NATS_URL")}
	flag.IntVar(&o.workers, "workers", 3, "how many worker processes there are")
	flag.IntVar(&o.connections, "connections", 2000, "how many shops there are")
	flag.DurationVar(&o.selling, "for", time.Minute, "how long the shops sell; the end takes some seconds more")
	flag.DurationVar(&o.kill, "kill", 20*time.Second, "the time between two kills; 0 is never")
	flag.DurationVar(&o.every, "every", 5*time.Second, "the time between two polls of a shop")
	flag.DurationVar(&o.period, "period", 20*time.Second, "the average time between two charges of a shop")
	flag.DurationVar(&o.ttl, "ttl", 8*time.Second, "how long the others wait for a worker that was killed")
	flag.IntVar(&o.replicas, "replicas", 1, "how many servers of the cluster at NATS_URL keep each stream")
	flag.BoolVar(&o.keep, "keep", false, "do not delete the streams at NATS_URL at the end")
	flag.StringVar(&o.job, "job", "", "the program starts its workers with it")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	if err := run(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "fleet:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options, out io.Writer) error {
	switch {
	case o.job != "":
		return work(o.natsURL, o.job)
	case o.workers < 1:
		return errors.New("-workers must be 1 or more")
	case o.connections < 1:
		return errors.New("-connections must be 1 or more")
	case o.selling <= 0:
		return errors.New("-for must be more than 0")
	case o.kill < 0:
		return errors.New("-kill must not be negative")
	case o.every <= 0 || o.period <= 0:
		return errors.New("-every and -period must be more than 0")
	}
	return simulate(ctx, o, out)
}
