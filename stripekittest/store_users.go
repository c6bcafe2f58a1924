package stripekittest

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripetest"
)

// pollTimeout bounds the wait for an event. Within it a Poller saves a few times.
const pollTimeout = 60 * time.Second

// life is one of several Pollers on one checkpoint.
type life struct {
	t      *storeTest
	poller *stripekit.Poller[stripekit.Product]
	events <-chan stripekit.Event[stripekit.Product]
	cancel context.CancelFunc
}

// begin starts a Poller whose checkpoints are in a store.
func (s *openStore) begin(client *stripekit.Client) *life {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), pollTimeout)
	s.t.Cleanup(cancel)
	poller, err := stripekit.NewPoller(client.Products, stripekit.PollConfig{
		Every: 20 * time.Millisecond, From: stripekit.FromBeginning, Checkpoints: s,
	})
	if err != nil {
		s.t.Fatalf("NewPoller: %v", err)
	}
	events, err := poller.Start(ctx)
	if err != nil {
		s.t.Fatalf("Poller.Start: %v", err)
	}
	return &life{t: s.t, poller: poller, events: events, cancel: cancel}
}

// next returns the next event.
func (l *life) next() stripekit.Event[stripekit.Product] {
	l.t.Helper()
	e, ok := <-l.events
	if !ok {
		l.t.Fatalf("the Poller has ended before the next event: its Err is %v, its status %+v", l.poller.Err(), l.poller.Status())
	}
	return e
}

// acknowledge acknowledges the next n events but for every third one, and records the
// ids in done, which no event may have had before.
func (l *life) acknowledge(n int, done map[string]bool) {
	l.t.Helper()
	for i := range n {
		e := l.next()
		if done[e.ID] {
			l.t.Fatalf("%s was delivered again, although it was acknowledged and saved", e.ID)
		}
		if i%3 != 2 {
			e.Ack()
			done[e.ID] = true
		}
	}
}

// flush waits until the acknowledgements are saved.
func (l *life) flush() error {
	ctx, cancel := l.t.timeout()
	defer cancel()
	return l.poller.Flush(ctx)
}

// end stops the Poller, which must save all acknowledgements.
func (l *life) end() {
	l.t.Helper()
	l.cancel()
	for range l.events { // they are not acknowledged
	}
	if err := errors.Join(l.poller.Err(), l.flush()); err != nil {
		l.t.Fatalf("the end of the Poller: %v", err)
	}
}

// finish acknowledges events until all of the ids were.
func (l *life) finish(ids []string, done map[string]bool) {
	l.t.Helper()
	for len(done) < len(ids) {
		e := l.next()
		if done[e.ID] || !slices.Contains(ids, e.ID) {
			l.t.Fatalf("%s was delivered, although it was acknowledged and saved, or does not exist", e.ID)
		}
		e.Ack()
		done[e.ID] = true
	}
	l.end()
}

// offer makes n products, a second apart, and returns their ids.
func offer(server *stripetest.Server, n int, ago time.Duration) []string {
	return server.Seed("/v1/products", stripetest.Seeding{Count: n, First: time.Now().Add(-ago), Every: time.Second})
}

func checkPoller(t *storeTest) {
	client, server := NewClient(t)
	ids := offer(server, 90, time.Hour)
	done := map[string]bool{}
	for _, n := range []int{30, 1, 30} {
		l := t.open().begin(client)
		l.acknowledge(n, done)
		l.end()
		ids = append(ids, offer(server, 3, 3*time.Second)...)
	}
	t.open().begin(client).finish(ids, done)

	// The newest product comes after all that would come again.
	ids = append(ids, offer(server, 1, 0)...)
	t.open().begin(client).finish(ids, done)
}

func checkTwoPollers(t *storeTest) {
	client, server := NewClient(t)
	ids := offer(server, 60, time.Hour)
	done := map[string]bool{}
	older := t.open().begin(client)
	older.acknowledge(20, done)
	if err := older.flush(); err != nil {
		t.Fatalf("Poller.Flush: %v", err)
	}

	newer := t.open().begin(client)
	older.next().Ack() // too late
	if err := older.flush(); !errors.Is(err, stripekit.ErrCheckpointConflict) {
		t.Fatalf("the save of a Poller after another one has claimed its checkpoint: want an ErrCheckpointConflict, got %v", err)
	}
	for range older.events { // it ends by itself
	}
	if err := older.poller.Err(); !errors.Is(err, stripekit.ErrCheckpointConflict) {
		t.Fatalf("the end of the older Poller: want an ErrCheckpointConflict, got %v", err)
	}
	newer.finish(ids, done)
}

func checkBackfill(t *storeTest) {
	client, server := NewClient(t)
	ids := offer(server, 150, time.Hour)
	ctx, cancel := context.WithTimeout(t.Context(), pollTimeout)
	defer cancel()
	var got []string
	for _, most := range []int{50, 1, 60, len(ids)} {
		n := 0
		for product, err := range stripekit.Backfill(ctx, client.Products, stripekit.BackfillConfig{Checkpoints: t.open()}) {
			if err != nil {
				t.Fatalf("Backfill: %v", err)
			}
			got = append(got, product.ID)
			if n++; n == most {
				break // this one is not done, and comes again
			}
		}
	}
	// Each product has a second of its own, so only the last one before a break may come
	// again.
	if repeated := len(got) - len(ids); repeated > 3 {
		t.Errorf("a Backfill that was left three times has repeated %d objects: want 3 at the most", repeated)
	}
	slices.Sort(got)
	slices.Sort(ids)
	if got = slices.Compact(got); !slices.Equal(got, ids) {
		t.Errorf("Backfills have yielded %d different objects of %d", len(got), len(ids))
	}
}
