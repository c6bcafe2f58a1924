package tail

// Snapshot is what a Tail needs to go on from where it is, in another process.
type Snapshot struct {
	// Seed keys the hashes of Seen.
	Seed [16]byte
	// Floor is the second before which everything is done, the Holes excepted.
	// It is 0 while the Tail has not learned where it begins.
	Floor int64
	// Holes are spans below Floor that hold something unacknowledged:
	// ascending and disjoint.
	Holes []Span
	// Seen are the acknowledged objects at or above Floor, or in Holes: in
	// ascending order of Second and then Hash.
	Seen []Key
}

// Span is a range of seconds, both ends included.
type Span struct{ From, To int64 }

// Key identifies an object that was seen. Hash is of its id and created second.
// The object was created in the seconds From to Second, which are the same
// where it says when. Where it does not, From is one second less than it could be.
type Key struct {
	From, Second int64
	Hash         uint64
}
