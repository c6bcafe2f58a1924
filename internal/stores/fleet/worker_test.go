//go:build unix

package fleet_test

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/fleet"
	"github.com/stripekit/stripekit/internal/shops"
	"github.com/stripekit/stripekit/natsstore"
	"github.com/stripekit/stripekit/sqlstore"
)

// The triggers of each connection.
const (
	once  = "once"  // charges, into the stream or the table
	plain = "plain" // customers, to a handler that notes them
)

// nobody is a number that no account has.
const nobody = -1

// job is what a worker needs to know.
type job struct {
	Worker  string
	Place   place
	Journal string // the path; empty for none
	Board   string // the path of a board; empty for none
	Shards  int
	TTL     time.Duration
	Stripe  stripe
	Poison  int // the account whose events make a handler panic, or nobody
}

// stripe configures the shops, which are the same for each process.
type stripe struct {
	Seed      uint64
	Start     time.Time
	Period    time.Duration
	LateShare float64
	LateMax   time.Duration
	// The key of an account is refused for some time.
	Revoked                    int // the account, or nobody
	RevokedFrom, RevokedBefore time.Time
}

// open returns the shops. observe is called for each request of a list.
func (s stripe) open(observe func(account int, path string, at time.Time)) (*shops.Stripe, error) {
	return shops.New(shops.Config{
		Seed: s.Seed, Start: s.Start, Period: s.Period, LateShare: s.LateShare, LateMax: s.LateMax,
		Revoked: func(account int) bool {
			now := time.Now()
			return account == s.Revoked && !now.Before(s.RevokedFrom) && now.Before(s.RevokedBefore)
		},
		Requested: func(account int, path string, at time.Time) {
			if path != "/v1/account" && observe != nil {
				observe(account, path, at)
			}
		},
	})
}

// worker is a child process.
type worker struct {
	job     job
	journal journal
	board   *board
	shared
}

// runWorker is a worker until SIGTERM.
func runWorker(j job) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	w := worker{job: j}
	var err error
	if w.journal, err = openJournal(cmp.Or(j.Journal, os.DevNull)); err != nil {
		return err
	}
	observe := func(account int, path string, at time.Time) { w.journal.note(at, requested, account, path) }
	if j.Board != "" {
		if w.board, err = openBoard(j.Board); err != nil {
			return err
		}
		observe = w.board.note
	}
	if w.shared, err = j.Place.open(ctx); err != nil {
		return err
	}
	transport, err := j.Stripe.open(observe)
	if err != nil {
		return err
	}
	f, err := fleet.New(fleet.Config{
		Worker: j.Worker, Engine: w.engine, Checkpoints: w.checkpoints, Shards: j.Shards, TTL: j.TTL,
		Keys: func(_ context.Context, ref string) (stripekit.Secret, error) {
			return stripekit.NewSecret("sk_test_" + ref), nil
		},
		HTTP:    &http.Client{Transport: transport},
		Options: []stripekit.Option{stripekit.WithMaxRetries(0)},
		Logger:  slog.New(shardLog{w.journal}),
	})
	if err == nil {
		err = w.watch(f)
	}
	if err != nil {
		return err
	}
	fmt.Println(saysReady)
	return f.Run(ctx)
}

func charges(c *stripekit.Client) stripekit.Source[stripekit.Charge] { return c.Charges }

func customers(c *stripekit.Client) stripekit.Source[stripekit.Customer] { return c.Customers }

// watch defines the triggers.
func (w *worker) watch(f *fleet.Fleet) error {
	var onceErr error
	if w.js != nil {
		onceErr = fleet.Watch(f, once, charges, w.publish)
	} else {
		onceErr = fleet.WatchPoller(f, once, charges, func(ctx context.Context, p *stripekit.Poller[stripekit.Charge]) error {
			return sqlstore.RunTx(ctx, p, 100, w.insert)
		})
	}
	plainErr := fleet.Watch(f, plain, customers, func(_ context.Context, e stripekit.Event[stripekit.Customer]) error {
		w.mayPanic(e.ID)
		w.journal.note(time.Now(), handled, e.ID)
		return nil
	})
	return errors.Join(onceErr, plainErr)
}

// publish publishes an event to the stream.
func (w *worker) publish(ctx context.Context, e stripekit.Event[stripekit.Charge]) error {
	w.mayPanic(e.ID)
	m, err := natsstore.Message(eventSubject, fleet.FlowFromContext(ctx).Key, e)
	if err == nil {
		_, err = w.js.PublishMsg(ctx, m)
	}
	return err
}

// insert writes events into the table.
func (w *worker) insert(ctx context.Context, tx *sql.Tx, events []stripekit.Event[stripekit.Charge]) error {
	for _, e := range events {
		_, err := tx.ExecContext(ctx, "INSERT INTO "+eventTable+" (id, pid) VALUES ($1, $2)", e.ID, os.Getpid())
		if err != nil {
			return err
		}
		w.mayPanic(e.ID)
	}
	return nil
}

// mayPanic panics for an event of the poisonous connection.
func (w *worker) mayPanic(id string) {
	if account, _, _, ok := shops.ParseID(id); ok && account == w.job.Poison {
		w.journal.note(time.Now(), poisoned, id)
		panic("poison")
	}
}
