package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/stripekit/stripekit"
)

// watcher prints the events of two Pollers and counts them.
type watcher struct {
	out     io.Writer
	pollers sync.WaitGroup

	mu         sync.Mutex
	deliveries map[string]int // deliveries by id
	total      int
	errs       []error
	statuses   []func() stripekit.PollStatus
	news       chan struct{} // receives a value after a delivery
}

func newWatcher(out io.Writer) *watcher {
	return &watcher{out: out, deliveries: map[string]int{}, news: make(chan struct{}, 1)}
}

func (w *watcher) start(ctx context.Context, client *stripekit.Client, cfg stripekit.PollConfig) {
	run(ctx, w, client.Charges, cfg, describeCharge)
	run(ctx, w, client.Customers, cfg, describeCustomer)
}

// run starts a Poller for one list. An error ends this Poller only.
func run[T any](ctx context.Context, w *watcher, list stripekit.Source[T], cfg stripekit.PollConfig, describe func(*T) string) {
	poller, err := stripekit.NewPoller(list, cfg)
	if err != nil {
		w.fail(err)
		return
	}
	w.statuses = append(w.statuses, poller.Status)
	w.pollers.Go(func() {
		err := poller.Run(ctx, func(_ context.Context, e stripekit.Event[T]) error {
			w.delivery(e.ID, describe(e.Object), e.Seen.Sub(e.Created))
			return nil
		})
		w.fail(err)
	})
}

func (w *watcher) delivery(id, what string, delay time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deliveries[id]++
	w.total++
	fmt.Fprintf(w.out, "%s  %-74s  after %2.0f s  %s\n", time.Now().Format(time.TimeOnly), what, delay.Seconds(), id)
	select {
	case w.news <- struct{}{}:
	default:
	}
}

func (w *watcher) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.errs = append(w.errs, err)
}

// waitDelivered waits until all ids are delivered, but no longer than timeout.
func (w *watcher) waitDelivered(ids []string, timeout time.Duration) {
	expired := time.After(timeout)
	for w.missing(ids) > 0 {
		select {
		case <-w.news:
		case <-expired:
			return
		}
	}
}

func (w *watcher) missing(ids []string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range ids {
		if w.deliveries[id] == 0 {
			n++
		}
	}
	return n
}

func (w *watcher) delivered() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.total
}

func (w *watcher) requests() (n uint64) {
	for _, status := range w.statuses {
		n += status().Requests
	}
	return n
}

// wait waits until all Pollers have ended and returns their errors.
func (w *watcher) wait() error {
	w.pollers.Wait()
	return errors.Join(w.errs...)
}

func describeCharge(c *stripekit.Charge) string {
	line := fmt.Sprintf("charge    %8s %s  %-9s", amount(c.Amount, c.Currency), c.Currency, c.Status)
	if c.FailureMessage != "" {
		return line + "  " + c.FailureMessage
	}
	return line + "  " + c.Description
}

func describeCustomer(c *stripekit.Customer) string {
	return fmt.Sprintf("customer  %s <%s>", c.Name, c.Email)
}

// amount formats an amount with its decimals. Some currencies have none.
func amount(n int64, currency string) string {
	switch currency {
	case "bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf":
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%d.%02d", n/100, n%100)
}
