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

// Source is a list that a Poller can watch. Every service that lists objects is
// one, and NewSource makes one of any other list.
type Source[T any] interface {
	source() source[T]
}

// NewSource makes a Source of a list that this library has no service for, such
// as /v1/payouts. T is what an object of it is decoded into. timeField names
// the object's field that Event.Created is read from: "created" where it is
// empty. The order of delivery and what is new depend on "created" alone. The
// list must be newest first and take the parameters limit, starting_after and
// created, as Stripe's do.
func NewSource[T any](client *Client, path, timeField string) (Source[T], error) {
	if err := checkPath(path); err != nil {
		return nil, err
	}
	return source[T]{client: client, path: path, timeField: cmp.Or(timeField, "created")}, nil
}

// source reads a list for a Poller.
type source[T any] struct {
	client    *Client
	path      string
	timeField string
	query     []byte       // form-encoded in a canonical order; part of the checkpoint's key
	opts      []CallOption // of every request
	err       error        // of Where: NewPoller returns it
}

func (s source[T]) source() source[T] { return s }

func (s *ChargesService) source() source[Charge] {
	return source[Charge]{client: s.client, path: chargesPath, timeField: "created"}
}

func (s *CustomersService) source() source[Customer] {
	return source[Customer]{client: s.client, path: customersPath, timeField: "created"}
}

func (s *ProductsService) source() source[Product] {
	return source[Product]{client: s.client, path: productsPath, timeField: "created"}
}

func (s *RefundsService) source() source[Refund] {
	return source[Refund]{client: s.client, path: refundsPath, timeField: "created"}
}

func (s *OrdersService) source() source[Order] {
	return source[Order]{client: s.client, path: ordersPath, timeField: "created"}
}

// An invoice item has no created: its second is its date.
func (s *InvoiceItemsService) source() source[InvoiceItem] {
	return source[InvoiceItem]{client: s.client, path: invoiceItemsPath, timeField: "date"}
}

// resource names the list in logs: "charges".
func (s source[T]) resource() string { return strings.TrimPrefix(s.path, "/v1/") }

// checkpointKey names the flow in a CheckpointStore. Each part is escaped, so
// that no two flows have the same key.
func (s source[T]) checkpointKey(name string) string {
	current := s.client.current.Load()
	parts := []string{
		string(s.client.Mode()), current.connection, s.client.account, s.resource(), string(s.query), name,
	}
	for i, part := range parts {
		parts[i] = url.PathEscape(part)
	}
	return strings.Join(parts, "/")
}

// listed is a page of a list as a Poller reads it.
type listed struct {
	tail.Page // its Times are by the source's timeField, its Raw is nil if it was not scanned again
	date      time.Time
	body      []byte // valid until the response is released
}

func newListed(page *listing.Page, body []byte) *listed {
	return &listed{Page: tail.Page{Page: *page}, body: body}
}

// objects are the objects of the page as JSON.
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

// request fetches the page that a query names and hands it to read, whose error
// makes the request fail. It fails with errKeyChanged, without a request, if the
// client's key has another identity. passed, if it is not nil, is called when
// the request has passed the client's limits.
func (s source[T]) request(ctx context.Context, identity *keyIdentity, q listing.Query, passed func(), last *lastPage, read func(*listed) error) error {
	current, err := s.client.withKey(identity)
	if err != nil {
		return err
	}
	req, co, err := s.client.request(current, http.MethodGet, s.path, joined(q.Append(nil), s.query), s.opts)
	if err != nil {
		return err
	}
	req.Poll, req.Passed = true, passed
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

// lastPage is the page that a Poller read last. A quiet list has the same bytes
// every time: then there is nothing to scan.
type lastPage struct {
	seed maphash.Seed
	sum  uint64
	size int
	page *listing.Page // without Raw; nil if it had no objects
}

func newLastPage() lastPage { return lastPage{seed: maphash.MakeSeed()} }

// read scans the page in body, unless it is the last one. For others it is taken
// by chance once in 2⁶⁴ times; the seed leaves a hostile server nothing but
// chance.
//
// There can be no last page: then it scans every page.
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
	l.sum, l.size, l.page = sum, len(body), nil
	if len(page.Heads) > 0 {
		l.page = new(*page)
		l.page.Raw = nil
	}
	return newListed(page, body), nil
}

// decode decodes an object. A panic of T's own decoding is an error.
func decode[T any](raw []byte) (object *T, err error) {
	defer func() {
		if v := recover(); v != nil {
			object, err = nil, &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	object = new(T)
	if err := unmarshal(raw, object); err != nil {
		return nil, err
	}
	return object, nil
}

// cursorLost reports whether an error means that the object which a query's
// cursor names is gone: a 400 today, and a 404 would mean the same.
func cursorLost(q listing.Query, err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && (q.After != "" || q.Before != "") && e.Code == "resource_missing" &&
		(e.HTTPStatus == http.StatusBadRequest || e.HTTPStatus == http.StatusNotFound)
}
