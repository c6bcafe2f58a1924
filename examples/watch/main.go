// Watch prints the new charges and customers of a Stripe account.
//
// Without STRIPE_API_KEY it watches a fake Stripe in its own process, where a
// simulated shop sells all the time:
//
//	go run ./examples/watch -for 10s
//
// With STRIPE_API_KEY it watches that account, and creates nothing there. It
// saves its progress in the folder checkpoints: after a restart it repeats
// nothing and misses nothing. Ctrl-C ends it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripetest"
)

func main() {
	duration := flag.Duration("for", 0, "how long to watch; 0 means until Ctrl-C")
	every := flag.Duration("every", 0, "time between polls; 0 means 1s for the simulated shop, 15s for an account")
	dir := flag.String("checkpoints", "checkpoints", "folder for the progress on an account")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if *duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, *duration)
		defer cancel()
	}
	var err error
	if key := os.Getenv("STRIPE_API_KEY"); key != "" {
		err = watchAccount(ctx, os.Stdout, key, *every, *dir)
	} else {
		err = watchShop(ctx, os.Stdout, *every, stripetest.New())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "watch:", err)
		os.Exit(1)
	}
}

// watchAccount watches a real account until ctx ends.
func watchAccount(ctx context.Context, out io.Writer, key string, every time.Duration, dir string, opts ...stripekit.Option) error {
	client, err := stripekit.New(key, opts...)
	if err != nil {
		return err
	}
	store, err := stripekit.NewFileStore(dir)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Watching a Stripe account in %s mode. Ctrl-C ends.\n", client.Mode())
	w := newWatcher(out)
	w.start(ctx, client, stripekit.PollConfig{Every: every, Checkpoints: store})
	err = w.wait()
	fmt.Fprintf(out, "\ndelivered %d, requests %d\n", w.delivered(), w.requests())
	return err
}

// watchShop watches the simulated shop until ctx ends, and then until
// everything that was sold is delivered.
func watchShop(ctx context.Context, out io.Writer, every time.Duration, server *stripetest.Server) error {
	defer server.Close()
	if every == 0 {
		every = time.Second
	}
	shop, err := openShop(server)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "No STRIPE_API_KEY: watching a simulated shop in this process. Ctrl-C ends.")

	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	w := newWatcher(out)
	w.start(watching, shop.client, stripekit.PollConfig{Every: every, From: stripekit.FromBeginning})
	if err := shop.sell(ctx); err != nil {
		return err
	}
	w.waitDelivered(shop.created, every+5*time.Second)
	stop()
	if err := w.wait(); err != nil {
		return err
	}

	missed := w.missing(shop.created)
	fmt.Fprintf(out, "\ncreated %d, delivered %d, missed %d, requests %d\n", len(shop.created), w.delivered(), missed, w.requests())
	if missed != 0 || w.delivered() != len(shop.created) {
		return errors.New("delivered and created objects differ")
	}
	return nil
}
