package natsstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Entry is a checkpoint in a List.
type Entry struct {
	Key      string
	Revision uint64
	Size     int       // of the data, in bytes
	Saved    time.Time // by the server's clock
}

const (
	// listPage is how many messages List requests at a time.
	listPage = 1000
	// listTimeout bounds the wait for a page.
	listTimeout = 5 * time.Second
	// listLeft is how long the server keeps the consumer of a List that was left.
	listLeft = time.Minute
)

// List returns all checkpoints in the order of their keys. It reads the list before
// the loop begins, without the data, and holds some 200 bytes for each checkpoint. In a
// cluster it may be read from a follower, and lack the saves of the last moments.
// Messages that are not checkpoints are left out.
func (s *Store) List(ctx context.Context) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		entries, err := s.list(ctx)
		if err != nil {
			yield(Entry{}, fmt.Errorf("natsstore: listing checkpoints: %w", err))
			return
		}
		for _, e := range entries {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (s *Store) list(ctx context.Context) ([]Entry, error) {
	creating, cancel := bound(ctx)
	defer cancel()
	consumer, err := s.stream.CreateConsumer(creating, jetstream.ConsumerConfig{
		AckPolicy: jetstream.AckNonePolicy, HeadersOnly: true, MemoryStorage: true, InactiveThreshold: listLeft,
	})
	if err != nil {
		return nil, err
	}
	info := consumer.CachedInfo()
	defer func() {
		// If it fails, the server removes the consumer after listLeft.
		deleting, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = s.stream.DeleteConsumer(deleting, info.Name)
	}()
	r := listing{entries: map[string]Entry{}, left: info.NumPending}
	for r.left > 0 {
		if err := r.page(ctx, consumer); err != nil {
			return nil, err
		}
	}
	return slices.SortedFunc(maps.Values(r.entries), func(a, b Entry) int { return cmp.Compare(a.Key, b.Key) }), nil
}

// listing is one call of List. A checkpoint that is saved meanwhile is in the stream
// again behind the others. So it may be read twice, and it is never missed.
type listing struct {
	entries map[string]Entry
	read    uint64 // how many messages have been read
	left    uint64 // how many follow
}

func (r *listing) page(ctx context.Context, consumer jetstream.Consumer) error {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	batch, err := consumer.Fetch(int(min(r.left, listPage)), jetstream.FetchContext(ctx))
	if err != nil {
		return err
	}
	before := r.read
	for m := range batch.Messages() {
		meta, err := m.Metadata()
		if err != nil {
			return err
		}
		if r.read++; meta.Sequence.Consumer != r.read {
			return errors.New("a message was lost on the connection")
		}
		r.left = meta.NumPending
		r.add(m, meta)
		if r.left == 0 {
			return nil // the cancel ends the request, which may be for more
		}
	}
	switch {
	case batch.Error() != nil:
		return batch.Error()
	case r.read == before:
		return errors.New("the server has sent no more of the list")
	}
	return nil
}

func (r *listing) add(m jetstream.Msg, meta *jetstream.MsgMetadata) {
	key, err := strconv.Unquote(m.Headers().Get(keyHeader))
	if err != nil {
		return
	}
	if m.Headers().Get(deletedHeader) != "" {
		delete(r.entries, key)
		return
	}
	size, err := strconv.Atoi(m.Headers().Get(nats.MsgSize))
	if err != nil {
		return
	}
	r.entries[key] = Entry{Key: key, Revision: meta.Sequence.Stream, Size: size, Saved: meta.Timestamp}
}
