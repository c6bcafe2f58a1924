package conformance_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// comparison is what was found in the responses of both sides so far. A place
// is named from the nearest object that has an object field:
// "charge.outcome.type" in every list or expansion that has the charge.
type comparison struct {
	version, request string                  // under comparison
	requests         int                     // number of requests compared so far
	operations       map[string]bool         // operations compared
	versions         map[string]bool         // versions compared
	seen             map[string]bool         // places of objects that both sides have, and of lists with elements
	keys             map[string]bool         // places of keys in these objects
	nulls            map[string]bool         // places where one side has the key, and the other nothing
	found            map[difference][]string // the requests that show a difference
}

// difference is a difference between stripetest and stripe-mock.
type difference struct {
	version string
	what    string // stripetest "lacks" or "adds" a key, or has a value of another "kind"
	place   string
}

func (d difference) String() string { return d.version + ": " + d.what + " " + d.place }

func newComparison() *comparison {
	return &comparison{
		operations: map[string]bool{}, versions: map[string]bool{}, seen: map[string]bool{}, keys: map[string]bool{}, nulls: map[string]bool{}, found: map[difference][]string{},
	}
}

// compare compares stripetest's value to stripe-mock's, at a place.
func (c *comparison) compare(place string, want, got any) {
	switch want := want.(type) {
	case map[string]any:
		if got, ok := got.(map[string]any); ok {
			c.compareObjects(place, want, got)
			return
		}
	case []any:
		if got, ok := got.([]any); ok {
			c.compareLists(place, want, got)
			return
		}
	}
	switch {
	case want == nil || got == nil:
		if nested(want) || nested(got) {
			c.nulls[place] = true
		}
	case kind(want) != kind(got):
		c.add("kind", place)
	}
}

func (c *comparison) compareObjects(place string, want, got map[string]any) {
	c.seen[place] = true
	if want["object"] != got["object"] {
		c.add("kind", place)
		return
	}
	if name, ok := want["object"].(string); ok && (name != "list" || place == "") {
		place = name
	}
	if strings.HasSuffix(place, ".metadata") {
		return
	}
	for _, key := range slices.Sorted(maps.Keys(want)) {
		at := place + "." + key
		c.keys[at] = true
		if _, ok := got[key]; !ok {
			c.add("lacks", at)
			continue
		}
		c.compare(at, want[key], got[key])
	}
	for key := range got {
		c.keys[place+"."+key] = true
		if _, ok := want[key]; !ok {
			c.add("adds", place+"."+key)
		}
	}
}

func (c *comparison) compareLists(place string, want, got []any) {
	if len(want) == 0 || len(got) == 0 {
		if len(want) != len(got) {
			c.nulls[place] = true
		}
		return
	}
	c.seen[place] = true
	for _, element := range got {
		c.compare(place+"[]", want[0], element)
	}
}

func (c *comparison) add(what, place string) {
	d := difference{c.version, what, place}
	if !slices.Contains(c.found[d], c.request) {
		c.found[d] = append(c.found[d], c.request)
	}
}

func nested(v any) bool {
	return kind(v) == "object" || kind(v) == "list"
}

func kind(v any) string {
	switch v.(type) {
	case map[string]any:
		return "object"
	case []any:
		return "list"
	default:
		return fmt.Sprintf("%T", v)
	}
}

// unseen returns the places that were never an object, or a list with elements,
// on both sides.
func (c *comparison) unseen() map[string]bool {
	unseen := map[string]bool{}
	for place := range c.nulls {
		if !c.seen[place] {
			unseen[place] = true
		}
	}
	return unseen
}

// requireExceptions checks that the differences are those of the table, and
// that each of the table has occurred, in the versions that were compared.
func (c *comparison) requireExceptions(t *testing.T) {
	t.Helper()
	excepted := map[difference]bool{}
	for _, e := range shapeExceptions() {
		require.NotEmpty(t, e.reason)
		for _, key := range e.keys {
			d := difference{e.version, e.what, e.object + "." + key}
			require.False(t, excepted[d], "twice in the table: %s", d)
			excepted[d] = true
			if c.versions[d.version] && c.found[d] == nil {
				t.Errorf("no longer a difference, so no exception: %s", d)
			}
		}
	}
	for d, requests := range c.found {
		if !excepted[d] {
			t.Errorf("stripetest differs: %s, in %s", d, strings.Join(requests, "; "))
		}
	}
}
