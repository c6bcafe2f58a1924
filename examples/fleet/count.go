package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/stripekit/stripekit/internal/shops"
	"github.com/stripekit/stripekit/natsstore"
)

// counter counts the charges in the stream.
type counter struct {
	mu    sync.Mutex
	times map[string]int // how often each one is there, by its id
	last  uint64         // the sequence number of the last message that was counted
}

// follow counts what is in the stream, and what comes, until stop is called.
func (c *counter) follow(ctx context.Context, js jetstream.JetStream, stream string) (stop func(), err error) {
	consumer, err := js.OrderedConsumer(ctx, stream, jetstream.OrderedConsumerConfig{})
	if err != nil {
		return nil, err
	}
	consuming, err := consumer.Consume(func(m jetstream.Msg) {
		if about, err := m.Metadata(); err == nil {
			c.count(m.Headers().Get(natsstore.IDHeader), about.Sequence.Stream)
		}
	})
	if err != nil {
		return nil, err
	}
	return consuming.Stop, nil
}

func (c *counter) count(id string, sequence uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.times[id]++
	c.last = sequence
}

// progress returns how many charges are in the stream, each counted once, and the
// sequence number of the last message that was counted.
func (c *counter) progress() (charges int, last uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.times), c.last
}

// catchUp waits until all messages of the stream are counted.
func (c *counter) catchUp(ctx context.Context, js jetstream.JetStream, stream string) error {
	s, err := js.Stream(ctx, stream)
	if err != nil {
		return err
	}
	end := s.CachedInfo().State.LastSeq
	for {
		if _, last := c.progress(); last >= end {
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("reading stream %s: %w", stream, ctx.Err())
		}
	}
}

// balance compares the stream with the shops.
type balance struct {
	created, delivered int
	lost, twice        int
	unknown            int // in the stream, and not created by a shop
}

func (b balance) String() string {
	text := fmt.Sprintf("created %d, delivered %d, lost %d, twice %d", b.created, b.delivered, b.lost, b.twice)
	if b.unknown > 0 {
		text += fmt.Sprintf(", not created by any shop %d", b.unknown)
	}
	return text
}

func (b balance) wrong() bool { return b.lost+b.twice+b.unknown > 0 }

// balance compares what was counted with what the shops have created. A charge that
// their lists have not shown before due may be missing: it is not counted as created.
func (c *counter) balance(stripe *shops.Stripe, s shopping, due time.Time) balance {
	c.mu.Lock()
	defer c.mu.Unlock()
	var b balance
	for account := range s.Connections {
		for charge := range stripe.Objects(account, shops.Charges, s.Start, s.Until) {
			n := c.times[charge.ID()]
			switch {
			case n > 0:
				b.delivered++
			case charge.Visible.Before(due):
				b.lost++
			}
			if n > 1 {
				b.twice++
			}
		}
	}
	b.created = b.delivered + b.lost
	b.unknown = len(c.times) - b.delivered
	return b
}

// created returns how many charges the shops have created before a moment.
func created(stripe *shops.Stripe, s shopping, before time.Time) (n int) {
	for account := range s.Connections {
		n += stripe.Count(account, shops.Charges, before)
	}
	return n
}
