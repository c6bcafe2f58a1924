package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	crand "crypto/rand"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/stripekit/stripekit/fleet"
	"github.com/stripekit/stripekit/internal/shops"
	"github.com/stripekit/stripekit/natsstore"
)

const (
	// lineEvery is the time between two lines of the output.
	lineEvery = 5 * time.Second
	// patience is how long the end waits for what is missing.
	patience = time.Minute
	// settleTime is within which a charge is delivered, even if a worker was killed.
	settleTime = 30 * time.Second
	// deleteTimeout bounds the deletion of the streams.
	deleteTimeout = 30 * time.Second
	// putsAtATime is how many connections are put at a time.
	putsAtATime = 64
)

// simulation is the process that starts the workers, kills them, and counts.
type simulation struct {
	options
	out     output
	js      jetstream.JetStream
	streams streams
	shops   shopping
	stripe  *shops.Stripe // the shops, as the workers see them
	counter counter
	members []*worker
	again   atomic.Int64 // how many events were published that the stream had already

	began           time.Time // when the workers were started
	killAt, printAt time.Time
	kills           int
	lastKill        time.Time
}

// worker is a worker of the fleet, whose process is killed and started again.
type worker struct {
	name    string
	page    atomic.Pointer[string] // the address of its status page; nil before it is known
	process *process               // nil while there is none
	startAt time.Time              // when it is started again
}

// output is used by the goroutines of the processes, too.
type output struct {
	mu sync.Mutex
	w  io.Writer
}

func (o *output) printf(format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	fmt.Fprintf(o.w, format+"\n", args...)
}

// simulate lets shops sell and workers die, and compares the stream with the shops. It
// returns an error if they differ.
func simulate(ctx context.Context, o options, out io.Writer) (err error) {
	s := &simulation{
		options: o, out: output{w: out}, counter: counter{times: map[string]int{}},
		streams: newStreams("STRIPEKIT_FLEET_" + crand.Text()[:8]),
	}
	if o.natsURL == "" {
		b, err := startBroker()
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, b.stop()) }()
		s.natsURL = b.url()
	} else {
		s.out.printf("streams: %s, %s, %s", s.streams.Records, s.streams.Checkpoints, s.streams.Events)
	}
	nc, err := nats.Connect(s.natsURL, nats.Name("fleet example"), nats.MaxReconnects(-1))
	if err != nil {
		return err
	}
	defer nc.Close()
	if s.js, err = jetstream.New(nc); err != nil {
		return err
	}
	if !o.keep {
		defer func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deleteTimeout)
			defer cancel()
			err = errors.Join(err, s.streams.delete(ctx, s.js))
		}()
	}
	if err := s.streams.create(ctx, s.js, o.replicas); err != nil {
		return err
	}
	return s.run(ctx)
}

// run runs the fleet until the shops have sold and all is delivered, or until ctx ends.
func (s *simulation) run(ctx context.Context) error {
	s.shops = shopping{Connections: s.connections, Period: s.period, Start: time.Now().Truncate(time.Second)}
	if err := s.put(ctx); err != nil {
		return err
	}
	s.began = time.Now()
	s.shops.Until = s.began.Add(s.selling)
	var err error
	if s.stripe, err = s.shops.open(); err != nil {
		return err
	}
	stopCounting, err := s.counter.follow(context.WithoutCancel(ctx), s.js, s.streams.Events)
	if err != nil {
		return err
	}
	defer stopCounting()
	s.out.printf("%d shops sell for %v. %d workers poll each of them every %v.", s.connections, s.selling, s.workers, s.every)
	err = s.start()
	due := s.shops.Until.Add(lateMax + time.Second) // all of them
	if err == nil {
		err = s.watch(ctx)
	}
	if ctx.Err() != nil {
		due = time.Now().Add(-settleTime)
		s.out.printf("interrupted: a charge of the last %v that is not delivered yet does not count", settleTime)
	}
	if err := errors.Join(err, s.stop()); err != nil {
		return err
	}
	return s.report(context.WithoutCancel(ctx), due)
}

// put puts the connections: one for each shop.
func (s *simulation) put(ctx context.Context) error {
	engine, err := natsstore.OpenEngine(ctx, s.js, s.streams.Records)
	if err != nil {
		return err
	}
	f, err := fleet.New(fleet.Config{Engine: engine, TTL: s.ttl})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var putters sync.WaitGroup
	for first := range putsAtATime {
		putters.Go(func() {
			for shop := first; shop < s.connections && ctx.Err() == nil; shop += putsAtATime {
				if err := f.Put(ctx, spec(shop, s.shops.Start, s.every)); err != nil {
					cancel(err)
				}
			}
		})
	}
	putters.Wait()
	return context.Cause(ctx)
}

// start starts the workers.
func (s *simulation) start() error {
	s.killAt, s.printAt = s.began.Add(s.kill), s.began.Add(lineEvery)
	for i := range s.workers {
		w := &worker{name: fmt.Sprintf("worker%d", i+1)}
		s.members = append(s.members, w)
		if err := s.startWorker(w); err != nil {
			return err
		}
	}
	return nil
}

func (s *simulation) startWorker(w *worker) (err error) {
	page := anyPort
	if known := w.page.Load(); known != nil {
		page = *known
	}
	j := job{Worker: w.name, Page: page, Streams: s.streams, Shops: s.shops, TTL: s.ttl}
	w.process, err = startProcess(s.natsURL, j, func(kind, value string) {
		switch kind {
		case againLine:
			s.again.Add(1)
		case pageLine:
			if known := w.page.Swap(&value); known == nil || *known != value {
				s.out.printf("status page of %s: http://%s/", w.name, value)
			}
		}
	})
	return err
}

// stop lets the workers leave the fleet, all at the same time.
func (s *simulation) stop() error {
	failed := make([]error, len(s.members))
	var all sync.WaitGroup
	for i, w := range s.members {
		if w.process == nil {
			continue
		}
		all.Go(func() {
			if err := w.process.stop(); err != nil {
				failed[i] = fmt.Errorf("%s: %w", w.name, err)
			}
		})
	}
	all.Wait()
	return errors.Join(failed...)
}

// watch kills workers and starts them again, until all is delivered or ctx ends.
func (s *simulation) watch(ctx context.Context) error {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		now := time.Now()
		for _, w := range s.members {
			if err := s.check(w, now); err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
		}
		if !now.Before(s.printAt) {
			s.printLine(now)
			s.printAt = s.printAt.Add(lineEvery)
		}
		if s.kill > 0 && !now.Before(s.killAt) && now.Before(s.shops.Until) {
			s.killAt = s.killAt.Add(s.kill)
			if err := s.killOne(now); err != nil {
				return err
			}
		}
		if s.isOver(now) {
			return nil
		}
	}
}

// check starts a worker again that was killed, and notices one that has ended by itself.
func (s *simulation) check(w *worker, now time.Time) error {
	switch {
	case w.process == nil && !now.Before(w.startAt):
		s.out.printf("%s  %s starts again", s.since(now), w.name)
		return s.startWorker(w)
	case w.process != nil && w.process.hasEnded():
		w.process = nil
		return errors.New("it has ended by itself")
	}
	return nil
}

// killOne kills one of the workers that run. Every other one is away for so long that
// the others take its shards over.
func (s *simulation) killOne(now time.Time) error {
	var running []*worker
	for _, w := range s.members {
		if w.process != nil {
			running = append(running, w)
		}
	}
	if len(running) == 0 {
		return nil
	}
	w := running[rand.IntN(len(running))]
	if err := w.process.kill(); err != nil {
		return fmt.Errorf("%s: %w", w.name, err)
	}
	away := time.Second
	if s.kills%2 == 1 {
		away = s.ttl + 4*time.Second
	}
	s.kills++
	w.process, w.startAt, s.lastKill = nil, now.Add(away), now
	s.out.printf("%s  %s killed, starts again in %v", s.since(now), w.name, away)
	return nil
}

// isOver reports whether the shops have closed, all is delivered, and nothing follows from
// the last kill any more.
func (s *simulation) isOver(now time.Time) bool {
	if !now.After(s.shops.Until) {
		return false
	}
	if now.After(s.shops.Until.Add(patience + 2*s.every)) {
		return true // the report says what is missing
	}
	for _, w := range s.members {
		if w.process == nil {
			return false
		}
	}
	if s.kills > 0 && now.Before(s.lastKill.Add(s.ttl+2*s.every+2*time.Second)) {
		return false
	}
	charges, _ := s.counter.progress()
	return charges >= created(s.stripe, s.shops, s.shops.Until)
}

func (s *simulation) printLine(now time.Time) {
	running := 0
	for _, w := range s.members {
		if w.process != nil {
			running++
		}
	}
	charges, _ := s.counter.progress()
	s.out.printf("%s  %d created, %d delivered, %d workers", s.since(now), created(s.stripe, s.shops, now), charges, running)
}

// since returns the time since the begin, in a column.
func (s *simulation) since(now time.Time) string {
	return fmt.Sprintf("%4.0f s", now.Sub(s.began).Seconds())
}

// report compares the stream with the shops. It returns an error if they differ.
func (s *simulation) report(ctx context.Context, due time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := s.counter.catchUp(ctx, s.js, s.streams.Events); err != nil {
		return err
	}
	b := s.counter.balance(s.stripe, s.shops, due)
	s.out.printf("killed %d times; published again, and dropped by the stream: %d", s.kills, s.again.Load())
	s.out.printf("%v", b)
	if b.wrong() {
		return fmt.Errorf("the stream differs from the shops: %v", b)
	}
	return nil
}
