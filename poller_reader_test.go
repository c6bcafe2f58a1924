package stripekit_test

import (
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripetest"
)

// A reader that takes nothing for an hour, and then reads on.

// requireWaitsForItsReader requires that a Poller makes no request, and that its status
// tells why.
func requireWaitsForItsReader[T any](t *testing.T, p *stripekit.Poller[T], requests func() int) {
	t.Helper()
	before, lastPoll := requests(), p.Status().LastPoll
	pass(time.Hour)
	require.Equal(t, before, requests(), "requests")
	status := p.Status()
	require.GreaterOrEqual(t, status.Unacked, p.Config().MaxUnacked)
	require.GreaterOrEqual(t, status.OldestUnacked, time.Hour)
	require.Equal(t, lastPoll, status.LastPoll)
	require.NoError(t, status.LastError)
	require.Zero(t, status.Waiting, "it is not the service that it waits for")
}

// acknowledged acknowledges events until there is none for a time, and returns them.
func acknowledged[T any](events <-chan stripekit.Event[T], wait time.Duration) (all []stripekit.Event[T]) {
	for {
		e, ok := receive(events, wait)
		if !ok {
			return all
		}
		e.Ack()
		all = append(all, e)
	}
}

// requireOldestFirst requires that each object was delivered once, in the order of the
// created seconds but for late objects.
func requireOldestFirst[T any](t *testing.T, sold []string, events []stripekit.Event[T]) {
	t.Helper()
	var got []string
	var newest time.Time
	for _, e := range events {
		got = append(got, e.ID)
		if !e.Late {
			require.False(t, e.Created.Before(newest), "%s is older than the one before", e.ID)
			newest = e.Created
		}
	}
	requireDeliveredOnce(t, sold, got)
}

func TestPollerWhoseReaderStopsDeliversWhatAppearedMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var delay atomic.Int64
		s := newShop(t, stripetest.WithVisibility(func(string) time.Duration { return time.Duration(delay.Load()) }))
		p := s.poller(stripekit.PollConfig{MaxUnacked: 10})
		events, stop := s.watch(p)
		defer stop()
		sell := func(minutes int) (sold []string) {
			for range minutes {
				sold = append(sold, s.sell(2)...)
				delay.Store(int64(9*time.Minute + 30*time.Second))
				sold = append(sold, s.sell(1)...)
				delay.Store(0)
				pass(time.Minute)
			}
			return sold
		}
		sold := sell(10)
		requireWaitsForItsReader(t, p, s.listRequests)
		sold = append(sold, sell(60)...)
		requireOldestFirst(t, sold, acknowledged(events, 20*time.Minute))
	})
}

// The Poller waits between two pages of a second. Meanwhile further objects of that
// second become visible above them.
func TestPollerWhoseReaderStopsGoesOnWithinASecond(t *testing.T) {
	for _, deleted := range []bool{false, true} {
		t.Run(fmt.Sprint("its cursor is deleted: ", deleted), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newFakeList(t)
				p := l.poller(stripekit.PollConfig{MaxUnacked: 50})
				events, stop := started(t, p)
				defer stop()
				second := time.Now().Add(time.Second).Unix() - listStart
				sold := l.add(slices.Repeat([]int64{second}, 3_000)...)
				pass(5 * time.Minute)
				sold = append(sold, l.add(second, second, second)...)
				requireWaitsForItsReader(t, p, l.listRequests)
				cursor := make(chan string, 1)
				l.interfere(func(r *http.Request) (*http.Response, error) {
					after := r.URL.Query().Get("starting_after")
					select {
					case cursor <- after:
						if deleted {
							l.remove(after)
						}
					default: // not the first request
					}
					return nil, nil
				})
				got := acknowledged(events, 20*time.Minute)
				require.NotEmpty(t, <-cursor)
				requireOldestFirst(t, sold, got)
			})
		})
	}
}

func TestPollerWhoseReaderStopsGoesOnWithItsDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeList(t)
		l.latency = 100 * time.Millisecond
		sold := l.add(backlog(30_000, time.Minute)...)
		p := l.poller(stripekit.PollConfig{From: stripekit.FromBeginning})
		events, stop := started(t, p)
		defer stop()
		acknowledge(t, events, 3_000)
		pass(time.Minute)
		requireWaitsForItsReader(t, p, l.listRequests)
		sold = append(sold, l.add(time.Now().Unix()-listStart)...)
		requireOldestFirst(t, sold[3_000:], acknowledged(events, 20*time.Minute))
	})
}
