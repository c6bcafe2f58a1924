package checkpoint

import (
	"encoding/binary"
	"encoding/hex"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/internal/tail"
)

const testKey = "test//charges/my flow"

// smallState returns a short state that uses every part of the format.
func smallState() *State {
	return &State{
		Key: testKey, Account: "acct_1", KeyHash: [8]byte{1, 7: 8}, Claim: "claim", DoneTo: 1_700_000_100,
		Snapshot: tail.Snapshot{
			Seed:  [16]byte{1, 2, 3, 15: 16},
			Floor: 1_700_000_000,
			Holes: []tail.Span{{From: 1_699_990_000, To: 1_699_990_009}, {From: 1_699_990_010, To: 1_699_990_010}},
			Seen: []tail.Key{
				{From: 1_699_990_000, Second: 1_699_990_000, Hash: 7},
				{From: 1_700_000_000, Second: 1_700_000_000, Hash: 0},
				{From: 1_700_000_000, Second: 1_700_000_000, Hash: math.MaxUint64},
				{From: 1_699_999_000, Second: 1_700_000_012, Hash: 5},
				{From: 1_700_000_012, Second: 1_700_000_012, Hash: 6},
			},
		},
	}
}

// randomState returns a valid state. Half of the states are spread over all
// possible seconds, and half over an hour.
func randomState(r *rand.Rand) *State {
	s := &State{Key: randomText(r), Account: randomText(r), Claim: randomText(r)}
	binary.LittleEndian.PutUint64(s.KeyHash[:], r.Uint64())
	for i := range s.Seed {
		s.Seed[i] = byte(r.Uint32())
	}
	if r.IntN(2) == 0 {
		s.Started = time.UnixMilli(r.Int64N(4e12)).UTC()
	}
	if r.IntN(2) == 0 {
		s.DoneTo = r.Int64()
	}
	s.Floor = 1 + r.Int64N(math.MaxInt64)
	if r.IntN(2) == 0 {
		s.Floor = 1_700_000_000
	}
	for bounds := range slices.Chunk(randomSeconds(r, 2*r.IntN(4), s.Floor), 2) {
		if len(bounds) == 2 {
			s.Holes = append(s.Holes, tail.Span{From: bounds[0], To: bounds[1]})
		}
	}
	for _, second := range randomSeconds(r, r.IntN(40), math.MaxInt64) {
		for _, hash := range randomHashes(r) {
			k := tail.Key{From: second, Second: second, Hash: hash}
			if r.IntN(4) == 0 {
				k.From = r.Int64N(second + 1)
			}
			s.Seen = append(s.Seen, k)
		}
	}
	return s
}

func randomText(r *rand.Rand) string {
	b := make([]byte, r.IntN(3)*r.IntN(100))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return string(b)
}

// randomSeconds returns at most n different seconds below end, in ascending order.
func randomSeconds(r *rand.Rand, n int, end int64) []int64 {
	base, width := int64(0), end
	if r.IntN(2) == 0 {
		width = min(end, 3600)
		base = end - width
	}
	seconds := make([]int64, n)
	for i := range seconds {
		seconds[i] = base + r.Int64N(width)
	}
	slices.Sort(seconds)
	return slices.Compact(seconds)
}

func randomHashes(r *rand.Rand) []uint64 {
	hashes := make([]uint64, 1+r.IntN(3)*r.IntN(50))
	for i := range hashes {
		hashes[i] = r.Uint64()
	}
	slices.Sort(hashes)
	return slices.Compact(hashes)
}

// seal returns the checkpoint with the given bytes between version and
// checksum.
func seal(body []byte) []byte {
	data := append([]byte(magic), version)
	data = append(data, body...)
	return binary.LittleEndian.AppendUint32(data, checksum(data))
}

// unseal undoes seal.
func unseal(data []byte) []byte {
	return data[len(magic)+1 : len(data)-checksumSize]
}

// bodyWith returns the body of a state with Floor 1000 that has rest in place of
// the holes and the seen objects.
func bodyWith(rest ...byte) []byte {
	s := smallState()
	s.Floor, s.Holes, s.Seen = 1000, nil, nil
	body := unseal(Append(nil, s))
	return append(body[:len(body)-2], rest...)
}

func TestStatesRoundTrip(t *testing.T) {
	states := map[string]*State{
		"small":           smallState(),
		"floor only":      {Snapshot: tail.Snapshot{Floor: 1}},
		"started only":    {Key: testKey, Started: time.UnixMilli(1_700_000_000_123).UTC()},
		"done to the end": {Snapshot: tail.Snapshot{Floor: 1}, DoneTo: math.MaxInt64},
		"started at 0":    {Key: testKey, Started: time.UnixMilli(0).UTC()},
		"started in 1969": {Key: testKey, Started: time.UnixMilli(-1).UTC()},
		"a hole at each end": {Snapshot: tail.Snapshot{Floor: math.MaxInt64, Holes: []tail.Span{
			{}, {From: math.MaxInt64 - 1, To: math.MaxInt64 - 1},
		}}},
		"seen at each end": {Snapshot: tail.Snapshot{Floor: math.MaxInt64, Seen: []tail.Key{
			{}, {Second: math.MaxInt64}, {From: math.MaxInt64, Second: math.MaxInt64, Hash: math.MaxUint64},
		}}},
	}
	for name, s := range states {
		t.Run(name, func(t *testing.T) {
			got, err := Decode(Append(nil, s), s.Key)
			require.NoError(t, err)
			require.Empty(t, cmp.Diff(s, got))
		})
	}
}

func TestRandomStatesRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	spans, froms := 0, 0
	for range 300 {
		s := randomState(r)
		data := Append([]byte("before"), s)
		require.Equal(t, Append(nil, s), data[len("before"):], "what precedes the encoding does not change it")
		got, err := Decode(data[len("before"):], s.Key)
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(s, got))
		spans += len(s.Holes)
		for _, k := range s.Seen {
			if k.From != k.Second {
				froms++
			}
		}
	}
	require.Greater(t, spans, 100)
	require.Greater(t, froms, 100)
}

func TestDecodeDoesNotRetainData(t *testing.T) {
	data := Append(nil, smallState())
	got, err := Decode(data, testKey)
	require.NoError(t, err)
	clear(data)
	require.Empty(t, cmp.Diff(smallState(), got))
}

func TestStartedIsKeptToTheMillisecond(t *testing.T) {
	s := &State{Started: time.Date(2026, 3, 1, 12, 0, 0, 123_999_999, time.FixedZone("", 3600))}
	got, err := Decode(Append(nil, s), "")
	require.NoError(t, err)
	require.Equal(t, time.Date(2026, 3, 1, 11, 0, 0, 123_000_000, time.UTC), got.Started)
}

// TestFormatIsStable fails if checkpoints in use could no longer be read. A
// change of these bytes needs another version.
func TestFormatIsStable(t *testing.T) {
	want := strings.Join([]string{
		hex.EncodeToString([]byte("stripekit\x04\x15test//charges/my flow\x06acct_1")),
		"0100000000000008", // key hash
		hex.EncodeToString([]byte("\x05claim")),
		"01020300000000000000000000000010",   // seed
		"ffdfe6a2e2a01c",                     // started: the zero time
		"e4e2cfaa06",                         // done to
		"80e2cfaa06",                         // floor
		"02", "f093cfaa06", "09", "00", "00", // holes
		"05", // objects
		"f093cfaa06", "02", "0700000000000000",
		"8f4e", "04", "0000000000000000", "ffffffffffffffff",
		"0b", "05", "0500000000000000", "f407", "0600000000000000", "00",
		"03cb52f5", // checksum
	}, "")
	require.Equal(t, want, hex.EncodeToString(Append(nil, smallState())))
}

func TestAnObjectCostsAtMostTenBytes(t *testing.T) {
	const objects = 10_000
	tests := map[string]struct {
		second func(i int64) int64 // of object i, after the floor
		from   func(i int64) int64 // distance of its From from its Second
		limit  int                 // of the bytes of all objects
	}{
		"one per 12 s":  {second: func(i int64) int64 { return 12 * i }, limit: 10 * objects},
		"one per 127 s": {second: func(i int64) int64 { return 127 * i }, limit: 10 * objects},
		"10 per second": {second: func(i int64) int64 { return i / 10 }, limit: 10 * objects},
		"one per 12 s, 100 with a From": {
			second: func(i int64) int64 { return 12 * i },
			from:   func(i int64) int64 { return 60 * (i % 100 / 99) },
			limit:  10*objects + 100,
		},
	}
	empty := State{Key: testKey, Claim: "claim", Snapshot: tail.Snapshot{Floor: 1_700_000_000}}
	header := len(Append(nil, &empty)) + 16
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := empty
			for i := range int64(objects) {
				second := s.Floor + test.second(i)
				k := tail.Key{From: second, Second: second, Hash: 1<<63 + uint64(i)}
				if test.from != nil {
					k.From -= test.from(i)
				}
				s.Seen = append(s.Seen, k)
			}
			data := Append(nil, &s)
			require.LessOrEqual(t, len(data), header+test.limit)
			got, err := Decode(data, testKey)
			require.NoError(t, err)
			require.Empty(t, cmp.Diff(&s, got))
		})
	}
}

func TestEveryChangedByteIsRefused(t *testing.T) {
	good := Append(nil, smallState())
	_, err := Decode(good, testKey)
	require.NoError(t, err)
	for i := range good {
		for flip := 1; flip < 256; flip++ {
			bad := slices.Clone(good)
			bad[i] ^= byte(flip)
			s, err := Decode(bad, testKey)
			require.Error(t, err, "byte %d with %#x flipped", i, flip)
			require.Nil(t, s)
		}
	}
}

// TestEveryTruncationIsRefused truncates the data, with the old checksum and
// with a valid one.
func TestEveryTruncationIsRefused(t *testing.T) {
	good := Append(nil, smallState())
	for n := range good {
		_, err := Decode(good[:n], testKey)
		require.ErrorContains(t, err, "it is damaged: ", "the first %d bytes", n)
	}
	body := unseal(good)
	for n := range body {
		_, err := Decode(seal(body[:n]), testKey)
		require.EqualError(t, err, "it is damaged: it is cut off", "the first %d bytes of the body", n)
	}
}

func TestDecodeSaysWhyItRefuses(t *testing.T) {
	good := Append(nil, smallState())
	with := func(change func(data []byte)) []byte {
		data := slices.Clone(good)
		change(data)
		return data
	}
	object := func(hash byte) []byte { return []byte{hash, 0, 0, 0, 0, 0, 0, 0} }
	overflow := slices.Concat(slices.Repeat([]byte{0xff}, 9), []byte{2})
	tests := map[string]struct {
		data []byte
		want string
	}{
		"empty":             {nil, "it is damaged: it does not begin like a checkpoint"},
		"another file":      {[]byte("%PDF-1.7"), "it is damaged: it does not begin like a checkpoint"},
		"file of FileStore": {[]byte("stripekit-checkpoint 1\n"), "it is damaged: it does not begin like a checkpoint"},
		"another JSON":      {[]byte(`{"version":12}`), "it is damaged: it does not begin like a checkpoint"},
		"version 1": {
			[]byte(`{"version":1,"key":"test//charges/my flow","floor":1700000000,"seen":{}}`),
			"its format is version 1, and this library reads 4",
		},
		"version 2":   {with(func(data []byte) { data[len(magic)] = 2 }), "its format is version 2, and this library reads 4"},
		"version 3":   {with(func(data []byte) { data[len(magic)] = 3 }), "its format is version 3, and this library reads 4"},
		"version 5":   {with(func(data []byte) { data[len(magic)] = 5 }), "its format is version 5, and this library reads 4"},
		"no version":  {[]byte(magic), "it is damaged: it is cut off"},
		"no checksum": {good[:len(magic)+checksumSize], "it is damaged: it is cut off"},
		"a flipped bit": {
			with(func(data []byte) { data[20] ^= 1 }),
			"it is damaged: its checksum does not match",
		},
		"another key": {
			Append(nil, &State{Key: "test//charges/\n", Snapshot: tail.Snapshot{Floor: 1}}),
			`it belongs to "test//charges/\n"`,
		},
		"no floor": {Append(nil, &State{Key: testKey}), "it has no floor"},

		"string past the end": {seal([]byte{5, 't', 'e', 's', 't'}), "it is damaged: it is cut off"},
		"trailing byte":       {seal(bodyWith(0, 0, 0)), "it is damaged: something follows its end"},
		"padded number":       {seal(bodyWith(0, 0x80, 0)), "it is damaged: a number has more bytes than it needs"},
		"number over 64 bits": {seal(bodyWith(overflow...)), "it is damaged: a number overflows"},
		"too many holes":      {seal(bodyWith(2, 0, 0, 0)), "it is damaged: it is cut off"},
		"too many objects":    {seal(bodyWith(0, 2, 0, 4, 1, 0, 0, 0, 0, 0, 0, 0)), "it is damaged: it is cut off"},
		"an empty second": {
			seal(bodyWith(slices.Concat([]byte{0, 1, 0, 0, 0, 2}, object(1))...)),
			"it is damaged: the numbers of its objects do not add up",
		},
		"a second with more objects than all": {
			seal(bodyWith(slices.Concat([]byte{0, 1, 0, 4}, object(1), object(2))...)),
			"it is damaged: the numbers of its objects do not add up",
		},
		"From given without need": {
			seal(bodyWith(slices.Concat([]byte{0, 1, 9, 3}, object(1), []byte{0})...)),
			"it is damaged: a second gives From without need",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, err := Decode(test.data, testKey)
			require.EqualError(t, err, test.want)
			require.Nil(t, s)
		})
	}
}

// TestDecodeRefusesInvalidSnapshots encodes snapshots that no Tail may use,
// with a valid checksum.
func TestDecodeRefusesInvalidSnapshots(t *testing.T) {
	const (
		floor   = "it is damaged: its floor is out of range"
		holes   = "it is damaged: its holes are out of order or not below its floor"
		holeEnd = "it is damaged: a hole has no end below its floor"
		seconds = "it is damaged: its seconds are out of order or out of range"
		objects = "it is damaged: its objects are out of order"
		from    = "it is damaged: an object is from a negative second or from after its own"
	)
	seen := func(keys ...tail.Key) tail.Snapshot { return tail.Snapshot{Floor: 100, Seen: keys} }
	withHoles := func(holes ...tail.Span) tail.Snapshot { return tail.Snapshot{Floor: 100, Holes: holes} }
	tests := map[string]struct {
		snapshot tail.Snapshot
		want     string
	}{
		"negative floor":            {tail.Snapshot{Floor: -1}, floor},
		"lowest floor":              {tail.Snapshot{Floor: math.MinInt64}, floor},
		"holes without floor":       {tail.Snapshot{Holes: []tail.Span{{}}}, holes},
		"hole from a negative":      {withHoles(tail.Span{From: -1, To: 3}), holes},
		"hole at the floor":         {withHoles(tail.Span{From: 100, To: 100}), holes},
		"hole up to the floor":      {withHoles(tail.Span{From: 90, To: 100}), holeEnd},
		"hole up to the last":       {withHoles(tail.Span{From: 90, To: math.MaxInt64}), holeEnd},
		"hole turned round":         {withHoles(tail.Span{From: 9, To: 8}), holeEnd},
		"holes that overlap":        {withHoles(tail.Span{From: 1, To: 5}, tail.Span{From: 5, To: 9}), holes},
		"holes descending":          {withHoles(tail.Span{From: 8, To: 9}, tail.Span{From: 1, To: 2}), holes},
		"hole after the last":       {withHoles(tail.Span{From: 8, To: 99}, tail.Span{From: 100, To: 100}), holes},
		"negative second":           {seen(tail.Key{From: -1, Second: -1}), seconds},
		"lowest second":             {seen(tail.Key{From: math.MinInt64, Second: math.MinInt64}), seconds},
		"negative after others":     {seen(tail.Key{From: 5, Second: 5}, tail.Key{From: -1, Second: -1}), seconds},
		"after the last second":     {seen(tail.Key{From: 5, Second: math.MaxInt64}, tail.Key{From: 5, Second: 5}), seconds},
		"seconds descending":        {seen(tail.Key{From: 5, Second: 5}, tail.Key{From: 4, Second: 4}), seconds},
		"second in two places":      {seen(tail.Key{Second: 5}, tail.Key{Second: 6}, tail.Key{Second: 5, Hash: 1}), seconds},
		"hashes descending":         {seen(tail.Key{Second: 5, Hash: 2}, tail.Key{Second: 5, Hash: 1}), objects},
		"object twice":              {seen(tail.Key{Second: 5, Hash: 2}, tail.Key{Second: 5, Hash: 2}), objects},
		"object twice, other From":  {seen(tail.Key{From: 4, Second: 5, Hash: 2}, tail.Key{From: 3, Second: 5, Hash: 2}), objects},
		"From after Second":         {seen(tail.Key{From: 6, Second: 5}), from},
		"From negative":             {seen(tail.Key{From: -1, Second: 5}), from},
		"lowest From, last second":  {seen(tail.Key{From: math.MinInt64, Second: math.MaxInt64}), from},
		"highest From, last second": {seen(tail.Key{From: math.MaxInt64, Second: 0}), from},
	}
	_, err := Decode(Append(nil, &State{Key: testKey, DoneTo: -1, Snapshot: seen()}), testKey)
	require.EqualError(t, err, "it is damaged: the second before which all is done is out of range")
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, err := Decode(Append(nil, &State{Key: testKey, Snapshot: test.snapshot}), testKey)
			require.EqualError(t, err, test.want)
			require.Nil(t, s)
		})
	}
}

// TestDecodeAllocatesInProportionToData decodes numbers of elements that are
// larger than the data can hold.
func TestDecodeAllocatesInProportionToData(t *testing.T) {
	const rest = 1 << 16
	for _, n := range []uint64{rest - 100, 1 << 20, 1 << 24, 1 << 32, 1 << 62, math.MaxInt64, math.MaxUint64} {
		number := binary.AppendUvarint(nil, n)
		for name, body := range map[string][]byte{
			"string":  number,
			"holes":   bodyWith(number...),
			"objects": bodyWith(append([]byte{0}, number...)...),
			"group":   bodyWith(append([]byte{0, 1, 0}, number...)...),
		} {
			data := seal(append(body, make([]byte, rest)...))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := Decode(data, testKey)
			runtime.ReadMemStats(&after)
			require.ErrorContains(t, err, "it is damaged: ", "%s: %d", name, n)
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(9*len(data)), "%s: %d", name, n)
		}
	}
}

// FuzzDecode decodes its input as a checkpoint, and again as the bytes between
// the version and the checksum, because the fuzzer would not find a valid
// checksum.
func FuzzDecode(f *testing.F) {
	f.Add(Append(nil, smallState()))
	f.Add(unseal(Append(nil, smallState())))
	f.Add(unseal(Append(nil, &State{Key: testKey, Started: time.UnixMilli(1_700_000_000_123)})))
	f.Add(bodyWith(1, 5, 5, 1, 9, 3, 1, 2, 3, 4, 5, 6, 7, 8, 4))
	f.Add([]byte(`{"version":1,"key":"k"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, data := range [][]byte{data, seal(data)} {
			s, err := Decode(data, testKey)
			if err != nil {
				require.Nil(t, s)
				continue
			}
			require.Equal(t, data, Append(nil, s), "every state has one encoding")
			require.LessOrEqual(t, 2*cap(s.Holes)+hashSize*cap(s.Seen), len(data))
		}
	})
}
