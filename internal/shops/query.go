package shops

import (
	"math"
	"net/url"
	"strconv"
	"strings"
)

const (
	defaultLimit = 10
	maxLimit     = 100
)

// query holds the parameters of a list request.
type query struct {
	limit       int
	from, below int64 // from <= created second < below
	after       string
	before      string
}

// parseQuery reads the parameters of a list request. Filters that the lists do not
// have are refused, because their responses would be wrong. Objects have nothing
// that could be expanded, so expand is ignored.
func parseQuery(raw string) (query, *refusal) {
	q := query{limit: defaultLimit, from: math.MinInt64, below: math.MaxInt64}
	for raw != "" {
		var pair string
		pair, raw, _ = strings.Cut(raw, "&")
		key, value, _ := strings.Cut(pair, "=")
		if pair == "" {
			continue
		}
		key, keyErr := unescape(key)
		value, valueErr := unescape(value)
		if keyErr != nil || valueErr != nil {
			return q, invalid("", "", "Invalid query string.")
		}
		if refused := q.set(key, value); refused != nil {
			return q, refused
		}
	}
	if q.after != "" && q.before != "" {
		return q, invalid("", "", "Received both starting_after and ending_before parameters. Please pass in only one.")
	}
	return q, nil
}

func unescape(s string) (string, error) {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return s, nil
	}
	return url.QueryUnescape(s)
}

// set sets a parameter.
func (q *query) set(key, value string) *refusal {
	switch key {
	case "starting_after", "ending_before":
		if value == "" {
			return invalid("parameter_invalid_empty", key, "You passed an empty string for '"+key+"'.")
		}
		if key == "starting_after" {
			q.after = value
		} else {
			q.before = value
		}
		return nil
	case "limit", "created", "created[gt]", "created[gte]", "created[lt]", "created[lte]":
		return q.setNumber(key, value)
	}
	if name, _, _ := strings.Cut(key, "["); name == "expand" {
		return nil
	}
	return invalid("parameter_unknown", key, "Received unknown parameter: "+key)
}

func (q *query) setNumber(key, value string) *refusal {
	n, err := strconv.ParseInt(value, 10, 64)
	switch {
	case value == "":
		return invalid("parameter_invalid_empty", key, "You passed an empty string for '"+key+"'.")
	case err != nil:
		return invalid("parameter_invalid_integer", key, "Invalid integer: "+value)
	}
	next := n
	if n < math.MaxInt64 {
		next++
	}
	switch key {
	case "limit":
		q.limit = int(min(max(n, 1), maxLimit))
	case "created":
		q.from, q.below = max(q.from, n), min(q.below, next)
	case "created[gt]":
		q.from = max(q.from, next)
	case "created[gte]":
		q.from = max(q.from, n)
	case "created[lt]":
		q.below = min(q.below, n)
	case "created[lte]":
		q.below = min(q.below, next)
	}
	return nil
}
