package natsstore

import (
	"cmp"
	"context"
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
	// listTimeout bounds the wait for a page. What it lacks then is read key by key.
	listTimeout = 5 * time.Second
	// listLeft is how long the server keeps the consumer of a List that was left.
	listLeft = time.Minute
)

// List returns all checkpoints in the order of their keys. It reads the list before
// the loop begins, without the data, and holds some 400 bytes for each checkpoint.
// Messages that are not checkpoints are left out.
//
// Every checkpoint is there that exists from the beginning of List to its end, even if
// it is saved meanwhile. In a cluster the list may be read from a follower: an entry may
// then be that of an earlier Save, or of a checkpoint that has just been deleted.
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

// list reads the headers of all messages by a consumer, which is fast. But where the
// messages of a consumer end is not certain while others save: a message that replaces
// another is counted after that one is gone. So list first asks the stream for its
// subjects, and at the end reads those of which it has no checkpoint one by one, from
// the leader. They are few: they were saved meanwhile, or deleted in the last hour.
//
// The subjects come in pages of 100,000. If a mark expires between two requests, a
// subject may be left out of them. The consumer still reads it.
func (s *Store) list(ctx context.Context) ([]Entry, error) {
	asking, cancel := bound(ctx)
	defer cancel()
	info, err := s.stream.Info(asking, jetstream.WithSubjectFilter(s.name+".>"))
	if err != nil {
		return nil, err
	}
	r := listing{entries: map[string]Entry{}, absent: info.State.Subjects}
	if len(r.absent) == 0 {
		return nil, nil
	}
	if err := r.all(ctx, s.stream); err != nil {
		return nil, err
	}
	for subject := range r.absent {
		m, err := s.lastOf(ctx, subject)
		switch {
		case err != nil:
			return nil, err
		case m != nil:
			r.add(subject, m.Header, Entry{Revision: m.Sequence, Size: len(m.Data), Saved: m.Time})
		}
	}
	return slices.SortedFunc(maps.Values(r.entries), func(a, b Entry) int { return cmp.Compare(a.Key, b.Key) }), nil
}

// listing is one call of List.
type listing struct {
	entries map[string]Entry
	absent  map[string]uint64 // the subjects that have no entry
	read    uint64            // how many messages have been read
	left    uint64            // how many follow, more or less
}

// all reads the messages of the stream.
func (r *listing) all(ctx context.Context, stream jetstream.Stream) error {
	creating, cancel := bound(ctx)
	defer cancel()
	consumer, err := stream.CreateConsumer(creating, jetstream.ConsumerConfig{
		AckPolicy: jetstream.AckNonePolicy, HeadersOnly: true, MemoryStorage: true, InactiveThreshold: listLeft,
	})
	if err != nil {
		return err
	}
	info := consumer.CachedInfo()
	defer func() {
		// If it fails, the server removes the consumer after listLeft.
		deleting, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = stream.DeleteConsumer(deleting, info.Name)
	}()
	r.left = info.NumPending
	limit := uint64(2*len(r.absent)) + listPage // others may save as fast as this reads
	for r.left > 0 && len(r.absent) > 0 && r.read < limit {
		before := r.read
		if err := r.page(ctx, consumer); err != nil {
			return err
		}
		if r.read == before {
			break
		}
	}
	return nil
}

// page reads a page of messages. That some are missing is not an error.
func (r *listing) page(ctx context.Context, consumer jetstream.Consumer) error {
	waiting, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	batch, err := consumer.Fetch(int(min(r.left, listPage)), jetstream.FetchContext(waiting))
	if err != nil {
		return err
	}
	for m := range batch.Messages() {
		meta, err := m.Metadata()
		if err != nil {
			return err
		}
		r.read++
		r.left = meta.NumPending
		if size, err := strconv.Atoi(m.Headers().Get(nats.MsgSize)); err == nil {
			r.add(m.Subject(), m.Headers(), Entry{Revision: meta.Sequence.Stream, Size: size, Saved: meta.Timestamp})
		}
		if r.left == 0 {
			return nil // the cancel ends the request, which may be for more
		}
	}
	return ctx.Err()
}

// add adds the entry of a message, unless that is not a checkpoint.
func (r *listing) add(subject string, header nats.Header, e Entry) {
	key, err := strconv.Unquote(header.Get(keyHeader))
	if err != nil {
		return
	}
	if header.Get(deletedHeader) != "" {
		delete(r.entries, key)
		r.absent[subject] = 0
		return
	}
	delete(r.absent, subject)
	e.Key = key
	r.entries[key] = e
}
