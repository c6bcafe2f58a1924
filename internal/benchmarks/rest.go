package main

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stripe/stripe-go/v85"

	"github.com/stripekit/stripekit"
)

// crowd is how many pollers a process has, and how often each of them polls.
type crowd struct {
	count int
	every time.Duration
	while time.Duration // how long they are measured
}

// share returns the part of the interval after which poller i begins.
func (c crowd) share(i int) time.Duration { return c.every * time.Duration(i) / time.Duration(c.count) }

// atRest is the cost of waiting pollers.
type atRest struct {
	Bytes      float64       // per poller, heap and stacks
	Resident   float64       // bytes of the process at the end; 0 if the system does not say it
	Goroutines float64       // per poller
	PerPoll    time.Duration // CPU time
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

// resident returns the resident memory of this process in bytes, 0 if the system does
// not say it.
func resident() float64 {
	status, _ := os.ReadFile("/proc/self/status")
	_, after, _ := strings.Cut(string(status), "VmRSS:")
	var kilobytes float64
	fmt.Sscan(after, &kilobytes)
	return kilobytes * 1024
}

// watched measures the pollers that start starts. It waits until each has polled
// once, and then measures what they use.
func watched(ctx context.Context, c crowd, polls *atomic.Int64, start func(context.Context) error) (r atRest, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	before, goroutines := used(), runtime.NumGoroutine()
	if err := start(ctx); err != nil {
		return r, err
	}
	for tick := time.NewTicker(10 * time.Millisecond); polls.Load() < int64(c.count); {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return r, fmt.Errorf("%d of %d pollers have polled: %w", polls.Load(), c.count, ctx.Err())
		}
	}
	r.Bytes = (used() - before) / float64(c.count)
	r.Goroutines = float64(runtime.NumGoroutine()-goroutines) / float64(c.count)
	cpu, first := processTime(), polls.Load()
	select {
	case <-time.After(c.while):
	case <-ctx.Done():
	}
	r.PerPoll = (processTime() - cpu) / time.Duration(max(polls.Load()-first, 1))
	r.Resident = resident()
	return r, nil
}

// rests measures pollers of quiet lists without a network, each kind in a process of
// its own: 100,000 pollers with one client that poll every 15 s; 10,000 goroutines
// that do the same with stripe-go, every 5 s; and 100,000 timers that do it with
// net/http. The timers show how much of the cost is waking up and making requests.
func rests(ctx context.Context, o options) ([]line, error) {
	var kinds [3]atRest
	for i, name := range sideNames {
		if o.only != "" && o.only != name {
			continue
		}
		if err := inChild(ctx, o, "rest:"+name, &kinds[i]); err != nil {
			return nil, err
		}
	}
	ours, theirs, floor := kinds[0], kinds[1], kinds[2]
	const count, every = 100_000, 15 // pollers, seconds
	share := func(r atRest) float64 { return r.PerPoll.Seconds() * count / every }
	cpu := func(r atRest) string {
		return fmt.Sprintf("%.1f %% of a core, %s a poll", share(r)*100, formatTime(r.PerPoll))
	}
	memory := func(r atRest) string {
		return fmt.Sprintf("%s each, %.2f goroutines", size(r.Bytes), r.Goroutines)
	}
	inAll := func(r atRest) string { return fmt.Sprintf("%s, resident %s", size(r.Bytes*count), size(r.Resident)) }
	return []line{
		{
			Title: "CPU of 100,000 pollers, every 15 s, no network", Ours: cpu(ours), Theirs: cpu(theirs) + " (10,000 measured)", Floor: cpu(floor),
			Ratio: fmt.Sprintf("%.1f ×", share(theirs)/share(ours)), Goal: "≤ 12 % of a core", Met: yes(share(ours) <= 0.12), Figure: ours.PerPoll,
		},
		{
			Title: "memory of 100,000 pollers, heap and stacks", Ours: inAll(ours), Theirs: size(theirs.Bytes*count) + " (10,000 measured)", Floor: inAll(floor),
			Ratio: fmt.Sprintf("%.1f ×", theirs.Bytes/ours.Bytes), Goal: "resident ≤ 260 MB", Met: yes(ours.Resident <= 260e6),
		},
		{Title: "a poller at rest", Ours: memory(ours), Theirs: memory(theirs), Floor: memory(floor), Ratio: fmt.Sprintf("%.1f ×", theirs.Bytes/ours.Bytes)},
	}, nil
}

// restPart measures one side.
func restPart(ctx context.Context, o options, name string) (any, error) {
	s, err := quiet()
	if err != nil {
		return nil, err
	}
	c := crowd{100_000, 15 * time.Second, 6 * time.Second}
	if o.quick {
		c = crowd{50, 50 * time.Millisecond, 100 * time.Millisecond}
	}
	switch name {
	case "ours":
		return restPollers(ctx, s, c)
	case "theirs":
		c.count, c.every = c.count/10, c.every/3
		return restTickers(ctx, s, c)
	}
	return restTimers(ctx, s, c)
}

func restPollers(ctx context.Context, s service, c crowd) (r atRest, err error) {
	var polls atomic.Int64
	client, err := ourClient(noNetwork, service(func(r *http.Request) response {
		if !isAccount(r) {
			polls.Add(1)
		}
		return s(r)
	}))
	if err != nil {
		return r, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	pollers := make([]*stripekit.Poller[stripekit.Charge], c.count)
	from := stripekit.FromTime(time.Now().Add(-time.Hour))
	none := func(_ context.Context, e stripekit.Event[stripekit.Charge]) error {
		return fmt.Errorf("%s is an event of an empty list", e.ID)
	}
	r, err = watched(ctx, c, &polls, func(context.Context) error {
		for i := range pollers {
			p, err := stripekit.NewPoller(client.Charges, stripekit.PollConfig{Every: c.every, From: from})
			if err != nil {
				return err
			}
			pollers[i] = p
			if err := p.Handle(ctx, none, func(error) {}); err != nil {
				return err
			}
		}
		return nil
	})
	for _, p := range pollers {
		if p != nil && err == nil {
			err = cmp.Or(p.Status().LastError, p.Status().HandlerErr)
		}
	}
	return r, err
}

// restTickers measures the usual poller with stripe-go: a goroutine with a
// ticker.
func restTickers(ctx context.Context, s service, c crowd) (r atRest, err error) {
	client := theirClient(noNetwork, s)
	var polls atomic.Int64
	var failed atomic.Pointer[error]
	var pollers sync.WaitGroup
	defer pollers.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, err = watched(ctx, c, &polls, func(context.Context) error {
		for i := range c.count {
			pollers.Go(func() {
				select {
				case <-time.After(c.share(i)):
				case <-ctx.Done():
					return
				}
				p := naive{client: client, seen: map[string]int64{}, overlap: 600, since: time.Now().Unix() - 3600}
				tick := time.NewTicker(c.every)
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

// restTimers measures the floor: a timer that makes a request with net/http. The first
// requests are made within a third of the interval, so that less is waited for, and
// the next ones are spread over all of it.
func restTimers(ctx context.Context, s service, c crowd) (r atRest, err error) {
	client := newPlain(noNetwork, s)
	var polls atomic.Int64
	timers := make([]*time.Timer, c.count)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	return watched(ctx, c, &polls, func(context.Context) error {
		for i := range timers {
			set := make(chan struct{})
			timers[i] = time.AfterFunc(c.share(i)/3, func() {
				<-set
				if client.get(ctx, nil, "/v1/charges?limit=100&created[gte]=1780000000") != nil {
					return // the measurement has ended
				}
				wait := c.every
				if polls.Add(1) <= int64(c.count) {
					wait = c.every/3 + c.share(i)*2/3
				}
				timers[i].Reset(wait)
			})
			close(set)
		}
		return nil
	})
}
