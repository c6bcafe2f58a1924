package stores_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/internal/stores/servers"
	"github.com/stripekit/stripekit/sqlstore"
)

// killJobVariable is the environment variable with the killJob of a child process.
const killJobVariable = "STRIPEKIT_TEST_KILL_JOB"

// The lines that a child process prints.
const (
	saysRunning  = "running"  // its first Poller is about to start
	saysWorking  = "working"  // the handler was called for the first time
	saysOpen     = "open"     // a transaction has written its rows, and waits before the commit
	saysConflict = "conflict" // another process has taken over
	saysOutage   = "outage"   // the database cannot be reached
	saysGivesUp  = "gives up" // and the id of the event
)

// The descriptions of the customers that the handler refuses.
const (
	failsByError      = "the handler returns an error"
	failsByConstraint = "the handler violates a constraint"
)

// killJob is what a child process does until it is killed: it writes each customer
// into a table.
type killJob struct {
	URL         string // of the fake Stripe
	Database    servers.Database
	Dialect     sqlstore.Dialect
	Batch       int // of RunTx; 0 is Poller.Run, with a handler that commits before the Ack
	MaxAttempts int
	Outages     bool // the database is killed too
}

// runKillJob is the main function of a child process. It returns the exit code.
func runKillJob(job string) int {
	// The parent holds the other end of stdin. It ends with the parent.
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	c := killChild{pid: os.Getpid()}
	err := json.Unmarshal([]byte(job), &c.job)
	if err == nil {
		err = c.run(context.Background())
	}
	fmt.Fprintln(os.Stderr, "child process:", err)
	return exitFailed
}

// exitFailed is the exit code of a child process that has failed. On Windows a
// killed one has the code 1.
const exitFailed = 3

// killChild is a child process.
type killChild struct {
	job    killJob
	pid    int
	worked sync.Once
	client *stripekit.Client
	db     *sql.DB
	store  *sqlstore.Store

	insertRow, insertDeadLetter string
}

func (c *killChild) run(ctx context.Context) (err error) {
	if err := mysql.SetLogger(&mysql.NopLogger{}); err != nil {
		return err
	}
	c.client, err = stripekit.New("sk_test_child", stripekit.WithBaseURL(c.job.URL))
	if err != nil {
		return err
	}
	c.db, err = sql.Open(c.job.Database.Driver, c.job.Database.DSN)
	if err != nil {
		return err
	}
	c.store, err = sqlstore.New(c.db, c.job.Dialect)
	if err != nil {
		return err
	}
	values := " (id, pid) VALUES (?, ?)"
	if c.job.Dialect == sqlstore.PostgreSQL {
		values = " (id, pid) VALUES ($1, $2)"
	}
	c.insertRow, c.insertDeadLetter = "INSERT INTO written"+values, "INSERT INTO dead_letters"+values
	fmt.Println(saysRunning)
	for {
		switch err := c.poll(ctx); {
		case errors.Is(err, stripekit.ErrCheckpointConflict):
			fmt.Println(saysConflict)
		case c.job.Outages && err != nil:
			fmt.Println(saysOutage)
		default:
			return err
		}
		// Two processes that both take over at once would stop each other for ever.
		<-time.After(rand.N(250 * time.Millisecond))
	}
}

// poll runs a new Poller until it ends.
func (c *killChild) poll(ctx context.Context) error {
	p, err := stripekit.NewPoller(c.client.Customers, stripekit.PollConfig{
		Every: 20 * time.Millisecond, From: stripekit.FromBeginning, Checkpoints: c.store,
		Overlap:     5 * time.Second, // the customers are visible at once
		MaxAttempts: c.job.MaxAttempts, OnGiveUp: c.giveUp,
	})
	if err != nil {
		return err
	}
	if c.job.Batch == 0 {
		return p.Run(ctx, c.insertThenAck)
	}
	return sqlstore.RunTx(ctx, p, c.job.Batch, func(ctx context.Context, tx *sql.Tx, events []stripekit.Event[stripekit.Customer]) error {
		for _, e := range events {
			if err := c.insert(ctx, tx, e); err != nil {
				return err
			}
		}
		linger()
		return nil
	})
}

// linger makes some transactions long, so that kills strike them more often.
func linger() {
	if rand.N(4) == 0 {
		fmt.Println(saysOpen)
		<-time.After(rand.N(40 * time.Millisecond))
	}
}

// insert writes a row, before it fails for some customers. A row of those in the
// table would be the work of a failed transaction.
func (c *killChild) insert(ctx context.Context, tx *sql.Tx, e stripekit.Event[stripekit.Customer]) error {
	c.worked.Do(func() { fmt.Println(saysWorking) })
	if _, err := tx.ExecContext(ctx, c.insertRow, e.ID, c.pid); err != nil {
		return err
	}
	switch e.Object.Description {
	case failsByError:
		return errors.New(failsByError)
	case failsByConstraint:
		if _, err := tx.ExecContext(ctx, c.insertRow, nil, c.pid); err != nil {
			return err
		}
		panic("the column of the id may be NULL")
	}
	return nil
}

// insertThenAck is the handler of Poller.Run, which acknowledges the event after the
// commit.
func (c *killChild) insertThenAck(ctx context.Context, e stripekit.Event[stripekit.Customer]) error {
	tx, err := c.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := c.insert(ctx, tx, e); err != nil {
		return err
	}
	linger()
	return tx.Commit()
}

func (c *killChild) giveUp(ctx context.Context, e stripekit.Event[any], _ error) error {
	fmt.Println(saysGivesUp, e.ID)
	_, err := c.db.ExecContext(ctx, c.insertDeadLetter, e.ID, c.pid)
	return err
}
