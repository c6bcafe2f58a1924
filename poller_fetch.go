package stripekit

import (
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/stripekit/stripekit/internal/listing"
	"github.com/stripekit/stripekit/internal/tail"
)

const (
	// firstBackoff and maxBackoff bound the wait after a failed request, regardless
	// of Every. A Retry-After may ask for a longer wait, up to maxRetryAfter.
	firstBackoff  = time.Second
	maxBackoff    = time.Minute
	maxRetryAfter = time.Hour
	// keyPatience is how long the key of a connection may be refused before the
	// Poller ends.
	keyPatience = 15 * time.Minute
	// tick is what the times of polls are rounded down to, so that the timers of many
	// Pollers fire together and the processor wakes up once for several polls. For ten
	// thousand Pollers it is woken 100 times a second, and not 667.
	tick = 10 * time.Millisecond
	// busyPages is how many pages of new objects a poll may find before polls
	// become more frequent.
	busyPages = 4
	// maxReadingAge is how long after a failure a reading may still be continued.
	maxReadingAge = time.Minute
)

// fetch is the fetching role: it makes the requests.
func (p *Poller[T]) fetch() {
	growStack()
	for {
		query, drain, ok := p.nextQuery()
		switch {
		case !ok:
			return
		case drain:
			p.drain()
		default:
			p.requested(query, p.request(query))
		}
	}
}

// growStack gives the goroutine a stack that a request fits on. A stack that grows
// step by step is copied with more frames each time, which took a tenth of a poll.
//
//go:noinline
func growStack() {
	var space [8 << 10]byte
	runtime.KeepAlive(&space)
}

// nextQuery returns the next query, and reports in drain whether a backlog must be
// drained instead. If ok is false, nothing is due, and the role has ended.
func (p *Poller[T]) nextQuery() (query listing.Query, drain, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for now := time.Now(); p.ctx.Err() == nil && !p.queue.Full() && !p.pollAt.After(now); {
		if !p.polling {
			p.polling, p.began, p.beganBefore = true, p.pollAt, p.began
			p.retention.at = 0
			p.tail.Begin()
		}
		if !p.failedAt.IsZero() && now.Sub(p.failedAt) > maxReadingAge {
			p.tail.Drop()
			p.held = nil
		}
		sweep := p.paused || now.Before(p.began.Add(p.interval()))
		if query, ok = p.tail.Next(now, sweep); ok || p.tail.Draining() {
			return query, !ok, true
		}
		p.polled(now)
	}
	p.paused = p.paused || p.polling && p.queue.Full()
	p.roles.fetching = false
	p.kick()
	return query, false, false
}

// interval returns the time between the starts of two polls. The pages of new
// objects were created since the start of the previous poll, so the time since then
// counts: a poll soon after another finds few pages, and must not slow the next one
// down.
func (p *Poller[T]) interval() time.Duration {
	pages := p.tail.Pages()
	if pages <= 1 || p.beganBefore.IsZero() {
		return p.cfg.Every
	}
	return min(p.cfg.Every, p.began.Sub(p.beganBefore)*busyPages/time.Duration(pages))
}

// polled ends a poll and sets the time of the next one. The times do not drift from
// poll to poll. Polls that were missed because the reader or the service was slow
// are not made up for, and do not bring a Poller in step with others that were as
// slow. The caller holds mu.
func (p *Poller[T]) polled(now time.Time) {
	p.polling, p.paused = false, false
	p.status.LastPoll, p.status.LastError = now, nil
	p.readAll()
	interval := p.interval()
	p.pollAt = p.began.Add(p.early).Add(interval)
	missed := now.Sub(p.pollAt)
	switch {
	case p.spread && interval == p.cfg.Every:
		p.spread = false
		p.pollAt = now.Add(rand.N(p.cfg.Every))
	case missed > 0 && interval < p.cfg.Every:
		p.pollAt, p.spread = now, true // others may catch up at the same time
	case missed > 0:
		p.pollAt = p.pollAt.Add(missed.Truncate(interval) + interval)
	}
	p.early = 0
	if interval >= 100*tick {
		p.early = sinceTick(now, p.pollAt)
		p.pollAt = p.pollAt.Add(-p.early)
	}
	p.wantObserve(now)
}

// sinceTick returns how long before t the last tick is, by the wall clock at now.
func sinceTick(now, t time.Time) time.Duration {
	wall := now.UnixNano() + int64(t.Sub(now))
	return time.Duration((wall%int64(tick) + int64(tick)) % int64(tick))
}

// request makes one request of a poll.
func (p *Poller[T]) request(query listing.Query) error {
	for {
		if p.identity == nil {
			if err := p.identify(); err != nil {
				return err
			}
		}
		err := p.source.request(p.ctx, p.identity, query, p.setWaiting, &p.last, p.read)
		p.setWaiting(false)
		if !errors.Is(err, errOtherKey) {
			return err
		}
		p.identity = nil
	}
}

func (p *Poller[T]) setWaiting(waits bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waitingSince = time.Time{}
	if waits {
		p.waitingSince = time.Now()
	}
}

// identify learns which account the key belongs to, and returns an error for the
// checkpoint of another account or mode.
//
// The account is not part of the checkpoint's key. Otherwise a key that gets the
// permission to read its account later would lose its checkpoint, and with it the
// objects created in the meantime.
//
// A key belongs to one account for ever. So no request is made if the checkpoint was
// written with the same key.
func (p *Poller[T]) identify() error {
	current := p.source.client.current.Load()
	hash := p.keyHash(current.config.Key)
	p.mu.Lock()
	id, known := p.account, p.account != "" && p.accountKey == hash
	p.mu.Unlock()
	identity := current.identity
	if !known {
		var err error
		if id, identity, err = p.source.client.identity(p.ctx); err != nil {
			return err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if id != "" && p.account != "" && id != p.account {
		return fmt.Errorf("stripe: checkpoint %q: %w: it belongs to account %s, and this is %s: give one of them another Name or store",
			p.key, ErrCheckpointInvalid, p.account, id)
	}
	if identity.mode != p.mode {
		return fmt.Errorf("stripe: checkpoint %q: %w: the key was changed for one of %s mode", p.key, ErrCheckpointInvalid, identity.mode)
	}
	p.account, p.identity = cmp.Or(id, p.account), identity
	if id != "" && !known && identity == current.identity {
		p.accountKey = hash
		p.changes++ // to be saved, even if there is never an event
	}
	return nil
}

// keyHash returns a hash of the API key with the seed of the checkpoint, so that the
// checkpoints of different flows do not show that they have the same key.
func (p *Poller[T]) keyHash(key string) (hash [8]byte) {
	mac := hmac.New(sha256.New, p.seed[:])
	mac.Write([]byte(key))
	copy(hash[:], mac.Sum(nil))
	return hash
}

// read reads a page of a poll.
func (p *Poller[T]) read(page *listed) error {
	p.mu.Lock()
	started, unread := p.tail.Started(), p.unread()
	result, err := p.tail.Read(page.Page)
	if gap := p.checkGap(unread, page.At); gap != nil {
		err = gap
	}
	if p.tail.Started() && !started {
		p.changes++ // the second at which FromNow begins must survive a crash
		p.startedAt = time.Time{}
	}
	p.mu.Unlock()
	if result.Dropped {
		p.held = nil
	}
	if err != nil {
		return err
	}
	if len(result.Fresh) > 0 {
		if err := p.hold(page, result.Fresh); err != nil {
			return err
		}
	}
	p.found(result.Found)
	return nil
}

// hold decodes the objects of a page that may be new.
func (p *Poller[T]) hold(page *listed, fresh []tail.Fresh) error {
	raw, err := page.objects(p.source.timeField)
	if err != nil {
		return err
	}
	if p.held == nil {
		p.held = map[int]*incoming[T]{}
	}
	for _, f := range fresh {
		p.held[f.Ref] = newIncoming[T](page, f.Index, raw[f.Index])
	}
	return nil
}

func newIncoming[T any](page *listed, i int, raw []byte) *incoming[T] {
	e := Event[T]{
		ID: page.Heads[i].ID, Raw: bytes.Clone(raw),
		Created: UnixTime(page.Times[i]).Time(), Seen: page.date,
	}
	e.Object, e.DecodeErr = decode[T](e.Raw)
	return &incoming[T]{event: e, foundAt: page.Received}
}

// found queues new objects.
func (p *Poller[T]) found(found []tail.Found) {
	if len(found) == 0 {
		return
	}
	late := 0
	p.mu.Lock()
	for _, f := range found {
		in := p.held[f.Ref]
		delete(p.held, f.Ref)
		in.key, in.event.Late = f.Key, f.Late
		if f.Late {
			late++
		}
		p.queue.Add(in)
	}
	p.status.Late += uint64(late)
	p.kick()
	p.mu.Unlock()
	if len(p.held) == 0 {
		p.held = nil
	}
	if late > 0 {
		p.log.Info("stripe objects came late", "count", late)
	}
}

// requested records the end of a request of a poll.
func (p *Poller[T]) requested(query listing.Query, err error) {
	p.mu.Lock()
	if cursorLost(query, err) {
		var result tail.Result
		if result, err = p.tail.Lost(); result.Dropped {
			p.held = nil
		}
	}
	failed := p.requestEnded(err)
	failures, next := p.status.Failures, p.pollAt
	p.mu.Unlock()
	if failed {
		p.log.Warn("stripe poll failed", "error", err, "failures", failures, "next", next)
	}
}

// requestEnded counts a request, and reports whether it failed and will be repeated
// at pollAt. The caller holds mu.
func (p *Poller[T]) requestEnded(err error) (failed bool) {
	p.status.Requests++
	if err == nil {
		p.status.Failures, p.failedAt, p.refused = 0, time.Time{}, time.Time{}
		return false
	}
	if p.ctx.Err() != nil {
		return false
	}
	if gap, ok := errors.AsType[*GapError](err); ok {
		err = gap // without the request, which has succeeded
	}
	now := time.Now()
	verdict := endsPoller(err, p.renewable)
	if verdict == waitsForKey {
		if p.refused.IsZero() {
			p.refused = now
		}
		if now.Sub(p.refused) >= keyPatience {
			verdict = ends
		}
	}
	p.status.LastError, p.failedAt = err, now
	if verdict == ends {
		p.fail(err)
		return false
	}
	if p.pollAt.After(now) {
		// Requests of a drain that fail at the same time count as one failure.
		if at := now.Add(backoff(max(p.status.Failures-1, 0), err)); at.After(p.pollAt) {
			p.pollAt = at
		}
		p.status.Failures = max(p.status.Failures, 1)
	} else {
		p.pollAt = now.Add(backoff(p.status.Failures, err))
		p.status.Failures++
	}
	p.wantObserve(now)
	return true
}

// backoff returns how long to wait after a failed request. It doubles from a second
// to a minute, minus up to a quarter at random, so that clients that failed at the
// same time do not retry at the same time.
func backoff(failures int, err error) time.Duration {
	wait := min(firstBackoff<<min(failures, 10), maxBackoff)
	wait -= rand.N(wait / 4)
	if e, ok := errors.AsType[*Error](err); ok {
		wait = max(wait, min(e.RetryAfter, maxRetryAfter))
	}
	return wait
}
