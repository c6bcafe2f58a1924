package fleet

import (
	"context"
	"time"
)

// Engine keeps the records that the processes of a fleet share: sessions, claims,
// connections and reports. natsstore.Engine keeps them in NATS JetStream,
// sqlstore.Engine in PostgreSQL, and MemoryEngine in the memory of one process. An
// Engine is safe for concurrent use. fleettest.TestEngine tests one.
//
// A record is a value under a key. A key consists of ASCII letters, digits, "-", "_",
// "." and "/", begins and ends with a letter or digit, and has up to 200 bytes. A value
// is never nil. It may be empty. Get, Put and Delete return an error for any other key,
// and Put for a nil value or a negative ttl. It is no conflict, as that of an operation
// with a context that is over.
//
// A revision is a number that identifies one Put. For one key it grows, and it is not
// used again, not even after the record was removed. A removal has one, too.
type Engine interface {
	// Get returns the value under key and its revision, or nil and 0 if there is none.
	// It knows of every Put, Delete and removal that ended, or that a Watch has observed,
	// before Get was called. The value is the caller's.
	Get(ctx context.Context, key string) (value []byte, revision uint64, err error)

	// Put stores a value if the revision of what is stored under the key equals
	// revision (0: nothing is stored), and returns the new revision. Otherwise it
	// returns an error that wraps stripekit.ErrCheckpointConflict, and stores nothing.
	// It does not keep the slice value.
	//
	// If ttl is not 0, the Engine removes the record by its own clock, unless another
	// Put replaces it: not before ttl has passed since the record was stored, and not
	// later than 2 s after that. A removal is final, as a Delete: a later Put with the
	// revision of the removed record is a conflict.
	//
	// After any other error the record is stored, or not, or is stored a little later.
	// The same Engine then accepts another Put with the same revision, unless
	// somebody else has changed the record since, or it was removed.
	Put(ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration) (uint64, error)

	// Delete removes the record if its revision equals revision. Otherwise it returns
	// an error that wraps stripekit.ErrCheckpointConflict. If there is no record, it
	// returns nil.
	Delete(ctx context.Context, key string, revision uint64) error

	// Watch calls observe with each record, then once with an empty key, and then with
	// each change, until ctx ends or it cannot go on. It returns an error in either
	// case. It cannot go on if it may have missed a change, or if the Engine has gone
	// back to an earlier state. observe is called by one goroutine at a time, not after
	// Watch has returned, and must not block.
	//
	// A removed record has the value nil, and a revision that is greater than the one
	// it had. Watch may skip a change that another one of the same key has followed,
	// but it observes the last one, within a second if nothing is broken. The revisions
	// of one key that it observes never decrease. If a record is skipped because it was
	// removed before Watch began, it is not observed at all.
	//
	// observe may keep the value, but not change it.
	Watch(ctx context.Context, observe func(key string, value []byte, revision uint64)) error
}
