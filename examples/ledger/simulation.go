package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// shopKey is a key that the fake Stripe of the simulated shop accepts.
const shopKey = "sk_test_shop"

// simulation is a simulated shop whose books are kept by a process of its own, the
// bookkeeper.
type simulation struct {
	options
	out   io.Writer
	books *books
	shop  *shop
	url   string // of the fake Stripe
}

// simulate sells in a simulated shop, kills its bookkeepers, and compares the books
// with the shop. It returns an error if they differ.
func simulate(ctx context.Context, o options, out io.Writer) (err error) {
	if o.path == "" && o.databaseURL == "" {
		dir, err := os.MkdirTemp("", "ledger")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		o.path = filepath.Join(dir, "ledger.db")
	}
	b, err := openBooks(ctx, o.databaseURL, o.path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if n, err := b.count(ctx); err != nil || n > 0 {
		return errors.Join(err, errors.New("the books are not empty: the simulated shop needs a database of its own"))
	}
	shop, server, err := newShop()
	if err != nil {
		return err
	}
	defer server.Close()
	fmt.Fprintf(out, "No STRIPE_API_KEY: a simulated shop in this process sells and refunds for %v.\n", o.duration)
	s := &simulation{options: o, out: out, books: b, shop: shop, url: server.URL}
	killed, err := s.run(ctx)
	if err != nil {
		return err
	}
	return s.report(context.WithoutCancel(ctx), killed)
}

// run sells until the time is over or ctx ends, and until all is booked. It returns
// the number of killed bookkeepers.
func (s *simulation) run(ctx context.Context) (killed int, err error) {
	selling, stop := context.WithTimeout(ctx, s.duration)
	defer stop()
	sold := make(chan error, 1)
	go func() { sold <- s.shop.sell(selling) }()
	keeper, killed, err := s.killAll(selling)
	if err != nil {
		stop()
		return killed, errors.Join(err, <-sold)
	}
	err = <-sold
	if err == nil {
		err = s.finish(context.WithoutCancel(ctx), keeper)
	}
	return killed, errors.Join(err, keeper.stop())
}

// killAll kills bookkeepers at random moments until ctx ends, and returns the last
// one, which is alive.
func (s *simulation) killAll(ctx context.Context) (keeper *bookkeeper, killed int, err error) {
	began, moments := time.Now(), make([]time.Duration, s.kills)
	for i := range moments {
		moments[i] = rand.N(s.duration)
	}
	slices.Sort(moments)
	if keeper, err = s.start(); err != nil {
		return nil, 0, err
	}
	for killed < s.kills {
		select {
		case <-time.After(moments[killed] - time.Since(began)):
		case <-ctx.Done():
			if !errors.Is(ctx.Err(), context.DeadlineExceeded) { // Ctrl-C
				return keeper, killed, nil
			}
		case <-keeper.ended: // kill reports it
		}
		if err := keeper.kill(); err != nil {
			return nil, killed, err
		}
		killed++
		n, err := s.books.count(context.WithoutCancel(ctx))
		if err != nil {
			return nil, killed, err
		}
		fmt.Fprintf(s.out, "bookkeeper %d killed after %4d ms, %d entries in the books\n", killed, keeper.age().Milliseconds(), n)
		if keeper, err = s.start(); err != nil {
			return nil, killed, err
		}
	}
	return keeper, killed, nil
}

// finish waits until there is an entry for each object of the record, or a
// minute. Then it waits another second, in which an entry too many would appear.
func (s *simulation) finish(ctx context.Context, keeper *bookkeeper) error {
	expired := time.After(time.Minute)
	for all := false; !all; {
		n, err := s.books.count(ctx)
		if err != nil {
			return err
		}
		wait := 50 * time.Millisecond
		if all = n >= len(s.shop.record); all {
			wait = time.Second
		}
		select {
		case <-time.After(wait):
		case <-keeper.ended:
			return errors.New("the last bookkeeper has ended by itself")
		case <-expired:
			return nil // the report says what is missing
		}
	}
	return nil
}

// report prints the comparison, and returns an error if the books are wrong.
func (s *simulation) report(ctx context.Context, killed int) error {
	wrong, err := s.books.check(ctx, s.shop.record)
	if err != nil {
		return err
	}
	fmt.Fprintln(s.out)
	if err := s.books.printComparison(ctx, s.out, s.shop.record); err != nil {
		return err
	}
	fmt.Fprintln(s.out)
	zero, err := s.books.printBalances(ctx, s.out)
	if err != nil {
		return err
	}
	fmt.Fprintln(s.out)
	for i, problem := range wrong {
		if i == 10 {
			fmt.Fprintf(s.out, "and %d more\n", len(wrong)-i)
			break
		}
		fmt.Fprintln(s.out, problem)
	}
	if len(wrong) > 0 || !zero {
		return fmt.Errorf("the books differ from the shop after %d kills", killed)
	}
	fmt.Fprintf(s.out, "The books balance with the shop: %d objects, each booked once, after %d kills.\n", len(s.shop.record), killed)
	return nil
}

// bookkeeper is a process that keeps the books.
type bookkeeper struct {
	process *exec.Cmd
	stdin   io.Closer
	began   time.Time
	ended   chan struct{} // closed when the process has ended
	err     error         // of the process, to be read after ended
}

// start starts this program again, as the bookkeeper.
func (s *simulation) start() (*bookkeeper, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	k := &bookkeeper{process: exec.Command(program, "-shop", s.url, "-db", s.path), began: time.Now(), ended: make(chan struct{})}
	k.process.Env = append(os.Environ(), "DATABASE_URL="+s.databaseURL)
	k.process.Stderr = os.Stderr
	if k.stdin, err = k.process.StdinPipe(); err != nil {
		return nil, err
	}
	if err := k.process.Start(); err != nil {
		return nil, err
	}
	go func() {
		k.err = k.process.Wait()
		close(k.ended)
	}()
	return k, nil
}

// kill ends the process without a chance to clean up: SIGKILL on Unix.
func (k *bookkeeper) kill() error {
	err := k.process.Process.Kill()
	<-k.ended
	if err != nil {
		return fmt.Errorf("a bookkeeper has ended by itself: %w", errors.Join(err, k.err))
	}
	return nil
}

// stop lets the process end by itself. It returns the error of the process.
func (k *bookkeeper) stop() error {
	_ = k.stdin.Close() // it fails if the process has ended
	<-k.ended
	return k.err
}

func (k *bookkeeper) age() time.Duration { return time.Since(k.began) }
