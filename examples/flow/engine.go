package main

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	_ "github.com/ncruces/go-sqlite3/driver"
	_ "github.com/redpanda-data/benthos/v4/public/components/io"
	_ "github.com/redpanda-data/benthos/v4/public/components/pure"
	"github.com/redpanda-data/benthos/v4/public/service"

	_ "github.com/stripekit/stripekit/connector/redpanda"
	_ "github.com/stripekit/stripekit/connector/redpanda/sqlinsert"
)

// engine runs the pipelines.
type engine struct {
	env     map[string]string // the variables in the files
	streams []*service.Stream
}

// start starts all pipelines. An error of one that runs is in the log.
func (e *engine) start(ctx context.Context) error {
	files, err := fs.Glob(pipelines, "*.yaml")
	if err != nil {
		return err
	}
	for _, file := range files {
		stream, err := e.build(file)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		e.streams = append(e.streams, stream)
		go stream.Run(ctx)
	}
	return nil
}

func (e *engine) build(file string) (*service.Stream, error) {
	text, err := pipelines.ReadFile(file)
	if err != nil {
		return nil, err
	}
	b := service.NewStreamBuilder()
	b.SetEnvVarLookupFunc(func(name string) (string, bool) {
		value, ok := e.env[name]
		return value, ok
	})
	b.SetLogger(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err := b.SetYAML(string(text)); err != nil { // it lints the file too
		return nil, err
	}
	return b.Build()
}

// stop lets the pipelines end what they are at, and ends them.
func (e *engine) stop() {
	for _, stream := range e.streams {
		if err := stream.StopWithin(10 * time.Second); err != nil {
			slog.Warn("a pipeline has not ended in time", "err", err)
		}
	}
	e.streams = nil
}
