package stripekit

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

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

// head is what a Poller needs of an object to tell whether it is new.
type head struct {
	ID string
	at UnixTime
}

// head reads it, and skips the rest of the object.
func (s source[T]) head(raw jsontext.Value) (h head, err error) {
	d := jsontext.NewDecoder(bytes.NewReader(raw), lenient())
	if _, err := d.ReadToken(); err != nil {
		return h, err
	}
	for d.PeekKind() == '"' {
		name, err := d.ReadToken()
		if err != nil {
			return h, err
		}
		switch name.String() {
		case "id":
			err = json.UnmarshalDecode(d, &h.ID)
		case s.timeField:
			err = json.UnmarshalDecode(d, &h.at)
		default:
			err = d.SkipValue()
		}
		if err != nil {
			return h, err
		}
	}
	return h, nil
}

// listed is an object as a page shows it. Object is nil unless it is fresh.
type listed[T any] struct {
	head
	object *T
}

// pageOf is a page as a Poller needs it. date is the service's clock.
type pageOf[T any] struct {
	objects []listed[T]
	answer  tail.Answer
	date    time.Time
}

// ask fetches the page that a query names, and decodes of it in full what is
// fresh. An object that cannot be decoded fails the page: nothing is skipped.
func (s source[T]) ask(ctx context.Context, q tail.Query, fresh func(id string) bool) (p pageOf[T], err error) {
	req, co, err := s.client.request(http.MethodGet, s.path, encodeQuery(q), nil)
	if err != nil {
		return p, err
	}
	err = s.client.do(ctx, req, co, func(resp *transport.Response) error {
		if !resp.Asked.IsZero() {
			p.answer.Asked, p.answer.At = resp.Asked.Unix(), resp.AskedAt
			p.date, _ = http.ParseTime(resp.Header.Get("Date"))
		}
		var page struct {
			Data    []jsontext.Value `json:"data"`
			HasMore bool             `json:"has_more"`
		}
		if err := unmarshal(resp.Body, &page); err != nil {
			return err
		}
		if page.Data == nil {
			return errNoList
		}
		p.answer.HasMore = page.HasMore
		for _, raw := range page.Data {
			o, err := s.read(raw, fresh)
			if err != nil {
				return err
			}
			p.objects = append(p.objects, o)
			p.answer.Items = append(p.answer.Items, tail.Item{ID: o.ID, Created: int64(o.at)})
		}
		return nil
	})
	return p, err
}

func (s source[T]) read(raw jsontext.Value, fresh func(id string) bool) (o listed[T], err error) {
	if o.head, err = s.head(raw); err != nil {
		return o, err
	}
	if fresh(o.ID) {
		o.object = new(T)
		err = unmarshal(raw, o.object)
	}
	return o, err
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

// permanent tells whether an error will not pass by waiting: a bad key, a
// missing permission, an endpoint that is not there, a request that is wrong.
// It must be Stripe's own word: a page of a proxy in between passes.
func permanent(err error) bool {
	var e *Error
	if !errors.As(err, &e) || e.Type == "" && e.Code == "" {
		return false
	}
	for _, kind := range []error{ErrAuthentication, ErrPermission, ErrNotFound, ErrInvalidRequest} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}
