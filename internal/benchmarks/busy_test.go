package main

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v85"

	"github.com/stripekit/stripekit"
)

// busyList is a list on which a charge is created every second: 7 pages within the
// overlap.
type busyList struct {
	mu       sync.Mutex
	backlog  *backlog
	requests int
	bytes    int
}

func newBusyList(t *testing.T) *busyList {
	b, err := newBacklog(0, 1)
	require.NoError(t, err)
	b.start = time.Now().Add(-time.Hour).Unix()
	return &busyList{backlog: b}
}

// reading returns how many list requests there were, and the bytes of their responses.
func (l *busyList) reading() (requests, bytes int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.requests, l.bytes
}

func (l *busyList) service() service {
	return func(r *http.Request) response {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.backlog.count = int(time.Now().Unix()-l.backlog.start) + 1
		a := l.backlog.response(r)
		if !isAccount(r) {
			l.requests++
			l.bytes += len(a.body)
		}
		return a
	}
}

// busyWay polls a busy list every 15 s until the context ends, and calls found with
// each new charge.
type busyWay struct {
	name    string
	warm    int // minutes before the cost is measured
	minutes int
	poll    func(ctx context.Context, t *testing.T, s service, found func(id string))
}

// every15s polls now and every 15 s.
func every15s(ctx context.Context, t *testing.T, poll func() error) {
	tick := time.NewTicker(15 * time.Second)
	defer tick.Stop()
	for ctx.Err() == nil {
		require.NoError(t, poll())
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// overlapAgo is the second that a poll of the whole overlap reads from.
func overlapAgo() int64 { return time.Now().Unix() - 660 }

var busyWays = []busyWay{
	{"stripekit's Poller", 12, 10, func(ctx context.Context, t *testing.T, s service, found func(string)) {
		client, err := ourClient(noNetwork, s)
		require.NoError(t, err)
		p, err := stripekit.NewPoller(client.Charges, stripekit.PollConfig{})
		require.NoError(t, err)
		require.NoError(t, p.Run(ctx, func(_ context.Context, e stripekit.Event[stripekit.Charge]) error {
			found(e.ID)
			return nil
		}))
	}},
	{"stripekit's List over the whole overlap", 0, 2, func(ctx context.Context, t *testing.T, s service, found func(string)) {
		client, err := ourClient(noNetwork, s)
		require.NoError(t, err)
		every15s(ctx, t, func() error {
			for charge, err := range client.Charges.List(context.Background(), stripekit.ChargeListParams{ListParams: stripekit.ListParams{
				Created: &stripekit.CreatedRange{GTE: stripekit.UnixTime(overlapAgo())},
			}}) {
				if err != nil {
					return err
				}
				found(charge.ID)
			}
			return nil
		})
	}},
	{"stripe-go's List over the whole overlap", 0, 2, func(ctx context.Context, t *testing.T, s service, found func(string)) {
		p := naive{client: theirClient(noNetwork, s), seen: map[string]int64{}, overlap: 660, since: overlapAgo()}
		every15s(ctx, t, func() error {
			return p.poll(context.Background(), func(c *stripe.Charge) { found(c.ID) })
		})
	}},
}

// TestPollerReadsTheTipOfABusyList prints what a minute of polls costs. The time is
// fake, and the CPU time is real.
func TestPollerReadsTheTipOfABusyList(t *testing.T) {
	var table strings.Builder
	bytes := map[string]int{}
	for _, w := range busyWays {
		synctest.Test(t, func(t *testing.T) {
			l := newBusyList(t)
			began := time.Now()
			got := map[string]bool{}
			var mu sync.Mutex
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := make(chan struct{})
			go func() {
				defer close(done)
				w.poll(ctx, t, l.service(), func(id string) {
					mu.Lock()
					defer mu.Unlock()
					got[id] = true
				})
			}()
			pass(time.Duration(w.warm)*time.Minute + time.Second)
			runtime.GC()
			cpu := processTime()
			requestsBefore, before := l.reading()
			pass(time.Duration(w.minutes) * time.Minute)
			cpu = processTime() - cpu
			requests, read := l.reading()
			requests, read = requests-requestsBefore, read-before
			pass(20 * time.Second)
			cancel()
			<-done
			for second := began.Unix() + 2; second < began.Add(time.Duration(w.warm+w.minutes)*time.Minute).Unix(); second++ {
				require.True(t, got[chargeID(int(second-l.backlog.start))], "%s: the charge of %d s", w.name, second-began.Unix())
			}
			bytes[w.name] = read / w.minutes
			fmt.Fprintf(&table, "| %s | %.1f | %d | %v |\n", w.name, float64(requests)/float64(w.minutes), read/w.minutes/1024, (cpu / time.Duration(w.minutes)).Round(100*time.Microsecond))
		})
	}
	t.Logf("\n| a minute of polls | requests | KB | CPU |\n|---|---|---|---|\n%s", &table)
	require.Less(t, 4*bytes["stripekit's Poller"], bytes["stripekit's List over the whole overlap"])
}

// pass lets fake time pass.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}
