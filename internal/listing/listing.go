// Package listing implements the protocol of the service's lists: how a query
// is encoded, how a page is parsed, which pages are invalid, and how a long
// list is read by several requests at once. A list is newest first, one page at
// a time. The package makes no requests.
package listing

// PageSize is the maximum number of objects that the service returns on a page.
const PageSize = 100

// Head holds the fields of an object that a reader of a list needs. Created is
// in Unix seconds, 0 if the object has no such field.
type Head struct {
	ID      string
	Created int64
}

// Query holds the parameters of a list request. The bounds are on created; 0
// and "" are not sent. A cursor and a bound are never set together: the service
// is reported to return too few objects for such a request.
type Query struct {
	Limit   int
	GTE, LT int64  // GTE <= created < LT
	After   string // an id: list the older objects that follow it
	Before  string // an id: list the newer objects right before it
	Page    string // searches only: the NextPage of the previous page
}
