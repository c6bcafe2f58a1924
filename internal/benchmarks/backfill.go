package main

import (
	"context"
	"fmt"
	"net/http/httptest"
	"runtime"
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/stripekit/stripekit"
)

// site describes the service that an archive is read from.
type site struct {
	latency time.Duration // of each request
	rate    int           // allowed requests per second
	count   int           // charges of the archive: 40 s of full pages at the rate
}

// allowance returns how many charges per second the rate allows, in full pages.
func (s site) allowance() int { return s.rate * pageSize }

// siteOf returns a site with a latency of 100 ms. With -quick, it is near and
// fast, and its archive small.
func siteOf(o options, perSecond int) site {
	if o.quick {
		return site{latency: time.Millisecond, rate: 40 * perSecond, count: 1_000}
	}
	s := site{latency: 100 * time.Millisecond, rate: perSecond}
	s.count = 40 * s.allowance()
	return s
}

// way is a way to read an archive.
type way struct {
	title    string
	density  density
	max      int // of charges; 0 is all
	order    order
	read     func(site) reader
	failures []failure
	backfill float64 // the goal: the share of what Backfill reads of the steady archive in the time
}

func (w way) peer() bool { return w.max > 0 }

func backfill(s site) reader { return readBackfill(s, stripekit.BackfillConfig{}) }

func unordered(s site) reader { return readBackfill(s, stripekit.BackfillConfig{AnyOrder: true}) }

func query(text string) func(site) reader {
	return func(s site) reader { return readSQL(s, text) }
}

// The ways that make one request at a time read for about 5 s, before the others.
const (
	theirWay = "stripe-go's iterator"
	plainWay = "a plain loop"
	peerMax  = 5_000
)

// ways returns Backfill on archives of all densities, and the other ways to read the
// steady one.
func ways() (all []way) {
	for _, d := range densities {
		all = append(all, way{title: d.title(), density: d, order: oldestFirst, read: backfill})
	}
	steady := densities[0]
	for _, refusal := range []failure{tooMany, lockTimeout} {
		refusal.share = 0.05
		broken := internalError
		broken.share = 0.02
		all = append(all, way{
			title:   fmt.Sprintf("Backfill, 5 %% of the responses are 429 (%s), 2 %% are 500", refusal.code),
			density: steady, order: oldestFirst, read: backfill, failures: []failure{refusal, broken},
		})
	}
	return append(
		all,
		way{title: "Backfill in any order", density: steady, order: anyOrder, read: unordered},
		way{title: "a Poller from the beginning", density: steady, order: oldestFirst, read: readPoller, backfill: 0.9},
		way{title: "SQL, ORDER BY created DESC", density: steady, order: newestFirst, read: query("SELECT id, created_unix FROM charges ORDER BY created DESC"), backfill: 0.9},
		way{title: "SQL, without an order", density: steady, order: anyOrder, read: query("SELECT id, created_unix FROM charges"), backfill: 0.9},
		way{title: "List", density: steady, max: peerMax, order: newestFirst, read: readList},
		way{title: theirWay, density: steady, max: peerMax, order: newestFirst, read: func(site) reader { return readTheirs }},
		way{title: plainWay, density: steady, max: peerMax, order: newestFirst, read: func(site) reader { return readPlain }},
	)
}

// reading is what a way has achieved.
type reading struct {
	PerSecond float64 // charges
	Growth    float64 // the maximum growth of the heap in bytes, garbage included
	Pages     float64 // requests for each full page
	Refused   int64   // requests above the rate
}

// readPart measures one way in its own process: its number of requests per second,
// a slash, and its title.
func readPart(ctx context.Context, o options, args string) (any, error) {
	rate, title, _ := strings.Cut(args, "/")
	perSecond, err := strconv.Atoi(rate)
	all := ways()
	i := slices.IndexFunc(all, func(w way) bool { return w.title == title })
	if err != nil || i < 0 {
		return nil, fmt.Errorf("there is no way %s", args)
	}
	return all[i].measure(ctx, siteOf(o, perSecond))
}

// measure reads an archive, and checks what it finds.
func (w way) measure(ctx context.Context, s site) (r reading, err error) {
	count := s.count / max(w.density.part, 1)
	if w.max > 0 {
		count = min(count, w.max)
	}
	a, err := newArchive(w.density.created(count), s, w.failures...)
	if err != nil {
		return r, err
	}
	server := httptest.NewServer(a)
	defer server.Close()
	ctx, cancel := context.WithTimeout(ctx, 20*time.Minute)
	defer cancel()
	c := &census{archive: a, order: w.order, seen: make([]bool, count)}
	start := time.Now()
	growth, err := growthOf(func() error { return w.read(s)(ctx, server.URL, c.found) })
	if err == nil {
		err = c.complete()
	}
	return reading{
		PerSecond: float64(count) / time.Since(start).Seconds(), Growth: float64(growth),
		Pages: float64(a.lists.Load()) * pageSize / float64(count), Refused: a.refused.Load(),
	}, err
}

// heapNow returns the bytes in the heap, including garbage.
func heapNow() uint64 {
	heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(heap)
	return heap[0].Value.Uint64()
}

// growthOf returns by how many bytes the heap has grown at most while do runs.
func growthOf(do func() error) (uint64, error) {
	runtime.GC()
	before := heapNow()
	done, peak := make(chan struct{}), make(chan uint64)
	go func() {
		most := before
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for {
			most = max(most, heapNow())
			select {
			case <-tick.C:
			case <-done:
				peak <- most
				return
			}
		}
	}()
	err := do()
	close(done)
	return <-peak - before, err
}

// backfills measures all ways to read an archive, each in a process of its own: at 25
// requests a second at the same time, because these take little of the processor, but
// for the peers, which come first; above that one after the other.
func backfills(perSecond int) func(context.Context, options) ([]line, error) {
	return func(ctx context.Context, o options) ([]line, error) {
		all, readings := ways(), map[string]reading{}
		var mu sync.Mutex
		var failed error
		measure := func(w way) {
			var r reading
			err := inChild(ctx, o, fmt.Sprintf("read:%d/%s", perSecond, w.title), &r)
			mu.Lock()
			defer mu.Unlock()
			readings[w.title] = r
			if err != nil && failed == nil {
				failed = fmt.Errorf("%s: %w", w.title, err)
			}
		}
		// stripe-go decodes slowly enough to be slower beside all others.
		for _, peers := range []bool{true, false} {
			var running sync.WaitGroup
			for _, w := range all {
				switch {
				case w.peer() != peers:
				case perSecond > 25 && !o.quick:
					measure(w)
				default:
					running.Go(func() { measure(w) })
				}
			}
			running.Wait()
		}
		var lines []line
		for _, w := range all {
			lines = append(lines, w.line(siteOf(o, perSecond), readings))
		}
		return lines, failed
	}
}

// line compares a way with the others.
func (w way) line(s site, readings map[string]reading) line {
	figure := func(title string) string {
		return fmt.Sprintf("%.0f/s, heap + %s", readings[title].PerSecond, size(readings[title].Growth))
	}
	r := readings[w.title]
	l := line{Title: fmt.Sprintf("%s, at %d requests/s", w.title, s.rate), Theirs: figure(theirWay), Floor: figure(plainWay)}
	if w.title != theirWay && w.title != plainWay {
		l.Ratio = fmt.Sprintf("%.2f ×", r.PerSecond/readings[theirWay].PerSecond)
		l.Ours = fmt.Sprintf("%s; %.1f %% of the allowance; %.3f requests a page, %d above the rate",
			figure(w.title), 100*r.PerSecond/float64(s.allowance()), r.Pages, r.Refused)
	}
	l.Goal, l.Met = w.met(s, r, readings[densities[0].title()].PerSecond)
	return l
}

// met returns the goal of a way, and whether it was met.
func (w way) met(s site, r reading, steady float64) (goal, met string) {
	if w.backfill > 0 {
		share := r.PerSecond / steady
		return fmt.Sprintf("≥ %.0f %% of Backfill", 100*w.backfill), fmt.Sprintf("%s (%.0f %%)", yes(share >= w.backfill), 100*share)
	}
	share := w.density.goals[s.rate]
	if share == 0 || w.peer() || len(w.failures) > 0 || w.order != oldestFirst {
		return "", ""
	}
	growth := maxGrowth[s.rate]
	missed := ""
	if r.PerSecond < share*float64(s.allowance()) {
		missed = " (rate)"
	}
	if r.Growth > growth*(1<<20) {
		missed += " (heap)"
	}
	return fmt.Sprintf("≥ %.0f %% of the allowance, heap + ≤ %.0f MiB", 100*share, growth), yes(missed == "") + missed
}

// maxGrowth is how many MiB of heap a Backfill may take, by requests per
// second.
var maxGrowth = map[int]float64{25: 64, 100: 192}
