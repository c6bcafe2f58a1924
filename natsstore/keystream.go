package natsstore

import (
	"context"
	"crypto/rand"
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
	// saveHeader identifies the save. A save that is repeated because its end is unknown
	// has the same identification.
	saveHeader = "Stripekit-Save"
	// deletedHeader marks a deleted key.
	deletedHeader = "Stripekit-Deleted"
	// markerHeader is that of a removal marker, which the server stores in place of a
	// message whose ttl has passed.
	markerHeader = "Nats-Marker-Reason"
)

// markTTL is how long the mark of a deleted key is kept. A save that was sent before
// the mark must not arrive later.
const markTTL = time.Hour

// keyStream is a stream whose last message of each subject is what is stored under a key. It
// is what a Store and an Engine have in common: saves that compare, and what becomes of
// a save whose end is unknown.
type keyStream struct {
	js     jetstream.JetStream
	stream jetstream.Stream
	name   string
	domain string // of JetStream
	writer string // random; identifies the keyStream in saveHeader
	saves  atomic.Uint64

	mu     sync.Mutex // never held over a request
	doubts map[string]doubt
}

func newKeyStream(js jetstream.JetStream, stream jetstream.Stream) *keyStream {
	info := stream.CachedInfo()
	return &keyStream{
		js: js, stream: stream, name: info.Config.Name, domain: info.Domain,
		writer: rand.Text(), doubts: map[string]doubt{},
	}
}

// doubt is a save whose end is unknown. There is one at the most for a key.
type doubt struct {
	base uint64 // the sequence number that the save was given
	id   string // the saveHeader
}

// begin returns what identifies a save. If an earlier one with the same base is
// doubtful, it is that one.
func (s *keyStream) begin(key string, base uint64) (d doubt, doubtful bool) {
	if d, doubtful = s.takeDoubt(key, base); !doubtful {
		d = doubt{base: base, id: s.writer + "." + strconv.FormatUint(s.saves.Add(1), 10)}
	}
	return d, doubtful
}

// end notes how a save has ended.
func (s *keyStream) end(key string, d doubt, doubtful, known bool, err error) {
	switch {
	case err == nil:
		s.forget(key)
	case !known && (doubtful || !errors.Is(err, errNotSent)):
		s.remember(key, d)
	}
}

// takeDoubt takes the doubt about an earlier save with the same base. Only one save has
// a doubt at a time. So it cannot happen that two go on from the same message, nor one
// from a message of another that has succeeded.
func (s *keyStream) takeDoubt(key string, base uint64) (doubt, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, ok := s.doubts[key]
	if !ok || d.base != base {
		return doubt{}, false
	}
	delete(s.doubts, key)
	return d, true
}

// remember notes that the end of a save is unknown.
func (s *keyStream) remember(key string, d doubt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.doubts[key] = d
}

// forget forgets the doubt about a key. That is always safe: a save that would have
// gone on from a doubtful one is a conflict then.
func (s *keyStream) forget(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.doubts, key)
}

func (s *keyStream) hasDoubt(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.doubts[key]
	return ok
}

// save publishes the message of a save. It reports whether the end is known. last
// returns the last message of the subject, or nil.
//
// The server compares the sequence number of the last message of the subject. If that
// is another one than the base, it may still be right, in three cases:
//
//   - An earlier save with this base has been stored although it returned an error.
//     The message has its identification. The next one goes on from it.
//   - The base is 0, and the last message marks the key as deleted.
//   - The last message is the base: in a cluster the leader refuses a second message
//     while one is on its way to the followers, which may be that of an earlier save, and
//     for a moment after it has acknowledged the first one.
//
// A message that arrives late does no harm. Whatever is stored meanwhile has another
// sequence number, and no number returns.
func (s *keyStream) save(
	ctx context.Context, m *nats.Msg, d doubt, doubtful bool, last func(context.Context) (*jetstream.RawStreamMsg, error),
) (next uint64, known bool, err error) {
	expected := d.base
	for {
		next, err = s.publish(ctx, m, expected)
		if !isWrongSequence(err) {
			return next, err == nil, err
		}
		present, err := last(ctx)
		switch {
		case errors.Is(err, stripekit.ErrCheckpointInvalid) && d.base != 0:
			return 0, true, stripekit.ErrCheckpointConflict
		case errors.Is(err, stripekit.ErrCheckpointInvalid):
			return 0, true, err
		case err != nil:
			return 0, false, err
		}
		found := sequence(present)
		switch {
		case found == expected:
			err = pause(ctx, retryWait)
		case present == nil && d.base == 0: // the mark has expired
		case present != nil && d.base == 0 && isMark(present.Header):
		case present != nil && doubtful && present.Header.Get(saveHeader) == d.id:
		default:
			return 0, true, stripekit.ErrCheckpointConflict
		}
		if err != nil {
			return 0, false, err
		}
		expected = found
	}
}

// remove replaces what is stored under a key by a mark, unless removable returns an
// error for it. The subject is not purged, since a purge takes effect whenever it
// arrives, and in a cluster passes by a save that is on its way to the followers. A mark
// is compared and ordered as a save is, and neither a late mark nor a late save undoes
// what was stored after it was sent. Where there is nothing to delete, but a doubt, a
// mark is stored nevertheless: a late save expects what is there now.
func (s *keyStream) remove(ctx context.Context, key string, mark *nats.Msg, removable func(*jetstream.RawStreamMsg) error) error {
	mark.Header.Set(deletedHeader, "true")
	mark.Header.Set(jetstream.MsgTTLHeader, markTTL.String())
	if err := sendable(ctx, s.js.Conn(), mark); err != nil {
		return err
	}
	for {
		last, err := s.lastOf(ctx, mark.Subject)
		if err != nil {
			return err
		}
		if last == nil || isMark(last.Header) {
			if !s.hasDoubt(key) {
				return nil
			}
		} else if err := removable(last); err != nil {
			return err
		}
		if _, err = s.publish(ctx, mark, sequence(last)); !isWrongSequence(err) {
			if err == nil {
				s.forget(key)
			}
			return err
		}
		if err := pause(ctx, time.Millisecond); err != nil {
			return err
		}
	}
}

// isMark reports whether the header is that of a message that marks a key as deleted.
func isMark(h nats.Header) bool { return h.Get(deletedHeader) != "" || h.Get(markerHeader) != "" }

// sequence returns the sequence number of a message, or 0 without one.
func sequence(m *jetstream.RawStreamMsg) uint64 {
	if m == nil {
		return 0
	}
	return m.Sequence
}

// lastOf returns the last message of a subject, or nil if there is none.
func (s *keyStream) lastOf(ctx context.Context, subject string) (*jetstream.RawStreamMsg, error) {
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
func (s *keyStream) publish(ctx context.Context, m *nats.Msg, expected uint64) (uint64, error) {
	m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(expected, 10))
	return s.send(ctx, m)
}

// send stores a message, and returns its sequence number.
func (s *keyStream) send(ctx context.Context, m *nats.Msg) (uint64, error) {
	m.Header.Set(jetstream.ExpectedStreamHeader, s.name)
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
