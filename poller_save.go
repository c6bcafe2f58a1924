package stripekit

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/stripekit/stripekit/internal/checkpoint"
	"github.com/stripekit/stripekit/internal/delivery"
	"github.com/stripekit/stripekit/internal/tail"
)

const (
	// saveEvery is the minimum time between two saves. With a slow store it grows, up
	// to maxSaveEvery.
	saveEvery    = time.Second
	maxSaveEvery = time.Minute
	// saveTimeout bounds a save.
	saveTimeout = 10 * time.Second
	// claimTimeout bounds the claim of a checkpoint at the start, which loads and saves it.
	claimTimeout = 2 * saveTimeout
	// maxClaims is how often Start tries to claim a checkpoint that other Pollers
	// claim at the same time.
	maxClaims = 5
)

// claimCheckpoint loads the checkpoint, and saves it with the claim of this Poller. It
// reports whether there was one.
func (p *Poller[T]) claimCheckpoint(ctx context.Context, now time.Time) (*checkpoint.State, bool, error) {
	if p.cfg.Checkpoints == nil {
		return p.newState(now), false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, claimTimeout)
	defer cancel()
	for try := 1; ; try++ {
		state, _, err := p.load(ctx)
		if err != nil {
			return nil, false, err
		}
		found := state != nil
		if !found {
			state = p.newState(now)
		}
		state.Claim = p.claim
		revision, err := p.cfg.Checkpoints.Save(ctx, p.key, checkpoint.Append(nil, state), p.revision)
		if err == nil {
			p.revision = revision
			return state, found, nil
		}
		if !errors.Is(err, ErrCheckpointConflict) || try == maxClaims {
			return nil, false, fmt.Errorf("stripe: claiming checkpoint %q: %w", p.key, err)
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

// load returns the stored checkpoint and the hash of its data, or nil if there is
// none. The caller holds the save slot.
func (p *Poller[T]) load(ctx context.Context) (*checkpoint.State, [sha256.Size]byte, error) {
	data, revision, err := p.cfg.Checkpoints.Load(ctx, p.key)
	hash := sha256.Sum256(data)
	if err != nil {
		return nil, hash, fmt.Errorf("stripe: loading checkpoint %q: %w", p.key, err)
	}
	p.revision = revision
	if revision == 0 {
		return nil, hash, nil
	}
	state, err := checkpoint.Decode(data, p.key)
	if err != nil {
		return nil, hash, fmt.Errorf("stripe: checkpoint %q: %w: %w", p.key, ErrCheckpointInvalid, err)
	}
	return state, hash, nil
}

// maxDoubts bounds Poller.doubts.
const maxDoubts = 64

// doubt notes data that is about to be saved or committed: unless that succeeds, it may
// be stored or not. Of many, the first and the last are the likeliest: the store was
// reached then. The caller holds the save slot.
func (p *Poller[T]) doubt(data []byte) {
	if len(p.doubts) == maxDoubts {
		p.doubts = slices.Delete(p.doubts, maxDoubts/2, maxDoubts/2+1)
	}
	p.doubts = append(p.doubts, sha256.Sum256(data))
}

// stored notes the revision of data that is stored for certain. The caller holds the
// save slot.
func (p *Poller[T]) stored(revision uint64) { p.revision, p.doubts = revision, nil }

// unsaved reports whether there is something to save. After the end of the Poller, a
// failed save is repeated only by the next acknowledgement or by Flush. Otherwise a
// broken store would keep the Poller in memory for ever. The caller holds mu.
func (p *Poller[T]) unsaved() bool {
	if p.phase == hasEnded && p.changes == p.tried {
		return false
	}
	return p.cfg.Checkpoints != nil && p.changes != p.saved && p.lost() == nil
}

// lost returns why the checkpoint must not be saved any more: because another Poller has
// claimed it, it is invalid, or there is a gap behind it. It returns nil if it may be
// saved. The caller holds mu.
func (p *Poller[T]) lost() error {
	switch {
	case p.gap != nil:
		return p.gap
	case p.status.SaveErr != nil && endsPoller(p.status.SaveErr, false) == ends:
		return p.status.SaveErr
	}
	return nil
}

// takeSlot takes the save slot, which must be free. The caller holds mu.
func (p *Poller[T]) takeSlot(now time.Time) { p.roles.saving, p.saveStarted = true, now }

// waitForSlot takes the save slot as soon as it is free.
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

// saveOnce is the saving role. It holds the save slot.
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
	if lost != nil {
		p.fail(lost)
	}
	p.mu.Unlock()
	p.log.Warn("stripe checkpoint not saved", "error", err, "lost", lost != nil)
	return err
}

// store saves the checkpoint. If another revision is stored than the expected one,
// it reloads the checkpoint: an earlier save may have been carried out although it
// returned an error.
func (p *Poller[T]) store(ctx context.Context) (size int, changes uint64, encoding time.Duration, err error) {
	for range maxClaims {
		began := time.Now()
		var data []byte
		data, changes, err = p.encode()
		if err != nil {
			return 0, 0, 0, err
		}
		encoding = time.Since(began)
		p.doubt(data)
		revision, err := p.cfg.Checkpoints.Save(ctx, p.key, data, p.revision)
		switch {
		case err == nil:
			p.stored(revision)
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

// encode encodes the checkpoint, as if the events in also were acknowledged. It returns
// an error if the checkpoint must not be saved.
func (p *Poller[T]) encode(also ...tail.Key) (data []byte, changes uint64, err error) {
	p.mu.Lock()
	if p.gap != nil {
		p.mu.Unlock()
		return nil, 0, p.gap
	}
	state := &checkpoint.State{
		Key: p.key, Account: p.account, KeyHash: p.accountKey, Claim: p.claim, Started: p.startedAt, DoneTo: p.doneTo(also), Snapshot: p.tail.Snapshot(also...),
	}
	changes = p.changes
	p.mu.Unlock()
	return checkpoint.Append(nil, state), changes, nil
}

// reload loads the checkpoint after a conflict. If this Poller stored it, by a save
// or Commit that returned an error, reload acknowledges the events in it:
//
//  1. Commit stores revision 6 on top of revision 5, with event E acknowledged.
//  2. The connection breaks, and Commit returns an error. E stays unacknowledged.
//  3. The next save, with revision 5, is refused.
//  4. Revision 6 has the claim of this Poller, and E is acknowledged in it.
//
// If the checkpoint has vanished, it is saved anew. If another Poller has stored it,
// reload returns an ErrCheckpointConflict. So it does if this Poller has stored it, but
// a later one since: then the database has gone back to an earlier state, as at a
// failover to a replica that was behind, perhaps with the results of the events that
// were acknowledged meanwhile. Whoever continues must continue from what is stored.
func (p *Poller[T]) reload(ctx context.Context) error {
	expected := p.revision
	state, hash, err := p.load(ctx)
	switch {
	case err != nil:
		return err
	case state == nil:
		p.log.Warn("stripe checkpoint has vanished, is saved anew")
		return nil
	case state.Claim != p.claim:
		return fmt.Errorf("stripe: saving checkpoint %q: %w", p.key, ErrCheckpointConflict)
	case p.revision != expected && !slices.Contains(p.doubts, hash):
		return fmt.Errorf("stripe: saving checkpoint %q: the store has gone back to an earlier one: %w", p.key, ErrCheckpointConflict)
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

// Flush waits until every acknowledgement so far is saved. It returns the error of
// the save or of ctx. It may be called after the end of the Poller too.
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

// flushed reports whether the first target changes are saved, or cannot be saved
// any more. In the latter case it returns an error.
func (p *Poller[T]) flushed(target uint64) (done bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.saved >= target {
		return true, nil
	}
	if err := p.lost(); err != nil {
		return true, err
	}
	return false, nil
}

// Checkpoint is the checkpoint that a transaction of Poller.Commit must store.
type Checkpoint struct {
	Key      string // the key, as in CheckpointStore
	Data     []byte // the new data
	Revision uint64 // the revision that must be stored at present; 0 if no checkpoint may be stored
}

// ErrAcknowledged: an event was acknowledged before. A transaction that handled the
// event again must be rolled back.
var ErrAcknowledged = errors.New("event is acknowledged already")

// Commit acknowledges events in a transaction of the caller. In one transaction,
// commit must write the caller's results for the events, store the checkpoint if the
// stored revision equals Checkpoint.Revision, and return the new revision. So the
// results are written exactly once, even if processes crash or several Pollers run.
// PollConfig.Checkpoints must load the checkpoints that commit stores.
//
// If commit returns an error, no event is acknowledged, and the caller should call
// Nack for each. If the transaction was committed nevertheless, the next save or
// Commit finds that out, and then acknowledges the events. If another revision is
// stored, commit must return an error that wraps ErrCheckpointConflict. If another
// Poller has stored that revision, this Poller ends.
//
// Commit returns an error that wraps ErrAcknowledged if an event is acknowledged
// already. It then has not called commit, or commit has failed. Until commit
// returns, no checkpoint is saved, and no other Commit begins.
func (p *Poller[T]) Commit(ctx context.Context, events []Event[T], commit func(ctx context.Context, c Checkpoint) (revision uint64, err error)) error {
	if len(events) == 0 {
		return nil
	}
	if err := p.waitForSlot(ctx); err != nil {
		return err
	}
	defer p.freeSlot()
	p.mu.Lock()
	p.saveStarted = time.Time{}
	p.mu.Unlock()
	events = slices.Clone(events) // commit may change the slice
	keys, err := p.unacknowledged(events)
	if err != nil {
		return err
	}
	data, changes, err := p.encode(keys...)
	if err != nil {
		return err
	}
	p.doubt(data)
	revision, err := commit(ctx, Checkpoint{Key: p.key, Data: data, Revision: p.revision})
	if err != nil {
		return p.uncommitted(ctx, events, err)
	}
	p.stored(revision)

	p.mu.Lock()
	defer p.mu.Unlock()
	p.saved, p.status.SaveErr, p.status.CheckpointBytes = changes, nil, len(data)
	p.status.HandlerErr = nil
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

// unacknowledged returns the keys of the events, or an error if one of them is
// acknowledged already.
func (p *Poller[T]) unacknowledged(events []Event[T]) ([]tail.Key, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.lost(); err != nil {
		return nil, err
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

// uncommitted returns the error of a Commit that failed. After a conflict it
// reloads the checkpoint, to find out whether the events are acknowledged in it.
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
