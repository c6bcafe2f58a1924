package stripekit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/stripekit/stripekit/internal/tail"
)

// checkpointVersion is the format of checkpoint. A change that an older reader
// would misread raises it.
const checkpointVersion = 1

// checkpoint is what a CheckpointStore keeps, as JSON.
type checkpoint struct {
	Version int              `json:"version"`
	Key     string           `json:"key"` // of the list and the flow
	Account string           `json:"account,omitzero"`
	Floor   int64            `json:"floor"` // everything created before is done
	Seen    map[string]int64 `json:"seen"`  // what is done from there on
}

// load makes the tail, from the checkpoint where there is one. The caller holds
// mu.
func (p *Poller[T]) load(ctx context.Context) error {
	data, revision, err := p.cfg.Checkpoints.Load(ctx, p.key)
	if err != nil {
		return fmt.Errorf("stripe: loading checkpoint %q: %w", p.key, err)
	}
	p.revision = revision
	switch {
	case revision != 0:
		c, err := readCheckpoint(data, p.key)
		if err != nil {
			return err
		}
		p.account = c.Account
		p.tail = tail.Resume(p.cfg.Overlap, tail.Snapshot{Floor: c.Floor, Seen: c.Seen})
		p.log.Info("stripe poller resumes", "from", UnixTime(c.Floor))
	case p.cfg.From == FromNow:
		p.tail = tail.New(p.cfg.Overlap)
	default:
		p.tail = tail.NewAt(p.cfg.Overlap, int64(p.cfg.From))
	}
	return nil
}

// identify learns whose key it is, and refuses the checkpoint of another
// account or mode. The account is not part of the checkpoint's key: were it, a
// key that may not read its account, and later may, would lose its checkpoint,
// and with it what happened meanwhile.
func (p *Poller[T]) identify() error {
	id, whose, err := p.source.client.identity(p.ctx)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if id != "" && p.account != "" && id != p.account {
		return fmt.Errorf("stripe: checkpoint %q: %w: it belongs to account %s, and this is %s: give one of them another Name or store",
			p.key, ErrCheckpointInvalid, p.account, id)
	}
	if whose.mode != p.mode {
		return fmt.Errorf("stripe: checkpoint %q: %w: the key was changed for one of %s mode", p.key, ErrCheckpointInvalid, whose.mode)
	}
	p.account, p.whose = cmp.Or(id, p.account), whose
	return nil
}

func readCheckpoint(data []byte, key string) (c checkpoint, err error) {
	refuse := func(reason string) (checkpoint, error) {
		return checkpoint{}, fmt.Errorf("stripe: checkpoint %q: %w: %s", key, ErrCheckpointInvalid, reason)
	}
	var v struct {
		Version int `json:"version"`
	}
	switch err := json.Unmarshal(data, &v); {
	case err != nil:
		return refuse("it is damaged: " + err.Error())
	case v.Version != checkpointVersion:
		return refuse(fmt.Sprintf("its format is version %d, and this library reads %d", v.Version, checkpointVersion))
	}
	switch err := json.Unmarshal(data, &c); {
	case err != nil:
		return refuse("it is damaged: " + err.Error())
	case c.Key != key:
		return refuse(fmt.Sprintf("it belongs to %q", c.Key))
	case c.Floor < 1:
		return refuse("it has no floor")
	}
	return c, nil
}

// save saves the checkpoint if it has changed, at most once in saveEvery. Only
// a conflict is returned as an error; others are tried again.
func (p *Poller[T]) save() error {
	err := p.store(p.ctx, false)
	if err == nil || errors.Is(err, ErrCheckpointConflict) {
		return err
	}
	p.mu.Lock()
	p.dirty, p.status.LastError = true, err
	p.mu.Unlock()
	p.log.Warn("stripe checkpoint not saved, will be tried again", "error", err)
	return nil
}

// saveAtEnd saves what is left when the context is over.
func (p *Poller[T]) saveAtEnd() error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(p.ctx), saveTimeout)
	defer cancel()
	return p.store(ctx, true)
}

// saveLate saves what was acknowledged after the end.
func (p *Poller[T]) saveLate() {
	if err := p.saveAtEnd(); err != nil {
		p.log.Error("stripe checkpoint not saved after the end", "error", err)
	}
}

// store writes the checkpoint, if there is something to write and it is time,
// or now.
func (p *Poller[T]) store(ctx context.Context, now bool) error {
	p.saving.Lock()
	defer p.saving.Unlock()

	p.mu.Lock()
	if !p.dirty || !p.tail.Started() || !now && time.Now().Before(p.saveAt) {
		p.mu.Unlock()
		return nil
	}
	s, account := p.tail.Snapshot(), p.account
	p.dirty, p.saveAt = false, time.Now().Add(saveEvery)
	p.mu.Unlock()

	data, err := json.Marshal(checkpoint{Version: checkpointVersion, Key: p.key, Account: account, Floor: s.Floor, Seen: s.Seen})
	if err != nil {
		return err
	}
	revision, err := p.cfg.Checkpoints.Save(ctx, p.key, data, p.revision)
	if err != nil {
		return fmt.Errorf("stripe: saving checkpoint %q: %w", p.key, err)
	}
	p.revision = revision
	return nil
}
