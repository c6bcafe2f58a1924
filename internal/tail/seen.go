package tail

import (
	"cmp"
	"slices"
	"sort"
)

// maxBehind is how many acknowledged objects are remembered because an older
// one is not acknowledged. Beyond that, the older one becomes a hole.
const maxBehind = 2000

// seen is the set of objects seen. It records which of them are unacknowledged.
type seen struct {
	keys    []Key            // ascending by Second, then Hash
	undated map[uint64]int64 // Second by Hash, of the keys without a created second
	pending map[uint64]Key   // the unacknowledged keys, by Hash
	holes   map[uint64]Span  // the pending keys below the floor, by Hash
	unread  []Span           // holes of the snapshot that are still to be read
}

// first returns the first second that the object can have been created in. For
// an object without a created second, From is one less, so that it differs from
// Second.
func (k Key) first() int64 {
	if k.From < k.Second {
		return k.From + 1
	}
	return k.From
}

func compareKeys(a, b Key) int {
	return cmp.Or(cmp.Compare(a.Second, b.Second), cmp.Compare(a.Hash, b.Hash))
}

// has reports whether an object was seen. An object whose created second is
// missing or impossible is found by its hash alone.
func (s *seen) has(created int64, hash uint64) bool {
	if _, ok := s.undated[hash]; ok {
		return true
	}
	_, ok := s.index(Key{Second: created, Hash: hash})
	return ok
}

func (s *seen) index(k Key) (i int, found bool) {
	return slices.BinarySearchFunc(s.keys, k, compareKeys)
}

// from returns the index of the first key in second or later.
func (s *seen) from(second int64) int {
	return sort.Search(len(s.keys), func(i int) bool { return s.keys[i].Second >= second })
}

// count returns the number of objects seen in the seconds from lo to hi,
// exclusive.
func (s *seen) count(lo, hi int64) int { return max(s.from(hi)-s.from(lo), 0) }

// add remembers new objects, all of them unacknowledged.
func (s *seen) add(keys []Key) {
	if len(keys) == 0 {
		return
	}
	if s.pending == nil {
		s.pending = map[uint64]Key{}
	}
	for _, k := range keys {
		s.pending[k.Hash] = k
		if k.From < k.Second {
			if s.undated == nil {
				s.undated = map[uint64]int64{}
			}
			s.undated[k.Hash] = k.Second
		}
	}
	slices.SortFunc(keys, compareKeys)
	s.insert(keys)
}

// insert merges ascending keys into s.keys. It works from the end, because most
// keys belong there.
func (s *seen) insert(keys []Key) {
	old, n := len(s.keys), len(keys)
	s.keys = append(s.keys, keys...)
	for to := len(s.keys); n > 0; {
		to--
		if old > 0 && compareKeys(s.keys[old-1], keys[n-1]) > 0 {
			old--
			s.keys[to] = s.keys[old]
		} else {
			n--
			s.keys[to] = keys[n]
		}
	}
}

// narrow records that an object without a created second was listed in the span
// of the key in.
func (s *seen) narrow(in Key) {
	second, ok := s.undated[in.Hash]
	i, found := s.index(Key{Second: second, Hash: in.Hash})
	if !ok || !found {
		return
	}
	k := s.keys[i]
	k.From, k.Second = max(k.From, in.From), min(k.Second, in.Second)
	if k.From >= k.Second {
		return // listed in two disjoint spans: keep the first
	}
	if k.Second != second {
		s.keys = slices.Delete(s.keys, i, i+1)
		i, _ = s.index(k)
		s.keys = slices.Insert(s.keys, i, k)
		s.undated[k.Hash] = k.Second
	}
	s.keys[i] = k
	if _, pending := s.pending[k.Hash]; pending {
		s.pending[k.Hash] = k
	}
	if _, hole := s.holes[k.Hash]; hole {
		s.holes[k.Hash] = Span{k.first(), k.Second}
	}
}

// close records that everything listed at or above the second lo was read. A
// known object without a created second that was not listed there was created
// before lo, or was deleted.
func (s *seen) close(lo int64) {
	open := s.keys[s.from(noBound):]
	closed := false
	for i, k := range open {
		if k.first() >= lo {
			continue
		}
		k.Second = lo - 1
		open[i], s.undated[k.Hash], closed = k, k.Second, true
		if _, pending := s.pending[k.Hash]; pending {
			s.pending[k.Hash] = k
		}
	}
	if closed {
		slices.SortFunc(s.keys, compareKeys)
	}
}

// ack marks an object as acknowledged.
func (s *seen) ack(hash uint64) {
	delete(s.pending, hash)
	delete(s.holes, hash)
}

// prune forgets what no reading from floor up can list, and returns the floor
// of a checkpoint: reading from that second on finds every unacknowledged
// object again, except those in holes. low is the previous floor of a
// checkpoint. The floor does not go back below it, because what was below it is
// forgotten.
//
// The oldest unacknowledged object holds the floor down, so the acknowledged
// objects after it stay in memory. If they become too many, the object becomes
// a hole: its own second is kept, and the floor rises past it. An object that
// was found in a hole of the snapshot becomes a hole too.
func (s *seen) prune(floor, low int64) int64 {
	for _, k := range s.pending {
		if k.first() < low {
			s.makeHole(k)
		}
	}
	for {
		oldest, behind := s.oldest(floor)
		if low = min(floor, oldest.first()); low == floor || behind <= maxBehind {
			break
		}
		s.makeHole(oldest)
	}
	s.forget(low)
	return low
}

// makeHole makes a hole of a pending key.
func (s *seen) makeHole(k Key) {
	if s.holes == nil {
		s.holes = map[uint64]Span{}
	}
	if _, ok := s.holes[k.Hash]; !ok {
		s.holes[k.Hash] = Span{k.first(), k.Second}
	}
}

// oldest returns the pending key with the lowest first second, except holes,
// and the number of acknowledged keys between it and floor.
func (s *seen) oldest(floor int64) (oldest Key, behind int) {
	oldest = Key{From: floor, Second: floor}
	for hash, k := range s.pending {
		if _, hole := s.holes[hash]; !hole && k.first() < oldest.first() {
			oldest = k
		}
	}
	behind = s.count(oldest.first(), floor)
	for _, k := range s.pending {
		if k.Second >= oldest.first() && k.Second < floor {
			behind--
		}
	}
	return oldest, behind
}

// forget drops the keys below a second that are in no hole.
func (s *seen) forget(low int64) {
	end := s.from(low)
	if end == 0 {
		return
	}
	holes := s.spans(low)
	kept := s.keys[:0]
	for _, k := range s.keys[:end] {
		_, pending := s.pending[k.Hash]
		if pending || overlaps(holes, k) {
			kept = append(kept, k)
			continue
		}
		delete(s.undated, k.Hash)
	}
	s.keys = slices.Delete(s.keys, len(kept), end)
	if cap(s.keys) > 4*len(s.keys)+64 {
		s.keys = slices.Clip(slices.Clone(s.keys))
	}
}

// spans returns the holes below low in ascending order, merging those that
// overlap or touch. A hole ends below low, because everything from low on is
// read again anyway.
func (s *seen) spans(low int64) []Span {
	var all []Span
	add := func(hole Span) {
		if hole.To = min(hole.To, low-1); hole.From <= hole.To {
			all = append(all, hole)
		}
	}
	for _, hole := range s.unread {
		add(hole)
	}
	for _, hole := range s.holes {
		add(hole)
	}
	if len(all) == 0 {
		return nil
	}
	slices.SortFunc(all, func(a, b Span) int { return cmp.Compare(a.From, b.From) })
	merged := all[:1]
	for _, next := range all[1:] {
		if last := &merged[len(merged)-1]; next.From <= last.To+1 {
			last.To = max(last.To, next.To)
		} else {
			merged = append(merged, next)
		}
	}
	return merged
}

// overlaps reports whether an object may have been created in one of the spans.
func overlaps(spans []Span, k Key) bool {
	i := sort.Search(len(spans), func(i int) bool { return spans[i].To >= k.first() })
	return i < len(spans) && spans[i].From <= k.Second
}

// acknowledged returns the keys at or above low, or in holes, that are not
// pending or whose hashes are in also. An acknowledgement since the last prune
// can have closed a hole.
func (s *seen) acknowledged(low int64, holes []Span, also []uint64) []Key {
	done := make([]Key, 0, len(s.keys))
	for _, k := range s.keys {
		if k.Second < low && !overlaps(holes, k) {
			continue
		}
		if _, pending := s.pending[k.Hash]; !pending || slices.Contains(also, k.Hash) {
			done = append(done, k)
		}
	}
	return done
}
