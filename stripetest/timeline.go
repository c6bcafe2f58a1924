package stripetest

import (
	"cmp"
	"iter"
	"math"
	"slices"
	"sort"
)

// maxBlock is the maximum number of entries in a block. Inserting or removing
// an entry moves at most the entries of one block and the list of blocks, which
// are a few kilobytes each for a million objects.
const maxBlock = 512

// timeline holds entries ordered by key, oldest first. It keeps them in blocks,
// so that removing an entry does not move all later ones. No block is empty.
type timeline[T any] struct {
	blocks [][]*entry[T]
	size   int
}

// key is the position of an object: its second, and its number within the
// collection.
type key struct {
	created int64
	seq     uint64 // 1 for the first object of the collection
}

// span is the range of keys from low (inclusive) to high (exclusive).
type span struct{ low, high key }

var everything = span{key{math.MinInt64, 0}, key{math.MaxInt64, math.MaxUint64}}

// startOf and endOf return the bounds of the keys of one second.
func startOf(second int64) key { return key{second, 0} }
func endOf(second int64) key   { return key{second, math.MaxUint64} }

func (k key) compare(other key) int {
	return cmp.Or(cmp.Compare(k.created, other.created), cmp.Compare(k.seq, other.seq))
}

func (k key) before(other key) bool { return k.compare(other) < 0 }

// from and until make a span narrower. The bound of until is exclusive.
func (s span) from(low key) span {
	if s.low.before(low) {
		s.low = low
	}
	return s
}

func (s span) until(high key) span {
	if high.before(s.high) {
		s.high = high
	}
	return s
}

func (s span) contains(k key) bool {
	return !k.before(s.low) && k.before(s.high)
}

// seek returns the position of the first entry that is not before k. If there
// is none, block is len(t.blocks).
func (t *timeline[T]) seek(k key) (block, i int) {
	block = sort.Search(len(t.blocks), func(b int) bool {
		last := t.blocks[b][len(t.blocks[b])-1]
		return !last.before(k)
	})
	if block == len(t.blocks) {
		return block, 0
	}
	entries := t.blocks[block]
	return block, sort.Search(len(entries), func(i int) bool { return !entries[i].before(k) })
}

func (t *timeline[T]) has(k key) bool {
	block, i := t.seek(k)
	return block < len(t.blocks) && t.blocks[block][i].key == k
}

func (t *timeline[T]) insert(e *entry[T]) {
	t.size++
	block, i := t.seek(e.key)
	if block == len(t.blocks) {
		t.append(e)
		return
	}
	entries := slices.Insert(t.blocks[block], i, e)
	t.blocks[block] = entries
	if len(entries) > maxBlock {
		half := len(entries) / 2
		t.blocks[block] = slices.Clone(entries[:half])
		t.blocks = slices.Insert(t.blocks, block+1, slices.Clone(entries[half:]))
	}
}

// append inserts an entry after all others. New objects go there unless the
// clock was set back.
func (t *timeline[T]) append(e *entry[T]) {
	last := len(t.blocks) - 1
	if last < 0 || len(t.blocks[last]) >= maxBlock {
		t.blocks = append(t.blocks, []*entry[T]{e})
		return
	}
	t.blocks[last] = append(t.blocks[last], e)
}

func (t *timeline[T]) remove(k key) {
	block, i := t.seek(k)
	t.size--
	if len(t.blocks[block]) == 1 {
		t.blocks = slices.Delete(t.blocks, block, block+1)
		return
	}
	t.blocks[block] = slices.Delete(t.blocks[block], i, i+1)
}

// descend yields the entries of a span, newest first.
func (t *timeline[T]) descend(s span) iter.Seq[*entry[T]] {
	return func(yield func(*entry[T]) bool) {
		block, i := t.seek(s.high)
		for {
			if i--; i < 0 {
				if block--; block < 0 {
					return
				}
				i = len(t.blocks[block]) - 1
			}
			if e := t.blocks[block][i]; e.before(s.low) || !yield(e) {
				return
			}
		}
	}
}

// ascend yields the entries of a span, oldest first.
func (t *timeline[T]) ascend(s span) iter.Seq[*entry[T]] {
	return func(yield func(*entry[T]) bool) {
		for block, i := t.seek(s.low); block < len(t.blocks); block, i = block+1, 0 {
			for _, e := range t.blocks[block][i:] {
				if !e.before(s.high) || !yield(e) {
					return
				}
			}
		}
	}
}
