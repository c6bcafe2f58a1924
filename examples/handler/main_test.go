package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripekittest"
)

// lines is an output for several workers. A test can make its next writes fail.
type lines struct {
	mu    sync.Mutex
	text  strings.Builder
	fails int // how many of the next writes fail
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fails > 0 {
		l.fails--
		return 0, errors.New("the disk is full")
	}
	return l.text.Write(p)
}

func (l *lines) fail(writes int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fails = writes
}

func TestHandlerGreetsEachPayerOnceOverARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, _ := stripekittest.NewClient(t)
		cfg := stripekit.PollConfig{Workers: 3, Checkpoints: new(stripekit.MemoryStore)}
		out := new(lines)
		var want []string
		for day := range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			done := make(chan error)
			go func() { done <- handle(ctx, client, cfg, out) }()
			synctest.Wait()
			for i := range 20 {
				name := fmt.Sprintf("payer %d of day %d", i, day)
				customer, err := client.Customers.Create(t.Context(), stripekit.CustomerCreateParams{Name: &name, Source: new("tok_visa")})
				require.NoError(t, err)
				_, err = client.Charges.Create(t.Context(), stripekit.ChargeCreateParams{Amount: 500, Currency: "usd", Customer: &customer.ID})
				require.NoError(t, err)
				want = append(want, fmt.Sprintf("Thank you, %s, for 500 usd.", name))
			}
			out.fail(5) // these greetings are retried
			require.NoError(t, <-done)
			cancel()
			require.Zero(t, out.fails)
		}
		require.ElementsMatch(t, want, strings.Split(strings.TrimSpace(out.text.String()), "\n"))
	})
}
