package natsstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/stripekit/stripekit"
)

// keyHeader is the key of a checkpoint, quoted as in Go: a header has no line breaks,
// and no spaces at its ends.
const keyHeader = "Stripekit-Key"

// maxKey is the longest key, in bytes. The headers of a message may have 64 KiB.
const maxKey = 4096

// Store is a stripekit.CheckpointStore in a stream of JetStream. Any number of
// goroutines and processes may use the same stream. Create and Open make one.
//
// A checkpoint is the last message of a subject, which is the name of the stream and a
// hash of the key. Its revision is the sequence number of the message, so that no
// revision is used twice. In a stream of Create the numbers begin with the time, in
// microseconds: they do not return if it is deleted and created again. They may return
// if the stream is restored from a backup: end its Pollers before.
//
// An operation whose context has no deadline ends after 5 seconds. Each operation
// returns an error that wraps nats.ErrDisconnected as soon as the connection is lost.
// While it is lost, Save and Delete do so at once, instead of being sent later. Load
// and List wait for it.
type Store struct {
	*keyStream
}

var _ stripekit.CheckpointStore = (*Store)(nil)

// subject returns the subject of a key. It has a hash, because a key may contain
// anything, and a subject may not. The 128 bits do not collide by chance.
func (s *Store) subject(key string) string {
	hash := sha256.Sum256([]byte(key))
	return s.name + "." + hex.EncodeToString(hash[:16])
}

// Load returns the data last saved under key and its revision, or nil and 0 if there
// is none. A message that is not the checkpoint of this key is an
// ErrCheckpointInvalid that names the subject.
func (s *Store) Load(ctx context.Context, key string) (data []byte, revision uint64, err error) {
	if err := checkKey(key); err != nil {
		return nil, 0, err
	}
	ctx, cancel := whileConnected(ctx, s.js.Conn())
	defer cancel()
	m, err := s.last(ctx, key)
	switch {
	case err != nil:
		return nil, 0, fmt.Errorf("natsstore: loading checkpoint %q: %w", key, endOf(ctx, err))
	case m == nil || isMark(m.Header):
		return nil, 0, nil
	case m.Data == nil:
		return []byte{}, m.Sequence, nil
	}
	return m.Data, m.Sequence, nil
}

// Save replaces the data if the stored revision equals revision (0: nothing is
// stored), and returns the new revision, which is greater. Otherwise it returns an
// ErrCheckpointConflict.
//
// After any other error the old or the new checkpoint is stored, or the server stores
// the new one a little later. The same Store then accepts another Save with the same
// revision, unless another Store has saved since. Another Store, or this one after a
// restart of the program, reports an ErrCheckpointConflict if the new one is stored.
//
// A message of NATS has a limit, max_payload of the server, which is 1 MiB by default.
// A larger checkpoint is an error that wraps nats.ErrMaxPayload and is not sent. Over a
// leaf node, three quarters of the limit are the most: the response to a Load is longer
// than the checkpoint by a third, and a leaf node that receives more than its limit
// loses its connection.
func (s *Store) Save(ctx context.Context, key string, data []byte, revision uint64) (uint64, error) {
	if err := checkKey(key); err != nil {
		return 0, err
	}
	ctx, cancel := whileConnected(ctx, s.js.Conn())
	defer cancel()
	d, doubtful := s.begin(key, revision)
	m := &nats.Msg{Subject: s.subject(key), Data: data, Header: nats.Header{
		keyHeader: {strconv.QuoteToASCII(key)}, saveHeader: {d.id},
	}}
	next, known, err := s.save(ctx, m, d, doubtful, func(ctx context.Context) (*jetstream.RawStreamMsg, error) { return s.last(ctx, key) })
	s.end(key, d, doubtful, known, err)
	if err != nil {
		return 0, fmt.Errorf("natsstore: saving checkpoint %q: %w", key, endOf(ctx, err))
	}
	return next, nil
}

func checkKey(key string) error {
	if len(key) > maxKey {
		return fmt.Errorf("natsstore: the key %.40q… has %d bytes, %d are allowed", key, len(key), maxKey)
	}
	return nil
}

// Delete removes the checkpoint under key, even one that is an ErrCheckpointInvalid.
// It returns nil if there is none. A Poller then begins anew at its next Start, and a
// Save with an earlier revision returns an ErrCheckpointConflict.
//
// After an error the old checkpoint or none is stored, and Delete may be repeated.
// For an hour, the stream keeps a small message in place of the checkpoint.
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	ctx, cancel := whileConnected(ctx, s.js.Conn())
	defer cancel()
	mark := &nats.Msg{Subject: s.subject(key), Header: nats.Header{keyHeader: {strconv.QuoteToASCII(key)}}}
	if err := s.remove(ctx, key, mark, func(*jetstream.RawStreamMsg) error { return nil }); err != nil {
		return fmt.Errorf("natsstore: deleting checkpoint %q: %w", key, endOf(ctx, err))
	}
	return nil
}

// last returns the last message of a key, or nil if there is none.
func (s *Store) last(ctx context.Context, key string) (*jetstream.RawStreamMsg, error) {
	m, err := s.lastOf(ctx, s.subject(key))
	if err != nil || m == nil {
		return nil, err
	}
	stored, err := strconv.Unquote(m.Header.Get(keyHeader))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: the message %d of subject %s is not a checkpoint", stripekit.ErrCheckpointInvalid, m.Sequence, m.Subject)
	case stored != key:
		return nil, fmt.Errorf("%w: subject %s has the checkpoint of another key, %.100q", stripekit.ErrCheckpointInvalid, m.Subject, stored)
	}
	return m, nil
}
