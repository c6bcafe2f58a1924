package stripesql

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/stripekit/stripekit/internal/json"
	"github.com/stripekit/stripekit/internal/listing"
)

// object is one object as the API returned it.
type object struct {
	raw     json.Value
	account *account
	id      string
	created int64
	dated   bool // created is known
	deleted bool // the object has only an id; never set on a page

	values []any // by the places of the statement's projection; nil if they were not read
}

// The leaves of a table's head.
const (
	headID = iota
	headCreated
	headDeleted
	headSize
)

// newObject reads the head of an object that is not on a page.
func (t *table) newObject(a *account, raw json.Value) (*object, error) {
	o := &object{raw: raw, account: a}
	head := make([]any, headSize)
	err := t.head.read(raw, head, projection{place: []int{headID, headCreated, -1}, size: 2})
	if err == nil && head[headCreated] == nil {
		// It may be a deleted object, which has no time.
		err = t.head.read(raw, head, allOf(headSize))
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

// read returns the columns of a projection in out: int64, float64, string, or nil for
// NULL.
func (t *table) read(o *object, columns projection, out []any) ([]any, error) {
	out = append(out[:0], make([]any, columns.size)...)
	if i := t.connection(); i >= 0 && columns.has(i) {
		out[columns.place[i]] = o.account.name
	}
	if err := t.extract.read(o.raw, out, columns); err != nil {
		return nil, fmt.Errorf("stripesql: %s of %s: %w", o.id, t.path, err)
	}
	return out, nil
}

// projection is a choice of columns.
type projection struct {
	place []int // by column: its place among the values of an object, -1 if it is not chosen
	size  int
	moved bool // a column has several paths, so an object is read to its end
}

// project returns the projection on some columns.
func (t *table) project(chosen func(column int) bool) projection {
	p := projection{place: make([]int, len(t.columns))}
	for i := range t.columns {
		p.place[i] = -1
		if chosen(i) {
			p.place[i] = p.size
			p.size++
			p.moved = p.moved || len(moved(t.name, t.columns[i].name)) > 0
		}
	}
	return p
}

// allOf returns the projection on all of so many columns.
func allOf(columns int) projection {
	p := projection{place: make([]int, columns), size: columns, moved: true}
	for i := range p.place {
		p.place[i] = i
	}
	return p
}

func (p projection) has(column int) bool { return p.place[column] >= 0 }

// compact reads the columns of a projection, and lets go of the JSON if they are all
// that is needed. It does nothing if that was done.
func (t *table) compact(o *object, columns projection) error {
	if o.values != nil {
		return nil
	}
	values, err := t.read(o, columns, nil)
	if err != nil {
		return err
	}
	if o.values = values; !columns.has(len(t.columns) - 1) {
		o.raw = nil
	}
	return nil
}

// branch is a node in the tree of the JSON paths of columns.
type branch struct {
	below  map[string]*branch // by field name
	leaves []leaf             // the columns whose value is here
}

// leaf is a column whose value is at a branch.
type leaf struct {
	column int
	kind   ColumnType
	rank   int // index among the paths of the column; the lowest has precedence
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

// read reads the columns of an object into out. It stops when it has all that
// are needed: the response was parsed as a whole before.
func (b *branch) read(raw json.Value, out []any, columns projection) error {
	r := reader{Decoder: json.NewDecoder(bytes.NewBuffer(raw), listing.Lenient), out: out, place: columns.place}
	for _, value := range out {
		if value == nil {
			r.missing++
		}
	}
	if r.missing == 0 {
		return nil
	}
	if columns.moved {
		r.missing++ // a path with precedence may follow
	}
	err := b.readFrom(&r)
	if err == errComplete {
		return nil
	}
	return err
}

// reader is the state while one object is read.
type reader struct {
	*json.Decoder
	out     []any
	place   []int // by column
	missing int   // columns that have no value yet
}

// errComplete stops the reading of an object before its end.
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

// readField reads the value of a field. b is nil for a field without columns.
func (b *branch) readField(r *reader) error {
	switch {
	case b == nil:
		return r.SkipValue()
	case len(b.leaves) == 0 && len(b.below) > 0 && r.PeekKind() == '{':
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
	if len(b.below) > 0 && raw.Kind() == '{' {
		outer := r.Decoder
		r.Decoder = json.NewDecoder(bytes.NewBuffer(raw.Clone()), listing.Lenient)
		err = b.readFrom(r)
		r.Decoder = outer
	}
	return err
}

// set sets the value of a column, unless a path with precedence has set it.
func (r *reader) set(l leaf, raw json.Value) error {
	at := r.place[l.column]
	if at < 0 || r.out[at] != nil && l.rank > 0 {
		return nil
	}
	value, err := l.kind.value(raw)
	if err != nil || value == nil {
		return err
	}
	if r.out[at] == nil {
		r.missing--
	}
	r.out[at] = value
	return nil
}

// value converts a JSON value to the value of a column.
func (k ColumnType) value(raw json.Value) (any, error) {
	switch raw.Kind() {
	case 'n':
		return nil, nil
	case 't', 'f':
		if k == Text || k == JSON {
			return string(raw), nil
		}
		return flag(raw.Kind() == 't'), nil
	case '0':
		return k.number(string(raw)), nil
	case '"':
		return k.unquoted(raw)
	case '{':
		if k == Text {
			return expandedID(raw)
		}
	}
	compact := raw.Clone()
	if err := compact.Compact(); err != nil {
		return nil, err
	}
	return string(compact), nil
}

// unexpanded returns an object with ids in place of the objects in the given fields. A
// field with a dot is within one of the others.
func unexpanded(raw json.Value, fields []string) (out json.Value, err error) {
	d, copied := json.NewDecoder(bytes.NewBuffer(raw), listing.Lenient), 0
	if _, err := d.ReadToken(); err != nil {
		return nil, err
	}
	for d.PeekKind() == '"' {
		name, err := d.ReadToken()
		if err != nil {
			return nil, err
		}
		field := name.String()
		value, err := d.ReadValue()
		if err != nil {
			return nil, err
		}
		if value.Kind() != '{' || !slices.Contains(fields, field) {
			continue
		}
		id, err := expandedID(value)
		if err != nil {
			return nil, err
		}
		end := int(d.InputOffset())
		out = append(out, raw[copied:end-len(value)]...)
		if out, err = json.AppendQuote(out, id.(string)); err != nil {
			return nil, err
		}
		copied = end
	}
	return append(out, raw[copied:]...), nil
}

func flag(set bool) int64 {
	if set {
		return 1
	}
	return 0
}

func (k ColumnType) number(digits string) any {
	whole, err := strconv.ParseInt(digits, 10, 64)
	float, _ := strconv.ParseFloat(digits, 64)
	switch {
	case k == Text || k == JSON:
		return digits
	case k == Real || err != nil:
		return float
	case k == Time:
		return formatStamp(whole)
	}
	return whole
}

func (k ColumnType) unquoted(raw json.Value) (any, error) {
	plain, err := json.AppendUnquote(nil, raw)
	var invalid *json.SyntacticError // invalid UTF-8, which AppendUnquote has replaced
	if err != nil && !errors.As(err, &invalid) {
		return nil, err
	}
	if k == Integer {
		whole, err := strconv.ParseInt(string(plain), 10, 64)
		if err != nil {
			return nil, nil // a decimal is not a whole number
		}
		return whole, nil
	}
	return string(plain), nil
}

// expandedID returns the id of an expanded object.
func expandedID(raw json.Value) (any, error) {
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
