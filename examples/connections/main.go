// Connections shows what an integration platform does with many connections. It
// checks them, runs two triggers with different intervals on one of them, and
// makes requests that they do not allow. It uses a fake Stripe in its own
// process.
//
//	go run ./examples/connections -for 10s
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripetest"
)

// settings are connections as an administrator might write them. The first key
// has a typing error.
const settings = `[
	{"name": "mistyped", "api_key": "sk_test_shap", "base_url": %[1]q},
	{"name": "source", "api_key": "sk_test_shop", "base_url": %[1]q, "access": "read_only"},
	{"name": "paused", "api_key": "sk_test_shop", "base_url": %[1]q, "disabled": true}
]`

func main() {
	duration := flag.Duration("for", 10*time.Second, "how long to run the triggers")
	every := flag.Duration("every", time.Second, "interval of the quick trigger; a real one would use 15s")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	server := stripetest.New(stripetest.WithKeys("sk_test_shop"))
	defer server.Close()
	if err := run(ctx, os.Stdout, server, *every, *duration); err != nil {
		fmt.Fprintln(os.Stderr, "connections:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, server *stripetest.Server, every, duration time.Duration) error {
	connections := stripekit.NewConnections(stripekit.WithHTTPClient(server.Client()))
	var all []stripekit.Connection
	if err := json.Unmarshal(fmt.Appendf(nil, settings, server.URL), &all); err != nil {
		return err
	}
	for _, c := range all {
		if err := connections.Add(c); err != nil {
			return err
		}
	}

	fmt.Fprintln(out, "Tests:")
	for _, name := range connections.Names() {
		fmt.Fprintf(out, "  %-9s %s\n", name, test(ctx, connections, name))
	}

	fmt.Fprintln(out, "\nCalls a day of a trigger on a quiet account, and three more to begin with:")
	for _, every := range []time.Duration{15 * time.Second, time.Hour} {
		fmt.Fprintf(out, "  every %-7s %4d\n", every, callsADay(every))
	}

	fmt.Fprintf(out, "\nTriggers on source, for %s:\n", duration)
	if err := triggers(ctx, out, connections, server, every, duration); err != nil {
		return err
	}

	fmt.Fprintln(out, "\nRefused:")
	return refused(ctx, out, connections)
}

// test returns one line about whether a connection works.
func test(ctx context.Context, connections *stripekit.Connections, name string) string {
	result, err := connections.Check(ctx, name)
	if failure, ok := errors.AsType[*stripekit.CheckError](err); ok {
		return fmt.Sprintf("failed at the %s: %s", failure.Step, failure.Reason)
	}
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("good: account %s in %s mode, API version %s", result.Account.ID, result.Mode, result.APIVersion)
}

// callsADay returns the number of requests that a poll at this interval makes
// in a day without new objects.
func callsADay(every time.Duration) int { return int(24 * time.Hour / every) }

// triggers runs a quick and an hourly trigger on one connection while the shop
// makes a sale, and prints the requests and results of both.
func triggers(ctx context.Context, out io.Writer, connections *stripekit.Connections, server *stripetest.Server, every, duration time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, duration)
	defer cancel()
	frequencies := []time.Duration{every, time.Hour}
	lines, errs := make([]string, len(frequencies)), make([]error, len(frequencies))
	var running sync.WaitGroup
	for i, every := range frequencies {
		running.Go(func() {
			found, calls, err := trigger(ctx, connections, "source", every)
			lines[i], errs[i] = fmt.Sprintf("  every %-7s %4d calls, found %v\n", every, calls, found), err
		})
	}
	sold := sell(ctx, server, every)
	running.Wait()
	for _, line := range lines {
		fmt.Fprint(out, line)
	}
	return errors.Join(append(errs, sold)...)
}

// trigger polls for new charges until ctx ends.
func trigger(ctx context.Context, connections *stripekit.Connections, name string, every time.Duration) (found []string, calls uint64, err error) {
	client, err := connections.Open(name)
	if err != nil {
		return nil, 0, err
	}
	poller, err := stripekit.NewPoller(client.Charges, stripekit.PollConfig{Every: every})
	if err != nil {
		return nil, 0, err
	}
	err = poller.Run(ctx, func(_ context.Context, e stripekit.Event[stripekit.Charge]) error {
		found = append(found, fmt.Sprintf("%d %s", e.Object.Amount, e.Object.Currency))
		return nil
	})
	return found, poller.Status().Requests, err
}

// sell creates a charge after the given time, when the triggers are running.
func sell(ctx context.Context, server *stripetest.Server, after time.Duration) error {
	shop, err := stripekit.New("sk_test_shop", stripekit.WithBaseURL(server.URL), stripekit.WithHTTPClient(server.Client()))
	if err != nil {
		return err
	}
	select {
	case <-time.After(after):
	case <-ctx.Done():
		return nil
	}
	_, err = shop.Charges.Create(ctx, stripekit.ChargeCreateParams{Amount: 2000, Currency: "usd", Source: new("tok_visa")})
	return err
}

// refused makes requests that the connections do not allow, and prints the
// errors.
func refused(ctx context.Context, out io.Writer, connections *stripekit.Connections) error {
	for _, name := range []string{"source", "paused"} {
		client, err := connections.Open(name)
		if err != nil {
			return err
		}
		_, err = client.Customers.Create(ctx, stripekit.CustomerCreateParams{Name: new("Ada")})
		if !errors.Is(err, stripekit.ErrReadOnly) && !errors.Is(err, stripekit.ErrDisabled) {
			return fmt.Errorf("a write on %s was not refused: %w", name, err)
		}
		fmt.Fprintf(out, "  %v\n", err)
	}
	return nil
}
