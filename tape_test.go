package stripekit_test

import (
	"context"
	"errors"
	"io"
	"iter"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
)

// tape records the requests of a client, and plays the responses.
type tape struct {
	mu     sync.Mutex
	play   func(n int) string // the body of the response to request n, from 0
	sent   []sentRequest
	header http.Header // of the last request
}

// sentRequest is a request as the service would read it. Params are those of
// the query or the body, unescaped.
type sentRequest struct{ Method, Path, Params string }

func newTape(t *testing.T, opts ...stripekit.Option) (*tape, *stripekit.Client) {
	t.Helper()
	tp := &tape{play: func(int) string { return `{"id": "x_1", "data": []}` }}
	opts = append([]stripekit.Option{
		stripekit.WithHTTPClient(&http.Client{Transport: tp}),
		stripekit.WithMaxRetries(0), stripekit.WithRateLimit(stripekit.RateLimit{}),
	}, opts...)
	client, err := stripekit.New("sk_test_tape", opts...)
	require.NoError(t, err)
	return tp, client
}

// RoundTrip returns a 200 with the next body.
func (tp *tape) RoundTrip(r *http.Request) (*http.Response, error) {
	params := r.URL.RawQuery
	if r.Method == http.MethodPost {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		params += string(body)
	}
	params, err := url.QueryUnescape(params)
	if err != nil {
		return nil, err
	}
	tp.mu.Lock()
	defer tp.mu.Unlock()
	body := tp.play(len(tp.sent))
	tp.sent = append(tp.sent, sentRequest{r.Method, r.URL.EscapedPath(), params})
	tp.header = r.Header.Clone()
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// operation is one call of a service and the one request it makes.
type operation struct {
	call func(context.Context, *stripekit.Client) error
	want sentRequest
}

func requireOperations(t *testing.T, operations map[string]operation) {
	t.Helper()
	for name, op := range operations {
		t.Run(name, func(t *testing.T) {
			tp, client := newTape(t)
			require.NoError(t, op.call(t.Context(), client))
			require.Empty(t, cmp.Diff([]sentRequest{op.want}, tp.sent))
		})
	}
}

// requireParamErrors requires that each call returns a ParamError for its parameter,
// and makes no request.
func requireParamErrors(t *testing.T, calls map[string]refusal) {
	t.Helper()
	for name, c := range calls {
		t.Run(name, func(t *testing.T) {
			tp, client := newTape(t)
			err := c.call(t.Context(), client)
			var pe *stripekit.ParamError
			require.ErrorAs(t, err, &pe)
			require.Equal(t, c.param, pe.Param)
			require.ErrorIs(t, err, stripekit.ErrInvalidRequest)
			require.Empty(t, tp.sent)
		})
	}
}

type refusal struct {
	param string
	call  func(context.Context, *stripekit.Client) error
}

// done returns the error of a call, which must have returned an object if there is
// no error.
func done[T any](object *T, err error) error {
	if err == nil && object == nil {
		return errors.New("neither an object nor an error")
	}
	return err
}

// drained returns the error that an iteration ends with.
func drained[T any](seq iter.Seq2[*T, error]) error {
	for _, err := range seq {
		if err != nil {
			return err
		}
	}
	return nil
}

// full returns params, and fails the test if a field is not set at any depth, so
// that no parameter is forgotten.
func full[T any](t *testing.T, params T) T {
	t.Helper()
	requireFull(t, reflect.TypeFor[T]().Name(), reflect.ValueOf(params))
	return params
}

func requireFull(t *testing.T, name string, v reflect.Value) {
	t.Helper()
	if v.Type() == reflect.TypeFor[stripekit.Extra]() || v.Type() == reflect.TypeFor[stripekit.ListParams]() {
		return
	}
	require.Falsef(t, v.IsZero(), "%s is not set", name)
	switch v.Kind() {
	case reflect.Pointer:
		if v.Elem().Kind() == reflect.Struct {
			requireFull(t, name, v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			requireFull(t, name+"."+v.Type().Field(i).Name, v.Field(i))
		}
	case reflect.Slice:
		for i := range v.Len() {
			requireFull(t, name, v.Index(i))
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			requireFull(t, name+"."+k.String(), v.MapIndex(k))
		}
	}
}

var (
	someAddress  = stripekit.Address{City: "Bonn", Country: "DE", Line1: "1 Way", Line2: "c/o", PostalCode: "53113", State: "NW"}
	someShipping = stripekit.Shipping{Name: "Ann", Phone: "55", Address: someAddress, Carrier: "DHL", TrackingNumber: "T1"}
	someCreated  = stripekit.CreatedRange{GT: 1, GTE: 2, LT: 3, LTE: 4}
)

const (
	sentAddress  = "address[city]=Bonn&address[country]=DE&address[line1]=1 Way&address[line2]=c/o&address[postal_code]=53113&address[state]=NW"
	sentShipping = "shipping[name]=Ann&shipping[phone]=55&shipping[address][city]=Bonn&shipping[address][country]=DE&shipping[address][line1]=1 Way" +
		"&shipping[address][line2]=c/o&shipping[address][postal_code]=53113&shipping[address][state]=NW&shipping[carrier]=DHL&shipping[tracking_number]=T1"
	sentCreated = "created[gt]=1&created[gte]=2&created[lt]=3&created[lte]=4"
)
