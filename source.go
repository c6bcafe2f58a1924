package stripekit

import (
	"cmp"
	"context"
	"errors"
	"hash/maphash"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stripekit/stripekit/internal/form"
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
// the object's field with its second, for Event.Created and for the order of
// delivery: "created" where it is empty. The list must take the parameters
// limit, starting_after, ending_before and created, as Stripe's do.
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
}

func (s source[T]) source() source[T] { return s }

func (s *ChargesService) source() source[Charge] {
	return source[Charge]{s.client, chargesPath, "created"}
}

func (s *CustomersService) source() source[Customer] {
	return source[Customer]{s.client, customersPath, "created"}
}

func (s *ProductsService) source() source[Product] {
	return source[Product]{s.client, productsPath, "created"}
}

func (s *RefundsService) source() source[Refund] {
	return source[Refund]{s.client, refundsPath, "created"}
}

func (s *OrdersService) source() source[Order] {
	return source[Order]{s.client, ordersPath, "created"}
}

// An invoice item has no created: its second is its date.
func (s *InvoiceItemsService) source() source[InvoiceItem] {
	return source[InvoiceItem]{s.client, invoiceItemsPath, "date"}
}

// resource names the list in checkpoint keys and logs: "charges".
func (s source[T]) resource() string { return strings.TrimPrefix(s.path, "/v1/") }

// pageOf is a page as a Poller needs it. Of the objects only those that were
// fresh are there; the others are nil. date is the service's clock.
type pageOf[T any] struct {
	answer  tail.Answer
	objects []*T
	date    time.Time
}

// ask fetches the page that a query names, and decodes of it in full what is
// fresh. An object that cannot be decoded fails the page: nothing is skipped.
// It fails with errKeyChanged, without a request, where the key is not of whose.
func (s source[T]) ask(ctx context.Context, whose *keyIdentity, q tail.Query, fresh func(id string) bool, last *lastPage) (p pageOf[T], err error) {
	req, co, err := s.client.request(http.MethodGet, s.path, encodeQuery(q), []CallOption{only(whose)})
	if err != nil {
		return p, err
	}
	req.Poll = true
	err = s.client.do(ctx, req, co, func(resp *transport.Response) error {
		if !resp.Date.IsZero() {
			p.answer.Asked, p.answer.At, p.date = resp.Asked.Unix(), resp.AskedAt, resp.Date
		}
		sum := last.sum(resp.Body)
		if last.is(sum, fresh) {
			p.answer.Items, p.answer.HasMore = last.items, last.hasMore
			return nil
		}
		if err := s.scan(resp.Body, fresh, &p); err != nil {
			return err
		}
		last.bodySum, last.items, last.hasMore = sum, p.answer.Items, p.answer.HasMore
		return nil
	})
	return p, err
}

// lastPage is the page that a Poller read last. A quiet list answers the same
// bytes every time: then there is nothing to decode.
type lastPage struct {
	seed    maphash.Seed
	bodySum bodySum
	items   []tail.Item
	hasMore bool
}

// bodySum is the same for the same bytes, and by chance for others once in 2⁶⁴
// times; the seed leaves a hostile server nothing but chance.
type bodySum struct {
	hash uint64
	size int
}

func newLastPage() lastPage { return lastPage{seed: maphash.MakeSeed()} }

func (l *lastPage) sum(body []byte) bodySum {
	return bodySum{hash: maphash.Bytes(l.seed, body), size: len(body)}
}

// is tells whether this is the last page once more, with nothing fresh on it.
func (l *lastPage) is(sum bodySum, fresh func(id string) bool) bool {
	return sum == l.bodySum && !slices.ContainsFunc(l.items, func(i tail.Item) bool { return fresh(i.ID) })
}

func encodeQuery(q tail.Query) []byte {
	b := form.AppendPair(nil, "limit", strconv.Itoa(q.Limit))
	for _, bound := range []struct {
		key   string
		value int64
	}{{"created[gte]", q.GTE}, {"created[lte]", q.LTE}, {"created[lt]", q.LT}} {
		if bound.value != 0 {
			b = form.AppendPair(b, bound.key, strconv.FormatInt(bound.value, 10))
		}
	}
	if q.EndingBefore != "" {
		b = form.AppendPair(b, "ending_before", q.EndingBefore)
	}
	if q.StartingAfter != "" {
		b = form.AppendPair(b, "starting_after", q.StartingAfter)
	}
	return b
}

// cursorLost tells whether an error means that the object which a query's
// cursor names is gone: a 400 today, and a 404 would mean the same.
func cursorLost(q tail.Query, err error) bool {
	var e *Error
	return q.HasCursor() && errors.As(err, &e) && e.Code == "resource_missing" &&
		(e.HTTPStatus == http.StatusBadRequest || e.HTTPStatus == http.StatusNotFound)
}
