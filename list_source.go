package stripekit

import (
	"cmp"
	"context"
	"errors"
	"hash/maphash"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"github.com/stripekit/stripekit/internal/listing"
	"github.com/stripekit/stripekit/internal/tail"
	"github.com/stripekit/stripekit/internal/transport"
)

// Source is a list that a Poller or a Backfill reads. Every service that lists
// objects is a Source, such as client.Charges. NewSource makes one of any other
// list.
type Source[T any] interface {
	source() source[T]
}

// NewSource makes a Source of a list that this library has no service for, such
// as /v1/payouts. Its objects are decoded into T. timeField names the field that
// Event.Created is read from; if empty, it is "created". Only the field "created"
// decides which objects are new, and the order of delivery. The list must be newest
// first and accept the parameters limit, starting_after and created, as all lists
// of Stripe do. The path may end in a filter, such as /v1/subscriptions?status=all.
func NewSource[T any](client *Client, path, timeField string) (Source[T], error) {
	path, filter, _ := strings.Cut(path, "?")
	if err := checkPath(path); err != nil {
		return nil, err
	}
	values, err := url.ParseQuery(filter)
	if err != nil {
		return nil, &ParamError{Param: "path", Reason: "has a filter that cannot be parsed"}
	}
	params := Extra{}
	for name, each := range values {
		if len(each) > 1 {
			return nil, &ParamError{Param: name, Reason: "occurs more than once"}
		}
		params[name] = each[0]
	}
	query, err := sourceQuery(path, params)
	if err != nil {
		return nil, err
	}
	return source[T]{client: client, path: path, timeField: cmp.Or(timeField, "created"), query: query}, nil
}

// source reads a list for a Poller.
type source[T any] struct {
	client    *Client
	path      string
	timeField string
	query     []byte       // the filter, form-encoded in canonical order
	flow      string       // if not empty, stands for the filter in the checkpoint key
	opts      []CallOption // of every request
	err       error        // of Where; NewPoller returns it
}

func (s source[T]) source() source[T] { return s }

// lanes returns n lanes for a list. If n is 0, the number follows from the rate limit.
func (c *Client) lanes(n int) *listing.Lanes {
	return listing.NewLanes(c.current.Load().transport.Limits().List(), n)
}

// resource returns the name of the list in logs, such as "charges".
func (s source[T]) resource() string { return strings.TrimPrefix(s.path, "/v1/") }

// kept returns how long an object is listed; 0 is for ever.
func (s source[T]) kept() time.Duration {
	if s.path == eventsPath {
		return eventsKept
	}
	return 0
}

// checkpointKey returns the key of a flow in a CheckpointStore. Each part is
// escaped, so that no two flows have the same key.
func (s source[T]) checkpointKey(name string) string {
	current := s.client.current.Load()
	parts := []string{
		string(s.client.Mode()), current.connection, s.client.account, s.resource(), cmp.Or(s.flow, string(s.query)), name,
	}
	for i, part := range parts {
		parts[i] = url.PathEscape(part)
	}
	return strings.Join(parts, "/")
}

// listed is a page of a list as a Poller reads it.
type listed struct {
	tail.Page           // Times are those of the timeField; Raw is nil if the page was not scanned again
	date      time.Time // the Date header of the response; zero if there is none
	body      []byte    // valid until the response is released
}

func newListed(page *listing.Page, body []byte) *listed {
	return &listed{Page: tail.Page{Page: *page}, body: body}
}

// objects returns the objects of the page as JSON.
func (p *listed) objects(timeField string) ([][]byte, error) {
	if p.Raw == nil {
		scanned, err := listing.Scan(p.body, timeField)
		if err != nil {
			return nil, err
		}
		p.Raw = scanned.Raw
	}
	return p.Raw, nil
}

// request fetches the page of a query and calls read with it. An error of read
// makes the request fail. If the key of the client has another identity, it returns
// errOtherKey without a request. waits is called as transport.Request.Waits.
func (s source[T]) request(ctx context.Context, identity *keyIdentity, q listing.Query, waits func(bool), last *lastPage, read func(*listed) error) error {
	current, err := s.client.withKey(identity)
	if err != nil {
		return err
	}
	req, co, err := s.client.request(current, http.MethodGet, s.path, joined(q.Append(make([]byte, 0, 64)), s.query), s.opts)
	if err != nil {
		return err
	}
	req.Poll, req.Waits = true, waits
	return current.do(ctx, req, co, func(resp *transport.Response) error {
		page, err := last.read(resp.Body, s.timeField)
		if err != nil {
			return err
		}
		page.At, page.Received = resp.SentAt, time.Now()
		if !resp.Date.IsZero() {
			page.Date, page.date = resp.ServerTimeAtSend.Unix(), resp.Date
		}
		return read(page)
	})
}

// lastPage is the page that a Poller read last. If the next page has the same
// bytes, as in a quiet list, it need not be scanned.
type lastPage struct {
	seed maphash.Seed
	sum  uint64
	size int
	page *listing.Page // without Raw; nil before the first page
}

// emptyPage is the last page of every Poller of a list without objects.
var emptyPage listing.Page

func newLastPage() lastPage { return lastPage{seed: maphash.MakeSeed()} }

// read scans the page in body, unless it equals the last page. Another page is
// mistaken for the last page with a probability of 2⁻⁶⁴. Because of the random
// seed, a hostile server cannot raise it.
//
// If l is nil, read scans every page.
func (l *lastPage) read(body []byte, timeField string) (*listed, error) {
	if l == nil {
		page, err := listing.Scan(body, timeField)
		if err != nil {
			return nil, err
		}
		return newListed(page, body), nil
	}
	sum := maphash.Bytes(l.seed, body)
	if l.page != nil && l.size == len(body) && l.sum == sum {
		return newListed(l.page, body), nil
	}
	page, err := listing.Scan(body, timeField)
	if err != nil {
		return nil, err
	}
	l.sum, l.size, l.page = sum, len(body), &emptyPage
	if len(page.Heads) > 0 || page.HasMore {
		l.page = new(*page)
		l.page.Raw = nil
	}
	return newListed(page, body), nil
}

// decode decodes an object. If the decoding of T panics, it returns a *PanicError.
func decode[T any](raw []byte) (object *T, err error) {
	defer func() {
		if v := recover(); v != nil {
			object, err = nil, &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	object = new(T)
	if err := unmarshal(raw, object); err != nil {
		return nil, transport.QuoteError(err)
	}
	return object, nil
}

// cursorLost reports whether err means that the object which the cursor of q names
// does not exist any more. The service responds with a 400; a 404 would mean the
// same.
func cursorLost(q listing.Query, err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && (q.After != "" || q.Before != "") && e.Code == "resource_missing" &&
		(e.HTTPStatus == http.StatusBadRequest || e.HTTPStatus == http.StatusNotFound)
}
