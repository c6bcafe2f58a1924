package natsstore

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// defaultTimeout bounds an operation whose context has no deadline.
	defaultTimeout = 5 * time.Second
	// retryWait is the wait before a request is repeated.
	retryWait = 20 * time.Millisecond
	// electionWait is the wait before another publish if the stream has no leader.
	electionWait = 200 * time.Millisecond
)

// bound returns a context with a deadline.
func bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, defaultTimeout)
}

// whileConnected returns a context with a deadline that also ends when the connection is
// lost. The response to a request under way is lost with it, so that a wait for the
// deadline would be in vain.
func whileConnected(ctx context.Context, conn *nats.Conn) (context.Context, context.CancelFunc) {
	ctx, cancel := bound(ctx)
	ctx, end := untilLost(ctx, conn)
	return ctx, func() {
		end(nil)
		cancel()
	}
}

// untilLost returns a context that ends when the connection is lost. It must be ended.
func untilLost(ctx context.Context, conn *nats.Conn) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	lost := conn.StatusChanged(nats.RECONNECTING, nats.DISCONNECTED, nats.CLOSED)
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-lost:
			cancel(nats.ErrDisconnected)
		case <-ctx.Done():
		}
	}()
	return ctx, func(cause error) {
		cancel(cause)
		<-done
		conn.RemoveStatusListener(lost)
	}
}

// endOf returns the error of an operation with a context of whileConnected.
func endOf(ctx context.Context, err error) error {
	if errors.Is(err, context.Canceled) && errors.Is(context.Cause(ctx), nats.ErrDisconnected) {
		return nats.ErrDisconnected
	}
	return err
}

// pause waits, or returns the error of the context.
func pause(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
