package main

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stripe/stripe-go/v85"

	"github.com/stripekit/stripekit"
)

// atRest is the cost of waiting pollers.
type atRest struct {
	bytes      float64       // per poller, heap and stacks
	goroutines float64       // per poller
	cpu        float64       // of all pollers, in CPU seconds per second
	perPoll    time.Duration // CPU time
}

// quiet returns a service that responds to every list request with an empty
// page.
func quiet() (service, error) {
	m, err := newMold(compact)
	if err != nil {
		return nil, err
	}
	empty := m.page(nil, 0, 0, false, nil)
	return func(r *http.Request) response {
		if isAccount(r) {
			return response{body: account, date: time.Now()}
		}
		return response{body: empty, date: time.Now()}
	}, nil
}

// used returns the bytes in use, heap and stacks.
func used() float64 {
	runtime.GC()
	runtime.GC() // the second run frees what sync.Pool keeps during the first
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc + m.StackInuse)
}

// watched measures count pollers that start starts. It waits until each has
// polled once, and then measures what they use for the given time.
func watched(ctx context.Context, count int, polls *atomic.Int64, while time.Duration, start func(context.Context) error) (r atRest, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	before, goroutines := used(), runtime.NumGoroutine()
	if err := start(ctx); err != nil {
		return r, err
	}
	for tick := time.NewTicker(10 * time.Millisecond); polls.Load() < int64(count); {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return r, fmt.Errorf("%d of %d pollers have polled: %w", polls.Load(), count, ctx.Err())
		}
	}
	r.bytes = (used() - before) / float64(count)
	r.goroutines = float64(runtime.NumGoroutine()-goroutines) / float64(count)
	began, cpu, first := time.Now(), processTime(), polls.Load()
	select {
	case <-time.After(while):
	case <-ctx.Done():
	}
	spent := processTime() - cpu
	r.cpu = spent.Seconds() / time.Since(began).Seconds()
	r.perPoll = spent / time.Duration(max(polls.Load()-first, 1))
	return r, nil
}

// rests measures pollers of quiet lists without a network: 10,000 pollers that
// poll every 15 s, 1,000 goroutines that do the same with stripe-go, and 10,000
// timers that do it with net/http. The timers show how much of the cost is
// waking up.
func rests(ctx context.Context, o options) ([]line, error) {
	count, every, while := 10_000, 15*time.Second, 5*time.Second
	if o.quick {
		count, every, while = 50, 50*time.Millisecond, 100*time.Millisecond
	}
	s, err := quiet()
	if err != nil {
		return nil, err
	}
	var ours, theirs, floor atRest
	if o.only != "theirs" {
		if ours, err = restPollers(ctx, s, count, every, while); err != nil {
			return nil, err
		}
	}
	if o.only != "ours" {
		if theirs, err = restTickers(ctx, s, count/10, every/10, while/2); err != nil {
			return nil, err
		}
	}
	if o.only != "ours" && o.only != "theirs" {
		if floor, err = restTimers(ctx, s, count, every, while); err != nil {
			return nil, err
		}
	}
	memory := func(r atRest) string {
		return fmt.Sprintf("%s, %.2f goroutines", size(r.bytes), r.goroutines)
	}
	// A tenth of the pollers at a tenth of the interval makes as many polls.
	cpu := func(r atRest) string {
		return fmt.Sprintf("%.1f %% of a core, %s a poll", r.cpu*100, cost{time: r.perPoll})
	}
	return []line{
		{title: "a poller at rest", ours: memory(ours), theirs: memory(theirs), ratio: fmt.Sprintf("%.1f ×", theirs.bytes/ours.bytes), goal: "≤ 2.5 KiB, 0 goroutines", met: yes(ours.bytes <= 2560 && ours.goroutines < 0.01), floor: memory(floor)},
		{title: fmt.Sprintf("CPU of %d pollers at %v", count, every), ours: cpu(ours), theirs: cpu(theirs), ratio: fmt.Sprintf("%.1f ×", theirs.cpu/ours.cpu), goal: "≤ 1 % of a core", met: yes(ours.cpu <= 0.01), floor: cpu(floor)},
	}, nil
}

func restPollers(ctx context.Context, s service, count int, every, while time.Duration) (r atRest, err error) {
	client, err := ourClient(noNetwork, s)
	if err != nil {
		return r, err
	}
	var polls atomic.Int64
	var readers sync.WaitGroup
	defer readers.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	pollers := make([]*stripekit.Poller[stripekit.Charge], count)
	from := stripekit.FromTime(time.Now().Add(-time.Hour))
	observe := func(stripekit.PollStatus) { polls.Add(1) }
	r, err = watched(ctx, count, &polls, while, func(context.Context) error {
		for i := range pollers {
			p, err := stripekit.NewPoller(client.Charges, stripekit.PollConfig{Every: every, From: from, Observe: observe})
			if err != nil {
				return err
			}
			pollers[i] = p
			if _, err := p.Start(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	for _, p := range pollers {
		if p != nil && err == nil {
			err = p.Status().LastError
		}
	}
	return r, err
}

// restTickers measures the usual poller with stripe-go: a goroutine with a
// ticker.
func restTickers(ctx context.Context, s service, count int, every, while time.Duration) (r atRest, err error) {
	client := theirClient(noNetwork, s)
	var polls atomic.Int64
	var failed atomic.Pointer[error]
	var pollers sync.WaitGroup
	defer pollers.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, err = watched(ctx, count, &polls, while, func(context.Context) error {
		for i := range count {
			pollers.Go(func() {
				select {
				case <-time.After(every * time.Duration(i) / time.Duration(count)):
				case <-ctx.Done():
					return
				}
				p := naive{client: client, seen: map[string]int64{}, overlap: 600, since: time.Now().Unix() - 3600}
				tick := time.NewTicker(every)
				defer tick.Stop()
				for {
					if err := p.poll(ctx, func(*stripe.Charge) {}); err != nil && ctx.Err() == nil {
						failed.Store(&err)
					}
					polls.Add(1)
					select {
					case <-tick.C:
					case <-ctx.Done():
						return
					}
				}
			})
		}
		return nil
	})
	if e := failed.Load(); e != nil && err == nil {
		err = *e
	}
	return r, err
}

// restTimers measures the floor: a timer that makes a request with net/http.
func restTimers(ctx context.Context, s service, count int, every, while time.Duration) (r atRest, err error) {
	client := plain{&http.Client{Transport: s}, noNetwork}
	var polls atomic.Int64
	timers := make([]*time.Timer, count)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	return watched(ctx, count, &polls, while, func(context.Context) error {
		for i := range timers {
			set := make(chan struct{})
			timers[i] = time.AfterFunc(every*time.Duration(i)/time.Duration(count), func() {
				<-set
				if client.do(ctx, http.MethodGet, "/v1/charges?limit=100&created[gte]=1780000000", nil) != nil {
					return // the measurement has ended
				}
				polls.Add(1)
				timers[i].Reset(every)
			})
			close(set)
		}
		return nil
	})
}
