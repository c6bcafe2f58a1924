// Package listing knows the protocol of the service's lists: what is asked for,
// how an answer is read, what no list may answer, and how a long one is read by
// several requests at once. Lists are newest first, a page at a time. It makes
// no requests.
package listing

// PageSize is the most that the service answers on one page.
const PageSize = 100

// Head is what a reader of a list needs to know of an object. Created is in
// seconds, 0 where the object does not tell.
type Head struct {
	ID      string
	Created int64
}

// Query is what to ask a list for. The bounds are on created; 0 and "" are none.
// A cursor and a bound are never set together: the service is reported to answer
// that with too few objects.
type Query struct {
	Limit   int
	GTE, LT int64  // GTE <= created < LT
	After   string // an id: the objects that follow it, the older ones
	Before  string // an id: those right before it, the newer ones
	Page    string // of a search: the NextPage of the page before
}
