package stripetest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"time"
)

// collectionState is the JSON of a collection.
type collectionState struct {
	Objects []entryState `json:"objects"`           // oldest first
	Deleted []string     `json:"deleted,omitempty"` // ids
	Added   uint64       `json:"added"`
}

// entryState is the JSON of an object and of its position in lists.
type entryState struct {
	ID      string          `json:"id"`
	Created int64           `json:"created"` // seconds
	Number  uint64          `json:"number"`  // among the objects of the collection
	Visible *time.Time      `json:"visible,omitempty"`
	Object  json.RawMessage `json:"object"`
}

func (c *collection[T]) dump(sc *stateCodec) (json.RawMessage, error) {
	if c.added == 0 {
		return nil, nil
	}
	d := collectionState{Deleted: slices.Sorted(maps.Keys(c.deleted)), Added: c.added}
	for e := range c.all.ascend(everything) {
		stored := e.read()
		if c.forDump != nil {
			stored = c.forDump(stored)
		}
		object, err := sc.encode(stored)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.id, err)
		}
		d.Objects = append(d.Objects, entryState{ID: e.id, Created: e.created, Number: e.seq, Visible: e.visible, Object: object})
	}
	var out bytes.Buffer
	err := writePlain(&out, d)
	return out.Bytes(), err
}

func (c *collection[T]) load(sc *stateCodec, raw json.RawMessage) error {
	var d collectionState
	if err := readStrict(raw, &d); err != nil {
		return err
	}
	numbers := make(map[uint64]bool, len(d.Objects))
	c.expect(len(d.Objects))
	c.added = d.Added
	for i, dumped := range d.Objects {
		if numbers[dumped.Number] || dumped.Number == 0 || dumped.Number > d.Added || d.Added == math.MaxUint64 {
			return fmt.Errorf("objects: %d: its number is not possible", i)
		}
		numbers[dumped.Number] = true
		if err := c.restore(sc, dumped); err != nil {
			return fmt.Errorf("objects: %d: %w", i, err)
		}
	}
	for _, id := range d.Deleted {
		if c.byID[id] != nil {
			return fmt.Errorf("deleted: %s exists", id)
		}
		c.deleted[id] = true
	}
	return nil
}

// restore adds an object at its former position.
func (c *collection[T]) restore(sc *stateCodec, d entryState) error {
	if d.ID == "" || c.byID[d.ID] != nil {
		return errors.New("its id is missing or in use")
	}
	if len(d.Object) == 0 || string(d.Object) == "null" {
		return errors.New("object: it is missing")
	}
	object := new(T)
	if err := sc.decode(d.Object, object); err != nil {
		return fmt.Errorf("object: %w", err)
	}
	if field := reflect.ValueOf(object).Elem().FieldByName("ID"); field.IsValid() && field.String() != d.ID {
		return errors.New("object: its id is another one")
	}
	if checked, ok := any(object).(interface{ check() error }); ok {
		if err := checked.check(); err != nil {
			return fmt.Errorf("object: %w", err)
		}
	}
	c.insert(&entry[T]{key: key{d.Created, d.Number}, id: d.ID, visible: d.Visible}, object)
	return nil
}
