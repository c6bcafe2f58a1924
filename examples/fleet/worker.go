package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/fleet"
	"github.com/stripekit/stripekit/internal/shops"
	"github.com/stripekit/stripekit/natsstore"
)

// trigger is the name of what the workers watch.
const trigger = "charges.new"

// anyPort lets the system choose a port of the loopback interface.
const anyPort = "127.0.0.1:0"

// job is what a worker process has to know. The URL of the server is in its environment,
// because it may have a password.
type job struct {
	Worker  string
	Page    string // the address of the status page
	Streams streams
	Shops   shopping
	TTL     time.Duration
}

// shopping is what decides which charges there are.
type shopping struct {
	Connections  int
	Start, Until time.Time // the first charge is not before Start, the last one before Until
	Period       time.Duration
}

// lateMax is how long after its creation a charge may appear in the list: as at Stripe,
// some do so late.
const lateMax = 5 * time.Second

// open returns the simulated shops, which take the place of Stripe.
func (s shopping) open() (*shops.Stripe, error) {
	return shops.New(shops.Config{
		Accounts: s.Connections, Start: s.Start, Until: s.Until, Period: s.Period, LateShare: 0.1, LateMax: lateMax,
	})
}

// What a worker tells the process that has started it, on its standard output.
const (
	pageLine  = "page"  // and its address
	againLine = "again" // an event was in the stream already
)

// work runs a worker until its standard input ends: when the process that has started it
// closes it, or is gone.
func work(natsURL, encoded string) error {
	var j job
	if err := json.Unmarshal([]byte(encoded), &j); err != nil {
		return fmt.Errorf("-job: %w", err)
	}
	signal.Ignore(os.Interrupt) // Ctrl-C is for the process that has started it
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	// By default the client gives up after two minutes without a server.
	nc, err := nats.Connect(natsURL, nats.Name(j.Worker), nats.MaxReconnects(-1))
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	f, err := j.open(ctx, js)
	if err != nil {
		return err
	}
	page, err := listen(j.Page)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: f.Handler(), ReadHeaderTimeout: 10 * time.Second}
	defer server.Close()
	go func() { _ = server.Serve(page) }() // until Close
	fmt.Println(pageLine, page.Addr())
	return f.Run(ctx)
}

// open makes the worker.
func (j *job) open(ctx context.Context, js jetstream.JetStream) (*fleet.Fleet, error) {
	engine, err := natsstore.OpenEngine(ctx, js, j.Streams.Records)
	if err != nil {
		return nil, err
	}
	checkpoints, err := natsstore.Open(ctx, js, j.Streams.Checkpoints)
	if err != nil {
		return nil, err
	}
	stripe, err := j.Shops.open()
	if err != nil {
		return nil, err
	}
	f, err := fleet.New(fleet.Config{
		Worker: j.Worker, Engine: engine, Checkpoints: checkpoints, Keys: key, TTL: j.TTL,
		HTTP:   &http.Client{Transport: stripe},
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		return nil, err
	}
	charges := func(c *stripekit.Client) stripekit.Source[stripekit.Charge] { return c.Charges }
	return f, fleet.Watch(f, trigger, charges, publisher(js, j.Streams.subject()))
}

// spec describes a shop. The first charge is that of start.
func spec(shop int, start time.Time, every time.Duration) fleet.Spec {
	return fleet.Spec{
		Name: fmt.Sprintf("shop %d", shop), Key: fmt.Sprintf("vault/shop%d", shop),
		Triggers: []fleet.Trigger{{Name: trigger, Every: every, From: start}},
	}
}

// key returns the key for a reference. A real one asks a vault.
func key(_ context.Context, ref string) (stripekit.Secret, error) {
	return stripekit.NewSecret("sk_test_" + strings.TrimPrefix(ref, "vault/")), nil
}

// publisher returns a handler that publishes charges. It returns when the stream has
// stored the charge, or has dropped it, since it has it already.
//
// That takes one round trip for each charge of a connection, and no goroutine of a
// connection without charges. For fewer and busier connections natsstore.Publish in
// fleet.WatchPoller is faster: it has many events of a connection in flight.
func publisher(js jetstream.JetStream, subject string) func(context.Context, stripekit.Event[stripekit.Charge]) error {
	return func(ctx context.Context, e stripekit.Event[stripekit.Charge]) error {
		m, err := natsstore.Message(subject, fleet.FlowFromContext(ctx).Key, e)
		if err != nil {
			return err
		}
		// What is on its way is not given up when the shard moves to another worker, which
		// would publish it again. It ends within 5 s, as does each request without a deadline.
		ack, err := js.PublishMsg(context.WithoutCancel(ctx), m)
		if err != nil {
			return err // the event is delivered again
		}
		if ack.Duplicate {
			fmt.Println(againLine, e.ID)
		}
		return nil
	}
}

// listen listens on an address. The port of a worker that was killed may be in use by
// something else meanwhile.
func listen(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil && address != anyPort {
		return net.Listen("tcp", anyPort)
	}
	return l, err
}
