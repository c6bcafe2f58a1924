package stripetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// maxSeeded is the maximum number of objects of a seeding in JSON.
const maxSeeded = 1_000_000

// seedingState is the JSON of a [Seeding] with its path.
type seedingState struct {
	Path    string    `json:"path"`
	Count   int       `json:"count"`
	IDs     []string  `json:"ids"`
	First   *moment   `json:"first"`
	Every   duration  `json:"every"`
	Params  *jsonForm `json:"params"`
	Undated bool      `json:"undated"`
	Account string    `json:"account"`
	Live    bool      `json:"live"`
	Key     string    `json:"key"` // in place of account and live
}

// seeded is the JSON of what was seeded.
type seeded struct {
	Path string   `json:"path"`
	IDs  []string `json:"ids"`
}

// SeedJSON stores the objects that JSON describes: an object with a path and the
// fields of [Seeding] in lower case, or an array of them, which are stored in this
// order. The field first is a time in RFC 3339 or in seconds since 1970, every is a
// duration such as "90s" or in seconds, params is an object as in the API, and key
// names an API key in place of account and live:
//
//	[{"path": "/v1/customers", "ids": ["cus_jenny"], "params": {"metadata": {"a": "b"}}}]
//
// The error names the element that is wrong. Those before it are stored.
func (s *Server) SeedJSON(r io.Reader) error {
	_, err := s.seedJSON(r)
	if err != nil {
		return fmt.Errorf("stripetest: %w", err)
	}
	return nil
}

func (s *Server) seedJSON(r io.Reader) ([]seeded, error) {
	body, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	if body = bytes.TrimSpace(body); !bytes.HasPrefix(body, []byte("[")) {
		body = slices.Concat([]byte("["), body, []byte("]"))
	}
	var all []seedingState
	if err := readStrict(body, &all); err != nil {
		return nil, fmt.Errorf("seed: %w", err)
	}
	done := []seeded{}
	for i, sent := range all {
		ids, err := s.seedOne(sent)
		if err != nil {
			return nil, fmt.Errorf("seeding %d of %d: %w", i+1, len(all), err)
		}
		done = append(done, seeded{sent.Path, ids})
	}
	return done, nil
}

func (s *Server) seedOne(sent seedingState) ([]string, error) {
	if sent.Count < 0 || sent.Count > maxSeeded {
		return nil, fmt.Errorf("seed %s: count: it may be up to %d", sent.Path, maxSeeded)
	}
	seeding := Seeding{
		Count: sent.Count, IDs: sent.IDs, Every: time.Duration(sent.Every),
		Undated: sent.Undated, Account: sent.Account, Live: sent.Live,
	}
	if sent.Key != "" {
		seeding.Account, seeding.Live = s.AccountOf(sent.Key), isLive(sent.Key)
	}
	if sent.First != nil {
		seeding.First = time.Time(*sent.First)
	}
	if sent.Params != nil {
		seeding.Params = url.Values(*sent.Params)
	}
	return s.seed(sent.Path, seeding)
}

func (s *Server) controlSeed(r *http.Request) (any, error) {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	done, err := s.seedJSON(r.Body)
	if err != nil {
		return nil, err
	}
	return map[string]any{"seeded": done}, nil
}

// jsonForm holds parameters that were sent as JSON: {"a": {"b": 1}} for a[b]=1.
type jsonForm url.Values

// UnmarshalJSON reads an object.
func (f *jsonForm) UnmarshalJSON(raw []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var root map[string]any
	if err := decoder.Decode(&root); err != nil {
		return wrongType(err)
	}
	*f = make(jsonForm)
	for name, value := range root {
		if err := f.add(name, value, maxDepth); err != nil {
			return err
		}
	}
	return nil
}

// add flattens a value. Null is sent as an empty text, which unsets a field.
func (f jsonForm) add(name string, value any, depth int) error {
	if depth == 0 {
		return fmt.Errorf("params: they are nested too deep")
	}
	switch value := value.(type) {
	case nil:
		f[name] = []string{""}
	case map[string]any:
		for key, inner := range value {
			if err := f.add(nested(name, key), inner, depth-1); err != nil {
				return err
			}
		}
	case []any:
		for i, inner := range value {
			if err := f.add(nested(name, fmt.Sprint(i)), inner, depth-1); err != nil {
				return err
			}
		}
	default:
		f[name] = []string{fmt.Sprint(value)}
	}
	return nil
}
