package tail

// Snapshot is the state that a Tail needs to continue in another process.
type Snapshot struct {
	// Seed is the key of the hashes in Seen.
	Seed [16]byte
	// Floor is the Unix second before which everything is acknowledged, except
	// in Holes. It is 0 until the Tail has learned where it begins.
	Floor int64
	// Holes are the spans below Floor with unacknowledged objects, ascending
	// and disjoint.
	Holes []Span
	// Seen holds the acknowledged objects at or above Floor, or in Holes, in
	// ascending order of Second and then Hash.
	Seen []Key
}

// Span is a range of seconds, both ends included.
type Span struct{ From, To int64 }

// Key identifies an object that was seen. Hash is a hash of its id and created
// second. From and Second are the created second, if the object has one. If it
// has none, the object was created after From, and not after Second.
type Key struct {
	From, Second int64
	Hash         uint64
}
