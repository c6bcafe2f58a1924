package stripekittest

import (
	"bytes"
	"fmt"
	"math"
	"net/url"
)

// otherRevisions returns revisions that differ from stored, in the ways in which
// stores confuse numbers: by one, by sign, by their upper half, by rounding.
func otherRevisions(stored uint64) []uint64 {
	all := []uint64{
		0, 1, 2, stored - 1, stored + 1, stored + 2, stored - 1000, stored + 1000, -stored,
		stored + 1<<31, stored + 1<<32, stored ^ 1<<52, stored ^ 1<<62, stored ^ 1<<63,
		math.MaxInt32, math.MaxUint32, 1<<53 + 1, math.MaxInt64 - 1, math.MaxInt64, math.MaxInt64 + 1,
		math.MaxUint64 - 1, math.MaxUint64,
	}
	others := all[:0]
	for _, revision := range all {
		if revision != stored {
			others = append(others, revision)
		}
	}
	return others
}

func checkEmptyStore(t *storeTest) {
	s := t.open()
	s.lacks(storeKey)
	for _, revision := range otherRevisions(0) {
		s.refuses(storeKey, revision)
	}
	s.lacks(storeKey)
	s.remove(storeKey)
	s.lacks(storeKey)
	t.open().lacks(storeKey)
}

func checkSaves(t *storeTest) {
	stores := t.openAll(3)
	revision := uint64(0)
	for i := range 12 {
		data := fmt.Appendf(nil, "data %d", i)
		revision = stores[i%3].save(storeKey, data, revision)
		for _, s := range stores {
			s.has(storeKey, data, revision)
			s.has(storeKey, data, revision)
		}
	}
	t.open().has(storeKey, []byte("data 11"), revision)
}

func checkRevisions(t *storeTest) {
	stores := t.openAll(2)
	seen := map[uint64]int{}
	revision := uint64(0)
	for i := range 20 {
		// The same data again is another Save, and has another revision.
		revision = stores[i/2%2].save(storeKey, fmt.Appendf(nil, "data %d", i/4%2), revision)
		if before, ok := seen[revision]; ok {
			t.Fatalf("save %d has the revision %d of save %d", i, revision, before)
		}
		seen[revision] = i
	}
	for old := range seen {
		if old != revision {
			stores[0].refuses(storeKey, old)
		}
	}
	stores[1].has(storeKey, []byte("data 0"), revision)
}

func checkConflicts(t *storeTest) {
	stores := t.openAll(2)
	const otherKey = storeKey + "2"
	var old []uint64
	revision := uint64(0)
	for i, data := range []string{"first", "second", "third"} {
		old = append(old, revision)
		revision = stores[i%2].save(storeKey, []byte(data), revision)
		for _, s := range stores {
			for _, other := range append(otherRevisions(revision), old...) {
				s.refuses(storeKey, other)
			}
			s.has(storeKey, []byte(data), revision)
		}
	}
	others := stores[0].save(otherKey, []byte("other"), 0)
	others = stores[0].save(otherKey, []byte("another"), others)
	if others != revision { // as it may be: revisions are those of a key
		stores[1].refuses(storeKey, others)
		stores[1].refuses(otherKey, revision)
	}
	stores[1].has(storeKey, []byte("third"), revision)
	stores[1].has(otherKey, []byte("another"), others)
	stores[0].save(storeKey, []byte("fourth"), revision)
}

func checkSlices(t *storeTest) {
	s := t.open()
	const room = "not to be written to"
	mine := append([]byte("mine"), room...)
	first := s.save(storeKey, mine[:4], 0)
	if string(mine) != "mine"+room {
		t.Fatalf("Save has changed its argument, or what follows it in memory: %q", mine)
	}
	copy(mine, "MINE")
	s.has(storeKey, []byte("mine"), first)

	loaded, _ := s.load(storeKey)
	copy(loaded, "LOAD")
	s.has(storeKey, []byte("mine"), first)

	before, _ := s.load(storeKey)
	s.save(storeKey, []byte("next"), first)
	if string(before) != "mine" {
		t.Fatalf("Save has changed what an earlier Load has returned: %q", before)
	}
}

func checkEmptyData(t *storeTest) {
	s := t.open()
	for key, empty := range map[string][]byte{"test///charges//nil": nil, "test///charges//empty": {}} {
		first := s.save(key, empty, 0)
		s.has(key, nil, first)
		t.open().has(key, nil, first)
		s.refuses(key, 0)
		second := s.save(key, empty, first)
		third := s.save(key, []byte("data"), second)
		fourth := s.save(key, empty, third)
		s.has(key, nil, fourth)
		s.refuses(key, third)
		s.remove(key)
		s.lacks(key)
	}
}

// storedData returns data that a store may not be able to keep as it is.
func storedData() map[string][]byte {
	allBytes := make([]byte, 256)
	for i := range allBytes {
		allBytes[i] = byte(i)
	}
	// A NATS message is 1 MiB at most, with its headers.
	large := make([]byte, 1_000_000)
	for i := range large {
		large[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return map[string][]byte{
		"all bytes":          allBytes,
		"one NUL":            {0},
		"NULs at both ends":  []byte("\x00data\x00"),
		"spaces at the ends": []byte("\n data \r\n"),
		"not UTF-8":          []byte("\xff\xfe\xc3\x28"),
		"escapes":            []byte(`\x00 %s %00 \\ ' " $1 ? {}`),
		"JSON":               []byte(`{"b": 1.0, "a": 1e2, "a": null}`),
		"100 kB of text":     bytes.Repeat([]byte("0123456789"), 10_000),
		"1 MB of all bytes":  large,
	}
}

func checkData(t *storeTest) {
	s, other := t.open(), t.open()
	for name, data := range storedData() {
		key := "test///charges//" + url.PathEscape(name)
		first := s.save(key, data, 0)
		s.has(key, data, first)
		other.has(key, data, first)
		second := other.save(key, []byte("short"), first)
		s.has(key, []byte("short"), second)
		third := s.save(key, data, second)
		other.has(key, data, third)
		s.remove(key)
	}
}

func checkDelete(t *storeTest) {
	s, other := t.open(), t.open()
	first := s.save(storeKey, []byte("first"), 0)
	second := s.save(storeKey, []byte("second"), first)
	other.has(storeKey, []byte("second"), second)

	other.remove(storeKey)
	for _, s := range []*openStore{s, other, t.open()} {
		s.lacks(storeKey)
		s.refuses(storeKey, first)
		s.refuses(storeKey, second)
		s.lacks(storeKey)
		s.remove(storeKey)
		s.lacks(storeKey)
	}

	anew := s.save(storeKey, []byte("first"), 0) // the same data again
	for _, s := range []*openStore{s, other} {
		for _, old := range []uint64{0, first, second} {
			if old == anew {
				t.Fatalf("the revision %d is used again after a Delete", old)
			}
			s.refuses(storeKey, old)
		}
		s.has(storeKey, []byte("first"), anew)
	}
	other.save(storeKey, []byte("next"), anew)
}

func checkRevisionsAfterDelete(t *storeTest) {
	stores := t.openAll(2)
	seen := map[uint64]bool{}
	for i := range 20 {
		if i == 7 || i == 14 {
			stores[0] = t.open() // as a process that has been restarted
		}
		s, other := stores[i%2], stores[(i+1)%2]
		revision := uint64(0)
		for range 1 + i%3 {
			revision = s.save(storeKey, []byte("data"), revision)
			if seen[revision] {
				t.Fatalf("the revision %d is used again after a Delete", revision)
			}
			for old := range seen {
				other.refuses(storeKey, old)
			}
			seen[revision] = true
		}
		other.remove(storeKey)
		s.lacks(storeKey)
	}
}
