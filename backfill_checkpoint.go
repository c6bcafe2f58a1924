package stripekit

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/stripekit/stripekit/internal/listing"
)

// backfillCheckpoint is how far a Backfill has come. It is saved as JSON.
type backfillCheckpoint struct {
	Version  int            `json:"backfill"`
	Key      string         `json:"key"`
	Writer   string         `json:"writer"`            // the Backfill that saved it
	Account  string         `json:"account,omitempty"` // "" if it is not known
	AnyOrder bool           `json:"any_order,omitempty"`
	Done     int            `json:"done"`
	Spans    []listing.Span `json:"spans"` // not handed out, whatever To is; the oldest first

	// Of a list whose objects do not tell when they were created.
	Undated bool     `json:"undated,omitempty"`
	Cursors []string `json:"cursors,omitempty"` // handed out last, the last one first
	To      int64    `json:"to,omitempty"`      // the latest so far: the cursors are before it

	revision uint64
	saved    []byte
	tried    [][]byte // by saves of which the end is not known
	saveAt   time.Time
}

const backfillVersion = 1

// load begins where the checkpoint stands, or at the beginning.
func (b *backfill[T]) load(ctx context.Context) error {
	c := &b.checkpoint
	from := secondFrom(b.cfg.From, 0)
	b.to = secondFrom(b.cfg.To, listing.NoBound)
	*c = backfillCheckpoint{
		Version: backfillVersion, Key: "backfill/" + b.source.checkpointKey(b.cfg.Name),
		Writer: rand.Text(), AnyOrder: b.cfg.AnyOrder, Spans: []listing.Span{{Low: from, High: listing.NoBound}}, saveAt: time.Now().Add(saveEvery),
	}
	if b.cfg.Checkpoints != nil {
		if err := b.resume(ctx); err != nil {
			return err
		}
	}
	if b.cfg.Checkpoints != nil || b.source.client.current.Load().connection != "" {
		return b.insist(ctx, func() error { return b.identify(ctx) })
	}
	return nil
}

// secondFrom is the first second that is not before t.
func secondFrom(t time.Time, zero int64) int64 {
	if t.IsZero() {
		return zero
	}
	second := t.Unix()
	if t.Nanosecond() > 0 {
		second++
	}
	return min(max(second, 0), listing.NoBound)
}

func (b *backfill[T]) resume(ctx context.Context) error {
	c := &b.checkpoint
	data, revision, err := b.cfg.Checkpoints.Load(ctx, c.Key)
	if err != nil {
		return fmt.Errorf("stripe: loading checkpoint %q: %w", c.Key, err)
	}
	if c.revision = revision; revision == 0 {
		return nil
	}
	var stored backfillCheckpoint
	if err := json.Unmarshal(data, &stored, json.RejectUnknownMembers(true)); err != nil {
		return fmt.Errorf("stripe: checkpoint %q: %w: %w", c.Key, ErrCheckpointInvalid, err)
	}
	if reason := stored.wrong(c.Key); reason != "" {
		return fmt.Errorf("stripe: checkpoint %q: %w: %s", c.Key, ErrCheckpointInvalid, reason)
	}
	stored.revision, stored.saved, stored.saveAt, stored.Writer = revision, data, c.saveAt, c.Writer
	*c = stored
	b.account = c.Account
	return nil
}

// wrong is why a stored checkpoint cannot be gone on from.
func (c *backfillCheckpoint) wrong(key string) string {
	low := int64(0)
	for _, s := range c.Spans {
		if s.Low < low || s.High <= s.Low || s.High > listing.NoBound {
			return "its spans are out of order"
		}
		low = s.High
	}
	switch {
	case low != listing.NoBound:
		return "its spans end too early"
	case c.Version != backfillVersion:
		return "it is of another version of this library"
	case c.Key != key:
		return "it is another Backfill's"
	case c.Done < 0 || c.To < 0 || c.To > listing.NoBound:
		return "a number is out of range"
	}
	return ""
}

// identify learns whose list it is, and refuses the checkpoint of another account.
func (b *backfill[T]) identify(ctx context.Context) error {
	id, identity, err := b.source.client.identity(ctx)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	key := b.checkpoint.Key
	if id != "" && b.account != "" && id != b.account {
		return fmt.Errorf("stripe: checkpoint %q: %w: it belongs to account %s, and this is %s: give one of them another Name or store",
			key, ErrCheckpointInvalid, b.account, id)
	}
	if b.identity != nil && identity.mode != b.identity.mode {
		return fmt.Errorf("stripe: checkpoint %q: %w: the key was changed for one of %s mode", key, ErrCheckpointInvalid, identity.mode)
	}
	if id != "" {
		b.account = id
	}
	b.identity = identity
	return nil
}

// saveNow saves, if it is time. A save that fails in a way that passes is tried
// again.
func (b *backfill[T]) saveNow(ctx context.Context) error {
	if b.cfg.Checkpoints == nil || time.Now().Before(b.checkpoint.saveAt) {
		return nil
	}
	err := b.save(ctx)
	if err != nil && endsPoller(err, false) == ends {
		return err
	}
	return nil
}

func (b *backfill[T]) save(ctx context.Context) error {
	c := &b.checkpoint
	if b.cfg.Checkpoints == nil {
		return nil
	}
	data, err := b.encode()
	if err != nil || bytes.Equal(data, c.saved) {
		return err
	}
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, saveTimeout)
	defer cancel()
	revision, err := b.cfg.Checkpoints.Save(ctx, c.Key, data, c.revision)
	if errors.Is(err, ErrCheckpointConflict) && len(c.tried) > 0 {
		// It can be that one of the saves before was carried out.
		stored, found, loadErr := b.cfg.Checkpoints.Load(ctx, c.Key)
		if loadErr != nil {
			return fmt.Errorf("stripe: saving checkpoint %q: %w", c.Key, loadErr)
		}
		if slices.ContainsFunc(c.tried, func(data []byte) bool { return bytes.Equal(stored, data) }) {
			revision, err = b.cfg.Checkpoints.Save(ctx, c.Key, data, found)
		}
	}
	c.saveAt = time.Now().Add(min(max(saveEvery, 10*time.Since(start)), maxSaveEvery))
	if err != nil {
		if !errors.Is(err, ErrCheckpointConflict) {
			c.tried = append(c.tried, data)
		}
		return fmt.Errorf("stripe: saving checkpoint %q: %w", c.Key, err)
	}
	c.revision, c.saved, c.tried = revision, data, nil
	return nil
}

// encode is the checkpoint as it stands: without what the loop has had.
func (b *backfill[T]) encode() ([]byte, error) {
	c := b.checkpoint
	if b.reader != nil && !c.Undated {
		c.Spans = b.left()
	}
	b.mu.Lock()
	c.Account = b.account
	b.mu.Unlock()
	return json.Marshal(c)
}

// left is what is left of the spans.
func (b *backfill[T]) left() []listing.Span {
	c, reading := &b.checkpoint, b.reading
	var spans []listing.Span
	newest := int64(0)
	b.reader.Do(func(w *listing.Windows) { spans, newest = w.Unread(), w.Newest() })
	for _, o := range b.batch {
		spans = append(spans, listing.Span{Low: o.created, High: o.created + 1})
	}
	rest := append([]listing.Span{{Low: reading.High, High: c.Spans[0].High}}, c.Spans[1:]...)
	if c.AnyOrder {
		if reading.High == listing.NoBound {
			// What is created from here on is not read this time.
			spans = append(spans, listing.Span{Low: max(newest, reading.Low), High: listing.NoBound})
		}
		return listing.Union(append(spans, rest...))
	}
	low := reading.High
	if low == listing.NoBound && len(spans) == 0 {
		low = b.last
	}
	for _, s := range spans {
		low = min(low, s.Low)
	}
	return listing.Union(append(rest, listing.Span{Low: max(low, reading.Low), High: reading.High}))
}
