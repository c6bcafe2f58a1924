package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/internal/checkpoint"
	"github.com/stripekit/stripekit/internal/tail"
)

// timedStore is a FileStore that records the times of its saves, and the last
// checkpoint.
type timedStore struct {
	*stripekit.FileStore

	mu    sync.Mutex
	saves []time.Time
	key   string
	data  []byte // last saved
}

func (s *timedStore) Save(ctx context.Context, key string, data []byte, revision uint64) (uint64, error) {
	s.mu.Lock()
	s.saves, s.key, s.data = append(s.saves, time.Now()), key, append(s.data[:0], data...)
	s.mu.Unlock()
	return s.FileStore.Save(ctx, key, data, revision)
}

// saving is the cost of saving checkpoints.
type saving struct {
	objects  int           // in the checkpoint
	bytes    int           // of the checkpoint
	interval time.Duration // between two saves
	cpu      time.Duration // CPU time of a save
}

func (s saving) share() float64     { return s.cpu.Seconds() / s.interval.Seconds() }
func (s saving) perObject() float64 { return float64(s.bytes) / float64(s.objects) }

// saves measures the cost of saving for a Poller that has delivered 10 or 100
// charges per second, for its overlap of 10 minutes and the minute that it adds
// for clock differences. The interval is the one that the Poller chooses under
// a steady stream of acknowledgements. The CPU time is measured by saving the
// same checkpoint many times.
func saves(ctx context.Context, o options) ([]line, error) {
	var lines []line
	for _, rate := range []int{10, 100} {
		s, err := measureSaving(ctx, rate, o)
		if err != nil {
			return nil, err
		}
		lines = append(lines, line{
			Title:  fmt.Sprintf("saving at %d charges a second, a checkpoint of %d objects", rate, s.objects),
			Ours:   fmt.Sprintf("%.2f %% of a core: %v each %v; %.2f bytes an object", 100*s.share(), s.cpu.Round(10*time.Microsecond), s.interval.Round(time.Millisecond), s.perObject()),
			Theirs: "no checkpoint",
			Goal:   "≤ 2 % of a core, ≤ 10 bytes an object", Met: yes(s.share() <= 0.02 && s.perObject() <= 10),
		})
	}
	return lines, nil
}

func measureSaving(ctx context.Context, rate int, o options) (s saving, err error) {
	count, while := rate*660, 5*time.Second
	if o.quick {
		count, while = rate*10, 2500*time.Millisecond
	}
	dir, err := os.MkdirTemp("", "stripekit-benchmark")
	if err != nil {
		return s, err
	}
	defer os.RemoveAll(dir)
	files, err := stripekit.NewFileStore(dir)
	if err != nil {
		return s, err
	}
	store := &timedStore{FileStore: files}
	if err := acknowledgeSteadily(ctx, store, count, rate, while); err != nil {
		return s, err
	}
	intervals := make([]float64, 0, len(store.saves))
	for i := 1; i < len(store.saves); i++ {
		intervals = append(intervals, float64(store.saves[i].Sub(store.saves[i-1])))
	}
	if len(intervals) == 0 {
		return s, fmt.Errorf("%d saves in %v", len(store.saves), while)
	}
	s.interval, s.bytes = time.Duration(median(intervals)), len(store.data)
	s.objects, s.cpu, err = saveAgain(ctx, store, o)
	return s, err
}

// acknowledgeSteadily lets a Poller deliver all charges, and acknowledges the
// last of them at the rate. Afterwards the store has the times of the saves of
// that last part.
func acknowledgeSteadily(ctx context.Context, store *timedStore, count, rate int, while time.Duration) error {
	b, err := newBacklog(count, rate)
	if err != nil {
		return err
	}
	b.start += 60 // the newest charge is from the present second
	client, err := ourClient(noNetwork, service(b.response))
	if err != nil {
		return err
	}
	p, err := stripekit.NewPoller(client.Charges, stripekit.PollConfig{
		From: stripekit.FromTime(time.Unix(b.start, 0)), Checkpoints: store, Every: time.Second, MaxUnacked: 1 + count,
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	events, err := p.Start(ctx)
	if err != nil {
		return err
	}
	var last []stripekit.Event[stripekit.Charge]
	for seen := 1; seen <= count; seen++ {
		e, ok := <-events
		if !ok {
			return fmt.Errorf("the poller has ended: %w", p.Err())
		}
		if seen <= count-rate*int(while/time.Second) {
			e.Ack()
			continue
		}
		last = append(last, e)
	}
	if err := p.Flush(ctx); err != nil {
		return err
	}
	store.mu.Lock()
	store.saves = store.saves[:0]
	store.mu.Unlock()
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	for _, e := range last {
		<-tick.C
		e.Ack()
	}
	err = p.Flush(ctx)
	cancel()
	for range events { // the channel is closed once the Poller has ended
	}
	return err
}

// saveAgain saves the last checkpoint many times, as a Poller does.
func saveAgain(ctx context.Context, store *timedStore, o options) (objects int, cpu time.Duration, err error) {
	state, err := checkpoint.Decode(slices.Clone(store.data), store.key)
	if err != nil {
		return 0, 0, err
	}
	t := tail.Resume(tail.Config{Overlap: 10 * time.Minute}, state.Snapshot)
	_, revision, err := store.Load(ctx, store.key)
	if err != nil {
		return 0, 0, err
	}
	times := 100
	if o.quick {
		times = 2
	}
	before := processTime()
	for range times {
		state.Snapshot = t.Snapshot()
		if revision, err = store.FileStore.Save(ctx, store.key, checkpoint.Append(nil, state), revision); err != nil {
			return 0, 0, err
		}
	}
	return len(state.Seen), (processTime() - before) / time.Duration(times), nil
}
