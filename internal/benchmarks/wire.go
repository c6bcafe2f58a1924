package main

import (
	"bytes"
	"crypto/tls"
	"io"
	"maps"
	"net"
	"net/http"
	"strconv"
	"time"
)

// key is an API key that belongs to no account.
const key = "sk_test_benchmark"

// response is a response of a service.
type response struct {
	body []byte
	date time.Time // the service's clock
	done func()    // called when the body was read; if nil, it is not called
}

func (a response) close() {
	if a.done != nil {
		a.done()
	}
}

// service responds to requests, in the same way for every side of a row. It is
// an http.RoundTripper, for rows without a network, and an http.Handler.
type service func(r *http.Request) response

// header returns the header of a response.
func (a response) header() http.Header {
	return http.Header{
		"Cache-Control":             {"no-cache, no-store"},
		"Content-Length":            {strconv.Itoa(len(a.body))},
		"Content-Type":              {"application/json"},
		"Date":                      {a.date.UTC().Format(http.TimeFormat)},
		"Request-Id":                {"req_GqX5cLpZ2mWn8R"},
		"Server":                    {"nginx"},
		"Strict-Transport-Security": {"max-age=63072000; includeSubDomains; preload"},
		"Stripe-Version":            {"2026-08-26.dahlia"},
		"Vary":                      {"Origin"},
	}
}

// RoundTrip responds without a network. The reader of the body has no WriteTo,
// so the body is copied as from a connection.
func (s service) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return nil, err
		}
		r.Body.Close()
	}
	a := s(r)
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: a.header(), ContentLength: int64(len(a.body)), Request: r,
		Body: body{bytes.NewReader(a.body), a.close},
	}, nil
}

// body is the body of a response. It hides all methods of the reader but Read.
type body struct {
	io.Reader
	close func()
}

func (b body) Close() error {
	b.close()
	return nil
}

// ServeHTTP responds over a network.
func (s service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := s(r)
	defer a.close()
	io.Copy(io.Discard, r.Body) // the part that s has not read
	maps.Copy(w.Header(), a.header())
	w.Write(a.body) // if it fails, the client sees an error
}

// likeOurs returns a transport with the settings of stripekit's own. It is for
// the floor, and for rows that need a certificate.
func likeOurs(config *tls.Config) *http.Transport {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment, Protocols: &protocols, TLSClientConfig: config,
		MaxIdleConns: 64, MaxIdleConnsPerHost: 64,
		IdleConnTimeout: 90 * time.Second, TLSHandshakeTimeout: 10 * time.Second,
		DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
	}
}

// account is the response to the request for the account of the key.
var account = []byte(`{"id":"acct_1PgafTB7WZ01zgkW","object":"account","country":"US","default_currency":"usd"}`)

// isAccount reports whether r is the request for the account of the key.
func isAccount(r *http.Request) bool { return r.URL.Path == "/v1/account" }
