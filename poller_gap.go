package stripekit

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/stripekit/stripekit/internal/tail"
)

// ErrGap: a Poller may have missed events, because they were not read within the 30
// days for which Stripe keeps them. The Poller has ended, and so does another one with
// the same checkpoint. The error is a *GapError, which says what to do.
var ErrGap = errors.New("stripe: events are missing")

// GapError is an ErrGap with the span that may be missing.
//
// To go on, delete the checkpoint (CheckpointStore.Delete with Key), start another
// Poller with a From of PollConfig.Overlap ago, and then read all objects of the list
// with a Backfill: that gives their state, and the Poller what changes from then on.
// What was deleted in the span is not in the list any more.
type GapError struct {
	Key      string    // of the checkpoint
	From, To time.Time // by the service's clock, to the second
}

// Error names the checkpoint and the span, and says what to do.
func (e *GapError) Error() string {
	const second = "2006-01-02 15:04:05"
	return fmt.Sprintf("%v: checkpoint %q has not read the events from %s to %s UTC, which Stripe does not keep any more: "+
		"delete the checkpoint, start again, and read the objects by a Backfill", ErrGap, e.Key, e.From.UTC().Format(second), e.To.UTC().Format(second))
}

// Is reports whether target is ErrGap.
func (e *GapError) Is(target error) bool { return target == ErrGap }

const (
	day = 24 * time.Hour
	// readSaveEvery is how often retention.readTo is saved, if nothing else is.
	readSaveEvery = time.Hour
	// gapMargin is how much earlier objects may be gone than they should be, by the Dates
	// that this Poller has received: two readings of one clock may differ by so much.
	gapMargin = time.Minute
)

// retention is what a Poller knows of a list that forgets objects. All numbers are
// seconds of the service's clock, and 0 if they are not known. Of such a list, nothing is
// read before that clock is known.
type retention struct {
	// readTo is the second before which everything was read, by the Dates alone. The floor
	// of the tail does not show that, since it stays where it was while a list is quiet.
	readTo int64
	saved  int64 // readTo when it was to be saved last
	oldest int64 // from which on objects were listed when this Poller began
	// at is when the first page of the current poll was requested, and moment the same by
	// the monotonic clock.
	at     int64
	moment time.Time
}

// unread returns the first second that may have something unread; 0 if there is none
// that can be missing. The caller holds mu.
func (p *Poller[T]) unread() int64 {
	if p.source.kept() == 0 {
		return 0
	}
	p.passOldest()
	hole := p.tail.Hole()
	switch {
	case hole > 0:
		return hole
	case p.retention.readTo == 0 && p.cfg.From == FromBeginning:
		return 0 // it has not reached what is listed
	}
	return max(p.tail.Floor(), p.retention.readTo)
}

// passOldest notes that a flow from the beginning has come to what was listed when it
// began. From there on, nothing may be missing. The caller holds mu.
func (p *Poller[T]) passOldest() {
	r := &p.retention
	if floor := p.tail.Floor(); r.readTo == 0 && r.oldest > 0 && floor >= r.oldest {
		r.readTo = floor
	}
}

// checkGap returns a *GapError if objects from the second unread on, as it was before a
// page was read, may not have been listed any more. From then on the checkpoint is not
// saved, so that it stays in front of the gap. The caller holds mu.
func (p *Poller[T]) checkGap(unread int64, at time.Time) error {
	now := p.tail.ServiceTime(at)
	if p.source.kept() == 0 || now == 0 {
		return nil
	}
	r, kept := &p.retention, now-int64((p.source.kept()-gapMargin)/time.Second)
	r.oldest = cmp.Or(r.oldest, kept)
	if r.at == 0 {
		r.at, r.moment = now, at
	}
	if unread > 0 && unread < kept {
		p.gap = &GapError{Key: p.key, From: time.Unix(unread, 0).UTC(), To: time.Unix(kept, 0).UTC()}
	}
	return p.gap
}

// readAll notes that a poll is complete. If it has read everything from the floor on,
// what becomes visible later was created within Overlap. That is saved from time to time:
// otherwise an hour without events would be taken for an hour without polls. The caller
// holds mu.
func (p *Poller[T]) readAll() {
	r := &p.retention
	if p.source.kept() == 0 || r.at == 0 || !p.tail.Whole() {
		return
	}
	// The clock may have been corrected since, and the machine may have slept.
	r.readTo = min(r.at, p.tail.ServiceTime(r.moment)) - int64(p.cfg.Overlap/time.Second)
	if d := r.readTo - r.saved; d < 0 || d >= int64(readSaveEvery/time.Second) {
		r.saved = r.readTo
		p.changes++
	}
}

// doneTo returns the second before which everything was read and acknowledged, as if the
// events in also were; 0 if it is not known. The caller holds mu.
func (p *Poller[T]) doneTo(also []tail.Key) int64 {
	if p.source.kept() == 0 {
		return 0
	}
	p.passOldest()
	to := p.retention.readTo
	if to == 0 {
		return 0
	}
	for _, in := range p.queue.All() {
		if !slices.Contains(also, in.key) {
			to = min(to, in.key.From)
		}
	}
	return to
}
