package stripesql

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/stripekit/stripekit/internal/listing"
)

// object is one object as the API answered it.
type object struct {
	raw     jsontext.Value
	id      string
	created int64
	dated   bool // whether created is known
	deleted bool // then there is nothing else but the id; never on a page

	values []any     // of the columns in have, where they are likely to be needed again
	have   columnSet // none: values is nil
}

// The leaves of a table's head.
const (
	headID = iota
	headCreated
	headDeleted
	headSize
)

// newObject reads the head of an object that is not on a page.
func (t *table) newObject(raw jsontext.Value) (*object, error) {
	o := &object{raw: raw}
	var head [headSize]any
	err := t.head.read(raw, head[:], 1<<headID|1<<headCreated)
	if err == nil && head[headCreated] == nil {
		// What is left of a deleted object has no time.
		err = t.head.read(raw, head[:], allColumns)
	}
	o.id, _ = head[headID].(string)
	o.created, o.dated = head[headCreated].(int64)
	o.deleted = head[headDeleted] == int64(1)
	if err == nil && o.id == "" {
		err = errors.New("it has no id")
	}
	if err != nil {
		return nil, fmt.Errorf("stripesql: an object of %s: %w", t.path, err)
	}
	return o, nil
}

// read puts the columns of an object that are needed into out, nil for NULL:
// int64, float64 or string. The others are nil too.
func (t *table) read(o *object, needed columnSet, out []any) ([]any, error) {
	out = append(out[:0], make([]any, len(t.columns))...)
	if err := t.extract.read(o.raw, out, needed); err != nil {
		return nil, fmt.Errorf("stripesql: %s of %s: %w", o.id, t.path, err)
	}
	return out, nil
}

// columnSet is the columns that a statement reads, as SQLite tells of them: the
// last bit stands for all columns from there on.
type columnSet uint64

const allColumns = ^columnSet(0)

func (s columnSet) has(column int) bool { return s>>min(column, 63)&1 != 0 }

// branch is a place in an object where columns are, or lie below.
type branch struct {
	below  map[string]*branch
	leaves []leaf
}

// leaf is a column that is found at a branch.
type leaf struct {
	column int
	kind   kind
	rank   int // of the paths of the column; the lowest counts
}

func newBranch() *branch { return &branch{below: map[string]*branch{}} }

func (b *branch) add(path []string, l leaf) {
	for _, name := range path {
		if b.below[name] == nil {
			b.below[name] = newBranch()
		}
		b = b.below[name]
	}
	b.leaves = append(b.leaves, l)
}

// read puts the columns of an object into out. It reads no further than it must:
// an answer has been read as a whole before.
func (b *branch) read(raw jsontext.Value, out []any, needed columnSet) error {
	r := reader{Decoder: jsontext.NewDecoder(bytes.NewBuffer(raw), listing.Lenient), out: out, needed: needed}
	for i := range out {
		if needed.has(i) {
			r.missing++
		}
	}
	err := b.readFrom(&r)
	if err == errComplete {
		return nil
	}
	return err
}

// reader is the reading of one object.
type reader struct {
	*jsontext.Decoder
	out     []any
	needed  columnSet
	missing int // columns that are needed and have no value yet
}

// errComplete ends the reading of an object before its end.
var errComplete = errors.New("all that is needed has been read")

var errNotObject = errors.New("not a JSON object")

func (b *branch) readFrom(r *reader) error {
	token, err := r.ReadToken()
	if err != nil {
		return err
	}
	if token.Kind() != '{' {
		return errNotObject
	}
	for r.PeekKind() != '}' {
		token, err := r.ReadToken()
		if err != nil {
			return err
		}
		if err := b.below[token.String()].readField(r); err != nil {
			return err
		}
	}
	_, err = r.ReadToken()
	return err
}

// readField reads the value of a field; b is nil for one without columns.
func (b *branch) readField(r *reader) error {
	switch {
	case b == nil:
		return r.SkipValue()
	case len(b.below) > 0 && r.PeekKind() == '{':
		return b.readFrom(r)
	case len(b.leaves) == 0:
		return r.SkipValue()
	}
	raw, err := r.ReadValue()
	if err != nil {
		return err
	}
	for _, l := range b.leaves {
		if err := r.set(l, raw); err != nil {
			return err
		}
	}
	if r.missing == 0 {
		return errComplete
	}
	return nil
}

// set gives a column its value, unless it has one from a better place.
func (r *reader) set(l leaf, raw jsontext.Value) error {
	if !r.needed.has(l.column) || r.out[l.column] != nil && l.rank > 0 {
		return nil
	}
	value, err := l.kind.value(raw)
	if err != nil || value == nil {
		return err
	}
	if r.out[l.column] == nil {
		r.missing--
	}
	r.out[l.column] = value
	return nil
}

// value is what a column shows of a JSON value.
func (k kind) value(raw jsontext.Value) (any, error) {
	switch raw.Kind() {
	case 'n':
		return nil, nil
	case 't', 'f':
		if k == text || k == document {
			return string(raw), nil
		}
		return flag(raw.Kind() == 't'), nil
	case '0':
		return k.number(string(raw)), nil
	case '"':
		return k.unquoted(raw)
	case '{':
		if k == text {
			return expandedID(raw)
		}
	}
	compact := raw.Clone()
	if err := compact.Compact(); err != nil {
		return nil, err
	}
	return string(compact), nil
}

func flag(set bool) int64 {
	if set {
		return 1
	}
	return 0
}

func (k kind) number(digits string) any {
	whole, err := strconv.ParseInt(digits, 10, 64)
	float, _ := strconv.ParseFloat(digits, 64)
	switch {
	case k == text || k == document:
		return digits
	case k == real || err != nil:
		return float
	case k == stamp:
		return formatStamp(whole)
	}
	return whole
}

func (k kind) unquoted(raw jsontext.Value) (any, error) {
	plain, err := jsontext.AppendUnquote(nil, raw)
	var invalid *jsontext.SyntacticError // what it quotes is not UTF-8, and was replaced
	if err != nil && !errors.As(err, &invalid) {
		return nil, err
	}
	if k == integer {
		whole, err := strconv.ParseInt(string(plain), 10, 64)
		if err != nil {
			return nil, nil // a decimal, of which there is no whole number
		}
		return whole, nil
	}
	return string(plain), nil
}

// expandedID is the id of an object in the place of its id.
func expandedID(raw jsontext.Value) (any, error) {
	var expanded struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(raw, &expanded, listing.Lenient); err != nil {
		return nil, err
	}
	if expanded.ID == "" {
		return string(raw), nil
	}
	return expanded.ID, nil
}
