// Package checkpoint encodes the checkpoint of a Poller. A checkpoint is
// written up to once a second and holds every object acknowledged within the
// overlap, so its size matters: an object takes 8 to 10 bytes.
//
// The format, version 4, of which every state has exactly one encoding:
//
//	magic      "stripekit"
//	version    1 byte
//	key        length, bytes
//	account    length, bytes
//	key hash   8 bytes
//	claim      length, bytes
//	seed       16 bytes
//	started    signed varint: Unix milliseconds; those of the zero time.Time if unset
//	done to    Unix seconds
//	floor      Unix seconds
//	holes      their number, then for each:
//	             From - (To of the previous hole + 1); the first: From
//	             To - From
//	seen       the number of objects, then for each second that has any:
//	             the second - (the previous second + 1); the first: the second
//	             the number of its objects × 2, + 1 if From is given
//	             for each object:
//	               hash, 8 bytes, little-endian
//	               Second - From, if From is given
//	checksum   CRC-32C of everything before it, 4 bytes, little-endian
//
// Numbers without a size are unsigned varints, in as few bytes as possible.
// From is given for all objects of a second if it differs from Second for one
// of them.
package checkpoint

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"time"

	"github.com/stripekit/stripekit/internal/tail"
)

const (
	magic   = "stripekit"
	version = 4

	// version1 is the beginning of every checkpoint of version 1, which was
	// JSON.
	version1 = `{"version":1,`

	hashSize     = 8
	checksumSize = 4
)

// State is the content of a checkpoint.
type State struct {
	// Key identifies the list and the flow that the checkpoint belongs to.
	Key string
	// Account is the Stripe account ("acct_…"). It is empty if unknown.
	Account string
	// KeyHash is a hash of Seed and the API key that Account was learned with. It is
	// zero if Account is empty.
	KeyHash [hashSize]byte
	// Claim is a random text that identifies the Poller that wrote the checkpoint.
	Claim string
	// Started is when a flow from now on was started, by the clock of this
	// machine, in whole milliseconds. It is zero once Floor is known.
	Started time.Time
	// DoneTo is the second before which everything is acknowledged, as Floor, but by the
	// Dates of responses alone: nothing may be skipped because of it. It is 0 if it is
	// not known, and for lists that forget nothing.
	DoneTo int64

	tail.Snapshot
}

// Append appends the encoding of s to dst and returns the extended slice. Equal
// states have equal encodings. Append does not check the Snapshot: if its parts
// are out of order or out of range, Decode refuses the encoding.
func Append(dst []byte, s *State) []byte {
	start := len(dst)
	dst = slices.Grow(dst, sizeHint(s))
	dst = append(dst, magic...)
	dst = append(dst, version)
	dst = appendString(dst, s.Key)
	dst = appendString(dst, s.Account)
	dst = append(dst, s.KeyHash[:]...)
	dst = appendString(dst, s.Claim)
	dst = append(dst, s.Seed[:]...)
	dst = binary.AppendVarint(dst, s.Started.UnixMilli())
	dst = binary.AppendUvarint(dst, uint64(s.DoneTo))
	dst = binary.AppendUvarint(dst, uint64(s.Floor))
	dst = appendHoles(dst, s.Holes)
	dst = appendSeen(dst, s.Seen)
	return binary.LittleEndian.AppendUint32(dst, checksum(dst[start:]))
}

// sizeHint returns the usual size of the encoding of s. It may be exceeded.
func sizeHint(s *State) int {
	return 100 + len(s.Key) + len(s.Account) + len(s.Claim) + 8*len(s.Holes) + 10*len(s.Seen)
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// appendHoles uses unsigned subtraction, as do the functions below. A
// difference that would be negative becomes a number that Decode refuses as too
// large.
func appendHoles(dst []byte, holes []tail.Span) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(holes)))
	next := uint64(0) // the lowest second that the hole may begin in
	for _, h := range holes {
		from, to := uint64(h.From), uint64(h.To)
		dst = binary.AppendUvarint(dst, from-next)
		dst = binary.AppendUvarint(dst, to-from)
		next = to + 1
	}
	return dst
}

func appendSeen(dst []byte, seen []tail.Key) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(seen)))
	next := uint64(0) // the lowest second that the group may have
	for len(seen) > 0 {
		n := groupLen(seen)
		second := uint64(seen[0].Second)
		dst = binary.AppendUvarint(dst, second-next)
		dst = appendGroup(dst, seen[:n])
		seen, next = seen[n:], second+1
	}
	return dst
}

// groupLen returns how many objects at the start of seen have the same Second.
func groupLen(seen []tail.Key) int {
	for i, k := range seen {
		if k.Second != seen[0].Second {
			return i
		}
	}
	return len(seen)
}

// appendGroup encodes the objects of one second. The flag for From shares a
// varint with their number, so that a single object with From equal to Second
// takes 10 bytes and not 11.
func appendGroup(dst []byte, group []tail.Key) []byte {
	head := uint64(len(group)) << 1
	fromGiven := slices.ContainsFunc(group, func(k tail.Key) bool { return k.From != k.Second })
	if fromGiven {
		head |= 1
	}
	dst = binary.AppendUvarint(dst, head)
	for _, k := range group {
		dst = binary.LittleEndian.AppendUint64(dst, k.Hash)
		if fromGiven {
			dst = binary.AppendUvarint(dst, uint64(k.Second)-uint64(k.From))
		}
	}
	return dst
}

func checksum(data []byte) uint32 {
	return crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))
}

// Decode decodes data, which it does not retain. The checkpoint must have the
// given key. The error says only why data is refused, such as "it is damaged:
// its checksum does not match"; the caller adds the context. It is safe to
// decode untrusted data: Decode does not panic, and allocates no more than a
// small multiple of the length of data.
func Decode(data []byte, key string) (*State, error) {
	body, err := open(data)
	if err != nil {
		return nil, err
	}
	r := reader{rest: body}
	s := &State{Key: r.string(), Account: r.string()}
	copy(s.KeyHash[:], r.bytes(hashSize))
	s.Claim = r.string()
	copy(s.Seed[:], r.bytes(uint64(len(s.Seed))))
	s.Started = time.UnixMilli(r.varint()).UTC()
	s.DoneTo = r.second(0, secondsEnd, "the second before which all is done is out of range")
	s.Floor = r.second(0, secondsEnd, "its floor is out of range")
	s.Holes = r.holes(uint64(s.Floor))
	s.Seen = r.seen()
	if len(r.rest) > 0 {
		r.fail("something follows its end")
	}
	switch {
	case r.err != nil:
		return nil, r.err
	case s.Key != key:
		return nil, fmt.Errorf("it belongs to %q", s.Key)
	case s.Floor == 0 && s.Started.IsZero():
		return nil, errors.New("it has no floor")
	}
	return s, nil
}

// open returns the bytes between the version and the checksum. The version is
// checked first, because another version may have another kind of checksum.
func open(data []byte) ([]byte, error) {
	if bytes.HasPrefix(data, []byte(version1)) {
		return nil, versionError(1)
	}
	rest, ok := bytes.CutPrefix(data, []byte(magic))
	switch {
	case !ok:
		return nil, damaged("it does not begin like a checkpoint")
	case len(rest) == 0:
		return nil, damaged(cutOff)
	case rest[0] >= ' ': // a text that begins with the magic, as the files of FileStore do
		return nil, damaged("it does not begin like a checkpoint")
	case rest[0] != version:
		return nil, versionError(rest[0])
	case len(rest) < 1+checksumSize:
		return nil, damaged(cutOff)
	}
	end := len(data) - checksumSize
	if binary.LittleEndian.Uint32(data[end:]) != checksum(data[:end]) {
		return nil, damaged("its checksum does not match")
	}
	return rest[1 : len(rest)-checksumSize], nil
}

const cutOff = "it is cut off"

func damaged(reason string) error {
	return errors.New("it is damaged: " + reason)
}

func versionError(v byte) error {
	return fmt.Errorf("its format is version %d, and this library reads %d", v, version)
}

// secondsEnd is the first second that does not fit an int64.
const secondsEnd = 1 << 63

// reader reads rest from its start. After the first failure, which it keeps in
// err, rest is empty and every method returns zero.
type reader struct {
	rest []byte
	err  error
}

func (r *reader) fail(reason string) {
	if r.err == nil {
		r.err = damaged(reason)
	}
	r.rest = nil
}

func (r *reader) bytes(n uint64) []byte {
	if n > uint64(len(r.rest)) {
		r.fail(cutOff)
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) string() string {
	return string(r.bytes(r.uvarint()))
}

func (r *reader) hash() uint64 {
	b := r.bytes(hashSize)
	if b == nil {
		return 0
	}
	return binary.LittleEndian.Uint64(b)
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	switch {
	case n == 0:
		r.fail(cutOff)
		return 0
	case n < 0:
		r.fail("a number overflows")
		return 0
	case n > 1 && r.rest[n-1] == 0:
		r.fail("a number has more bytes than it needs")
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

// varint undoes the zigzag of binary.AppendVarint.
func (r *reader) varint() int64 {
	v := r.uvarint()
	return int64(v>>1) ^ -int64(v&1)
}

// second reads the distance of a second from base. The second must be below
// end; if it is not, reason says what is wrong. Base is at most end, and end at
// most secondsEnd.
func (r *reader) second(base, end uint64, reason string) int64 {
	distance := r.uvarint()
	if r.err != nil {
		return 0
	}
	if distance >= end-base {
		r.fail(reason)
		return 0
	}
	return int64(base + distance)
}

// count reads a number of elements of at least size bytes each. It fails if the
// rest has no room for them, so the caller can allocate them all.
func (r *reader) count(size int) int {
	n := r.uvarint()
	if n > uint64(len(r.rest)/size) {
		r.fail(cutOff)
		return 0
	}
	return int(n)
}

// holes reads spans of seconds below floor. They are ascending and disjoint
// because no distance is negative.
func (r *reader) holes(floor uint64) []tail.Span {
	n := r.count(2)
	if n == 0 {
		return nil
	}
	holes := make([]tail.Span, n)
	next := uint64(0)
	for i := range holes {
		h := &holes[i]
		h.From = r.second(next, floor, "its holes are out of order or not below its floor")
		h.To = r.second(uint64(h.From), floor, "a hole has no end below its floor")
		if r.err != nil {
			return nil
		}
		next = uint64(h.To) + 1
	}
	return holes
}

func (r *reader) seen() []tail.Key {
	n := r.count(hashSize)
	if n == 0 {
		return nil
	}
	seen := make([]tail.Key, 0, n)
	next := uint64(0)
	for len(seen) < n {
		second := r.second(next, secondsEnd, "its seconds are out of order or out of range")
		seen = r.group(seen, second)
		if r.err != nil {
			return nil
		}
		next = uint64(second) + 1
	}
	return seen
}

// group reads the objects of one second and appends them to seen, within its
// capacity.
func (r *reader) group(seen []tail.Key, second int64) []tail.Key {
	head := r.uvarint()
	n, fromGiven := head>>1, head&1 == 1
	if n == 0 || n > uint64(cap(seen)-len(seen)) {
		r.fail("the numbers of its objects do not add up")
		return nil
	}
	first, fromDiffers := len(seen), false
	for range n {
		k := tail.Key{From: second, Second: second, Hash: r.hash()}
		if fromGiven {
			k.From = r.from(second)
			fromDiffers = fromDiffers || k.From != second
		}
		if len(seen) > first && k.Hash <= seen[len(seen)-1].Hash {
			r.fail("its objects are out of order")
		}
		if r.err != nil {
			return nil
		}
		seen = append(seen, k)
	}
	if fromGiven && !fromDiffers {
		r.fail("a second gives From without need")
	}
	return seen
}

// from reads the distance of From before second, and returns From.
func (r *reader) from(second int64) int64 {
	distance := r.uvarint()
	if distance > uint64(second) {
		r.fail("an object is from a negative second or from after its own")
		return 0
	}
	return second - int64(distance)
}
