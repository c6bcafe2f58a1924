package natsstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/stripekit/stripekit"
)

// maxEngineKey is the longest key of a record, in bytes.
const maxEngineKey = 200

// settleWait is the wait before a Put is stored again, see Engine.settle.
const settleWait = 50 * time.Millisecond

// Engine keeps the records of a fleet in a stream of JetStream: it is a fleet.Engine.
// Any number of goroutines and processes may use the same stream. CreateEngine and
// OpenEngine make one.
//
// A record is the last message of a subject, which is the name of the stream and the
// key, with ":" for each ".". Its revision is twice the sequence number of the message.
// The removal of a record is a message, too, which the stream keeps for an hour. Its
// revision is odd, so that no Put takes it for that of a record. As with a Store, the
// numbers do not return if the stream is deleted and created again, and may return if it
// is restored from a backup: end the fleet before.
//
// The server counts a ttl in whole seconds, by the clock of the leader of the stream. A
// ttl is rounded up. If another server becomes the leader, a record may be removed too
// early by as much as the clocks of the servers differ: keep them synchronized.
//
// The leader of the stream responds to a Get, never a follower that may be behind. Only
// while the network splits a cluster may a leader that is being replaced respond with
// what is no longer so. A Put and a Delete compare in the majority of the cluster.
//
// An operation whose context has no deadline ends after 5 seconds. Get, Put and Delete
// return an error that wraps nats.ErrDisconnected as soon as the connection is lost.
// While it is lost, Put and Delete do so at once, instead of being sent later. The limit
// of a value is that of the data of Store.Save.
type Engine struct {
	*keyStream

	leaseMu sync.Mutex
	leases  map[string]lease
	sweepAt int // how many leases there are at the next sweep
}

// lease is the last known record of a key, if that has a ttl.
type lease struct {
	sequence uint64
	until    time.Time // it is not removed before; zero if that is not known
}

func newEngine(s *keyStream) *Engine { return &Engine{keyStream: s, leases: map[string]lease{}} }

// Get returns the value under key and its revision, or nil and 0 if there is none.
func (e *Engine) Get(ctx context.Context, key string) (value []byte, revision uint64, err error) {
	if err := checkEngineKey(key); err != nil {
		return nil, 0, err
	}
	ctx, cancel := whileConnected(ctx, e.js.Conn())
	defer cancel()
	m, err := e.lastOf(ctx, e.subject(key))
	switch {
	case err != nil:
		return nil, 0, fmt.Errorf("natsstore: getting record %q: %w", key, endOf(ctx, err))
	case m == nil:
		return nil, 0, nil
	}
	e.note(key, m.Header, m.Sequence)
	if isMark(m.Header) {
		return nil, 0, nil
	}
	return notNil(m.Data), recordRevision(m.Sequence), nil
}

// Put stores a value if the revision of what is stored under the key equals revision (0:
// nothing is stored), and returns the new revision. Otherwise it returns an error that
// wraps stripekit.ErrCheckpointConflict. If ttl is not 0, the server removes the record
// when ttl has passed, rounded up to whole seconds, within a second.
//
// After any other error the record is stored, or not, or is stored a little later. The
// same Engine then accepts another Put with the same revision, unless the record was
// removed or another Engine has changed it since.
//
// A Put that replaces a record whose ttl may be over already is stored twice, with
// another revision. Only the second one is returned, but a Watch may observe both.
func (e *Engine) Put(ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration) (uint64, error) {
	switch err := checkEngineKey(key); {
	case err != nil:
		return 0, err
	case value == nil:
		return 0, errors.New("natsstore: the value of a record must not be nil")
	case ttl < 0:
		return 0, fmt.Errorf("natsstore: the ttl %v is negative", ttl)
	case isRemoval(revision):
		return 0, fmt.Errorf("natsstore: putting record %q: %w", key, stripekit.ErrCheckpointConflict)
	}
	ctx, cancel := whileConnected(ctx, e.js.Conn())
	defer cancel()
	next, err := e.put(ctx, key, value, revision/2, ttl)
	if err != nil {
		return 0, fmt.Errorf("natsstore: putting record %q: %w", key, endOf(ctx, err))
	}
	return recordRevision(next), nil
}

func (e *Engine) put(ctx context.Context, key string, value []byte, base uint64, ttl time.Duration) (next uint64, err error) {
	d, doubtful := e.begin(key, base)
	m := &nats.Msg{Subject: e.subject(key), Data: value, Header: nats.Header{saveHeader: {d.id}}}
	if ttl > 0 {
		seconds := int64((ttl-1)/time.Second) + 1
		m.Header.Set(jetstream.MsgTTLHeader, strconv.FormatInt(seconds, 10)+"s")
	}
	began := time.Now()
	next, known, err := e.save(ctx, m, d, doubtful, e.last(m.Subject))
	if err == nil && (doubtful || !e.inTime(key, base, ttl)) {
		doubtful = true
		next, began, known, err = e.settle(ctx, m, doubt{base: next, id: d.id}, began, ttl)
	}
	e.end(key, d, doubtful, known, err)
	if err == nil {
		e.setLease(key, next, began, ttl)
	}
	return next, err
}

// settle stores a message again that may have replaced one whose ttl was over. For the
// removal by ttl compares nothing: the server looks whether the last message of the
// subject is over, and then stores the marker behind whatever has replaced that message
// meanwhile. In a cluster that is all that is on its way to the followers, so that a
// renewal that was sent in time may be removed as soon as it is stored.
//
// The first message is stored, and so the server will not look at the one before any
// more. The marker, if there is one, is in front of the second message, which is refused
// then: it is a conflict. The wait is for a server that has looked, and not yet stored.
//
// stored is the first message, which was sent at sent or after that.
func (e *Engine) settle(
	ctx context.Context, m *nats.Msg, stored doubt, sent time.Time, ttl time.Duration,
) (next uint64, began time.Time, known bool, err error) {
	for {
		if err := pause(ctx, settleWait); err != nil {
			return 0, began, false, err
		}
		began = time.Now()
		next, known, err = e.save(ctx, m, stored, true, e.last(m.Subject))
		if err != nil || ttl == 0 || time.Since(sent) < ttl {
			return next, began, known, err
		}
		stored.base, sent = next, began
	}
}

// last returns the function that save needs.
func (e *Engine) last(subject string) func(context.Context) (*jetstream.RawStreamMsg, error) {
	return func(ctx context.Context) (*jetstream.RawStreamMsg, error) { return e.lastOf(ctx, subject) }
}

// Delete removes the record if its revision equals revision. Otherwise it returns an
// error that wraps stripekit.ErrCheckpointConflict. If there is no record, it returns
// nil. After any other error Delete may be repeated.
func (e *Engine) Delete(ctx context.Context, key string, revision uint64) error {
	if err := checkEngineKey(key); err != nil {
		return err
	}
	ctx, cancel := whileConnected(ctx, e.js.Conn())
	defer cancel()
	// The server takes the mark for one of its own then, and leaves no other in its place.
	mark := &nats.Msg{Subject: e.subject(key), Header: nats.Header{markerHeader: {"Remove"}}}
	err := e.remove(ctx, key, mark, func(m *jetstream.RawStreamMsg) error {
		if recordRevision(m.Sequence) != revision {
			return stripekit.ErrCheckpointConflict
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("natsstore: deleting record %q: %w", key, endOf(ctx, err))
	}
	return nil
}

// The sequence number of a message is less than half of the largest uint64.

func recordRevision(sequence uint64) uint64  { return 2 * sequence }
func removalRevision(sequence uint64) uint64 { return 2*sequence + 1 }
func isRemoval(revision uint64) bool         { return revision%2 == 1 }

// notNil returns data, or an empty slice.
func notNil(data []byte) []byte {
	if data == nil {
		return []byte{}
	}
	return data
}

// subject returns the subject of a key: the key is one token, which may contain
// anything but dots, spaces and wildcards.
func (e *Engine) subject(key string) string { return e.name + "." + strings.ReplaceAll(key, ".", ":") }

// keyOf returns the key that has a subject.
func (e *Engine) keyOf(subject string) (key string, ok bool) {
	token, ok := strings.CutPrefix(subject, e.name+".")
	if !ok || strings.Contains(token, ".") {
		return "", false
	}
	key = strings.ReplaceAll(token, ":", ".")
	return key, checkEngineKey(key) == nil
}

func checkEngineKey(key string) error {
	outside := func(r rune) bool { return !isAlphanumeric(r) && !strings.ContainsRune("-_./", r) }
	if key == "" || len(key) > maxEngineKey || strings.ContainsFunc(key, outside) ||
		!isAlphanumeric(rune(key[0])) || !isAlphanumeric(rune(key[len(key)-1])) {
		return fmt.Errorf("natsstore: invalid key %.*q: a key has 1 to %d bytes: ASCII letters, digits and -_./, with a letter or digit at both ends", maxEngineKey, key, maxEngineKey)
	}
	return nil
}

func isAlphanumeric(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}

// inTime reports whether a message that was stored just now has replaced one before the
// ttl of that one was over.
func (e *Engine) inTime(key string, base uint64, ttl time.Duration) bool {
	now := time.Now()
	e.leaseMu.Lock()
	defer e.leaseMu.Unlock()
	known := e.leases[key]
	if base == 0 || known.sequence != base {
		// Without a lease, the replaced record has most likely a ttl if the new one has.
		return base == 0 || ttl == 0
	}
	return now.Before(known.until)
}

// setLease notes what Put has stored. It was sent at began, or after that.
func (e *Engine) setLease(key string, sequence uint64, began time.Time, ttl time.Duration) {
	e.leaseMu.Lock()
	defer e.leaseMu.Unlock()
	switch known := e.leases[key]; {
	case sequence < known.sequence: // another one has replaced it
	case ttl == 0:
		delete(e.leases, key)
	default:
		e.leases[key] = lease{sequence, began.Add(ttl)}
		e.sweep()
	}
}

// note notes the last message of a key, which Get or Watch has received.
func (e *Engine) note(key string, header nats.Header, sequence uint64) {
	e.leaseMu.Lock()
	defer e.leaseMu.Unlock()
	switch known, ok := e.leases[key]; {
	case sequence <= known.sequence:
	case !isMark(header) && header.Get(jetstream.MsgTTLHeader) != "":
		e.leases[key] = lease{sequence: sequence}
		e.sweep()
	case ok:
		delete(e.leases, key)
	}
}

// sweep forgets leases that are over, if there are many. The caller holds the lock.
func (e *Engine) sweep() {
	if len(e.leases) < e.sweepAt {
		return
	}
	now := time.Now()
	maps.DeleteFunc(e.leases, func(_ string, l lease) bool { return !now.Before(l.until) })
	e.sweepAt = 2*len(e.leases) + 1000
}
