package stripekit

import (
	"errors"
	"fmt"
	"time"
)

// ErrGap: a Poller may have missed events, because they were not read within the 30
// days for which Stripe keeps them. The Poller has ended, and so does another one with
// the same checkpoint. The error is a *GapError, which says what to do.
var ErrGap = errors.New("stripe: events are missing")

// GapError is an ErrGap with the span that may be missing.
//
// To go on, delete the checkpoint (CheckpointStore.Delete with Key), start another
// Poller with a From of some minutes ago, and then read all objects of the list with a
// Backfill: that gives their state, and the Poller what changes from then on. What was
// deleted in the span is not in the list any more.
type GapError struct {
	Key      string    // of the checkpoint
	From, To time.Time // by the service's clock, to the second
}

func (e *GapError) Error() string {
	const day = "2006-01-02 15:04:05"
	return fmt.Sprintf("%v: checkpoint %q has not read the events from %s to %s UTC, which Stripe does not keep any more: "+
		"delete the checkpoint, start again, and read the objects by a Backfill", ErrGap, e.Key, e.From.UTC().Format(day), e.To.UTC().Format(day))
}

// Is reports whether target is ErrGap.
func (e *GapError) Is(target error) bool { return target == ErrGap }

const (
	// readSaveEvery is how often the time of the last poll is saved, if nothing else is.
	readSaveEvery = time.Hour
	// gapMargin is how much earlier objects may be gone than they should be, by the Dates
	// that this Poller has received: two readings of one clock may differ by so much.
	gapMargin = time.Minute
)

// unread returns the first second that may have something unread; 0 if there is none
// that can be missing. The caller holds mu.
func (p *Poller[T]) unread() int64 {
	if p.source.kept() == 0 {
		return 0
	}
	p.passOldest()
	hole := p.tail.Hole()
	switch {
	case p.unchecked > 0:
		return p.unchecked
	case hole > 0:
		return hole
	case p.readTo == 0 && p.cfg.From == FromBeginning:
		return 0 // it has not reached what is listed
	}
	return max(p.tail.Floor(), p.readTo)
}

// passOldest notes that a flow from the beginning has come to what was listed when it
// began. From there on, nothing may be missing. The caller holds mu.
func (p *Poller[T]) passOldest() {
	if floor := p.tail.Floor(); p.readTo == 0 && p.oldest > 0 && floor >= p.oldest {
		p.readTo = floor
	}
}

// checkGap returns a *GapError if objects from the second unread on, as it was before a
// page was read, may not have been listed any more. It compares seconds of the service's
// clock alone. Until that is sure, later pages are checked for the same second. The
// caller holds mu.
func (p *Poller[T]) checkGap(unread int64, at time.Time) error {
	if p.source.kept() == 0 {
		return nil
	}
	now, sure := p.tail.ServiceTime(at)
	kept := now - int64((p.source.kept()-gapMargin)/time.Second)
	if p.oldest == 0 && sure {
		p.oldest = kept
	}
	if p.unchecked = 0; !sure {
		p.unchecked = unread
	}
	if unread == 0 || unread >= kept {
		return nil
	}
	return &GapError{Key: p.key, From: time.Unix(unread, 0).UTC(), To: time.Unix(kept, 0).UTC()}
}

// readAll notes that a poll has read everything that was listed when it began. What
// becomes visible later was created within Overlap. The floor of the tail does not show
// that, since it stays where it was while a list is quiet. So readTo is saved from time to
// time: otherwise an hour without events would be taken for an hour without polls. The
// caller holds mu.
func (p *Poller[T]) readAll() {
	at, sure := p.tail.ServiceTime(p.began)
	if p.source.kept() == 0 || !sure {
		return
	}
	p.readTo = at - int64(p.cfg.Overlap/time.Second)
	if p.readTo-p.readSaved >= int64(readSaveEvery/time.Second) {
		p.readSaved = p.readTo
		p.changes++
	}
}

// doneTo returns the second before which everything was read and acknowledged; 0 if it is
// not known. The caller holds mu.
func (p *Poller[T]) doneTo() int64 {
	p.passOldest()
	to := p.readTo
	if to == 0 {
		return 0
	}
	for _, in := range p.queue.All() {
		to = min(to, in.key.From)
	}
	return to
}
