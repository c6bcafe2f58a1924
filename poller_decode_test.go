package stripekit_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
)

// Objects that cannot be decoded into the type of a Poller.

// sellSpoiled makes n customers. In the list the metadata of the customer at index
// spoiled has a number in place of a string.
func sellSpoiled(s *shop, n, spoiled int) (ids []string) {
	for i := range n {
		params := stripekit.CustomerCreateParams{}
		if i == spoiled {
			params.Metadata = stripekit.Metadata{"a": "spoiled"}
		}
		c, err := s.client.Customers.Create(s.t.Context(), params)
		require.NoError(s.t, err)
		ids = append(ids, c.ID)
	}
	s.interfere(func(r *http.Request) (*http.Response, error) {
		resp, err := s.server.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return nil, err
		}
		body = bytes.ReplaceAll(body, []byte(`"spoiled"`), []byte(`1`))
		resp.Body, resp.ContentLength = readCloser{strings.NewReader(string(body))}, int64(len(body))
		resp.Header.Del("Content-Length")
		return resp, nil
	})
	return ids
}

func TestPollerDeliversAnObjectThatItsTypeCannotHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		cfg := stripekit.PollConfig{Checkpoints: new(stripekit.MemoryStore)}
		p := s.poller(cfg)
		events, stop := s.watch(p)
		sold := sellSpoiled(s, 200, 150)
		for i, id := range sold {
			e := <-events
			require.Equal(t, id, e.ID, "in order")
			require.Contains(t, string(e.Raw), id)
			if i != 150 {
				require.NoError(t, e.DecodeErr)
				require.Equal(t, id, e.Object.ID)
			} else {
				require.ErrorContains(t, e.DecodeErr, "metadata")
				require.Nil(t, e.Object)
				require.Contains(t, strings.Join(strings.Fields(string(e.Raw)), ""), `"metadata":{"a":1}`)
				require.WithinDuration(t, time.Now(), e.Created, time.Minute)
			}
			e.Ack()
		}
		require.NoError(t, p.Status().LastError)
		pass(2 * time.Second)
		stop()

		events, stop = s.watch(s.poller(cfg))
		defer stop()
		require.Empty(t, collect(events, time.Hour), "it is acknowledged like any other")
	})
}

func TestPollerKeepsRawAsItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		events, stop := s.watch(s.poller(stripekit.PollConfig{}))
		defer stop()
		first := s.sell(1)
		e := <-events
		raw := string(e.Raw)
		e.Ack()
		for range 50 { // its page is replaced by other pages
			s.sell(20)
			require.Len(t, collect(events, 20*time.Second), 20)
		}
		require.Equal(t, raw, string(e.Raw))
		require.Contains(t, raw, first[0])
	})
}

// deadLetters are the events that a Poller has given up.
type deadLetters struct {
	mu      sync.Mutex
	events  []stripekit.Event[any]
	reasons []error
}

func (d *deadLetters) keep(_ context.Context, e stripekit.Event[any], reason error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.events, d.reasons = append(d.events, e), append(d.reasons, reason)
	return nil
}

// runInBackground runs a Poller until end is called, which returns the error
// of Run.
func runInBackground[T any](t *testing.T, p *stripekit.Poller[T], handle func(context.Context, stripekit.Event[T]) error) (end func() error) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx, handle) }()
	synctest.Wait()
	return func() error {
		cancel()
		return <-done
	}
}

func TestPollerRunGivesUpAnObjectThatItsTypeCannotHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		var dead deadLetters
		p := s.poller(stripekit.PollConfig{MaxAttempts: 3, OnGiveUp: dead.keep})
		var handled []string
		end := runInBackground(t, p, func(_ context.Context, e stripekit.Event[stripekit.Customer]) error {
			handled = append(handled, e.ID)
			return nil
		})
		sold := sellSpoiled(s, 200, 100)
		pass(time.Minute)
		require.Equal(t, slices.Concat(sold[:100], sold[101:]), handled, "handle is called for all but one")
		require.Len(t, dead.events, 1)
		e := dead.events[0]
		require.Equal(t, sold[100], e.ID)
		require.Equal(t, 3, e.Attempt)
		require.Nil(t, e.Object)
		require.Contains(t, string(e.Raw), e.ID)
		require.Error(t, e.DecodeErr)
		require.Equal(t, e.DecodeErr, dead.reasons[0])
		require.EqualValues(t, 1, p.Status().GivenUp)
		require.Zero(t, p.Status().Unacked)
		require.NoError(t, end())
	})
}

func TestPollerRunRepeatsAnObjectThatItsTypeCannotHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		cfg := stripekit.PollConfig{Checkpoints: new(stripekit.MemoryStore)}
		p := s.poller(cfg)
		handled := 0
		end := runInBackground(t, p, func(context.Context, stripekit.Event[stripekit.Customer]) error {
			handled++
			return nil
		})
		sold := sellSpoiled(s, 20, 10)
		pass(time.Hour)
		require.Equal(t, 19, handled)
		require.Equal(t, 1, p.Status().Unacked)
		require.Error(t, p.Status().HandlerErr)
		require.Greater(t, p.Status().OldestUnacked, 59*time.Minute)
		require.NoError(t, end())

		s.interfere(nil) // Stripe has fixed the object
		events, stop := s.watch(s.poller(cfg))
		defer stop()
		require.Equal(t, sold[10:11], collect(events, time.Minute), "nothing is lost")
	})
}

// touchy is a type with a decoding of its own, which panics for some objects
// and returns an error for others.
type touchy struct{ Name string }

var errTouchy = errors.New("touchy")

func (o *touchy) UnmarshalJSON(raw []byte) error {
	switch {
	case bytes.Contains(raw, []byte(`"customer 3"`)):
		panic("no threes")
	case bytes.Contains(raw, []byte(`"customer 5"`)):
		panic(errTouchy)
	case bytes.Contains(raw, []byte(`"customer 7"`)):
		return errTouchy
	}
	o.Name = "decoded"
	return nil
}

func TestPollerContainsAPanicOfTheDecodingOfItsType(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		src, err := stripekit.NewSource[touchy](s.client, "/v1/customers", "")
		require.NoError(t, err)
		p, err := stripekit.NewPoller(src, stripekit.PollConfig{})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		events, err := p.Start(ctx)
		require.NoError(t, err)
		synctest.Wait()
		sold := s.sell(10)
		for i, id := range sold {
			e := <-events
			require.Equal(t, id, e.ID)
			switch i {
			case 3:
				panicked, ok := errors.AsType[*stripekit.PanicError](e.DecodeErr)
				require.True(t, ok)
				require.Equal(t, "no threes", panicked.Value)
				require.Contains(t, string(panicked.Stack), "poller_decode_test.go")
				require.Nil(t, e.Object)
			case 5, 7:
				require.ErrorIs(t, e.DecodeErr, errTouchy)
				require.Nil(t, e.Object)
			default:
				require.NoError(t, e.DecodeErr)
				require.Equal(t, "decoded", e.Object.Name)
			}
			e.Ack()
		}
	})
}
