package stripetest

import (
	"encoding/json"
	"fmt"
)

// maxReference is the maximum size of the JSON of a reference, in bytes.
const maxReference = 8 * maxID

// reference is what a dump has of an event's object if the object has not changed
// since: most have not, and it is in the dump already.
type reference struct {
	Stored string `json:"stored"` // its type
	ID     string `json:"id"`
}

// packEvent returns the event for a dump.
func (a *account) packEvent(e *event) *event {
	kind, id := kindOf(e.Object)
	if kind == "" || a.lookup(kind, id, nil) != e.Object {
		return e
	}
	packed := *e
	packed.Object = reference{kind, id}
	return &packed
}

// unpackEvents puts the objects that loaded events refer to into them.
func (a *account) unpackEvents() error {
	for e := range a.events.all.ascend(everything) {
		raw, ok := e.read().Object.(json.RawMessage)
		var to reference
		if !ok || len(raw) > maxReference || json.Unmarshal(raw, &to) != nil || to.Stored == "" {
			continue
		}
		object := a.lookup(to.Stored, to.ID, &tree{})
		if kind, id := kindOf(object); kind != to.Stored || id != to.ID {
			return fmt.Errorf("events: %s: Object: there is no %.40s %.40s", e.id, to.Stored, to.ID)
		}
		e.read().Object = object
	}
	return nil
}
