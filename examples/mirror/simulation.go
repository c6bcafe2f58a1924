package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	// shopEvery is how often the mirror of the simulated shop looks for changes.
	shopEvery = 200 * time.Millisecond
	// patience is how long the mirror may take to catch up.
	patience = time.Minute
)

// simulation is a simulated shop that a process of its own mirrors.
type simulation struct {
	options
	out  io.Writer
	db   *database
	shop *shop
	url  string // of the fake Stripe
}

// simulate sells in a simulated shop, kills its mirrors, lets the last one catch up, and
// compares it with the account. It returns an error if they differ.
func simulate(ctx context.Context, o options, out io.Writer) (err error) {
	if o.path == "" {
		dir, err := os.MkdirTemp("", "mirror")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		o.path = filepath.Join(dir, "mirror.db")
	}
	if o.every == 0 {
		o.every = shopEvery
	}
	db, err := openDatabase(ctx, o.path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if n, err := db.count(ctx, "rounds"); err != nil || n > 0 {
		return errors.Join(err, errors.New("the database is not empty: the simulated shop needs one of its own"))
	}
	shop, server, err := newShop()
	if err != nil {
		return err
	}
	defer server.Close()
	fmt.Fprintf(out, "No STRIPE_API_KEY: a simulated shop with %d customers and %d charges sells for %v.\n", oldCustomers, oldCharges, o.duration)
	s := &simulation{options: o, out: out, db: db, shop: shop, url: server.URL}
	killed, err := s.run(ctx)
	if err != nil {
		return err
	}
	return s.report(context.WithoutCancel(ctx), killed)
}

// run sells until the time is over or ctx ends, and until the mirror has caught up. It
// returns the number of killed mirrors.
func (s *simulation) run(ctx context.Context) (killed int, err error) {
	selling, stop := context.WithTimeout(ctx, s.duration)
	defer stop()
	sold := make(chan error, 1)
	go func() { sold <- s.shop.sell(selling) }()
	mirror, killed, err := s.killAll(selling)
	if err != nil {
		stop()
		return killed, errors.Join(err, <-sold)
	}
	err = <-sold
	if err == nil {
		err = s.catchUp(context.WithoutCancel(ctx), mirror)
	}
	return killed, errors.Join(err, mirror.stop())
}

// killAll kills mirrors at random moments until ctx ends, and returns the last one, which
// is alive.
func (s *simulation) killAll(ctx context.Context) (mirror *process, killed int, err error) {
	began, moments := time.Now(), make([]time.Duration, s.kills)
	for i := range moments {
		moments[i] = rand.N(s.duration)
	}
	slices.Sort(moments)
	if mirror, err = s.start(); err != nil {
		return nil, 0, err
	}
	for killed < s.kills {
		select {
		case <-time.After(moments[killed] - time.Since(began)):
		case <-ctx.Done():
			if !errors.Is(ctx.Err(), context.DeadlineExceeded) { // Ctrl-C
				return mirror, killed, nil
			}
		case <-mirror.ended: // kill reports it
		}
		if err := mirror.kill(); err != nil {
			return nil, killed, err
		}
		killed++
		customers, charges, err := s.db.counts(context.WithoutCancel(ctx))
		if err != nil {
			return nil, killed, err
		}
		fmt.Fprintf(s.out, "mirror %d killed after %4d ms, with %d customers and %d charges\n", killed, mirror.age().Milliseconds(), customers, charges)
		if mirror, err = s.start(); err != nil {
			return nil, killed, err
		}
	}
	return mirror, killed, nil
}

func (s *simulation) start() (*process, error) {
	return start("-shop", s.url, "-db", s.path, "-every", s.every.String())
}

// catchUp waits until both lists are complete and equal the account, for a minute at
// most. The lists of the account have all objects only some time after the last change.
func (s *simulation) catchUp(ctx context.Context, mirror *process) error {
	expired := time.After(patience)
	for {
		select {
		case <-time.After(200 * time.Millisecond):
		case <-mirror.ended:
			return errors.New("the last mirror has ended by itself")
		case <-expired:
			return nil // the report says what differs
		}
		var complete int
		if err := s.db.QueryRowContext(ctx, `SELECT count(*) FROM rounds WHERE complete`).Scan(&complete); err != nil {
			return err
		}
		if complete < 2 {
			continue
		}
		c, err := compare(ctx, s.shop.client, s.db)
		if err != nil {
			return err
		}
		if c.customers == len(s.shop.customers) && c.charges == len(s.shop.charges) && len(c.differences) == 0 {
			return nil
		}
	}
}

// report compares the mirror with the account, and returns an error if they differ.
func (s *simulation) report(ctx context.Context, killed int) error {
	c, err := compare(ctx, s.shop.client, s.db)
	if err != nil {
		return err
	}
	for i, difference := range c.differences {
		if i == 10 {
			fmt.Fprintf(s.out, "and %d more\n", len(c.differences)-i)
			break
		}
		fmt.Fprintln(s.out, difference)
	}
	fmt.Fprintf(s.out, "Each row is compared with the account, after %d actions of the shop and %d kills.\n", s.shop.actions, killed)
	fmt.Fprintf(s.out, "mirrored: customers %d, charges %d, differences %d\n", c.customers, c.charges, len(c.differences))
	switch {
	case len(c.differences) > 0:
		return errors.New("the mirror differs from the account")
	case c.customers != len(s.shop.customers) || c.charges != len(s.shop.charges):
		return fmt.Errorf("the account has not the %d customers and %d charges of the shop", len(s.shop.customers), len(s.shop.charges))
	}
	return nil
}
