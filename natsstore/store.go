package natsstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/stripekit/stripekit"
)

// The headers of a stored message.
const (
	// keyHeader is the key, quoted as in Go: a header has no line breaks, and no spaces
	// at its ends.
	keyHeader = "Stripekit-Key"
	// saveHeader identifies the Save. A Save that is repeated because its end is unknown
	// has the same identification.
	saveHeader = "Stripekit-Save"
	// deletedHeader marks a deleted checkpoint.
	deletedHeader = "Stripekit-Deleted"
)

// maxKey is the longest key, in bytes. The headers of a message may have 64 KiB.
const maxKey = 4096

// markTTL is how long the mark of a Delete is kept. A Save that was sent before the
// Delete must not arrive later.
const markTTL = time.Hour

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
	js     jetstream.JetStream
	stream jetstream.Stream
	name   string
	domain string // of JetStream
	writer string // random; identifies the Store in saveHeader
	saves  atomic.Uint64

	mu     sync.Mutex // never held over a request
	doubts map[string]doubt
}

var _ stripekit.CheckpointStore = (*Store)(nil)

// doubt is a Save whose end is unknown. There is one at the most for a key.
type doubt struct {
	base uint64 // the revision that Save was given
	id   string // the saveHeader
}

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
	case m == nil || isMark(m):
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
	d, doubtful := s.takeDoubt(key, revision)
	if !doubtful {
		d = doubt{base: revision, id: s.writer + "." + strconv.FormatUint(s.saves.Add(1), 10)}
	}
	m := &nats.Msg{Subject: s.subject(key), Data: data, Header: nats.Header{
		keyHeader: {strconv.QuoteToASCII(key)}, saveHeader: {d.id},
	}}
	next, known, err := s.save(ctx, key, m, d, doubtful)
	switch {
	case err == nil:
		s.forget(key)
		return next, nil
	case !known && (doubtful || !errors.Is(err, errNotSent)):
		s.remember(key, d)
	}
	return 0, fmt.Errorf("natsstore: saving checkpoint %q: %w", key, endOf(ctx, err))
}

func checkKey(key string) error {
	if len(key) > maxKey {
		return fmt.Errorf("natsstore: the key %.40q… has %d bytes, %d are allowed", key, len(key), maxKey)
	}
	return nil
}

// takeDoubt takes the doubt about an earlier Save with the same revision. Only one
// Save has a doubt at a time. So it cannot happen that two go on from the same
// message, nor one from a message of another that has succeeded.
func (s *Store) takeDoubt(key string, revision uint64) (doubt, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, ok := s.doubts[key]
	if !ok || d.base != revision {
		return doubt{}, false
	}
	delete(s.doubts, key)
	return d, true
}

// remember notes that the end of a Save is unknown.
func (s *Store) remember(key string, d doubt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.doubts[key] = d
}

// forget forgets the doubt about a key. That is always safe: a Save that would have
// gone on from a doubtful one is a conflict then.
func (s *Store) forget(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.doubts, key)
}

// save publishes the message of a Save. It reports whether the end is known.
//
// The server compares the sequence number of the last message of the subject. If that
// is another one than the revision, it may still be right, in three cases:
//
//   - An earlier Save with this revision has been stored although it returned an error.
//     The message has its identification. The next one goes on from it.
//   - The revision is 0, and the last message is the mark of a Delete.
//   - The last message has the revision: in a cluster the leader refuses a second
//     message while one is on its way to the followers, which may be that of an earlier
//     Save.
//
// A message that arrives late does no harm. Whatever is stored meanwhile has another
// sequence number, and no number returns.
func (s *Store) save(ctx context.Context, key string, m *nats.Msg, d doubt, doubtful bool) (next uint64, known bool, err error) {
	expected := d.base
	for {
		next, err = s.publish(ctx, m, expected)
		if !isWrongSequence(err) {
			return next, err == nil, err
		}
		if d.base != 0 && !doubtful {
			return 0, true, stripekit.ErrCheckpointConflict
		}
		last, err := s.last(ctx, key)
		switch {
		case errors.Is(err, stripekit.ErrCheckpointInvalid):
			return 0, true, err
		case err != nil:
			return 0, false, err
		}
		found := uint64(0)
		if last != nil {
			found = last.Sequence
		}
		switch {
		case found == expected:
			err = pause(ctx, retryWait)
		case last == nil && d.base == 0: // the mark has expired
		case last != nil && d.base == 0 && isMark(last):
		case last != nil && doubtful && last.Header.Get(saveHeader) == d.id:
		default:
			return 0, true, stripekit.ErrCheckpointConflict
		}
		if err != nil {
			return 0, false, err
		}
		expected = found
	}
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
	if err := s.remove(ctx, key); err != nil {
		return fmt.Errorf("natsstore: deleting checkpoint %q: %w", key, endOf(ctx, err))
	}
	s.forget(key)
	return nil
}

// remove replaces the checkpoint by a mark. The subject is not purged, since a purge
// takes effect whenever it arrives, and in a cluster passes by a Save that is on its
// way to the followers. A mark is compared and ordered as a Save is, and neither a
// late mark nor a late Save undoes what was stored after it was sent. Where there is
// nothing to delete, but a doubt, a mark is stored nevertheless: a late Save expects
// what is there now.
func (s *Store) remove(ctx context.Context, key string) error {
	mark := &nats.Msg{Subject: s.subject(key), Header: nats.Header{
		keyHeader: {strconv.QuoteToASCII(key)}, deletedHeader: {"true"}, jetstream.MsgTTLHeader: {markTTL.String()},
	}}
	if err := sendable(ctx, s.js.Conn(), mark); err != nil {
		return err
	}
	for {
		found := uint64(0)
		last, err := s.lastOf(ctx, mark.Subject)
		switch {
		case err != nil:
			return err
		case (last == nil || isMark(last)) && !s.hasDoubt(key):
			return nil
		case last != nil:
			found = last.Sequence
		}
		if _, err = s.publish(ctx, mark, found); !isWrongSequence(err) {
			return err
		}
		if err := pause(ctx, time.Millisecond); err != nil {
			return err
		}
	}
}

func (s *Store) hasDoubt(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.doubts[key]
	return ok
}

// isMark reports whether a message is the mark of a Delete.
func isMark(m *jetstream.RawStreamMsg) bool { return m.Header.Get(deletedHeader) != "" }

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

func (s *Store) lastOf(ctx context.Context, subject string) (*jetstream.RawStreamMsg, error) {
	m, err := s.stream.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	return m, err
}

// errNotSent: the message was not sent.
var errNotSent = errors.New("not sent")

// sendable returns an error if a message cannot be sent now. A connection that is lost
// would keep the message and send it later, long after its caller has given up.
func sendable(ctx context.Context, conn *nats.Conn, m *nats.Msg) error {
	size, limit := int64(m.Size()-len(m.Subject)), conn.MaxPayload()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case conn.IsClosed():
		return nats.ErrConnectionClosed
	case !conn.IsConnected():
		return nats.ErrDisconnected
	case size > limit:
		return fmt.Errorf("%d bytes with the headers, and the server accepts %d: %w", size, limit, nats.ErrMaxPayload)
	}
	return nil
}

// publish stores a message if expected is the sequence number of the last one of its
// subject, and returns that of the message.
func (s *Store) publish(ctx context.Context, m *nats.Msg, expected uint64) (uint64, error) {
	m.Header.Set(jetstream.ExpectedStreamHeader, s.name)
	m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(expected, 10))
	if err := sendable(ctx, s.js.Conn(), m); err != nil {
		return 0, fmt.Errorf("%w: %w", errNotSent, err)
	}
	for {
		ack, err := s.js.PublishMsg(ctx, m, jetstream.WithRetryAttempts(0))
		switch {
		case err == nil && ack.Domain != s.domain:
			return 0, fmt.Errorf("a stream of the same name in the domain %q has responded, instead of the one in %q", ack.Domain, s.domain)
		case err == nil:
			return ack.Sequence, nil
		case !errors.Is(err, jetstream.ErrNoStreamResponse):
			return 0, err
		}
		// Nobody has received it. The stream may be electing a leader.
		if ended := pause(ctx, electionWait); ended != nil {
			return 0, fmt.Errorf("%w: %w", ended, err)
		}
	}
}

// isWrongSequence reports whether the last message of the subject has another sequence
// number than expected. The second code is that of a stream with replicas.
func isWrongSequence(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}
