package stripesql

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/stripekit/stripekit/internal/listing"
)

// maxPage is the maximum number of objects on a page, and of ids in a request.
const maxPage = listing.PageSize

// spec describes one scan of a table: a plan with its values.
type spec struct {
	accounts []*account // those that are read
	beside   int        // how many accounts are read beside, with this one; 0 if there are no others
	table    *table
	how      how
	none     bool              // no object can match
	id       string            // for byID
	ids      []string          // for byIDs
	query    string            // for search, without the window
	filters  map[string]string // for byList, without the window
	window   window
	order    order
	limit    int64    // how many rows are needed, 0 if unknown
	short    bool     // the statement has a LIMIT
	expand   []string // fields of the object
}

// key identifies a scan. Scans that read different objects, or in another
// order, have different keys.
func (s *spec) key() string {
	var names []string
	for _, a := range s.accounts {
		names = append(names, a.name)
	}
	return fmt.Sprintf("%q %s %s %q %q %q %q %v %s", names, s.table.name, s.how, s.id, s.ids, s.query, s.filters, s.window, s.order)
}

// bare reports whether a scan is of a list without a filter other than by created.
func (s *spec) bare() bool { return s.how == byList && maps.Equal(s.filters, s.table.always) }

// account returns the account of a scan of only one.
func (s *spec) account() *account { return s.accounts[0] }

// newSpec returns the spec of a plan with values for its terms. It leaves out a
// value that the API would compare in another way than SQLite; the scan then
// reads more than is needed.
func (p *plan) newSpec(accounts []*account, t *table, values []any) *spec {
	s := &spec{
		accounts: accounts, table: t, how: p.How, filters: t.constant(), window: everything(),
		order: p.Order, short: p.Short,
	}
	if len(p.Local) == 0 {
		s.limit = p.Limit
	}
	for i, by := range p.Terms {
		s.apply(by, values[i])
	}
	if s.window.empty() || len(s.accounts) == 0 {
		s.none = true
	}
	if !s.none && (s.how == byID && s.id == "" || s.how == byIDs && s.ids == nil || s.how == search && s.query == "") {
		s.how = byList // no value could be sent
	}
	return s
}

func (s *spec) apply(by term, value any) {
	list, many := value.([]any)
	switch {
	case by.Op == opNull || by.Op == opNotNull:
		s.filters["pending"] = strconv.FormatBool(by.Op == opNull)
	case slices.Contains(s.table.createdColumns(), by.Column):
		s.window.narrow(s.table, by, value)
	case value == nil:
		s.none = true // nothing compares to NULL
	case by.Column == connectionColumn && s.table.connection() >= 0:
		name, _ := value.(string) // no name is a number
		s.accounts = withName(s.accounts, name)
	case many:
		s.applyList(by, list)
	case s.how == byID:
		s.applyID(value)
	case s.how == search:
		s.applySearch(by, value)
	default:
		s.applyFilter(by, value)
	}
}

// applyID applies the term of a lookup by id. A text that cannot be an id
// matches no object.
func (s *spec) applyID(value any) {
	id, ok := value.(string)
	switch {
	case !ok:
		s.none = s.table.prefixed // neither a number nor a blob is an id
	case !validID(id):
		s.none = true
	default:
		s.id = id
	}
}

// validID reports whether a text of a statement can be an id.
func validID(id string) bool {
	const maxID = 255
	return len(id) <= maxID && requestable(id) && !strings.ContainsAny(id, "?#%&=\uFFFD")
}

// requestable reports whether an id can be the last segment of a path, with escapes. Users
// choose the ids of products and coupons. "search" would be another endpoint.
func requestable(id string) bool {
	return id != "" && id != "." && id != ".." && id != "search" && utf8.ValidString(id) &&
		!strings.ContainsFunc(id, func(r rune) bool { return unicode.IsControl(r) || r == '/' || r == '\\' })
}

// applyList applies an IN with a list of values.
func (s *spec) applyList(by term, list []any) {
	var texts []string
	for _, value := range list {
		switch value := value.(type) {
		case nil:
		case string:
			if value != "" && sendable(value) && !slices.Contains(texts, value) {
				texts = append(texts, value)
			}
		default:
			return // SQLite may compare it as a number
		}
	}
	if len(texts) == 0 {
		s.none = true
		return
	}
	if s.how == byIDs {
		s.ids = texts
		return
	}
	if len(texts) <= maxPage {
		for i, one := range texts {
			s.filters[fmt.Sprintf("%s[%d]", s.table.filter(by.Column).param, i)] = one
		}
	}
}

// sendable reports whether the API receives a text unchanged.
func sendable(text string) bool {
	const maxText = 500
	return len(text) <= maxText && utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

func (s *spec) applyFilter(by term, value any) {
	f := s.table.filter(by.Column)
	if f.span {
		w := everything()
		w.narrow(s.table, by, value)
		s.applySpan(f.param, w)
		return
	}
	switch s.table.kind(by.Column) {
	case Boolean:
		if value == int64(0) || value == int64(1) {
			s.filters[f.param] = strconv.FormatBool(value == int64(1))
		}
	case Text:
		one, ok := value.(string)
		switch {
		case !ok || !sendable(one):
		case one == "":
			// No object has an empty value, and an empty parameter has another
			// meaning.
		case f.many:
			s.filters[f.param+"[0]"] = one
		default:
			s.filters[f.param] = one
		}
	}
}

// applySpan adds the bounds of a time other than created. Of two bounds, it
// keeps the narrower.
func (s *spec) applySpan(param string, w window) {
	if low, err := strconv.ParseInt(s.filters[param+"[gte]"], 10, 64); err == nil {
		w.low = max(w.low, low)
	}
	if high, err := strconv.ParseInt(s.filters[param+"[lt]"], 10, 64); err == nil {
		w.high = min(w.high, high)
	}
	s.none = s.none || w.empty()
	w.send(s.filters, param)
}

// applySearch adds a condition to the query of a search.
func (s *spec) applySearch(by term, value any) {
	operator, clause := by.Op, ""
	if operator == opEqual {
		operator = ":"
	}
	switch kind := s.table.kind(by.Column); value := value.(type) {
	case int64:
		switch {
		case kind == Boolean && (value == 0 || value == 1):
			clause = fmt.Sprintf("%s:%q", by.Column, strconv.FormatBool(value == 1))
		case kind == Integer:
			clause = fmt.Sprintf("%s%s%d", by.Column, operator, value)
		}
	case string:
		if kind == Text && value != "" && sendable(value) {
			clause = by.Column + `:"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`
		}
	}
	if clause == "" {
		return
	}
	if s.query != "" {
		s.query += " AND "
	}
	s.query += clause
}

// request returns the first request of a scan, or the request for the next ids.
func (s *spec) request() request {
	params := map[string]string{}
	path := s.table.path
	switch s.how {
	case byList:
		return s.page(listing.Query{Limit: s.pageSize(), GTE: s.window.low, LT: s.window.high})
	case byID:
		path += "/" + url.PathEscape(s.id)
		s.addExpand(params, "")
		return request{path: path, params: params}
	case byIDs:
		for i, id := range s.ids[:min(len(s.ids), maxPage)] {
			params[fmt.Sprintf("ids[%d]", i)] = id
		}
	case search:
		path += "/search"
		params["query"] = s.searchQuery()
	}
	params["limit"] = strconv.Itoa(s.pageSize())
	s.addExpand(params, "data.")
	return request{path: path, params: params}
}

// searchQuery returns the query with the window.
func (s *spec) searchQuery() string {
	query := s.query
	low, high := s.window.bounded()
	if low {
		query += fmt.Sprintf(" AND created>=%d", s.window.low)
	}
	if high {
		query += fmt.Sprintf(" AND created<%d", s.window.high)
	}
	return query
}

// pageSize returns the size of the first page. If the rows of a second are
// sorted, the limit does not apply: the page has to go beyond the last second.
func (s *spec) pageSize() int {
	if s.limit > 0 && (s.order == "" || s.order == newestFirst) {
		return int(min(s.limit, maxPage))
	}
	return maxPage
}

func (s *spec) addExpand(params map[string]string, prefix string) {
	for i, field := range s.expand {
		params[fmt.Sprintf("expand[%d]", i)] = prefix + field
	}
}

// after returns the request for the page after an object. It has no bounds of
// created, which the service is reported to mishandle together with a cursor.
func (s *spec) after(id string) request {
	return s.page(listing.Query{Limit: maxPage, After: id})
}

// before returns the request for the page of the window before a second.
func (s *spec) before(second int64) request {
	return s.page(listing.Query{Limit: maxPage, GTE: s.window.low, LT: min(s.window.high, second)})
}

// page returns the request for a page of the list.
func (s *spec) page(q listing.Query) request {
	params := map[string]string{}
	maps.Copy(params, s.filters)
	windowOf(q).send(params, createdColumn)
	for name, cursor := range map[string]string{"starting_after": q.After, "ending_before": q.Before} {
		if cursor != "" {
			params[name] = cursor
		}
	}
	params["limit"] = strconv.Itoa(q.Limit)
	s.addExpand(params, "data.")
	return request{s.table.path, params, q}
}
