package stripetest

import (
	"encoding/base64"
	"fmt"
	"hash/fnv"
	"strconv"
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

// searchIndex defines the fields by which the objects of a resource can be
// searched.
type searchIndex[T any] struct {
	fields   map[string]searchField[T] // all but metadata
	metadata func(*T) map[string]string
}

type searchField[T any] struct {
	kind  fieldType
	value func(*T) operand
}

func searchNumber[T any](of func(*T) int64) searchField[T] {
	return searchField[T]{numberField, func(object *T) operand { return operand{number: of(object), numeric: true} }}
}

func searchFlag[T any](of func(*T) bool) searchField[T] {
	return searchField[T]{tokenField, func(object *T) operand { return operand{text: strconv.FormatBool(of(object))} }}
}

// searchText makes a field of type tokenField or textField.
func searchText[T any](kind fieldType, of func(*T) *string) searchField[T] {
	return searchField[T]{kind, func(object *T) operand { return operand{text: deref(of(object))} }}
}

func chargeIndex() searchIndex[charge] {
	return searchIndex[charge]{
		metadata: func(ch *charge) map[string]string { return ch.Metadata },
		fields: map[string]searchField[charge]{
			"amount":   searchNumber(func(ch *charge) int64 { return ch.Amount }),
			"created":  searchNumber(func(ch *charge) int64 { return ch.Created }),
			"currency": searchText(tokenField, func(ch *charge) *string { return &ch.Currency }),
			"customer": searchText(tokenField, func(ch *charge) *string { return ch.Customer }),
			"disputed": searchFlag(func(ch *charge) bool { return ch.Disputed }),
			"refunded": searchFlag(func(ch *charge) bool { return ch.Refunded }),
			"status":   searchText(tokenField, func(ch *charge) *string { return &ch.Status }),

			"billing_details.address.postal_code": searchText(tokenField, func(ch *charge) *string { return ch.BillingDetails.Address.PostalCode }),

			"payment_method_details.card.brand":       searchText(tokenField, cardText(func(d *cardDetails) *string { return &d.Brand })),
			"payment_method_details.card.exp_month":   searchNumber(func(ch *charge) int64 { return int64(ch.PaymentMethodDetails.Card.ExpMonth) }),
			"payment_method_details.card.exp_year":    searchNumber(func(ch *charge) int64 { return int64(ch.PaymentMethodDetails.Card.ExpYear) }),
			"payment_method_details.card.fingerprint": searchText(tokenField, cardText(func(d *cardDetails) *string { return &d.Fingerprint })),
			"payment_method_details.card.last4":       searchText(tokenField, cardText(func(d *cardDetails) *string { return &d.Last4 })),
		},
	}
}

// cardText returns a function for a text of a charge's card.
func cardText(of func(*cardDetails) *string) func(*charge) *string {
	return func(ch *charge) *string { return of(&ch.PaymentMethodDetails.Card) }
}

func customerIndex() searchIndex[customer] {
	return searchIndex[customer]{
		metadata: func(cus *customer) map[string]string { return cus.Metadata },
		fields: map[string]searchField[customer]{
			"created": searchNumber(func(cus *customer) int64 { return cus.Created }),
			"email":   searchText(textField, func(cus *customer) *string { return cus.Email }),
			"name":    searchText(textField, func(cus *customer) *string { return cus.Name }),
			"phone":   searchText(textField, func(cus *customer) *string { return cus.Phone }),
		},
	}
}

func productIndex() searchIndex[product] {
	return searchIndex[product]{
		metadata: func(p *product) map[string]string { return p.Metadata },
		fields: map[string]searchField[product]{
			"active":      searchFlag(func(p *product) bool { return p.Active }),
			"description": searchText(textField, func(p *product) *string { return p.Description }),
			"name":        searchText(textField, func(p *product) *string { return &p.Name }),
			"shippable":   searchText(tokenField, func(p *product) *string { return new(p.shippable()) }),
			"url":         searchText(textField, func(p *product) *string { return p.URL }),
		},
	}
}

func (index searchIndex[T]) types() map[string]fieldType {
	types := map[string]fieldType{"metadata": tokenField}
	for name, field := range index.fields {
		types[name] = field.kind
	}
	return types
}

func (index searchIndex[T]) operand(object *T, c clause) operand {
	if c.field == "metadata" {
		return operand{text: index.metadata(object)[c.key]}
	}
	return index.fields[c.field].value(object)
}

// searching returns a handler that responds with the objects that match a
// query, newest first.
func searching[T any](from func(*account) *collection[T], index searchIndex[T]) handler {
	types := index.types()
	return func(c *call) (any, *apiError) {
		if failure := required(c.params, "query"); failure != nil {
			return nil, failure
		}
		text := c.params.string("query")
		query, err := parseQuery(text, types)
		if err != nil {
			return nil, invalidRequest("", "query", "We were unable to parse your search query: "+err.Error()+".")
		}
		wanted, failure := pageSpan(text, c.params.string("page"))
		if failure != nil {
			return nil, failure
		}
		return searchPage(c, &from(c.account).all, wanted, func(object *T) bool {
			return query.matches(func(clause clause) operand { return index.operand(object, clause) })
		}), nil
	}
}

// searchPage collects a page of the matching objects that are indexed already.
func searchPage[T any](c *call, all *timeline[T], wanted span, matches func(*T) bool) *searchObject {
	limit := int(min(max(c.params.integer("limit", defaultLimit), 1), maxLimit))
	indexed := c.time.Add(-c.server.searchDelay).Unix()
	found := func(e *entry[T]) bool { return e.created <= indexed && e.visibleAt(c.time) && matches(e.object) }
	page := []*T{}
	result := &searchObject{Object: "search_result", URL: c.path}
	var last key
	for e := range all.descend(wanted) {
		if !found(e) {
			continue
		}
		if len(page) == limit {
			result.HasMore = true
			result.NextPage = new(pageToken(c.params.string("query"), last))
			break
		}
		page, last = append(page, e.object), e.key
	}
	result.Data = page
	if c.expands("total_count") {
		result.Total = new(0)
		for e := range all.descend(everything) {
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
