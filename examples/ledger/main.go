// Ledger keeps the books of a shop on Stripe: each new charge and refund is booked
// into a double-entry journal, exactly once.
//
// Without STRIPE_API_KEY it starts a simulated shop in its own process, and a
// bookkeeper in another one, which it kills as often as you like. At the end it
// compares the books with the shop, to the cent, and fails if they differ:
//
//	go run ./examples/ledger -kill 20
//
// With STRIPE_API_KEY it books what happens on that account from now on, and creates
// nothing there. After a restart it continues where it was. Ctrl-C ends it.
//
// The books are a SQLite file (-db), or the PostgreSQL database that DATABASE_URL
// names. The checkpoints are in the same database: sqlstore.RunTx writes them in the
// transaction of the entries.
//
// A Poller delivers new objects, not changes of objects. So this program books what is
// true of an object when it is new. A charge that is only authorized, or a bank debit
// that is not settled, is booked as open, and its later capture is not booked. Neither
// is a refund that fails later. Stripe's fees, disputes and payouts are not booked at
// all. An account with more than the simulated shop has should be booked from its
// balance transactions, where each movement of money is a new object (NewSource).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"time"

	"github.com/stripekit/stripekit"
)

// options are the flags and the environment.
type options struct {
	duration    time.Duration // of the simulated shop
	kills       int
	path        string // of the SQLite file
	databaseURL string // of PostgreSQL; empty is SQLite
	shop        string // the URL of the simulated shop, for its bookkeeper
}

func main() {
	o := options{databaseURL: os.Getenv("DATABASE_URL")}
	flag.DurationVar(&o.duration, "for", 10*time.Second, "how long the simulated shop sells")
	flag.IntVar(&o.kills, "kill", 0, "how often the bookkeeper of the simulated shop is killed")
	flag.StringVar(&o.path, "db", "", "SQLite `file` for the books (default ledger.db for an account, a temporary one for the shop)")
	flag.StringVar(&o.shop, "shop", "", "`URL` of a simulated shop: the program starts its bookkeeper with it")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o, os.Getenv("STRIPE_API_KEY"), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "ledger:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options, key string, out io.Writer) error {
	switch {
	case o.duration <= 0:
		return errors.New("-for must be more than 0")
	case o.kills < 0:
		return errors.New("-kill must not be negative")
	case o.shop != "":
		return keepShop(o)
	case key != "":
		return keepAccount(ctx, o, key, out)
	}
	return simulate(ctx, o, out)
}

// keepAccount keeps the books of a real account until ctx ends.
func keepAccount(ctx context.Context, o options, key string, out io.Writer, opts ...stripekit.Option) (err error) {
	client, err := stripekit.New(key, opts...)
	if err != nil {
		return err
	}
	if o.path == "" {
		o.path = "ledger.db"
	}
	b, err := openBooks(ctx, o.databaseURL, o.path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	into := o.path
	if o.databaseURL != "" {
		into = "PostgreSQL" // the URL may have a password
	}
	fmt.Fprintf(out, "Booking the new charges and refunds of a Stripe account in %s mode into %s. Ctrl-C ends.\n", client.Mode(), into)
	if err := b.keep(ctx, client, stripekit.PollConfig{Logger: slog.Default()}); err != nil {
		return err
	}
	_, err = b.printBalances(context.WithoutCancel(ctx), out)
	return err
}

// keepShop keeps the books of the simulated shop until the standard input ends: when
// the process of the shop closes it, or is gone.
func keepShop(o options) (err error) {
	signal.Ignore(os.Interrupt) // Ctrl-C is for the shop's process
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	client, err := stripekit.New(shopKey, stripekit.WithBaseURL(o.shop))
	if err != nil {
		return err
	}
	b, err := openBooks(ctx, o.databaseURL, o.path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	return b.keep(ctx, client, stripekit.PollConfig{
		Every: 100 * time.Millisecond, From: stripekit.FromBeginning,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
}
