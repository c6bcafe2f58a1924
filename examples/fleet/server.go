package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/stripekit/stripekit/natsstore"
)

// broker is a NATS server in this process, with its data in a temporary folder.
type broker struct {
	server *server.Server
	dir    string
}

// startBroker starts a server on a free port of the loopback interface.
func startBroker() (*broker, error) {
	dir, err := os.MkdirTemp("", "fleet")
	if err != nil {
		return nil, err
	}
	b := &broker{dir: dir}
	b.server, err = server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true,
	})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	b.server.Start()
	if !b.server.ReadyForConnections(30 * time.Second) {
		return nil, errors.Join(errors.New("the NATS server does not start"), b.stop())
	}
	return b, nil
}

func (b *broker) url() string { return b.server.ClientURL() }

func (b *broker) stop() error {
	b.server.Shutdown()
	b.server.WaitForShutdown()
	return os.RemoveAll(b.dir)
}

// streams are the names of the streams.
type streams struct{ Records, Checkpoints, Events string }

func newStreams(prefix string) streams {
	return streams{Records: prefix + "_RECORDS", Checkpoints: prefix + "_CHECKPOINTS", Events: prefix + "_EVENTS"}
}

// subject is where the charges are published.
func (s streams) subject() string { return s.Events + ".charges" }

// create creates the streams. It belongs into a deployment: the workers open them.
func (s streams) create(ctx context.Context, js jetstream.JetStream, replicas int) error {
	if _, err := natsstore.CreateEngine(ctx, js, natsstore.Config{Name: s.Records, Replicas: replicas}); err != nil {
		return err
	}
	if _, err := natsstore.Create(ctx, js, natsstore.Config{Name: s.Checkpoints, Replicas: replicas}); err != nil {
		return err
	}
	// What a worker has published and not saved, the next one publishes again. The stream
	// drops it if that happens within Duplicates, which is more than any worker is down.
	_, err := js.CreateStream(ctx, jetstream.StreamConfig{
		Name: s.Events, Subjects: []string{s.Events + ".>"}, Storage: jetstream.FileStorage, Replicas: replicas,
		Duplicates: 10 * time.Minute,
	})
	return err
}

// delete deletes the streams that exist.
func (s streams) delete(ctx context.Context, js jetstream.JetStream) error {
	var failed error
	for _, name := range []string{s.Records, s.Checkpoints, s.Events} {
		if err := js.DeleteStream(ctx, name); !errors.Is(err, jetstream.ErrStreamNotFound) {
			failed = errors.Join(failed, err)
		}
	}
	return failed
}
