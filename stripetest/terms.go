package stripetest

import (
	"hash/maphash"
	"strings"
	"unicode"
)

const (
	termObjects = 512 // consecutive objects that share one set of terms
	termHashes  = 4   // bits of a set that each term has
	termWords   = 512 // of 64 bits
)

// terms is the set of what a search can find in some objects: the names of fields with
// their values. A search skips these objects if the set does not have what it looks
// for. The set is a Bloom filter, which may have terms that were not added. It also
// keeps former terms of the objects. Both make a search slower, but not wrong.
type terms [termWords]uint64

// term identifies the value of a field.
type term uint64

var termSeed = maphash.MakeSeed()

// newTerm makes the term of a value, without regard to case. The key is that of
// metadata.
func newTerm(field, key, value string) term {
	var hash maphash.Hash
	hash.SetSeed(termSeed)
	for _, part := range []string{field, "\x00", key, "\x00"} {
		_, _ = hash.WriteString(part) // never fails
	}
	for _, r := range value {
		r = foldRune(r)
		_, _ = hash.Write([]byte{byte(r), byte(r >> 8), byte(r >> 16)})
	}
	return term(hash.Sum64())
}

// foldRune returns the smallest of the letters that are equal for strings.EqualFold.
func foldRune(r rune) rune {
	smallest := r
	for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
		smallest = min(smallest, other)
	}
	return smallest
}

func (t *terms) add(added term) {
	for i := range termHashes {
		word, bit := added.bit(i)
		t[word] |= bit
	}
}

func (t *terms) has(wanted term) bool {
	for i := range termHashes {
		if word, bit := wanted.bit(i); t[word]&bit == 0 {
			return false
		}
	}
	return true
}

// bit returns the place of one of the term's bits.
func (t term) bit(i int) (word int, bit uint64) {
	part := uint64(t) >> (i * 16)
	return int(part / 64 % termWords), 1 << (part % 64)
}

// note adds the terms of an object, if objects can be searched.
func (c *collection[T]) note(e *entry[T]) {
	if c.search == nil {
		return
	}
	i := int64(e.seq / termObjects) // a dump may have any number
	if c.terms[i] == nil {
		c.terms[i] = new(terms)
	}
	for field := range c.search {
		raw := e.packed.raw(field)
		switch {
		case field == "metadata" && raw != "{}":
			for key, value := range decodeMetadata(raw) {
				c.terms[i].add(newTerm(field, key, value))
			}
		case strings.HasPrefix(raw, `"`):
			c.terms[i].add(newTerm(field, "", unquote(raw)))
		default:
			c.terms[i].add(newTerm(field, "", raw))
		}
	}
}

// term returns the term that all objects have for which the clause holds. There is
// none for a clause that compares in another way than by equality.
func (c clause) term() (wanted term, ok bool) {
	return newTerm(c.field, c.key, c.text), c.operator == ":" && !c.negated && !c.null
}

// preselect returns a function that is false for many of the entries that do not
// match the query.
func (c *collection[T]) preselect(query searchQuery) func(*entry[T]) bool {
	known, selected := int64(-1), false // the last set, and whether a match can be there
	return func(e *entry[T]) bool {
		if i := int64(e.seq / termObjects); i != known {
			known, selected = i, query.mayMatch(c.terms[i])
		}
		return selected
	}
}

// mayMatch reports whether objects with these terms can match.
func (q searchQuery) mayMatch(t *terms) bool {
	for _, c := range q.clauses {
		wanted, ok := c.term()
		if possible := !ok || t.has(wanted); possible == q.any {
			return possible
		}
	}
	return !q.any
}
