package natsstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// beaconPeriod is the time from one beacon of a Watch to the next one.
	beaconPeriod = 5 * time.Second
	// stuckTime is how long a beacon may be stored and not received, while nothing else is.
	stuckTime = 10 * time.Second
	// maxOutage is how long a Watch goes on while it receives nothing at all.
	maxOutage = time.Minute
	// maxLag is how old the last beacon that was received may be. It is less than markTTL by
	// so much that clocks do not matter.
	maxLag = markTTL / 2
	// watchHeartbeat is how often the server says that there is nothing. A Watch begins
	// anew when that is missing twice.
	watchHeartbeat = time.Second
	// watchExpiry is how long the server keeps a request of a Watch.
	watchExpiry = 10 * time.Second
	// watchBuffer is how many messages a Watch receives ahead.
	watchBuffer = 256
	// watchLeft is how long the server keeps the consumer of a Watch that was left.
	watchLeft = time.Minute
	// resumeWait is the wait before another try to receive messages.
	resumeWait = 100 * time.Millisecond
)

var (
	errGap      = errors.New("messages are missing")
	errStuck    = errors.New("what is stored does not arrive")
	errLag      = fmt.Errorf("it is behind by more than %v, so that removals may be missing", maxLag)
	errOutage   = fmt.Errorf("nothing has arrived for %v", maxOutage)
	errReplaced = errors.New("the stream was deleted and created again")
)

// Watch calls observe with each record, then once with an empty key, and then with each
// change, until ctx ends or it cannot go on. It returns an error in either case. A
// removed record has the value nil. observe is called by one goroutine at a time, and
// must not block.
//
// After a lost connection, or if the server that it receives messages from fails, Watch
// goes on where it was. It returns an error if nothing arrives for a minute, if the
// stream was deleted, and if the connection is closed.
//
// Each Watch stores a small message every five seconds, by which it knows that it
// receives what is stored.
func (e *Engine) Watch(ctx context.Context, observe func(key string, value []byte, revision uint64)) error {
	w := &watch{engine: e, observe: observe, seen: map[string]bool{}, interrupt: func(error) {}}
	return fmt.Errorf("natsstore: watching stream %q: %w", e.name, w.run(ctx))
}

// watch is one call of Watch.
//
// It receives the messages of a consumer in the order of their sequence numbers. When a
// consumer is lost, another one begins behind the last message. What was removed
// meanwhile has a marker there, for an hour.
//
// Its beacons are messages under one subject, in which all calls of Watch replace each
// other's. Whoever has received a message with the number of a beacon, or a greater one,
// has received everything that was stored before the beacon.
type watch struct {
	engine  *Engine
	observe func(key string, value []byte, revision uint64)
	created time.Time       // of the stream
	first   uint64          // the sequence number of the first beacon
	synced  bool            // observe was called with an empty key
	seen    map[string]bool // the keys that were observed before that

	mu        sync.Mutex
	last      uint64      // the sequence number of the last message that was received
	moved     time.Time   // when that was
	confirmed time.Time   // everything stored before was received
	beacons   []beacon    // that were stored and not received
	interrupt func(error) // ends the use of the current consumer
}

// beacon is one that was stored.
type beacon struct {
	sequence uint64
	sent     time.Time
}

func (w *watch) run(ctx context.Context) error {
	if err := w.begin(ctx); err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.keepSending(ctx, stop)
	}()
	defer func() {
		stop(nil)
		<-done
	}()
	for {
		err := w.receive(ctx)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case w.engine.js.Conn().IsClosed():
			return nats.ErrConnectionClosed
		case isFinal(err):
			return err
		case w.idle() > maxOutage:
			return fmt.Errorf("%w: %w", errOutage, err)
		}
		if err := pause(ctx, resumeWait); err != nil {
			return context.Cause(ctx)
		}
	}
}

// begin stores the first beacon.
func (w *watch) begin(ctx context.Context) error {
	conn := w.engine.js.Conn()
	ctx, cancel := whileConnected(ctx, conn)
	defer cancel()
	if !conn.IsConnected() {
		return nats.ErrDisconnected
	}
	info, err := w.engine.stream.Info(ctx)
	if err != nil {
		return endOf(ctx, err)
	}
	w.created = info.Created
	w.moved, w.confirmed = time.Now(), time.Now()
	if w.first, err = w.engine.sendBeacon(ctx); err != nil {
		return endOf(ctx, err)
	}
	return nil
}

// sendBeacon stores a beacon of a Watch. No key has its subject.
func (e *Engine) sendBeacon(ctx context.Context) (sequence uint64, err error) {
	return e.send(ctx, &nats.Msg{Subject: e.name + ".~watch", Header: nats.Header{}})
}

// keepSending stores beacons until ctx ends, and looks after those that are not received.
func (w *watch) keepSending(ctx context.Context, stop context.CancelCauseFunc) {
	ticker := time.NewTicker(beaconPeriod)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		sent := time.Now()
		sending, cancel := whileConnected(ctx, w.engine.js.Conn())
		sequence, err := w.engine.sendBeacon(sending)
		cancel()
		w.mu.Lock()
		if err == nil {
			w.beacons = append(w.beacons, beacon{sequence, sent})
			w.confirm()
		}
		lag, interrupt := since(w.confirmed), w.interrupt
		stuck := len(w.beacons) > 0 && since(w.beacons[0].sent) > stuckTime && since(w.moved) > stuckTime
		w.mu.Unlock()
		switch {
		case lag > maxLag:
			stop(errLag)
		case stuck:
			interrupt(errStuck)
		}
	}
}

// confirm drops the beacons that were received. The caller holds the lock.
func (w *watch) confirm() {
	for len(w.beacons) > 0 && w.beacons[0].sequence <= w.last {
		w.confirmed, w.beacons = w.beacons[0].sent, w.beacons[1:]
	}
}

// since returns how long ago a time was, by the monotonic clock, which may stop while
// the machine sleeps, or by the other one, whichever says more.
func since(t time.Time) time.Duration {
	return max(time.Since(t), time.Now().Round(0).Sub(t.Round(0)))
}

func (w *watch) idle() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return since(w.moved)
}

// receive receives messages from one consumer until that fails.
func (w *watch) receive(ctx context.Context) error {
	conn := w.engine.js.Conn()
	ctx, end := untilLost(ctx, conn)
	defer end(nil)
	w.mu.Lock()
	w.interrupt = end
	w.mu.Unlock()
	if !conn.IsConnected() {
		return nats.ErrDisconnected
	}
	consumer, err := w.consumer(ctx)
	if err != nil {
		return err
	}
	defer w.deleteConsumer(ctx, consumer.CachedInfo().Name)
	if err := w.sameStream(ctx); err != nil {
		return err
	}
	messages, err := consumer.Messages(
		jetstream.PullMaxMessages(watchBuffer), jetstream.PullExpiry(watchExpiry), jetstream.PullHeartbeat(watchHeartbeat),
		jetstream.WithMessagesErrOnMissingHeartbeat(true))
	if err != nil {
		return err
	}
	defer messages.Stop()
	for n := uint64(1); ; n++ {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return err
		}
		meta, err := m.Metadata()
		switch {
		case err != nil:
			return err
		case meta.Sequence.Consumer != n:
			return errGap
		case ctx.Err() != nil:
			return context.Cause(ctx)
		}
		if err := w.receiveMessage(m, meta.Sequence.Stream); err != nil {
			return err
		}
	}
}

// consumer creates a consumer that begins behind the last message.
func (w *watch) consumer(ctx context.Context) (jetstream.Consumer, error) {
	creating, cancel := bound(ctx)
	defer cancel()
	cfg := jetstream.ConsumerConfig{
		AckPolicy: jetstream.AckNonePolicy, DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy, FilterSubject: w.engine.name + ".>",
		MemoryStorage: true, Replicas: 1, InactiveThreshold: watchLeft,
	}
	if w.last != 0 {
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, w.last+1
	}
	return w.engine.stream.CreateConsumer(creating, cfg)
}

// deleteConsumer deletes a consumer. If it fails, the server does it after watchLeft.
func (w *watch) deleteConsumer(ctx context.Context, name string) {
	if !w.engine.js.Conn().IsConnected() {
		return
	}
	deleting, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = w.engine.stream.DeleteConsumer(deleting, name)
}

// sameStream returns an error if the stream is another one than at the beginning.
func (w *watch) sameStream(ctx context.Context) error {
	asking, cancel := bound(ctx)
	defer cancel()
	info, err := w.engine.stream.Info(asking)
	if err == nil && !info.Created.Equal(w.created) {
		return errReplaced
	}
	return err
}

// receiveMessage calls observe with what a message says.
func (w *watch) receiveMessage(m jetstream.Msg, sequence uint64) error {
	if !w.synced && sequence >= w.first {
		w.synced, w.seen = true, nil
		w.observe("", nil, 0)
	}
	if key, ok := w.engine.keyOf(m.Subject()); ok {
		w.engine.note(key, m.Headers(), sequence)
		switch {
		case !isMark(m.Headers()):
			w.observe(key, notNil(m.Data()), recordRevision(sequence))
			if !w.synced {
				w.seen[key] = true
			}
		case w.synced || w.seen[key]:
			w.observe(key, nil, removalRevision(sequence))
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if since(w.confirmed) > maxLag {
		return errLag
	}
	w.last, w.moved = sequence, time.Now()
	w.confirm()
	return nil
}

// isFinal reports whether there is no sense in another consumer after an error.
func isFinal(err error) bool {
	var api *jetstream.APIError
	return errors.Is(err, errReplaced) || errors.Is(err, errLag) || errors.Is(err, jetstream.ErrStreamNotFound) ||
		errors.As(err, &api) && api.Code >= 400 && api.Code < 500
}
