// Flow runs three pipelines of Redpanda Connect (Benthos) that begin in a Stripe account:
//
//   - refund-row.yaml: each new refund becomes a row in a database,
//   - failed-charge-call.yaml: each charge that fails becomes an HTTP call, with retries,
//   - new-customer-file.yaml: each new customer becomes a line of JSON in a file.
//
// It runs them on a simulated shop in its own process, stops and starts them in the middle,
// and lets every third call fail. At the end it compares what has arrived with the shop, and
// fails if anything is missing:
//
//	go run ./examples/flow
//
// On your account, a pipeline runs without this program:
//
//	STRIPE_API_KEY=rk_… FLOW_DIR=/var/lib/flow go run ./connector/redpanda/cmd/stripe-connect run examples/flow/new-customer-file.yaml
package main

import (
	"context"
	"embed"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

//go:embed *.yaml
var pipelines embed.FS

func main() {
	duration := flag.Duration("for", 6*time.Second, "how long the simulated shop sells")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *duration, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "flow:", err)
		os.Exit(1)
	}
}

// run runs the pipelines while the shop sells, and compares the results with the shop.
func run(ctx context.Context, duration time.Duration, out io.Writer) error {
	s, err := openShop()
	if err != nil {
		return err
	}
	defer s.server.Close()
	d, err := newDestination(ctx)
	if err != nil {
		return err
	}
	defer d.close()

	// Each pipeline begins with what is new from now on.
	e := &engine{env: map[string]string{
		"STRIPE_API_KEY": shopKey, "STRIPE_API_BASE": s.server.URL, "EVERY": "200ms",
		"FLOW_DIR": d.dir, "ALERT_URL": d.calls.URL,
	}}
	if err := e.start(ctx); err != nil {
		return err
	}
	defer e.stop()
	sold := make(chan error, 1)
	go func() { sold <- s.sell(ctx, duration) }()
	if err := sleep(ctx, duration/3); err != nil {
		return err
	}
	e.stop()
	if err := sleep(ctx, duration/3); err != nil { // what the shop sells now is delivered later
		return err
	}
	if err := e.start(ctx); err != nil {
		return err
	}
	if err := <-sold; err != nil {
		return err
	}
	return d.compare(ctx, s, out)
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
