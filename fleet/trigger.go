package fleet

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/stripekit/stripekit"
)

// Flow identifies what an event comes from: a trigger of a connection.
type Flow struct {
	Connection string // Spec.Name
	Trigger    string
	// Key is the key of the checkpoint: Poller.Key.
	Key string
}

// FlowFromContext returns the Flow of the context that a handler is called with: that
// of Watch, a function of WatchPoller, or Config.OnGiveUp. It returns the zero Flow for
// any other context.
func FlowFromContext(ctx context.Context) Flow {
	f, _ := ctx.Value(flowKey{}).(Flow)
	return f
}

type flowKey struct{}

// flowContext is a context with a Flow. It is smaller than one of context.WithValue.
type flowContext struct {
	context.Context
	flow *flow
}

func (c flowContext) Value(key any) any {
	if key == (flowKey{}) {
		return c.flow.identity()
	}
	return c.Context.Value(key)
}

// trigger makes the Pollers of a name.
type trigger func(client *stripekit.Client, cfg stripekit.PollConfig, held func() bool) (poller, error)

// poller is a stripekit.Poller of any type.
type poller interface {
	Status() stripekit.PollStatus
	Key() string
	Err() error
	// start starts the Poller, or returns an error. ended is called at its end.
	start(ctx context.Context, ended func(error)) error
}

// errNotHeld: the worker does not hold the shard any more.
var errNotHeld = errors.New("fleet: this worker does not hold the shard of the connection any more")

// Watch defines what a trigger does in this process: a Poller of src on each
// connection that has it, and h for each event. h is called as the handler of
// Poller.Run, one event of a connection at a time, and those of different connections
// concurrently. FlowFromContext tells it which connection it is. A panic of h counts as
// an error of it. Between two polls a connection uses no goroutine. The client that src
// gets is read-only: a handler that changes something in Stripe makes one of its own.
//
// h gets each event at least once. It may get an event twice if a worker dies or loses
// its shards before the acknowledgement is saved: h should then find out by the id of
// the object that it was there before. See WatchPoller for events that are written
// exactly once.
//
// Watch must be called before Run. It returns an error if the name is taken.
func Watch[T any](f *Fleet, name string, src func(*stripekit.Client) stripekit.Source[T], h func(ctx context.Context, e stripekit.Event[T]) error) error {
	if src == nil || h == nil {
		return fmt.Errorf("fleet: trigger %q: a function is nil", name)
	}
	return f.register(name, func(client *stripekit.Client, cfg stripekit.PollConfig, held func() bool) (poller, error) {
		p, err := stripekit.NewPoller(src(client), cfg)
		if err != nil {
			return nil, err
		}
		return handled[T]{p, h, held}, nil
	})
}

// handled is a Poller with a handler.
type handled[T any] struct {
	*stripekit.Poller[T]
	handle func(context.Context, stripekit.Event[T]) error
	held   func() bool
}

func (p handled[T]) start(ctx context.Context, ended func(error)) error {
	return p.Handle(ctx, func(ctx context.Context, e stripekit.Event[T]) (err error) {
		if !p.held() {
			<-ctx.Done() // soon; an error before would count as an attempt
			return errNotHeld
		}
		defer func() {
			if v := recover(); v != nil {
				err = &stripekit.PanicError{Value: v, Stack: debug.Stack()}
			}
		}()
		return p.handle(ctx, e)
	}, ended)
}

// WatchPoller defines what a trigger does in this process: run is called with a Poller
// of src for each connection that has it, in a goroutine of its own. It starts the
// Poller, as sqlstore.RunTx, natsstore.Publish and Poller.Run do, and returns at its
// end, which comes soon after that of ctx:
//
//	fleet.WatchPoller(f, "charges.new", charges, func(ctx context.Context, p *stripekit.Poller[stripekit.Charge]) error {
//		return sqlstore.RunTx(ctx, p, 100, book)
//	})
//
// That this worker still has the shard is checked before each request and save, and not
// before each event as in Watch. sqlstore.RunTx checks it before each commit. What else
// run does with an event may happen once more in the worker that follows.
//
// When run returns or panics although ctx has not ended, it is called again later, with
// another Poller, unless the error is permanent: then the flow is parked until a Put.
//
// WatchPoller must be called before Run. It returns an error if the name is taken.
func WatchPoller[T any](f *Fleet, name string, src func(*stripekit.Client) stripekit.Source[T], run func(ctx context.Context, p *stripekit.Poller[T]) error) error {
	if src == nil || run == nil {
		return fmt.Errorf("fleet: trigger %q: a function is nil", name)
	}
	return f.register(name, func(client *stripekit.Client, cfg stripekit.PollConfig, _ func() bool) (poller, error) {
		p, err := stripekit.NewPoller(src(client), cfg)
		if err != nil {
			return nil, err
		}
		return ran[T]{p, run}, nil
	})
}

// ran is a Poller that a function runs.
type ran[T any] struct {
	*stripekit.Poller[T]
	run func(context.Context, *stripekit.Poller[T]) error
}

func (p ran[T]) start(ctx context.Context, ended func(error)) error {
	go func() {
		err := errors.New("fleet: the function of WatchPoller called runtime.Goexit")
		defer func() { ended(err) }()
		defer func() {
			if v := recover(); v != nil {
				err = &stripekit.PanicError{Value: v, Stack: debug.Stack()}
			}
		}()
		err = p.run(ctx, p.Poller)
	}()
	return nil
}
