package fleet

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"
	"unicode/utf8"
)

// nameIndex has the names of all connections, which the records have in JSON. It takes
// less than 50 bytes a connection more than the names, and nothing before it is used.
type nameIndex struct {
	mu      sync.Mutex // locked before that of the worker
	shards  []*shardNames
	changes []uint64 // of the directory, when the names were read
}

// shardNames are the names of the connections of a shard. They are not changed.
type shardNames struct {
	text string   // all of them
	ends []uint32 // where each ends
	keys []string // of the records
}

func (s *shardNames) len() int { return len(s.keys) }

func (s *shardNames) name(i int) string {
	begin := uint32(0)
	if i > 0 {
		begin = s.ends[i-1]
	}
	return s.text[begin:s.ends[i]]
}

// connectionNames returns the names of the connections of each shard. It reads those of
// the shards that have changed, and holds the worker's mutex for one shard at a time.
func (w *worker) connectionNames() []*shardNames {
	x := &w.names
	x.mu.Lock()
	defer x.mu.Unlock()
	all := make([]*shardNames, len(w.directory.byShard))
	if x.shards == nil {
		x.shards, x.changes = make([]*shardNames, len(all)), make([]uint64, len(all))
	}
	var values [][]byte
	for shard := range all {
		w.mu.Lock()
		changes := w.directory.changes[shard]
		if x.shards[shard] != nil && x.changes[shard] == changes {
			w.mu.Unlock()
			continue
		}
		records := w.directory.byShard[shard]
		s := &shardNames{keys: make([]string, 0, len(records)), ends: make([]uint32, 0, len(records))}
		values = values[:0]
		for key, r := range records {
			s.keys, values = append(s.keys, key), append(values, r.value)
		}
		w.mu.Unlock()
		s.read(values)
		x.shards[shard], x.changes[shard] = s, changes
	}
	copy(all, x.shards)
	return all
}

func (s *shardNames) read(values [][]byte) {
	var text strings.Builder
	for _, value := range values {
		text.Write(recordName(value))
		s.ends = append(s.ends, uint32(text.Len())) //nolint:gosec // a name is short
	}
	s.text = strings.Clone(text.String()) // without what the Builder has to spare
}

// recordName returns the name in the record of a connection. It does not decode the
// record, since Put writes the name first.
func recordName(value []byte) []byte {
	const prefix = `{"name":"`
	if bytes.HasPrefix(value, []byte(prefix)) {
		rest := value[len(prefix):]
		if end := bytes.IndexAny(rest, `"\`); end >= 0 && rest[end] == '"' {
			return rest[:end]
		}
	}
	var spec Spec
	_ = json.Unmarshal(value, &spec) // a record that cannot be read has no name
	return []byte(spec.Name)
}

// matcher finds a part of a name in any case of letters.
type matcher struct{ lower string }

func newMatcher(q string) matcher { return matcher{strings.ToLower(q)} }

func (m matcher) matches(name string) bool {
	if len(m.lower) == 0 {
		return true
	}
	for i := range len(name) {
		if name[i] >= utf8.RuneSelf {
			return strings.Contains(strings.ToLower(name), m.lower)
		}
	}
	for i := 0; i+len(m.lower) <= len(name); i++ {
		if m.begins(name[i:]) {
			return true
		}
	}
	return false
}

// begins reports whether ASCII text begins with what is looked for.
func (m matcher) begins(text string) bool {
	for i := range len(m.lower) {
		b := text[i]
		if 'A' <= b && b <= 'Z' {
			b += 'a' - 'A'
		}
		if b != m.lower[i] {
			return false
		}
	}
	return true
}
