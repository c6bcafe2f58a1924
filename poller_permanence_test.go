package stripekit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// permanenceRow is a row of the table of endsPoller: the consequence of a status for
// the Poller of a Connection, by the header Stripe-Should-Retry.
type permanenceRow struct {
	status  int
	stripes permanence // without the header, of Stripe's own body
	page    permanence // without the header, of a proxy's page
	no      permanence // Stripe-Should-Retry: false, whatever the body
}

var permanenceRows = []permanenceRow{
	{302, passes, passes, passes},
	{400, ends, passes, ends},
	{401, waitsForKey, passes, waitsForKey},
	{402, ends, passes, ends},
	{403, ends, passes, ends},
	{404, ends, passes, ends},
	{405, ends, passes, ends},
	{407, ends, passes, ends},
	{408, passes, passes, ends},
	{409, passes, passes, passes},
	{410, ends, passes, ends},
	{418, ends, passes, ends},
	{422, ends, passes, ends},
	{424, passes, passes, ends},
	{425, passes, passes, ends},
	{429, passes, passes, passes},
	{451, ends, passes, ends},
	{499, ends, passes, ends},
	{500, passes, passes, passes},
	{501, passes, passes, passes},
	{502, passes, passes, passes},
	{503, passes, passes, passes},
	{504, passes, passes, passes},
	{529, passes, passes, passes},
}

// permanenceBodies are the bodies of a failed request; the value reports
// whether the body is Stripe's own.
var permanenceBodies = map[string]bool{
	`{"error":{"type":"invalid_request_error","message":"m"}}`:       true,
	`{"error":{"type":"api_error","code":"x"}}`:                      true,
	`{"error":{"code":"resource_missing","param":"starting_after"}}`: true,
	`{"error":{"message":"of some gateway"}}`:                        false,
	`{"message":"forbidden"}`:                                        false,
	`{"error":"forbidden"}`:                                          false,
	`<html><h1>Access denied</h1>`:                                   false,
	``:                                                               false,
}

func TestPermanenceOfEveryStatus(t *testing.T) {
	for _, row := range permanenceRows {
		for body, stripes := range permanenceBodies {
			without := row.page
			if stripes {
				without = row.stripes
			}
			for header, want := range map[string]permanence{
				"": without, "maybe": without, "TRUE": without, "true": passes, "false": row.no,
			} {
				err := failedRequest(t, row.status, body, header)
				what := fmt.Sprintf("%d, Stripe-Should-Retry %q, body %s", row.status, header, body)
				require.Equal(t, want, endsPoller(err, true), what)
				require.Equal(t, want, endsPoller(fmt.Errorf("wrapped: %w", err), true), what)
				if want == waitsForKey {
					want = ends
				}
				require.Equal(t, want, endsPoller(err, false), what)
			}
		}
	}
}

func TestPermanenceOfErrorsWithoutAStatus(t *testing.T) {
	network := func(err error) error { return &Error{Method: "GET", Path: "/v1/charges", cause: err} }
	for name, test := range map[string]struct {
		err  error
		want permanence
	}{
		"none":                  {nil, passes},
		"canceled":              {context.Canceled, passes},
		"deadline":              {network(context.DeadlineExceeded), passes},
		"refused":               {network(&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}), passes},
		"cut off":               {network(io.ErrUnexpectedEOF), passes},
		"a store":               {fmt.Errorf("saving checkpoint: %w", syscall.ENOSPC), passes},
		"key changed":           {errOtherKey, passes},
		"removed connection":    {network(fmt.Errorf("connection %q: removed: %w", "shop", ErrNoConnection)), ends},
		"another key":           {network(fmt.Errorf("connection %q: %w", "shop", ErrKeyChanged)), ends},
		"disabled connection":   {network(fmt.Errorf("connection %q: %w", "shop", ErrDisabled)), ends},
		"write-only connection": {network(fmt.Errorf("connection %q: %w", "shop", ErrWriteOnly)), ends},
		"parameter":             {fmt.Errorf("page: %w", &ParamError{Param: "Stripe-Account", Reason: "is wrong"}), ends},
		"checkpoint conflict":   {fmt.Errorf("saving: %w", ErrCheckpointConflict), ends},
		"checkpoint invalid":    {fmt.Errorf("loading: %w", ErrCheckpointInvalid), ends},
	} {
		t.Run(name, func(t *testing.T) {
			for _, connection := range []bool{false, true} {
				require.Equal(t, test.want, endsPoller(test.err, connection))
			}
		})
	}
}

func TestPermanenceOfASuccessThatCannotBeRead(t *testing.T) {
	for _, header := range []string{"", "true", "false"} {
		for _, body := range []string{"", "<html>", `{"data":`, `{"id":7}`} {
			require.Equal(t, passes, endsPoller(failedRequest(t, 200, body, header), false))
		}
	}
}

// A connection that is updated or removed while its Poller runs.
func TestPermanenceFollowsTheConnection(t *testing.T) {
	connections := NewConnections(WithMaxRetries(0), WithHTTPClient(&http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		if key, _, _ := r.BasicAuth(); key != "sk_test_good" {
			return jsonResponse(401, `{"error":{"type":"invalid_request_error","code":"api_key_expired"}}`), nil
		}
		return jsonResponse(200, `{"id":"acct_1"}`), nil
	})}))
	connection := Connection{Name: "shop", APIKey: NewSecret("sk_test_old")}
	require.NoError(t, connections.Add(connection))
	client, err := connections.Open("shop")
	require.NoError(t, err)

	_, old, err := client.identity(t.Context())
	require.ErrorIs(t, err, ErrAuthentication)
	require.Equal(t, waitsForKey, endsPoller(err, client.renewable()))

	connection.APIKey = NewSecret("sk_test_good")
	require.NoError(t, connections.Update(connection))
	id, renewed, err := client.identity(t.Context())
	require.NoError(t, err, "the failure of the old key is not the new key's")
	require.Equal(t, "acct_1", id)
	require.NotSame(t, old, renewed)

	connection.Access = WriteOnly
	require.NoError(t, connections.Update(connection))
	_, same, err := client.identity(t.Context())
	require.NoError(t, err, "it is known already")
	require.Same(t, renewed, same)
	err = client.Call(t.Context(), "GET", "/v1/charges", nil, nil)
	require.Equal(t, ends, endsPoller(err, true))

	require.NoError(t, connections.Remove("shop"))
	err = client.Call(t.Context(), "GET", "/v1/charges", nil, nil)
	require.ErrorIs(t, err, ErrNoConnection)
	require.Equal(t, ends, endsPoller(err, true))
}

// failedRequest makes a client fail by a response, and returns its error.
func failedRequest(t *testing.T, status int, body, shouldRetry string) error {
	t.Helper()
	client, err := New("sk_test_permanence", WithMaxRetries(0), WithRateLimit(RateLimit{}), WithHTTPClient(&http.Client{
		Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			resp := jsonResponse(status, body)
			if shouldRetry != "" {
				resp.Header.Set("Stripe-Should-Retry", shouldRetry)
			}
			return resp, nil
		}),
	}))
	require.NoError(t, err)
	_, err = client.Charges.Get(t.Context(), "ch_1")
	e, ok := errors.AsType[*Error](err)
	require.True(t, ok)
	require.Equal(t, status, e.HTTPStatus)
	return err
}

// roundTrip is an http.RoundTripper made of a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func jsonResponse(status int, body string) *http.Response {
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}},
		ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader(body)),
	}
}
