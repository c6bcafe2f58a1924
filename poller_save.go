package stripekit

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/stripekit/stripekit/internal/checkpoint"
	"github.com/stripekit/stripekit/internal/delivery"
	"github.com/stripekit/stripekit/internal/tail"
)

const (
	// saveEvery is the least time between two saves, and maxSaveEvery the most
	// that a slow store makes of it.
	saveEvery    = time.Second
	maxSaveEvery = time.Minute
	// saveTimeout bounds a save.
	saveTimeout = 10 * time.Second
	// maxClaims is how often Start tries to claim a checkpoint that others claim
	// at the same moment.
	maxClaims = 5
)

// claimCheckpoint loads the checkpoint and saves it as this Poller's.
func (p *Poller[T]) claimCheckpoint(ctx context.Context, now time.Time) (*checkpoint.State, error) {
	if p.cfg.Checkpoints == nil {
		return p.newState(now), nil
	}
	for try := 1; ; try++ {
		state, err := p.load(ctx)
		if err != nil {
			return nil, err
		}
		if state == nil {
			state = p.newState(now)
		}
		state.Claim = p.claim
		revision, err := p.cfg.Checkpoints.Save(ctx, p.key, checkpoint.Append(nil, state), p.revision)
		if err == nil {
			p.revision = revision
			return state, nil
		}
		if !errors.Is(err, ErrCheckpointConflict) || try == maxClaims {
			return nil, fmt.Errorf("stripe: claiming checkpoint %q: %w", p.key, err)
		}
	}
}

func (p *Poller[T]) newState(now time.Time) *checkpoint.State {
	state := &checkpoint.State{Key: p.key, Claim: p.claim, Snapshot: tail.Snapshot{Floor: int64(p.cfg.From)}}
	if p.cfg.From == FromNow {
		state.Started = now
	}
	_, _ = rand.Read(state.Seed[:]) // it never fails
	return state
}

// load loads the checkpoint; nil where there is none. The caller holds the save
// slot.
func (p *Poller[T]) load(ctx context.Context) (*checkpoint.State, error) {
	data, revision, err := p.cfg.Checkpoints.Load(ctx, p.key)
	if err != nil {
		return nil, fmt.Errorf("stripe: loading checkpoint %q: %w", p.key, err)
	}
	p.revision = revision
	if revision == 0 {
		return nil, nil
	}
	state, err := checkpoint.Decode(data, p.key)
	if err != nil {
		return nil, fmt.Errorf("stripe: checkpoint %q: %w: %w", p.key, ErrCheckpointInvalid, err)
	}
	return state, nil
}

// unsaved reports whether there is something to save. After the end a save that
// failed is repeated by the next acknowledgement or by Flush alone: a broken store
// would keep the Poller in memory for ever. The caller holds mu.
func (p *Poller[T]) unsaved() bool {
	if p.phase == hasEnded && p.changes == p.tried {
		return false
	}
	return p.cfg.Checkpoints != nil && p.changes != p.saved && !p.lost()
}

// lost reports whether the checkpoint cannot be saved any more: it is another
// Poller's, or not usable. The caller holds mu.
func (p *Poller[T]) lost() bool {
	return p.status.SaveErr != nil && endsPoller(p.status.SaveErr, false) == ends
}

// takeSlot takes the save slot, which must be free. The caller holds mu.
func (p *Poller[T]) takeSlot(now time.Time) { p.roles.saving, p.saveStarted = true, now }

// waitForSlot takes the save slot once it is free.
func (p *Poller[T]) waitForSlot(ctx context.Context) error {
	for {
		p.mu.Lock()
		if !p.roles.saving {
			p.takeSlot(time.Now())
			p.mu.Unlock()
			return nil
		}
		if p.slotFree == nil {
			p.slotFree = make(chan struct{})
		}
		free := p.slotFree
		p.mu.Unlock()
		select {
		case <-free:
		case <-ctx.Done():
			return fmt.Errorf("stripe: checkpoint %q is being saved: %w", p.key, ctx.Err())
		}
	}
}

func (p *Poller[T]) freeSlot() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.roles.saving = false
	if p.slotFree != nil {
		close(p.slotFree)
		p.slotFree = nil
	}
	p.kick()
}

// saveOnce is the role that saves. It holds the save slot.
func (p *Poller[T]) saveOnce() {
	defer p.freeSlot()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(p.ctx), saveTimeout)
	defer cancel()
	_ = p.save(ctx)
}

// save saves the checkpoint. The caller holds the save slot.
func (p *Poller[T]) save(ctx context.Context) error {
	p.mu.Lock()
	p.tried = p.changes
	p.mu.Unlock()
	began := time.Now()
	size, changes, encoding, err := p.store(ctx)
	took := time.Since(began)

	p.mu.Lock()
	p.status.SaveErr = err
	p.saveAt = time.Now().Add(min(max(saveEvery, 50*encoding, 10*took), maxSaveEvery))
	if err == nil {
		p.saved, p.status.CheckpointBytes = changes, size
		p.mu.Unlock()
		return nil
	}
	p.wantObserve(time.Now())
	lost := p.lost()
	if lost {
		p.fail(err)
	}
	p.mu.Unlock()
	p.log.Warn("stripe checkpoint not saved", "error", err, "lost", lost)
	return err
}

// store writes the checkpoint. Where another revision is stored than the one
// expected, it finds out which: an earlier save may have arrived although it
// failed.
func (p *Poller[T]) store(ctx context.Context) (size int, changes uint64, encoding time.Duration, err error) {
	for range maxClaims {
		began := time.Now()
		var data []byte
		data, changes = p.encode()
		encoding = time.Since(began)
		revision, err := p.cfg.Checkpoints.Save(ctx, p.key, data, p.revision)
		switch {
		case err == nil:
			p.revision = revision
			return len(data), changes, encoding, nil
		case !errors.Is(err, ErrCheckpointConflict):
			return 0, 0, encoding, fmt.Errorf("stripe: saving checkpoint %q: %w", p.key, err)
		}
		if err := p.reload(ctx); err != nil {
			return 0, 0, encoding, err
		}
	}
	return 0, 0, encoding, fmt.Errorf("stripe: saving checkpoint %q: the store refuses each revision that it has", p.key)
}

// encode encodes the checkpoint, as if the events in also were acknowledged.
func (p *Poller[T]) encode(also ...tail.Key) (data []byte, changes uint64) {
	p.mu.Lock()
	state := &checkpoint.State{
		Key: p.key, Account: p.account, Claim: p.claim, Started: p.startedAt, Snapshot: p.tail.Snapshot(also...),
	}
	changes = p.changes
	p.mu.Unlock()
	return checkpoint.Append(nil, state), changes
}

// reload finds out what is stored after a conflict. Its own save or Commit, of
// which it was not known how it ended, is taken over:
//
//  1. Commit(revision 5) stores revision 6 with event E acknowledged
//  2. the connection breaks, and Commit returns an error: E is unacknowledged
//  3. the next save, with revision 5, is refused
//  4. revision 6 is this Poller's, and E is acknowledged in it
//
// A checkpoint that has vanished is saved anew. Another Poller's is a conflict.
func (p *Poller[T]) reload(ctx context.Context) error {
	state, err := p.load(ctx)
	switch {
	case err != nil:
		return err
	case state == nil:
		p.log.Warn("stripe checkpoint has vanished, is saved anew")
		return nil
	case state.Claim != p.claim:
		return fmt.Errorf("stripe: saving checkpoint %q: %w", p.key, ErrCheckpointConflict)
	}
	stored := make(map[uint64]bool, len(state.Seen))
	for _, k := range state.Seen {
		stored[k.Hash] = true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var acknowledged []uint64
	for seq, in := range p.queue.All() {
		if stored[in.key.Hash] {
			acknowledged = append(acknowledged, seq)
		}
	}
	for _, seq := range acknowledged {
		p.done(seq)
	}
	p.changed()
	return nil
}

// Flush returns when every acknowledgement so far is saved, or with the error of
// the save, or of ctx. It works after the end of the Poller too.
func (p *Poller[T]) Flush(ctx context.Context) error {
	p.mu.Lock()
	started := p.phase >= isRunning
	p.mu.Unlock()
	if !started {
		return errors.New("stripe: the poller was not started")
	}
	return p.flush(ctx)
}

func (p *Poller[T]) flush(ctx context.Context) error {
	if p.cfg.Checkpoints == nil {
		return nil
	}
	p.mu.Lock()
	target := p.changes
	p.mu.Unlock()
	for {
		if done, err := p.flushed(target); done {
			return err
		}
		if err := p.waitForSlot(ctx); err != nil {
			return err
		}
		var err error
		if done, _ := p.flushed(target); !done {
			err = p.save(ctx)
		}
		p.freeSlot()
		if err != nil {
			return err
		}
	}
}

// flushed reports whether there is nothing more to do for so many changes.
func (p *Poller[T]) flushed(target uint64) (done bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.saved >= target {
		return true, nil
	}
	if p.lost() {
		return true, p.status.SaveErr
	}
	return false, nil
}

// Checkpoint is what a transaction stores for a Poller.
type Checkpoint struct {
	Key      string // as in CheckpointStore
	Data     []byte
	Revision uint64 // the one that must be stored still; 0 if nothing may be stored
}

// ErrAcknowledged: an event was acknowledged before. What a transaction has done
// for it again must be rolled back.
var ErrAcknowledged = errors.New("event is acknowledged already")

// Commit acknowledges events by a transaction of the caller. commit stores the
// checkpoint, if the revision stored is still Checkpoint.Revision, together with
// what the caller makes of the events, in one transaction, and returns the new
// revision. So what is written in such transactions is written once, whatever
// crashes and however many Pollers run. PollConfig.Checkpoints must read what
// commit stores.
//
// If commit returns an error, none of the events is acknowledged: Nack them. If
// the transaction was committed all the same, that is noticed by the next save
// or Commit, and the events count as acknowledged then. Where another revision is
// stored, commit must return an error that wraps ErrCheckpointConflict: if it is
// another Poller's, this one ends.
//
// Commit returns an error that wraps ErrAcknowledged, without a call of commit or
// after one that failed, if an event is acknowledged already. Until commit returns
// no checkpoint is saved, and no other Commit begins.
func (p *Poller[T]) Commit(ctx context.Context, events []Event[T], commit func(ctx context.Context, c Checkpoint) (revision uint64, err error)) error {
	if len(events) == 0 {
		return nil
	}
	if err := p.waitForSlot(ctx); err != nil {
		return err
	}
	defer p.freeSlot()
	keys, err := p.unacknowledged(events)
	if err != nil {
		return err
	}
	data, changes := p.encode(keys...)
	revision, err := commit(ctx, Checkpoint{Key: p.key, Data: data, Revision: p.revision})
	if err != nil {
		return p.uncommitted(ctx, events, err)
	}
	p.revision = revision

	p.mu.Lock()
	defer p.mu.Unlock()
	p.saved, p.status.SaveErr, p.status.CheckpointBytes = changes, nil, len(data)
	p.saveAt = time.Now().Add(saveEvery)
	settled := p.changes == changes
	for _, e := range events {
		p.done(e.seq)
	}
	if settled {
		p.saved = p.changes
	}
	p.changed()
	return nil
}

// unacknowledged returns the keys of the events.
func (p *Poller[T]) unacknowledged(events []Event[T]) ([]tail.Key, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lost() {
		return nil, p.status.SaveErr
	}
	keys := make([]tail.Key, len(events))
	for i, e := range events {
		if e.receipt != delivery.Receipt((*ledger[T])(p)) {
			return nil, fmt.Errorf("stripe: event %s was not delivered by this Poller", e.ID)
		}
		in, ok := p.queue.Event(e.seq)
		if !ok {
			return nil, fmt.Errorf("stripe: event %s: %w", e.ID, ErrAcknowledged)
		}
		keys[i] = in.key
	}
	return keys, nil
}

// uncommitted finds out, after a Commit that failed by a conflict, what is stored.
func (p *Poller[T]) uncommitted(ctx context.Context, events []Event[T], err error) error {
	if !errors.Is(err, ErrCheckpointConflict) || p.cfg.Checkpoints == nil {
		return err
	}
	reloadErr := p.reload(ctx)
	p.mu.Lock()
	if reloadErr != nil && endsPoller(reloadErr, false) == ends {
		p.status.SaveErr = reloadErr
		p.fail(reloadErr)
	}
	p.mu.Unlock()
	if reloadErr != nil {
		return errors.Join(err, reloadErr)
	}
	if _, acknowledged := p.unacknowledged(events); acknowledged != nil {
		return acknowledged
	}
	return err
}
