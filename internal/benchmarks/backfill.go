package main

import (
	"context"
	"fmt"
	"net/http/httptest"
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

func (s site) String() string { return fmt.Sprintf("%d requests/s, %v each", s.rate, s.latency) }

// share returns the share of the allowance that was read.
func (s site) share(d drained) float64 { return d.rate() / float64(s.allowance()) }

// read measures a reader, and checks what it finds against the archive.
func (a *archive) read(ctx context.Context, in order, read reader) (drained, error) {
	server := httptest.NewServer(a)
	defer server.Close()
	ctx, cancel := context.WithTimeout(ctx, 20*time.Minute)
	defer cancel()
	c := &census{archive: a, order: in, seen: make([]bool, len(a.created))}
	d, err := drain(func() (int, error) {
		err := read(ctx, server.URL, c.found)
		return c.count, err
	})
	if err != nil {
		return d, err
	}
	return d, c.complete()
}

// peers are readers that make one request at a time.
type peers struct{ list, theirs, plain drained }

// readPeers measures each peer for about 10 s.
func readPeers(ctx context.Context, o options, s site) (p peers, err error) {
	count := min(s.count, 10_000)
	for _, peer := range []struct {
		into *drained
		read reader
	}{{&p.list, readList(s)}, {&p.theirs, readTheirs}, {&p.plain, readPlain}} {
		a, err := newArchive(steady(count), s)
		if err != nil {
			return p, err
		}
		if *peer.into, err = a.read(ctx, newestFirst, peer.read); err != nil {
			return p, err
		}
	}
	return p, nil
}

// line returns the line of a reader, compared to the peers. a is nil if the
// reader is a peer itself.
func (p peers) line(title string, s site, a *archive, d drained) line {
	figure := func(d drained) string {
		return fmt.Sprintf("%.0f/s, heap + %s", d.rate(), size(float64(d.growth())))
	}
	l := line{
		title: fmt.Sprintf("%s, at %v", title, s), ours: figure(d), theirs: figure(p.theirs), floor: figure(p.plain),
		ratio:       fmt.Sprintf("%.2f ×", d.rate()/p.theirs.rate()),
		ourMemory:   cost{bytes: d.bytes, allocs: d.allocs}.memory(),
		theirMemory: cost{bytes: p.theirs.bytes, allocs: p.theirs.allocs}.memory(),
	}
	if a != nil {
		pages := (len(a.created) + pageSize - 1) / pageSize
		l.ours += fmt.Sprintf("; %.1f %% of the allowance; %.3f requests a page, %d above the rate",
			100*s.share(d), float64(a.lists.Load())/float64(pages), a.refused.Load())
	}
	return l
}

// maxGrowth is how many MiB of heap a Backfill may take, by requests per
// second.
var maxGrowth = map[int]float64{25: 64, 100: 192}

// backfills measures Backfill on archives of all densities.
func backfills(perSecond int) func(context.Context, options) ([]line, error) {
	return func(ctx context.Context, o options) ([]line, error) {
		s := siteOf(o, perSecond)
		p, err := readPeers(ctx, o, s)
		if err != nil {
			return nil, err
		}
		var lines []line
		for _, density := range densities {
			a, err := newArchive(density.created(s.count/max(density.part, 1)), s)
			if err != nil {
				return nil, err
			}
			d, err := a.read(ctx, oldestFirst, readBackfill(s, stripekit.BackfillConfig{}))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", density.name, err)
			}
			l := p.line("Backfill, "+density.name, s, a, d)
			l.goal, l.met = s.met(d, density.goals[perSecond], maxGrowth[perSecond])
			lines = append(lines, l)
		}
		return lines, nil
	}
}

// met returns the goal, and whether it was met: the share of the allowance that
// was read, and the growth of the heap in MiB.
func (s site) met(d drained, share, growth float64) (goal, met string) {
	missed := ""
	if s.share(d) < share {
		missed = " (rate)"
	}
	if float64(d.growth()) > growth*(1<<20) {
		missed += " (heap)"
	}
	goal = fmt.Sprintf("heap + ≤ %.0f MiB", growth)
	if share > 0 {
		goal = fmt.Sprintf("≥ %.0f %% of the allowance, %s", 100*share, goal)
	}
	return goal, yes(missed == "") + missed
}

// backfillFaults measures Backfill while some requests fail.
func backfillFaults(ctx context.Context, o options) ([]line, error) {
	s := siteOf(o, 25)
	p, err := readPeers(ctx, o, s)
	if err != nil {
		return nil, err
	}
	var lines []line
	for _, refusal := range []failure{tooMany, lockTimeout} {
		refusal.share = 0.05
		broken := internalError
		broken.share = 0.02
		a, err := newArchive(steady(s.count), s, refusal, broken)
		if err != nil {
			return nil, err
		}
		d, err := a.read(ctx, oldestFirst, readBackfill(s, stripekit.BackfillConfig{}))
		if err != nil {
			return nil, err
		}
		l := p.line(fmt.Sprintf("Backfill, 5 %% of the responses are 429 (%s), 2 %% are 500", refusal.code), s, a, d)
		l.goal, l.met = "≥ 80 % of the allowance", yes(s.share(d) >= 0.8)
		lines = append(lines, l)
	}
	return lines, nil
}

// backfillOthers compares Backfill to the other ways to read a whole list.
func backfillOthers(ctx context.Context, o options) ([]line, error) {
	s := siteOf(o, 25)
	p, err := readPeers(ctx, o, s)
	if err != nil {
		return nil, err
	}
	lines := []line{p.line("List", s, nil, p.list)}
	var backfill drained
	for _, r := range []struct {
		title string
		order order
		read  reader
		goal  float64 // a share of what Backfill reads in the time
	}{
		{"Backfill, the oldest first", oldestFirst, readBackfill(s, stripekit.BackfillConfig{}), 0},
		{"Backfill in any order", anyOrder, readBackfill(s, stripekit.BackfillConfig{AnyOrder: true}), 0},
		{"Poller from the beginning", oldestFirst, readPoller(s), 0.9},
		{"SQL, ORDER BY created DESC", newestFirst, readSQL(s, "SELECT id, created_unix FROM charges ORDER BY created DESC"), 0.9},
		{"SQL, without an order", anyOrder, readSQL(s, "SELECT id, created_unix FROM charges"), 0.9},
	} {
		a, err := newArchive(steady(s.count), s)
		if err != nil {
			return nil, err
		}
		d, err := a.read(ctx, r.order, r.read)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.title, err)
		}
		if backfill.objects == 0 {
			backfill = d
		}
		l := p.line(r.title, s, a, d)
		if r.goal > 0 {
			share := d.rate() / backfill.rate()
			l.goal = fmt.Sprintf("≥ %.0f %% of Backfill", 100*r.goal)
			l.met = fmt.Sprintf("%s (%.0f %%)", yes(share >= r.goal), 100*share)
		}
		lines = append(lines, l)
	}
	return lines, nil
}
