// Package bound cuts the JSON of results to a number of bytes. It is a package of its own
// so that it is fuzzed without SQLite, whose coverage would take nearly all of the time.
package bound

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Response returns a response of Stripe as JSON of at most limit bytes. If something has to
// be left out, the field "truncated" says what, and how to get the rest. The page before
// an object (backwards) is not cut: its last objects are those that are nearest.
func Response(response []byte, limit int, backwards bool) ([]byte, error) {
	var whole bytes.Buffer
	if err := json.Compact(&whole, bytes.ToValidUTF8(response, []byte("\uFFFD"))); err != nil {
		return nil, fmt.Errorf("stripe: the response is not valid JSON: %w", err)
	}
	if whole.Len() <= limit {
		return whole.Bytes(), nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(whole.Bytes(), &fields); err != nil {
		return nil, tooLarge(whole.Len(), limit)
	}
	var data []json.RawMessage
	if json.Unmarshal(fields["data"], &data) == nil && len(data) > 0 {
		if backwards {
			return nil, fmt.Errorf("stripe: the page has %d bytes, and a result at most %d: ask for fewer objects, by limit", whole.Len(), limit)
		}
		_, search := fields["next_page"]
		return boundPage(data, search, limit)
	}
	return boundObject(fields, whole.Len(), limit)
}

// shortPage is a page of which objects are left out.
type shortPage struct {
	Data      []json.RawMessage `json:"data"`
	HasMore   bool              `json:"has_more"`
	Truncated string            `json:"truncated"`
}

// boundPage returns the first objects of a page. If not even one has room, it is bounded
// itself.
func boundPage(data []json.RawMessage, search bool, limit int) ([]byte, error) {
	n := fitting(data, limit)
	for ; n > 0; n-- {
		page := shortPage{Data: data[:n], HasMore: true, Truncated: continuation(data[:n], len(data), search)}
		if text, err := Encode(page); err != nil || len(text) <= limit {
			return text, err
		}
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data[0], &fields); err != nil {
		return nil, tooLarge(len(data[0]), limit)
	}
	first, err := boundObject(fields, len(data[0]), limit-min(frame, limit/2))
	if err != nil {
		return nil, err
	}
	page := shortPage{Data: []json.RawMessage{first}, HasMore: true, Truncated: continuation(data[:1], len(data), search)}
	text, err := Encode(page)
	if err == nil && len(text) > limit {
		err = tooLarge(len(data[0]), limit)
	}
	return text, err
}

// frame is the most bytes of a page around one object: the texts with an id of maxID
// bytes, of which JSON may write each as six.
const frame = 2 << 10

// fitting returns how many of the values have together, with commas, at most limit bytes.
func fitting(values []json.RawMessage, limit int) int {
	size := 0
	for i, value := range values {
		if size += len(value) + 1; size > limit {
			return i
		}
	}
	return len(values)
}

// maxID is the length of the longest id. Ids of Stripe have some 30 characters.
const maxID = 255

// continuation says how to get the objects of a page after those that are kept.
func continuation(kept []json.RawMessage, total int, search bool) string {
	text := fmt.Sprintf("Left out at the end of the page: %d of %d objects. ", total-len(kept), total)
	var last struct{ ID string }
	err := json.Unmarshal(kept[len(kept)-1], &last)
	if search || err != nil || last.ID == "" || len(last.ID) > maxID {
		return text + "To get them, narrow the query, or use sql."
	}
	return text + fmt.Sprintf("To get them, repeat the call with starting_after %q.", last.ID)
}

// maxNames is how many of the fields that are left out are named.
const maxNames = 20

// boundObject returns an object without its largest fields. size is its length.
func boundObject(fields map[string]json.RawMessage, size, limit int) ([]byte, error) {
	kept, rest := maps.Clone(fields), maps.Clone(fields)
	if len(fields["id"]) <= maxID {
		delete(rest, "id")
	}
	largest := slices.SortedFunc(maps.Keys(rest), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(fields[b]), len(fields[a])), cmp.Compare(a, b))
	})
	left := size
	for i, name := range largest {
		left -= len(fields[name]) + len(name) + len(`"":,`)
		delete(kept, name)
		if left > limit {
			continue
		}
		text, err := withoutFields(kept, largest[:i+1], size)
		if err != nil || len(text) <= limit {
			return text, err
		}
	}
	return nil, tooLarge(size, limit)
}

// withoutFields returns an object with a text about the fields that were left out.
func withoutFields(kept map[string]json.RawMessage, out []string, size int) ([]byte, error) {
	names := strings.Join(out[:min(len(out), maxNames)], ", ")
	if more := len(out) - maxNames; more > 0 {
		names += fmt.Sprintf(" and %d others", more)
	}
	text, err := Encode(fmt.Sprintf("Left out of an object of %d bytes: %s. Expand fewer fields, or select single columns with sql.", size, names))
	if err != nil {
		return nil, err
	}
	kept["truncated"] = text
	return Encode(kept)
}

func tooLarge(size, limit int) error {
	return fmt.Errorf("stripe: the response has %d bytes, and cannot be cut to the %d bytes of a result", size, limit)
}

// Encode returns a value as JSON, with the characters of HTML as they are.
func Encode(value any) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, fmt.Errorf("stripe: a result cannot be encoded: %w", err)
	}
	return bytes.TrimSuffix(text.Bytes(), []byte("\n")), nil
}
