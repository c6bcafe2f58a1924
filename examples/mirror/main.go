// Mirror keeps the customers and charges of an account in a SQLite file: what is new,
// what changes, and what is deleted.
//
// Without STRIPE_API_KEY it starts a simulated shop in its own process, and the mirror in
// another one, which it kills as often as you like. At the end it compares each row with
// the account, and fails if there is a difference:
//
//	go run ./examples/mirror -kill 20
//
// With STRIPE_API_KEY it mirrors that account, and only reads there. After a restart it
// continues where it was. Ctrl-C ends it. The key needs to read customers, charges and
// events. For example:
//
//	sqlite3 mirror.db "SELECT email, sum(amount_captured - amount_refunded) FROM charges
//		JOIN customers ON customers.id = customer GROUP BY email"
//
// A Backfill reads the objects that exist, and a Poller the changes from a moment before
// it on; see list.follow, list.apply and table.fill for what is to be taken care of. If
// the program has not run for 30 days, Stripe does not have all changes any more. Then it
// reads everything again, and removes what is not there any more. A file mirrors one
// account in one mode, and is refused with a key of another.
//
// What changes an attribute without an event of the object itself is not noticed: a
// dispute has events of its own, for example, so Disputed of a charge may be out of date
// until another event. The customers of test clocks are not in the list that the Backfill
// reads.
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

// options are the flags.
type options struct {
	duration time.Duration // of the simulated shop
	kills    int
	path     string        // of the SQLite file
	every    time.Duration // 0 is the default
	shop     string        // the URL of the simulated shop, for its mirror
}

func main() {
	var o options
	flag.DurationVar(&o.duration, "for", 10*time.Second, "how long the simulated shop sells")
	flag.IntVar(&o.kills, "kill", 5, "how often the mirror of the simulated shop is killed")
	flag.StringVar(&o.path, "db", "", "SQLite `file` of the mirror (default mirror.db for an account, a temporary one for the shop)")
	flag.DurationVar(&o.every, "every", 0, "how often to look for changes (default 15s for an account, 200ms for the shop)")
	flag.StringVar(&o.shop, "shop", "", "`URL` of a simulated shop: the program starts its mirror with it")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o, os.Getenv("STRIPE_API_KEY"), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "mirror:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options, key string, out io.Writer) error {
	switch {
	case o.duration <= 0:
		return errors.New("-for must be more than 0")
	case o.kills < 0:
		return errors.New("-kill must not be negative")
	case o.every < 0:
		return errors.New("-every must not be negative")
	case o.shop != "":
		return mirrorShop(o)
	case key != "":
		return mirrorAccount(ctx, o, key, out)
	}
	return simulate(ctx, o, out)
}

// mirrorAccount mirrors a real account until ctx ends.
func mirrorAccount(ctx context.Context, o options, key string, out io.Writer, opts ...stripekit.Option) (err error) {
	client, err := stripekit.New(key, opts...)
	if err != nil {
		return err
	}
	if o.path == "" {
		o.path = "mirror.db"
	}
	db, err := openDatabase(ctx, o.path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	fmt.Fprintf(out, "Mirroring the customers and charges of a Stripe account in %s mode into %s. Ctrl-C ends.\n", client.Mode(), o.path)
	if err := keep(ctx, client, db, stripekit.PollConfig{Every: o.every, Logger: slog.Default()}); err != nil {
		return err
	}
	customers, charges, err := db.counts(context.WithoutCancel(ctx))
	if err == nil {
		fmt.Fprintf(out, "mirrored: customers %d, charges %d\n", customers, charges)
	}
	return err
}

// counts returns the number of customers and charges.
func (d *database) counts(ctx context.Context) (customers, charges int, err error) {
	if customers, err = d.count(ctx, "customers"); err == nil {
		charges, err = d.count(ctx, "charges")
	}
	return customers, charges, err
}

// shopLimit is the rate limit for the mirror of the simulated shop, so that its Backfill
// takes some seconds, in which it can be killed.
var shopLimit = stripekit.RateLimit{Total: 60}

// mirrorShop mirrors the simulated shop until the standard input ends: when the process
// of the shop closes it, or is gone.
func mirrorShop(o options) (err error) {
	signal.Ignore(os.Interrupt) // Ctrl-C is for the shop's process
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	client, err := stripekit.New(shopKey, stripekit.WithBaseURL(o.shop), stripekit.WithRateLimit(shopLimit))
	if err != nil {
		return err
	}
	db, err := openDatabase(ctx, o.path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return keep(ctx, client, db, stripekit.PollConfig{
		Every: o.every, Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
}
