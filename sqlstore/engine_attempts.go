package sqlstore

import (
	"math/rand/v2"
	"sync"
)

// maxAttempts is how many keys an Engine remembers Puts of unknown end for. If there
// are more, any of them is forgotten: its next Put may then be a conflict.
const maxAttempts = 10_000

// attempts are the Puts of one revision that ended with an error, so that the record
// may be stored. They are numbered from base on, which is random.
type attempts struct {
	revision uint64
	base     int64
	count    int64
}

// next returns the number of the next attempt.
func (a attempts) next() int64 { return a.base + a.count }

// include reports whether the number is that of an attempt. The next one counts, too,
// because some drivers send a statement again that the server may have executed.
func (a attempts) include(attempt int64) bool {
	return attempt >= a.base && attempt <= a.next()
}

// attemptLog has the attempts of an Engine, by key.
type attemptLog struct {
	mu    sync.Mutex
	byKey map[string]attempts
}

// take removes and returns the attempts to Put something on this revision. Of two Puts
// at the same time one has them, so that their numbers differ.
func (l *attemptLog) take(key string, revision uint64) attempts {
	l.mu.Lock()
	defer l.mu.Unlock()
	a, ok := l.byKey[key]
	if !ok || a.revision != revision {
		return attempts{revision: revision, base: rand.Int64N(1 << 62)}
	}
	delete(l.byKey, key)
	return a
}

// add records another attempt whose end is unknown.
func (l *attemptLog) add(key string, a attempts) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byKey == nil {
		l.byKey = map[string]attempts{}
	}
	if len(l.byKey) >= maxAttempts {
		for other := range l.byKey {
			delete(l.byKey, other)
			break
		}
	}
	a.count++
	l.byKey[key] = a
}
