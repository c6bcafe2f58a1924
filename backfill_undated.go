package stripekit

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/stripekit/stripekit/internal/listing"
)

// undated reads a list of objects without a creation time, from its end up. The
// service applies From and To: a query for the objects before each of them returns
// the objects at the bounds.
func (b *backfill[T]) undated(ctx context.Context) iter.Seq2[[]*backfilled[T], error] {
	return func(yield func([]*backfilled[T], error) bool) {
		u := &upward[T]{backfill: b}
		if err := u.run(ctx, func(batch []*backfilled[T]) bool { return yield(batch, nil) }); err != nil {
			yield(nil, err)
		}
	}
}

// upward is one iteration of undated.
type upward[T any] struct {
	backfill *backfill[T]
	cursors  []string        // ids of the objects right below the next page, the nearest first
	top      map[string]bool // ids of the last objects before To; nil if there is no To
	inTop    bool            // the iteration has reached an object in top
}

func (u *upward[T]) run(ctx context.Context, yield func([]*backfilled[T]) bool) error {
	b, c := u.backfill, &u.backfill.checkpoint
	u.cursors = slices.Clone(c.Cursors)
	if b.to != listing.NoBound {
		last, err := u.fetch(ctx, listing.Query{LT: b.to})
		if err != nil || len(last.Heads) == 0 {
			return err
		}
		u.top = map[string]bool{}
		for _, h := range last.Heads {
			u.top[h.ID] = true
		}
		// If To is earlier than before, the cursors may be beyond it.
		if b.to < c.To && len(u.cursors) > 0 {
			if before, err := u.find(ctx, last); err != nil || !before {
				return err
			}
		}
	}
	c.To = max(c.To, b.to)
	if len(u.cursors) == 0 {
		begin, err := u.begin(ctx)
		if err != nil {
			return err
		}
		if begin == nil || !u.take(*begin, yield) {
			return nil
		}
	}
	u.inTop = slices.ContainsFunc(u.cursors, func(id string) bool { return u.top[id] })
	return u.climb(ctx, yield)
}

// find reports whether one of the cursors is on a page or below it.
func (u *upward[T]) find(ctx context.Context, page listing.Response[*backfilled[T]]) (found bool, err error) {
	used := listing.Cursors{}
	for {
		for _, h := range page.Heads {
			if slices.Contains(u.cursors, h.ID) {
				return true, nil
			}
		}
		if !page.More {
			return false, nil
		}
		cursor := page.Heads[len(page.Heads)-1].ID
		if err := used.Add(cursor); err != nil {
			return false, err
		}
		if page, err = u.fetch(ctx, listing.Query{After: cursor}); err != nil {
			return false, err
		}
	}
}

// begin returns the page to begin with, or nil if there are no objects. It is the
// page of the oldest objects of the list. If there are objects before From, it is a
// page of those, with nothing to yield.
func (u *upward[T]) begin(ctx context.Context) (*listing.Response[*backfilled[T]], error) {
	low, high := u.backfill.checkpoint.Spans[0].Low, u.backfill.to
	if low > 0 {
		before, err := u.fetch(ctx, listing.Query{LT: low})
		if err != nil {
			return nil, err
		}
		if len(before.Heads) > 0 {
			return &listing.Response[*backfilled[T]]{Heads: before.Heads, Objects: func(int, int) []*backfilled[T] { return nil }}, nil
		}
	}
	page, err := u.fetch(ctx, listing.Query{GTE: low, LT: high % listing.NoBound})
	for err == nil && page.More && high-low > 1 {
		middle := low + (high-low)/2
		var lower listing.Response[*backfilled[T]]
		if lower, err = u.fetch(ctx, listing.Query{GTE: low, LT: middle}); len(lower.Heads) > 0 {
			page, high = lower, middle
		} else {
			low = middle
		}
	}
	switch {
	case err != nil:
		return nil, err
	case len(page.Heads) == 0:
		return nil, nil
	case page.More:
		return u.descend(ctx, page)
	}
	return &page, nil
}

// descend returns the last page of the list, from page on.
func (u *upward[T]) descend(ctx context.Context, page listing.Response[*backfilled[T]]) (*listing.Response[*backfilled[T]], error) {
	used := listing.Cursors{}
	for page.More {
		cursor := page.Heads[len(page.Heads)-1].ID
		if err := used.Add(cursor); err != nil {
			return nil, err
		}
		next, err := u.fetch(ctx, listing.Query{After: cursor})
		if err != nil {
			return nil, err
		}
		if len(next.Heads) == 0 {
			break
		}
		page = next
	}
	return &page, nil
}

// climb reads the pages above the cursors.
func (u *upward[T]) climb(ctx context.Context, yield func([]*backfilled[T]) bool) error {
	used := listing.Cursors{}
	for {
		page, err := u.fetch(ctx, listing.Query{Before: u.cursors[0]})
		if errors.Is(err, listing.ErrLost) {
			if u.cursors = u.cursors[1:]; len(u.cursors) == 0 {
				return fmt.Errorf("stripe: GET %s: the last %d objects that were read are gone: %w", u.backfill.source.path, listing.PageSize, err)
			}
			continue
		}
		if err == nil {
			err = used.Add(u.cursors[0])
		}
		if err != nil {
			return err
		}
		if len(page.Heads) == 0 || !u.take(page, yield) || !page.More && len(page.Heads) < listing.PageSize {
			return nil
		}
	}
}

// take yields the new objects of a page, up to To, and reports whether there may be
// more.
func (u *upward[T]) take(page listing.Response[*backfilled[T]], yield func([]*backfilled[T]) bool) bool {
	from, to := len(page.Heads), len(page.Heads)
	ended := false
	for from > 0 && !ended {
		id := page.Heads[from-1].ID
		switch {
		case slices.Contains(u.cursors, id) && from == to:
			to--
		case u.top != nil && u.inTop && !u.top[id]:
			ended = true
			continue
		}
		u.inTop = u.inTop || u.top[id]
		from--
	}
	ids := make([]string, 0, len(page.Heads))
	for _, h := range page.Heads[from:] {
		ids = append(ids, h.ID)
	}
	u.cursors = ids
	if batch := page.Objects(from, to); len(batch) > 0 && !yield(batch) {
		return false
	}
	return !ended
}

func (u *upward[T]) fetch(ctx context.Context, q listing.Query) (listing.Response[*backfilled[T]], error) {
	q.Limit = listing.PageSize
	page, err := u.backfill.fetch(ctx, q)
	if err != nil {
		return page, err
	}
	return page, (&listing.Page{Heads: page.Heads, HasMore: page.More}).Check()
}
