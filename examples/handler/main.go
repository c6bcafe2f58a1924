// Handler handles every new charge of an account once, with several workers.
// After a restart it continues where it was:
//
//	STRIPE_API_KEY=sk_test_… go run ./examples/handler -checkpoints checkpoints
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"os/signal"

	"github.com/stripekit/stripekit"
)

func main() {
	dir := flag.String("checkpoints", "checkpoints", "folder for the progress")
	workers := flag.Int("workers", 4, "charges handled at a time")
	flag.Parse()

	client, err := stripekit.New(os.Getenv("STRIPE_API_KEY"))
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	cfg := stripekit.PollConfig{Workers: *workers, MaxAttempts: 10, OnGiveUp: report, Logger: slog.Default()}
	if cfg.Checkpoints, err = stripekit.NewFileStore(*dir); err != nil {
		log.Fatal(err)
	}
	if err := handle(ctx, client, cfg, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// report writes a given-up charge to the standard error, as a dead letter.
func report(_ context.Context, e stripekit.Event[any], reason error) error {
	_, err := fmt.Fprintf(os.Stderr, "charge %s given up after %d attempts: %v\n%s\n", e.ID, e.Attempt, reason, e.Raw)
	return err
}

// handle prints a greeting for each paid charge, until ctx ends. A greeting
// that fails is retried, up to ten attempts in all. The customer is expanded in
// the list, so it needs no request of its own.
func handle(ctx context.Context, client *stripekit.Client, cfg stripekit.PollConfig, out io.Writer) error {
	charges := client.Charges.Where(stripekit.ChargeListParams{}, stripekit.WithExpand("customer"))
	poller, err := stripekit.NewPoller(charges, cfg)
	if err != nil {
		return err
	}
	return poller.Run(ctx, func(_ context.Context, e stripekit.Event[stripekit.Charge]) error {
		customer := e.Object.Customer.Object
		if !e.Object.Paid || customer == nil {
			return nil
		}
		_, err := fmt.Fprintf(out, "Thank you, %s, for %d %s.\n", customer.Name, e.Object.Amount, e.Object.Currency)
		return err
	})
}
