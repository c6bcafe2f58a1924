package natsstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/stripekit/stripekit"
)

const (
	// ackTimeout is how long a published message may be without a response.
	ackTimeout = 10 * time.Second
	// minWait and maxWait bound the wait before another try. It doubles each time.
	minWait = 100 * time.Millisecond
	maxWait = 5 * time.Second
	// maxOfflineWait bounds it while the connection is lost.
	maxOfflineWait = time.Second
	// lastAcks is how long the end waits for the responses to what is in flight.
	lastAcks = time.Second
	// stuckWrite is how long the end waits for a write on the connection.
	stuckWrite = lastAcks + time.Second/2
	// flushTimeout bounds the save at the end.
	flushTimeout = 10 * time.Second
	// lookTimeout bounds the wait for the settings of the stream.
	lookTimeout = time.Second
)

// Publish starts the Poller, and publishes each of its events to a subject that a
// stream of JetStream receives. It acknowledges an event when the stream has stored it.
// Message says what a message has. An event that has a DecodeErr is published like any
// other: its payload is complete, and its consumer may be able to decode it.
//
// Up to PollConfig.MaxUnacked messages are in flight at a time, in the order of the
// Poller. After a failure of the broker, what was in flight is sent again in the same
// order. Some events may be stored after later ones then, if the stream has refused
// some of what was in flight and stored others, if a cluster elects a leader meanwhile,
// or if the connection has kept a message while it was lost. The last does not happen
// with the option nats.ReconnectBufSize(-1) of the connection. None of it happens with
// a MaxUnacked of 1, which is slower: each event waits for the response to the one
// before.
//
// An event is published again if its response was lost, or if the program ended before
// the checkpoint was saved. The server drops the second message within the duplicate
// window of the stream (Duplicates, 2 minutes by default). A stream that must not have
// an event twice should have a window that is longer than the broker or the program
// may be down. Within that window the server also drops what is published again on
// purpose, after the checkpoint was deleted.
//
// While the broker cannot be reached, has no stream for the subject, or refuses
// messages, because the stream is full for example, Publish waits and tries again,
// without an end and without counting that as an attempt of the event. It logs this by
// PollConfig.Logger, and PollStatus.OldestUnacked grows. Meanwhile the Poller delivers
// no more than MaxUnacked events, and then stops fetching. If the connection is closed,
// Publish returns an error that wraps nats.ErrConnectionClosed.
//
// An event that is larger than the server or the stream accepts is given up at once, as
// by Event.Term, if PollConfig.OnGiveUp is set. Otherwise the event is redelivered, as
// after an error of the handler of Poller.Run, so that it is published once the limit
// has been raised. PollStatus.HandlerErr shows it, and PollConfig.MaxAttempts applies:
// if that is set, and OnGiveUp is not, the event is dropped after as many deliveries.
// The flow goes on behind it. Servers that leaf nodes connect should have the same
// max_payload: a message that only a server behind the first one refuses ends the
// connection between them, without a response, and is tried again without an end.
//
// At the beginning, and before each other try, Publish reads the settings of the stream.
// A stream with no_ack is an error: it does not say what it has stored. A message that
// is larger than max_bytes of the stream alone is too large. Where the settings cannot
// be read, because the permissions of the connection forbid it for example, neither is
// noticed. What the limits or the retention of a stream remove, Publish does not see: an
// event counts as published when the stream has responded. A stream with interest
// retention that has no consumer responds, and keeps nothing.
//
// Publish returns what Run returns. Before, it waits up to a second for the responses
// to what is in flight. It uses js for the settings of the stream, and the connection
// of js, with none of its options, for the events. PollConfig.Workers has no meaning.
func Publish[T any](ctx context.Context, p *stripekit.Poller[T], js jetstream.JetStream, subject string) error {
	if err := checkSubject(subject); err != nil {
		return err
	}
	r := &publisher[T]{
		poller: p, conn: js.Conn(), api: js, subject: subject, flow: p.Key(),
		inFlight: map[*nats.Msg]item[T]{}, wake: make(chan struct{}, 1),
	}
	own, err := r.asyncPublisher()
	if err != nil {
		return fmt.Errorf("natsstore: %w", err)
	}
	r.js = own
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if r.events, err = p.Start(ctx); err != nil {
		return err
	}
	err = r.run(ctx)
	cancel()
	for range r.events { // events are left if the connection is closed
	}
	flushing, stop := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer stop()
	saveErr := p.Flush(flushing)
	switch {
	case err != nil:
		return err
	case p.Err() != nil:
		return p.Err()
	}
	return saveErr
}

// publisher is one call of Publish. The fields from stream to ending are used by work
// alone.
//
// After a failure nothing is sent until all that is in flight has succeeded or failed.
// Then the first message that failed is sent as a probe. When it succeeds, the others
// follow. The Poller bounds how many there are.
type publisher[T any] struct {
	poller        *stripekit.Poller[T]
	conn          *nats.Conn
	api           jetstream.JetStream // the caller's
	js            jetstream.JetStream // for this publisher alone
	subject, flow string
	events        <-chan stripekit.Event[T]

	stream    jetstream.StreamConfig // as far as it is known; without a name if it is not
	inFlight  map[*nats.Msg]item[T]
	delivered uint64
	failed    []item[T] // to be sent again, and what is delivered meanwhile; sort before use
	probe     *nats.Msg // nil if no probe is in flight
	tries     int       // failures since the last success of a probe
	tryAt     time.Time // when the next probe is due; zero at once
	ending    bool      // nothing more is sent

	wake    chan struct{} // there are results
	mu      sync.Mutex
	results []result
}

// item is an event that is being published.
type item[T any] struct {
	event stripekit.Event[T]
	place uint64 // in the order of the events
}

// result is how the publishing of a message has ended.
type result struct {
	msg *nats.Msg
	err error
}

// asyncPublisher returns a JetStream whose results come to the publisher. That of the
// caller has other handlers and limits.
func (r *publisher[T]) asyncPublisher() (jetstream.JetStream, error) {
	return jetstream.New(r.conn,
		jetstream.WithPublishAsyncAckHandler(func(_ jetstream.JetStream, m *nats.Msg, _ *jetstream.PubAck) { r.report(m, nil) }),
		jetstream.WithPublishAsyncErrHandler(func(_ jetstream.JetStream, m *nats.Msg, err error) { r.report(m, err) }),
		jetstream.WithPublishAsyncTimeout(ackTimeout),
		jetstream.WithPublishAsyncMaxPending(r.poller.Config().MaxUnacked+1))
}

// report is called by the goroutines of the connection, and never blocks.
func (r *publisher[T]) report(m *nats.Msg, err error) {
	r.mu.Lock()
	r.results = append(r.results, result{m, err})
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// run runs work in a goroutine. A write on a connection whose server has stopped reading
// has no context: it ends by nats.FlusherTimeout, and work with it. run does not wait
// for that, and work cannot notice meanwhile that the Poller has ended.
func (r *publisher[T]) run(ctx context.Context) error {
	done := make(chan error, 1)
	go func() {
		err := r.work(ctx)
		r.js.CleanupPublisher()
		done <- err
	}()
	check := time.NewTicker(time.Second)
	defer check.Stop()
	for ctx.Err() == nil && r.poller.Err() == nil {
		select {
		case err := <-done:
			return err
		case <-ctx.Done():
		case <-check.C:
		}
	}
	timer := time.NewTimer(stuckWrite)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
		return nil
	}
}

// work publishes events until the Poller has ended or the connection is closed.
func (r *publisher[T]) work(ctx context.Context) error {
	closed := r.conn.StatusChanged(nats.CLOSED)
	defer r.conn.RemoveStatusListener(closed)
	if err := r.look(ctx); err != nil {
		return err
	}
	for {
		var retry <-chan time.Time
		if len(r.failed) > 0 && len(r.inFlight) == 0 {
			retry = time.After(time.Until(r.tryAt))
		}
		select {
		case <-ctx.Done():
			r.finish(ctx)
			return nil
		case <-r.wake:
			r.settle(ctx)
		case e, ok := <-r.events:
			if !ok {
				r.finish(ctx)
				return nil
			}
			r.delivered++
			r.send(ctx, item[T]{e, r.delivered})
		case <-closed:
			r.settle(ctx) // what has come before
			return r.look(ctx)
		case <-retry:
			if err := r.look(ctx); err != nil {
				return err
			}
			r.sortFailed()
			first := r.failed[0]
			r.failed, r.tryAt = r.failed[1:], time.Time{}
			r.probe = r.publish(ctx, first)
		}
	}
}

// finish waits for the responses to what is in flight.
func (r *publisher[T]) finish(ctx context.Context) {
	r.ending = true
	timer := time.NewTimer(lastAcks)
	defer timer.Stop()
	for len(r.inFlight) > 0 {
		select {
		case <-r.wake:
			r.settle(ctx)
		case <-timer.C:
			return
		}
	}
}

// look reads the settings of the stream. It returns an error if there is no sense in
// another try.
func (r *publisher[T]) look(ctx context.Context) error {
	r.stream = jetstream.StreamConfig{}
	switch {
	case r.conn.IsClosed():
		return fmt.Errorf("natsstore: publishing to %s: %w", r.subject, nats.ErrConnectionClosed)
	case !r.conn.IsConnected():
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	name, err := r.api.StreamNameBySubject(ctx, r.subject)
	if err != nil {
		return nil // not known
	}
	stream, err := r.api.Stream(ctx, name)
	if err != nil {
		return nil
	}
	r.stream = stream.CachedInfo().Config
	if r.stream.NoAck {
		return fmt.Errorf("natsstore: publishing to %s: stream %s has no_ack, and does not say what it has stored", r.subject, name)
	}
	return nil
}

// fits returns an error if a message is larger than max_bytes of the stream. That may
// have been raised, so it is read again before.
func (r *publisher[T]) fits(ctx context.Context, m *nats.Msg) error {
	exceeds := func() bool { return r.stream.MaxBytes > 0 && storedSize(m, r.stream.Storage) > r.stream.MaxBytes }
	if !exceeds() {
		return nil
	}
	if err := r.look(ctx); err != nil {
		return err
	}
	if !exceeds() {
		return nil
	}
	return fmt.Errorf("%d bytes in stream %s, which has %d: %w", storedSize(m, r.stream.Storage), r.stream.Name, r.stream.MaxBytes, errMaxBytes)
}

// storedSize returns how many bytes of max_bytes a message with a header takes.
func storedSize(m *nats.Msg, storage jetstream.StorageType) int64 {
	const inFile, inMemory = 34, 16 // what the server adds
	if storage == jetstream.MemoryStorage {
		return int64(m.Size() + inMemory)
	}
	return int64(m.Size() + inFile)
}

// send publishes an event, unless others have failed, which come first.
func (r *publisher[T]) send(ctx context.Context, it item[T]) {
	if len(r.failed) > 0 || r.probe != nil {
		r.failed = append(r.failed, it)
		return
	}
	r.publish(ctx, it)
}

// publish sends the message of an event, and returns it. If it cannot be sent, the
// result is nil, and the event is among those that failed, or given up.
func (r *publisher[T]) publish(ctx context.Context, it item[T]) *nats.Msg {
	m := message(r.subject, r.flow, it.event)
	err := sendable(ctx, r.conn, m)
	if err == nil {
		err = r.fits(ctx, m)
	}
	if err == nil {
		_, err = r.js.PublishMsgAsync(m, jetstream.WithRetryAttempts(0))
	}
	if err != nil {
		r.fail(it, err)
		return nil
	}
	r.inFlight[m] = it
	return m
}

// settle does what the results require.
func (r *publisher[T]) settle(ctx context.Context) {
	r.mu.Lock()
	results := r.results
	r.results = nil
	r.mu.Unlock()
	for _, res := range results {
		it, ok := r.inFlight[res.msg]
		if !ok {
			continue
		}
		delete(r.inFlight, res.msg)
		probe := res.msg == r.probe
		if probe {
			r.probe = nil
		}
		if res.err == nil {
			r.poller.Handled(it.event, nil)
		} else {
			r.fail(it, res.err)
		}
		if probe && (res.err == nil || isTooLarge(res.err)) {
			r.tries = 0
			r.sendFailed(ctx)
		}
	}
}

// sendFailed sends what has failed, after a probe has shown that the broker is there.
func (r *publisher[T]) sendFailed(ctx context.Context) {
	r.sortFailed()
	again := r.failed
	r.failed = nil
	for _, it := range again {
		if r.ending {
			return
		}
		r.send(ctx, it)
	}
}

// sortFailed sorts what has failed in the order of the events. The results of many that
// were in flight come in any order, if the connection is lost.
func (r *publisher[T]) sortFailed() {
	slices.SortFunc(r.failed, func(a, b item[T]) int { return cmp.Compare(a.place, b.place) })
}

// fail notes that an event was not published.
func (r *publisher[T]) fail(it item[T], err error) {
	if isTooLarge(err) {
		r.refuse(it.event, fmt.Errorf("natsstore: publishing event %s: %w", it.event.ID, err))
		return
	}
	r.failed = append(r.failed, it)
	if r.ending || !r.tryAt.IsZero() {
		return // there is no other try, or it is one of several that were in flight
	}
	wait := min(minWait<<min(r.tries, 10), maxWait)
	if !r.conn.IsConnected() {
		wait = min(wait, maxOfflineWait)
	}
	r.tries++
	r.tryAt = time.Now().Add(wait)
	r.poller.Config().Logger.Warn("stripe events not published, another try",
		"key", r.flow, "subject", r.subject, "events", len(r.failed), "error", err)
}

// refuse ends the delivery of an event that is too large.
func (r *publisher[T]) refuse(e stripekit.Event[T], err error) {
	if r.poller.Config().OnGiveUp != nil {
		e.Term(err)
		return
	}
	r.poller.Handled(e, err)
}

const (
	messageTooLarge jetstream.ErrorCode = 10054
	headerTooLarge  jetstream.ErrorCode = 10097
)

// errMaxBytes: the stream can never store the message. The server has no error of its
// own for that: it responds as if the stream were full at present, or stores the message
// and removes it at once, as discard of the stream says.
var errMaxBytes = errors.New("message exceeds max_bytes of the stream")

// isTooLarge reports whether a message is larger than the server or the stream accepts.
func isTooLarge(err error) bool {
	var api *jetstream.APIError
	return errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, errMaxBytes) ||
		errors.As(err, &api) && (api.ErrorCode == messageTooLarge || api.ErrorCode == headerTooLarge)
}
