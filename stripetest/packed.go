package stripetest

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// packed is a stored object in few bytes. Objects of one type with the same fields
// have one shape, which is the JSON of the first of them. A packed object is its
// shape, and the values in which it differs from it. A response is the JSON of the
// shape with these values in their places. Two packed objects with one shape are
// equal, as values of Go, if the objects are.
type packed struct {
	shape *shape
	diff  string // index, length and JSON of each other value, in the order of the indexes
}

// shape is what the objects of one type with the same fields have in common.
type shape struct {
	choices string         // see marks
	text    string         // the JSON of an object, and its hidden values
	shown   int            // the length of the JSON
	values  []piece        // those of the JSON, and then the hidden ones
	visible int            // how many values the JSON has
	paths   map[string]int // the index of a value by its path, such as outcome.type
}

// piece is a part of a text.
type piece struct{ start, end int }

func (p piece) of(text string) string { return text[p.start:p.end] }

// shapes has the shapes of a server.
type shapes struct {
	mu    sync.Mutex // guards the fields below
	known map[shapeKey]*shape
	work  writer // it keeps its memory
	diff  []byte // so does this
	last  packed
}

type shapeKey struct {
	object  reflect.Type
	choices string
}

func newShapes() *shapes {
	return &shapes{known: make(map[shapeKey]*shape), work: writer{marks: &marks{codec: newStateCodec()}}}
}

// pack packs an object, which is a pointer to a struct. An event packs an object
// right before it is stored; the two share their memory.
func (s *shapes) pack(object any) packed {
	v := reflect.ValueOf(object).Elem()
	s.mu.Lock()
	defer s.mu.Unlock()
	w := &s.work
	w.reset()
	w.structure(v)
	found := s.known[shapeKey{v.Type(), string(w.marks.choices)}]
	if found == nil {
		found = s.add(v)
	}
	s.diff = w.marks.appendDiff(s.diff[:0], found, w.text)
	if s.last.shape != found || s.last.diff != string(s.diff) {
		s.last = packed{found, string(s.diff)}
	}
	return s.last
}

// adopt makes the object the shape of those with the same fields that are packed from
// now on: many copies of it follow.
func (s *shapes) adopt(object any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add(reflect.ValueOf(object).Elem())
}

func (s *shapes) add(v reflect.Value) *shape {
	made := s.work.shape(v)
	s.known[shapeKey{v.Type(), made.choices}] = made
	return made
}

// marks notes the values of an object while it is written, and its structure. The
// methods that the writer calls for any JSON note nothing if marks is nil.
type marks struct {
	codec        *stateCodec
	choices      []byte       // for each part of the object that can be missing, '+' if it is there
	values       []piece      // of the text
	hidden       bytes.Buffer // the values of the fields that responses do not show
	hiddenValues []piece      // of hidden

	paths  map[string]int // nil: paths are not noted
	prefix string         // of the paths
}

func (w *writer) reset() {
	m := w.marks
	w.text, m.choices, m.values, m.hiddenValues = w.text[:0], m.choices[:0], m.values[:0], m.hiddenValues[:0]
	m.hidden.Reset()
}

// choose notes whether a part is there.
func (m *marks) choose(there bool) bool {
	if m != nil {
		choice := byte('-')
		if there {
			choice = '+'
		}
		m.choices = append(m.choices, choice)
	}
	return there
}

func (m *marks) add(name string, value piece) {
	if m.paths != nil {
		m.paths[m.prefix+name] = len(m.values)
	}
	m.values = append(m.values, value)
}

// enter notes that the fields of an inner object follow. The result ends that.
func (m *marks) enter(name string) (leave func()) {
	if m.paths == nil {
		return func() {}
	}
	outer := m.prefix
	m.prefix += name + "."
	return func() { m.prefix = outer }
}

// hide notes the value of an unexported field.
func (m *marks) hide(v reflect.Value) {
	if m == nil {
		return
	}
	start := m.hidden.Len()
	if err := m.codec.write(&m.hidden, settable(v)); err != nil {
		panic("stripetest: " + err.Error()) // Dump would fail as well
	}
	m.hiddenValues = append(m.hiddenValues, piece{start, m.hidden.Len()})
}

// shape makes a new shape of an object.
func (w *writer) shape(v reflect.Value) *shape {
	m := w.marks
	m.paths = make(map[string]int)
	defer func() { m.paths = nil }()
	w.reset()
	w.structure(v)
	made := &shape{
		choices: string(m.choices),
		text:    string(w.text) + m.hidden.String(),
		shown:   len(w.text),
		values:  slices.Clone(m.values),
		visible: len(m.values),
		paths:   m.paths,
	}
	for _, at := range m.hiddenValues {
		made.values = append(made.values, piece{made.shown + at.start, made.shown + at.end})
	}
	return made
}

// appendDiff appends the values that differ from those of the shape.
func (m *marks) appendDiff(diff []byte, s *shape, text []byte) []byte {
	for i, at := range m.values {
		diff = appendOther(diff, i, s.values[i].of(s.text), text[at.start:at.end])
	}
	for i, at := range m.hiddenValues {
		i += s.visible
		diff = appendOther(diff, i, s.values[i].of(s.text), m.hidden.Bytes()[at.start:at.end])
	}
	return diff
}

func appendOther(diff []byte, i int, common string, value []byte) []byte {
	if common == string(value) {
		return diff
	}
	diff = binary.AppendUvarint(diff, uint64(i))
	diff = binary.AppendUvarint(diff, uint64(len(value)))
	return append(diff, value...)
}

// cutValue splits the first value from a diff.
func cutValue(diff string) (i int, value, rest string) {
	i, diff = cutUvarint(diff)
	length, diff := cutUvarint(diff)
	return i, diff[:length], diff[length:]
}

func cutUvarint(text string) (n int, rest string) {
	for i := range len(text) {
		n |= int(text[i]&0x7f) << (7 * i)
		if text[i] < 0x80 {
			return n, text[i+1:]
		}
	}
	return n, ""
}

// appendTo appends the JSON of the object, as it is at a depth of a response.
func (p packed) appendTo(text []byte, depth int) []byte {
	at := 0
	for diff := p.diff; diff != ""; {
		i, value, rest := cutValue(diff)
		if i >= p.shape.visible {
			break
		}
		place := p.shape.values[i]
		text = appendIndented(text, p.shape.text[at:place.start], depth)
		text = appendIndented(text, value, depth)
		at, diff = place.end, rest
	}
	return appendIndented(text, p.shape.text[at:p.shape.shown], depth)
}

// appendIndented appends a part of JSON, and moves its lines to the right.
func appendIndented(text []byte, part string, depth int) []byte {
	if depth == 0 {
		return append(text, part...)
	}
	for {
		end := strings.IndexByte(part, '\n') + 1
		if end == 0 {
			return append(text, part...)
		}
		text = append(text, part[:end]...)
		for range depth {
			text = append(text, indent...)
		}
		part = part[end:]
	}
}

// MarshalJSON returns the JSON that responses have.
func (p packed) MarshalJSON() ([]byte, error) { return p.appendTo(nil, 0), nil }

// raw returns the JSON of the value at a path, or "" if there is none.
func (p packed) raw(path string) string {
	wanted, ok := p.shape.paths[path]
	if !ok {
		return ""
	}
	for diff := p.diff; diff != ""; {
		i, value, rest := cutValue(diff)
		if i == wanted {
			return value
		}
		if i > wanted {
			break
		}
		diff = rest
	}
	return p.shape.values[wanted].of(p.shape.text)
}

// string returns the text at a path, or "" for any other value.
func (p packed) string(path string) string {
	raw := p.raw(path)
	if !strings.HasPrefix(raw, `"`) {
		return ""
	}
	return unquote(raw)
}
