package stripekit

import (
	"bytes"
	"slices"
	"strings"
)

// where returns the source s, limited to the objects that match the filter and
// fetched with the options. Both are encoded here and now, so that a later
// change of what they point to changes nothing. NewPoller returns the error.
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

// checkUnset refuses what the reader of a source sets itself.
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

// checkFilter refuses a parameter, by its name without brackets, that a source
// of the list at path cannot have as a filter.
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

// sourceQuery encodes the filters of a source. The encoding is part of a
// checkpoint's key, so a filter has one encoding, whether it comes from a field
// or from Extra: parameters are sorted by name. Those of one name keep their
// order, since of two values for one parameter the last counts.
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

// topName returns the name that an encoded parameter begins with: "a" of
// "a[b]=c".
func topName(pair []byte) []byte {
	if end := bytes.IndexAny(pair, "[="); end >= 0 {
		return pair[:end]
	}
	return pair
}

// sourceOptions returns the options that the requests of a source are made with:
// one WithExpand or none. Its fields are named as in an object, and sent as in
// a list.
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
	case len(co.expand) == 0:
		return nil, nil
	}
	fields := make([]string, len(co.expand))
	for i, field := range co.expand {
		fields[i] = "data." + strings.TrimPrefix(field, "data.")
	}
	return []CallOption{WithExpand(fields...)}, nil
}
