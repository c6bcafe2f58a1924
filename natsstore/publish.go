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
)

// Publish starts the Poller, and publishes each of its events to a subject that a
// stream of JetStream receives. It acknowledges an event when the stream has stored it.
// Message says what a message has. An event that has a DecodeErr is published like any
// other: its payload is complete, and its consumer may be able to decode it.
//
// Up to PollConfig.MaxUnacked messages are in flight at a time, in the order of the
// Poller. After a failure of the broker, what was in flight is sent again in the same
// order. Some events may be stored after later ones then, if a cluster elects a leader
// meanwhile, or if the connection has kept a message while it was lost. The latter does
// not happen with the option nats.ReconnectBufSize(-1) of the connection.
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
// by Event.Term, if PollConfig.OnGiveUp is set. Otherwise nothing may be dropped: the
// event is redelivered, as after an error of the handler of Poller.Run, so that it is
// published once the limit has been raised. PollStatus.HandlerErr shows it. The flow
// goes on behind it.
//
// Publish returns what Run returns. Before, it waits up to a second for the responses
// to what is in flight. It uses the connection of js, and none of its options.
// PollConfig.Workers has no meaning.
func Publish[T any](ctx context.Context, p *stripekit.Poller[T], js jetstream.JetStream, subject string) error {
	if err := checkSubject(subject); err != nil {
		return err
	}
	r := &publisher[T]{
		poller: p, conn: js.Conn(), subject: subject, flow: p.Key(),
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

// publisher is one call of Publish. The fields from inFlight to ending are used by
// work alone.
//
// After a failure nothing is sent until all that is in flight has succeeded or failed.
// Then the first message that failed is sent as a probe. When it succeeds, the others
// follow. The Poller bounds how many there are.
type publisher[T any] struct {
	poller        *stripekit.Poller[T]
	conn          *nats.Conn
	js            jetstream.JetStream // for this publisher alone
	subject, flow string
	events        <-chan stripekit.Event[T]

	inFlight  map[*nats.Msg]item[T]
	delivered uint64
	failed    []item[T] // to be sent again, in order; what is delivered meanwhile is added
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
// for that.
func (r *publisher[T]) run(ctx context.Context) error {
	done := make(chan error, 1)
	go func() {
		err := r.work(ctx)
		r.js.CleanupPublisher()
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
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
		case <-retry:
			if r.conn.IsClosed() {
				return fmt.Errorf("natsstore: publishing to %s: %w", r.subject, nats.ErrConnectionClosed)
			}
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
	again := r.failed
	r.failed = nil
	for _, it := range again {
		if r.ending {
			return
		}
		r.send(ctx, it)
	}
}

// fail notes that an event was not published.
func (r *publisher[T]) fail(it item[T], err error) {
	if isTooLarge(err) {
		r.refuse(it.event, fmt.Errorf("natsstore: publishing event %s: %w", it.event.ID, err))
		return
	}
	at, _ := slices.BinarySearchFunc(r.failed, it.place, func(it item[T], place uint64) int { return cmp.Compare(it.place, place) })
	r.failed = slices.Insert(r.failed, at, it)
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

// isTooLarge reports whether a message is larger than the server or the stream accepts.
func isTooLarge(err error) bool {
	var api *jetstream.APIError
	return errors.Is(err, nats.ErrMaxPayload) ||
		errors.As(err, &api) && (api.ErrorCode == messageTooLarge || api.ErrorCode == headerTooLarge)
}
