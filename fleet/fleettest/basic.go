package fleettest

import (
	"bytes"
	"fmt"
	"math"
	"strings"
)

// testKey is a key as a fleet has it.
const testKey = "session/worker-1.Zq_9"

// otherRevisions returns revisions that differ from stored, in the ways in which
// engines confuse numbers: by one, by sign, by their upper half, by rounding.
func otherRevisions(stored uint64) []uint64 {
	all := []uint64{
		0, 1, 2, stored - 1, stored + 1, stored + 2, stored + 1000, -stored,
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

func checkEmpty(t *engineTest) {
	engines := t.openAll(2)
	w := engines[1].watchSynced()
	engines[0].lacks(testKey)
	for _, revision := range otherRevisions(0) {
		engines[0].refuses(testKey, revision, "and nothing is stored")
		engines[0].remove(testKey, revision) // there is nothing, so it returns nil
	}
	engines[0].remove(testKey, 0)
	engines[0].lacks(testKey)
	engines[1].lacks(testKey)
	revision := engines[0].put("other", []byte("x"), 0, 0)
	w.sees(watchTimeout, "other", []byte("x"), revision)
	w.misses(testKey, "nothing was ever stored")
}

func checkPuts(t *engineTest) {
	engines := t.openAll(3)
	revision := uint64(0)
	for i := range 12 {
		value := fmt.Appendf(nil, "value %d", i)
		revision = engines[i%3].put(testKey, value, revision, 0)
		for j := range engines {
			engines[(i+j+1)%3].has(testKey, value, revision)
		}
	}
	t.open().has(testKey, []byte("value 11"), revision)
}

func checkConflicts(t *engineTest) {
	engines := t.openAll(2)
	var old []uint64
	revision := uint64(0)
	for i, value := range []string{"first", "second", "third"} {
		old = append(old, revision)
		revision = engines[i%2].put(testKey, []byte(value), revision, 0)
		for j, e := range engines {
			others := append([]uint64{}, old...)
			if j == i%2 { // once is enough for these
				others = append(others, otherRevisions(revision)...)
			}
			for _, other := range others {
				e.refuses(testKey, other, fmt.Sprintf("while %d is stored", revision))
			}
			e.has(testKey, []byte(value), revision)
		}
	}
	// Another key may or may not have the same revisions.
	other := engines[1].put("other", []byte("x"), 0, 0)
	other = engines[0].put("other", []byte("y"), other, 0)
	if other != revision {
		engines[1].refuses(testKey, other, "which is that of another key")
	}
	engines[1].put(testKey, []byte("fourth"), revision, 0)
}

func checkRevisions(t *engineTest) {
	engines := t.openAll(2)
	var old []uint64
	last, revision := uint64(0), uint64(0)
	for i := range 24 {
		// The same value again is another Put, and has another revision.
		revision = engines[i/2%2].put(testKey, []byte("the same"), revision, 0)
		if revision <= last {
			t.Fatalf("Put %d of a key has the revision %d, and an earlier one had %d: it must grow, also after a Delete", i, revision, last)
		}
		last = revision
		old = append(old, revision)
		if i%6 == 5 {
			engines[i/6%2].remove(testKey, revision)
			revision = 0
			for _, o := range old {
				engines[(i/6+1)%2].refuses(testKey, o, "and the record was removed")
			}
		}
	}
}

// keyAlphabet has all characters of a key.
const keyAlphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./"

// maxKeyBytes is the length of the longest key.
const maxKeyBytes = 200

// testKeys are different, valid keys that an engine may confuse, refuse or cut.
func testKeys() []string {
	longest := strings.Repeat("k", maxKeyBytes)
	keys := []string{
		"a", "A", "Z", "0", "9", "aa", "ab", "a-b", "a_b", "a.b", "a/b", "a.b.c", "a/b/c", "a/b.c", "a.b/c", "A-B",
		"a--b", "a__b", "a..b", "a//b", "a/../b", "a/./b", "a./b", "a/.b", "a-/_.b", "a_/b", "a_3Db", "a-2Fb", "a_2F_b",
		"claim/0", "claim/00", "claim/1", "claim/10", "claim/511", "session/w.1", "session/w", "session",
		"null", "NaN", "true", "1e3", "0x10", "CON", "a.json", keyAlphabet + "z",
		longest, longest[:maxKeyBytes-1], longest[:maxKeyBytes-1] + "K",
	}
	for _, c := range "-_./" {
		keys = append(keys, "a"+strings.Repeat(string(c), maxKeyBytes-2)+"b")
	}
	return keys
}

func checkKeys(t *engineTest) {
	engines := t.openAll(2)
	before := engines[1].watchSynced()
	stored := map[string]uint64{}
	keys := testKeys()
	for i, key := range keys {
		engines[1].lacks(key)
		stored[key] = engines[i%2].put(key, []byte(key), 0, 0)
	}
	after := engines[0].watchSynced()
	for i, key := range keys {
		engines[i%2].has(key, []byte(key), stored[key])
		before.sees(watchTimeout, key, []byte(key), stored[key])
		after.sees(watchTimeout, key, []byte(key), stored[key])
	}
	if after.state != len(stored) {
		t.Fatalf("Watch has observed %d records before the empty key: want %d", after.state, len(stored))
	}
	removed := map[string]bool{}
	for i, key := range keys {
		if i%2 == 0 {
			engines[0].remove(key, stored[key])
			removed[key] = true
		}
	}
	for key, revision := range stored {
		if removed[key] {
			engines[1].lacks(key)
			before.sees(watchTimeout, key, nil, revision)
		} else {
			engines[1].has(key, []byte(key), revision)
		}
	}
}

// testValues are values that an engine may confuse or change.
func testValues() [][]byte {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	return [][]byte{
		{},
		{0},
		{'\n'},
		{0xff},
		all, []byte(`{"json":"\u0000 é"}`), []byte("null"), []byte(`\x00`),
		{},
		[]byte("NULL"),
		{0, 0},
		bytes.Repeat(all, 400), []byte("short again"),
		{},
	}
}

func checkValues(t *engineTest) {
	engines := t.openAll(2)
	live := engines[1].watchSynced()
	revision := uint64(0)
	for i, value := range testValues() {
		key := fmt.Sprint("report/", i)
		revision = engines[i%2].put(testKey, value, revision, 0)
		first := engines[(i+1)%2].put(key, value, 0, 0)
		for _, e := range engines {
			e.has(testKey, value, revision)
			e.has(key, value, first)
		}
	}
	for _, w := range []*watcher{live, engines[0].watchSynced()} {
		for i, value := range testValues() {
			key := fmt.Sprint("report/", i)
			_, stored := engines[0].get(key)
			w.sees(watchTimeout, key, value, stored)
		}
	}
}

func checkSlices(t *engineTest) {
	engines := t.openAll(2)
	w := engines[0].watchSynced()
	value := []byte("as it was put")
	revision := engines[0].put(testKey, value, 0, 0)
	copy(value, "overwritten  ")
	var got [][]byte
	for _, e := range engines {
		value, _ := e.get(testKey)
		got = append(got, value)
		if string(value) != "as it was put" {
			t.Fatalf("Get: got %s after the caller of Put has changed its slice: Put must not keep it", brief(value))
		}
	}
	for _, value := range got {
		copy(value, "overwritten  ")
	}
	for _, e := range engines {
		if value, _ := e.get(testKey); string(value) != "as it was put" {
			t.Fatalf("Get: got %s after the caller of Get has changed the slice that it got: it must be the caller's own", brief(value))
		}
	}
	w.sees(watchTimeout, testKey, []byte("as it was put"), revision)
	// What observe has kept is compared when the watcher ends. More values follow here,
	// of the same size and others, so that a buffer that is used again is noticed.
	revisions := map[string]uint64{}
	for round := range 3 {
		for i := range 20 {
			key := fmt.Sprint("claim/", i)
			value := fmt.Appendf(nil, "value %d %d%s", round, i, strings.Repeat(".", i%3))
			revisions[key] = engines[0].put(key, value, revisions[key], 0)
		}
		for key, revision := range revisions {
			value, _ := engines[1].get(key)
			w.sees(watchTimeout, key, value, revision)
		}
	}
}

func checkDelete(t *engineTest) {
	engines := t.openAll(2)
	w := engines[0].watchSynced()
	first := engines[0].put(testKey, []byte("first"), 0, 0)
	revision := engines[1].put(testKey, []byte("second"), first, 0)
	for i, other := range append(otherRevisions(revision), first) {
		engines[i%2].keeps(testKey, other)
	}
	for _, e := range engines {
		e.has(testKey, []byte("second"), revision)
	}
	engines[0].put("other", []byte("stays"), 0, 0)

	engines[0].remove(testKey, revision)
	for _, e := range engines {
		e.lacks(testKey)
	}
	removal := w.sees(watchTimeout, testKey, nil, revision).revision
	for i, old := range []uint64{first, revision, removal} {
		engines[i%2].refuses(testKey, old, "and the record was deleted")
		engines[i%2].remove(testKey, old) // there is nothing any more, so it returns nil
	}
	engines[1].lacks(testKey)

	again := engines[1].put(testKey, []byte("third"), 0, 0)
	if again <= revision {
		t.Fatalf("the first Put after a Delete has the revision %d, and the deleted record had %d: it must grow", again, revision)
	}
	for _, old := range []uint64{0, first, revision, removal} {
		engines[0].keeps(testKey, old)
		engines[1].refuses(testKey, old, "which is older than a Delete")
	}
	engines[0].has(testKey, []byte("third"), again)
	w.sees(watchTimeout, testKey, []byte("third"), again)
	if value, _ := engines[0].get("other"); string(value) != "stays" {
		t.Fatalf("Delete of one key has changed another one to %s", brief(value))
	}
}
