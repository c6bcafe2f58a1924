package stripekit

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/stripekit/stripekit/internal/json"
	"github.com/stripekit/stripekit/internal/listing"
	"github.com/stripekit/stripekit/internal/transport"
)

// backfillCheckpoint is the position of a Backfill. It is saved as JSON.
type backfillCheckpoint struct {
	Version  int            `json:"backfill"`
	Key      string         `json:"key"`
	Writer   string         `json:"writer"`            // the Backfill that saved it
	Account  string         `json:"account,omitempty"` // "" if unknown
	AnyOrder bool           `json:"any_order,omitempty"`
	Done     int            `json:"done"`
	Spans    []listing.Span `json:"spans"` // not yielded yet, regardless of To; the oldest first

	// Only for a list of objects without a creation time.
	Undated bool     `json:"undated,omitempty"`
	Cursors []string `json:"cursors,omitempty"` // ids of the objects yielded last, the last one first
	To      int64    `json:"to,omitempty"`      // the latest To so far: the cursors are before it

	revision uint64
	saved    []byte              // the data saved last
	tried    [][sha256.Size]byte // hashes of the data of saves with an unknown outcome
	saveAt   time.Time           // no save before
}

const backfillVersion = 1

// load loads the checkpoint, or makes a new one that begins at From.
func (b *backfill[T]) load(ctx context.Context) error {
	c := &b.checkpoint
	from := secondFrom(b.cfg.From, 0)
	b.to = secondFrom(b.cfg.To, listing.NoBound)
	*c = backfillCheckpoint{
		Version: backfillVersion, Key: "backfill/" + b.source.checkpointKey(b.cfg.Name),
		Writer: rand.Text(), AnyOrder: b.cfg.AnyOrder, Spans: []listing.Span{{Low: from, High: listing.NoBound}}, saveAt: time.Now().Add(saveEvery),
	}
	if b.cfg.Checkpoints != nil {
		if transport.HasKey(c.Key) {
			return errKeyInCheckpoint
		}
		if err := b.resume(ctx); err != nil {
			return err
		}
	}
	if b.cfg.Checkpoints != nil || b.source.client.current.Load().connection != "" {
		return b.retry(ctx, func() error { return b.identify(ctx) })
	}
	return nil
}

// secondFrom returns the first second that is not before t. For the zero time it
// returns the argument zero.
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

// resume loads the stored checkpoint, if there is one.
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
	if reason := stored.invalid(c.Key); reason != "" {
		return fmt.Errorf("stripe: checkpoint %q: %w: %s", c.Key, ErrCheckpointInvalid, reason)
	}
	stored.revision, stored.saved, stored.saveAt, stored.Writer = revision, data, c.saveAt, c.Writer
	*c = stored
	b.account = c.Account
	return nil
}

// invalid returns why a stored checkpoint cannot be used, or "" if it can.
func (c *backfillCheckpoint) invalid(key string) string {
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

// identify learns which account the key belongs to, and returns an error for the
// checkpoint of another account or mode.
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

// saveNow saves the checkpoint if a save is due. A save that fails temporarily is
// no error: it is repeated later. An error of BeforeSave is one.
func (b *backfill[T]) saveNow(ctx context.Context) error {
	if b.cfg.Checkpoints == nil || time.Now().Before(b.checkpoint.saveAt) {
		return nil
	}
	err := b.save(ctx)
	if b.unstored != nil || err != nil && endsPoller(err, false) == ends {
		return err
	}
	return nil
}

// beforeSave lets the loop store what it holds. It is not called again after an error:
// the loop may have dropped what it could not store.
func (b *backfill[T]) beforeSave(ctx context.Context) error {
	if b.cfg.BeforeSave == nil || b.unstored != nil {
		return b.unstored
	}
	if err := b.cfg.BeforeSave(ctx); err != nil {
		b.unstored = fmt.Errorf("stripe: BackfillConfig.BeforeSave: %w", err)
	}
	return b.unstored
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
	if err := b.beforeSave(ctx); err != nil {
		return err
	}
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, saveTimeout)
	defer cancel()
	revision, err := b.cfg.Checkpoints.Save(ctx, c.Key, data, c.revision)
	if errors.Is(err, ErrCheckpointConflict) && len(c.tried) > 0 {
		// An earlier save with an unknown outcome may have been carried out.
		stored, found, loadErr := b.cfg.Checkpoints.Load(ctx, c.Key)
		if loadErr != nil {
			return fmt.Errorf("stripe: saving checkpoint %q: %w", c.Key, loadErr)
		}
		if slices.Contains(c.tried, sha256.Sum256(stored)) {
			revision, err = b.cfg.Checkpoints.Save(ctx, c.Key, data, found)
		}
	}
	c.saveAt = time.Now().Add(min(max(saveEvery, 10*time.Since(start)), maxSaveEvery))
	if err != nil {
		if !errors.Is(err, ErrCheckpointConflict) {
			c.tried = append(c.tried, sha256.Sum256(data))
		}
		return fmt.Errorf("stripe: saving checkpoint %q: %w", c.Key, err)
	}
	c.revision, c.saved, c.tried = revision, data, nil
	return nil
}

// encode returns the current checkpoint: the spans that were not yielded yet.
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

// left returns the spans that were not yielded yet.
func (b *backfill[T]) left() []listing.Span {
	c, reading := &b.checkpoint, b.reading
	var spans []listing.Span
	newest := int64(0)
	b.reader.Do(func(w *listing.Windows) { spans, newest = w.Unread(), w.Newest() })
	if n := len(b.batch); n > 0 {
		first, last := b.batch[0].created, b.batch[n-1].created
		spans = append(spans, listing.Span{Low: min(first, last), High: max(first, last) + 1})
	}
	rest := append([]listing.Span{{Low: reading.High, High: c.Spans[0].High}}, c.Spans[1:]...)
	if c.AnyOrder {
		if reading.High == listing.NoBound {
			// Objects that are created from now on are not read by this Backfill.
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
