package stripetest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"time"
)

// WithSearchDelay makes searches omit objects that were created less than delay
// ago by the server's clock, since the search index of the real service lags.
// The default is no delay. Updates and deletions are visible to searches at
// once.
func WithSearchDelay(delay time.Duration) Option {
	return func(s *Server) { s.searchDelay = delay }
}

// searchObject is the JSON object around a page of search results.
type searchObject struct {
	Object   string  `json:"object"`
	Data     any     `json:"data"`
	HasMore  bool    `json:"has_more"`
	NextPage *string `json:"next_page"`
	Total    *int    `json:"total_count,omitempty"` // only if it is expanded
	URL      string  `json:"url"`
}

func searchParams() fields {
	return fields{"expand": list(text), "limit": integer, "page": nonEmpty, "query": nonEmpty}
}

// The fields by which the objects of a resource can be searched, by their paths in
// the JSON.
var chargeSearch = map[string]fieldType{
	"amount":   numberField,
	"created":  numberField,
	"currency": tokenField,
	"customer": tokenField,
	"disputed": tokenField,
	"metadata": tokenField,
	"refunded": tokenField,
	"status":   tokenField,

	"billing_details.address.postal_code": tokenField,

	"payment_method_details.card.brand":       tokenField,
	"payment_method_details.card.exp_month":   numberField,
	"payment_method_details.card.exp_year":    numberField,
	"payment_method_details.card.fingerprint": tokenField,
	"payment_method_details.card.last4":       tokenField,
}

var intentSearch = map[string]fieldType{
	"amount":   numberField,
	"created":  numberField,
	"currency": tokenField,
	"customer": tokenField,
	"metadata": tokenField,
	"status":   tokenField,
}

var customerSearch = map[string]fieldType{
	"created": numberField, "email": textField, "metadata": tokenField, "name": textField, "phone": textField,
}

var productSearch = map[string]fieldType{
	"active": tokenField, "description": textField, "metadata": tokenField, "name": textField, "shippable": tokenField, "url": textField,
}

// operand returns the value that a clause compares.
func (p packed) operand(c clause) operand {
	raw := p.raw(c.field)
	switch {
	case c.field == "metadata":
		return operand{text: metadataValue(raw, c.key)}
	case raw == "" || raw == "null":
		return operand{}
	case raw[0] == '"':
		return operand{text: unquote(raw)}
	case raw == "true" || raw == "false":
		return operand{text: raw}
	}
	number, _ := strconv.ParseInt(raw, 10, 64) // it is the JSON of an integer
	return operand{number: number, numeric: true}
}

// metadataValue returns a value of metadata in JSON.
func metadataValue(raw, key string) string {
	var w writer
	w.string(key)
	if !strings.Contains(raw, string(w.text)) {
		return "" // most objects do not have the key, and decoding takes long
	}
	return decodeMetadata(raw)[key]
}

func decodeMetadata(raw string) (decoded map[string]string) {
	must(json.Unmarshal([]byte(raw), &decoded))
	return decoded
}

// searching returns a handler that responds with the objects that match a
// query, newest first.
func searching[T any](from func(*account) *collection[T]) handler {
	return func(c *call) (any, *apiError) {
		if failure := required(c.params, "query"); failure != nil {
			return nil, failure
		}
		text := c.params.string("query")
		objects := from(c.account)
		query, err := parseQuery(text, objects.search)
		if err != nil {
			return nil, invalidRequest("", "query", "We were unable to parse your search query: "+err.Error()+".")
		}
		wanted, failure := pageSpan(text, c.params.string("page"))
		if failure != nil {
			return nil, failure
		}
		return searchPage(c, objects, wanted, query), nil
	}
}

// searchPage collects a page of the matching objects that are indexed already.
func searchPage[T any](c *call, objects *collection[T], wanted span, query searchQuery) *searchObject {
	limit := int(min(max(c.params.integer("limit", defaultLimit), 1), maxLimit))
	indexed := c.time.Add(-c.server.searchDelay).Unix()
	mayMatch := objects.preselect(query)
	found := func(e *entry[T]) bool {
		return mayMatch(e) && e.created <= indexed && e.visibleAt(c.time) && query.matches(e.packed)
	}
	page := []*entry[T]{}
	result := &searchObject{Object: "search_result", URL: c.path}
	var last key
	for e := range objects.all.descend(wanted) {
		if !found(e) {
			continue
		}
		if len(page) == limit {
			result.HasMore = true
			result.NextPage = new(pageToken(c.params.string("query"), last))
			break
		}
		page, last = append(page, e), e.key
	}
	result.Data = allStored(page)
	if c.expands("total_count") {
		result.Total = new(0)
		for e := range objects.all.descend(everything) {
			if found(e) {
				*result.Total++
			}
		}
	}
	return result
}

// pageToken returns the token of the page of a query that follows the object
// with this key.
func pageToken(query string, last key) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%x.%d.%d", queryHash(query), last.created, last.seq))
}

// pageSpan returns the keys of the objects that a page can have: all of them
// for the first page. It refuses the token of another query.
func pageSpan(query, token string) (span, *apiError) {
	if token == "" {
		return everything, nil
	}
	var hash uint64
	var last key
	text, err := base64.RawURLEncoding.DecodeString(token)
	if err == nil {
		_, err = fmt.Sscanf(string(text), "%x.%d.%d", &hash, &last.created, &last.seq)
	}
	if err != nil || hash != queryHash(query) {
		return span{}, invalidRequest("", "page", "Invalid page: use the next_page of a result of the same query.")
	}
	return everything.until(last), nil
}

func queryHash(query string) uint64 {
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(query)) // never fails
	return hash.Sum64()
}
