package stripekit

import (
	"bytes"
	"slices"
	"strings"
)

// where returns the source s, limited to the objects that match the filter and
// fetched with the options. It encodes both at once, so that a later change of the
// values that they point to has no effect. NewPoller returns the error.
func where[T any](s source[T], p ListParams, params any, opts []CallOption) Source[T] {
	if s.err = checkUnset(p); s.err != nil {
		return s
	}
	query, err := sourceQuery(s.path, params)
	if err != nil {
		s.err = err
		return s
	}
	options, err := sourceOptions(opts)
	if err != nil {
		s.err = err
		return s
	}
	s.query, s.opts = query, options
	return s
}

// checkUnset returns an error if a parameter is set that the reader of a source
// sets itself.
func checkUnset(p ListParams) error {
	for _, param := range []struct {
		name string
		set  bool
	}{
		{"limit", p.Limit != 0},
		{"starting_after", p.StartingAfter != ""},
		{"ending_before", p.EndingBefore != ""},
		{"created", p.Created != nil},
	} {
		if param.set {
			return checkFilter("", param.name)
		}
	}
	return nil
}

// checkFilter returns an error if a source of the list at path cannot have the
// parameter as a filter. The name is without brackets.
func checkFilter(path, name string) error {
	switch {
	case name == "limit", name == "starting_after", name == "ending_before", name == "created":
		return &ParamError{Param: name, Reason: "cannot be set: the Poller sets it itself"}
	case name == "expand":
		return &ParamError{Param: name, Reason: "is not a filter: use WithExpand"}
	case name == "ids" && path == productsPath:
		return &ParamError{Param: name, Reason: "cannot be set: Stripe refuses it together with the cursors that a Poller sends"}
	}
	return nil
}

// sourceQuery encodes the filters of a source. The encoding is part of the key of
// a checkpoint, so a filter must have one encoding, whether it is set in a field or
// in Extra. Therefore parameters are sorted by name. Parameters of the same name
// keep their order, because the last value of a parameter counts.
func sourceQuery(path string, params any) ([]byte, error) {
	_, query, err := encodeFilters(path, nil, params)
	if err != nil || len(query) == 0 {
		return nil, err
	}
	pairs := bytes.Split(query, []byte("&"))
	for _, pair := range pairs {
		if err := checkFilter(path, string(topName(pair))); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(pairs, func(a, b []byte) int { return bytes.Compare(topName(a), topName(b)) })
	return slices.Clip(bytes.Join(pairs, []byte("&"))), nil
}

// topName returns the name of an encoded parameter without brackets: "a" for
// "a[b]=c".
func topName(pair []byte) []byte {
	if end := bytes.IndexAny(pair, "[="); end >= 0 {
		return pair[:end]
	}
	return pair
}

// sourceOptions returns the options for the requests of a source: one WithExpand
// or none. Callers name the fields as in an object, and they are sent as in a list.
func sourceOptions(opts []CallOption) ([]CallOption, error) {
	var co callOptions
	for _, opt := range opts {
		if err := opt(&co); err != nil {
			return nil, err
		}
	}
	switch {
	case co.idempotencyKey != "":
		return nil, &ParamError{Param: "Idempotency-Key", Reason: "has no effect on a list"}
	case co.capture != nil:
		return nil, &ParamError{Param: "CaptureResponse", Reason: "cannot be used: requests that run at the same time would write to one Response"}
	case co.sameKey != nil:
		return nil, &ParamError{Param: "WithSameKey", Reason: "cannot be used: what reads a source notices another key itself"}
	case len(co.expand) == 0:
		return nil, nil
	}
	fields := make([]string, len(co.expand))
	for i, field := range co.expand {
		fields[i] = "data." + strings.TrimPrefix(field, "data.")
	}
	return []CallOption{WithExpand(fields...)}, nil
}
