package stripesql

import (
	"cmp"
	"slices"

	"github.com/stripekit/stripekit/internal/listing"
)

// share returns how much of the scan has been read, including the page p, from 0 to 1. It
// is 0 if the age of the oldest object is unknown.
func (f *wideFeed) share(q listing.Query, p page) float64 {
	if f.query.progress == nil {
		return 0
	}
	var unread []listing.Span
	f.reader.Do(func(w *listing.Windows) { unread = w.Unread() })
	f.mu.Lock()
	defer f.mu.Unlock()
	read, oldest := p.span(q), f.spec.window.low
	if f.spread != nil {
		oldest = f.query.oldest(f.spec)
	}
	f.newest = max(f.newest, read.High)
	f.fresh = slices.DeleteFunc(append(f.fresh, read), func(s listing.Span) bool {
		return !slices.ContainsFunc(unread, func(u listing.Span) bool { return s.Low < u.High && u.Low < s.High })
	})
	all := f.extent(oldest, f.newest)
	left := 0.0
	for _, s := range without(unread, f.fresh) {
		left += f.extent(max(s.Low, oldest), min(s.High, f.newest))
	}
	switch {
	case left == 0:
		return 1
	case oldest == 0 || all == 0:
		return 0
	}
	return 1 - left/all
}

// span returns the time that a page covers, down from its newest object.
func (p page) span(q listing.Query) listing.Span {
	var s listing.Span
	for _, o := range p.objects {
		if o.dated {
			s.Low, s.High = min(cmp.Or(s.Low, o.created), o.created), max(s.High, o.created)
		}
	}
	if !p.more && q.Before == "" {
		s.Low = q.GTE
	}
	return s
}

// without returns the parts of spans that are not in others.
func without(spans, others []listing.Span) []listing.Span {
	var left []listing.Span
	others = listing.Union(others)
	for _, s := range spans {
		for _, o := range others {
			if o.High > s.Low && o.Low < s.High {
				left = append(left, listing.Span{Low: s.Low, High: o.Low})
				s.Low = o.High
			}
		}
		left = append(left, s)
	}
	return left
}

// extent estimates how many objects were created from low to high. If the table
// was not measured, it returns the number of seconds.
func (f *wideFeed) extent(low, high int64) float64 {
	if f.spread != nil {
		return f.spread.count(window{low, high}).likely
	}
	return float64(max(high-low, 0))
}
