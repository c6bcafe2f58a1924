package main

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"time"
)

// key is a key of no account.
const key = "sk_test_benchmark"

// answer is what a service says, and its clock.
type answer struct {
	body []byte
	date time.Time
	done func() // called when the body has been read; may be nil
}

func (a answer) close() {
	if a.done != nil {
		a.done()
	}
}

// service answers requests, the same to every side of a row. It is an
// http.RoundTripper, for rows without a network, and an http.Handler.
type service func(r *http.Request) answer

// header is what comes with an answer.
func (a answer) header() http.Header {
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

// RoundTrip answers without a network. The body is read by copying, as from a
// connection: its reader offers no short cut.
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

// body is that of an answer: a reader without more methods.
type body struct {
	io.Reader
	close func()
}

func (b body) Close() error {
	b.close()
	return nil
}

// ServeHTTP answers over a network.
func (s service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := s(r)
	defer a.close()
	io.Copy(io.Discard, r.Body) // what s has not read
	for name, values := range a.header() {
		w.Header()[name] = values
	}
	w.Write(a.body) // an error is the client's to see
}

// serveTLS serves s by HTTPS on loopback, and returns how its certificate is
// verified.
func serveTLS(s service) (*httptest.Server, *tls.Config) {
	server := httptest.NewTLSServer(s)
	return server, server.Client().Transport.(*http.Transport).TLSClientConfig
}

// likeOurs is a transport with the settings of stripekit's own, for the floor
// and where a certificate has to be brought along.
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

// account is the answer to the question whose key it is.
var account = []byte(`{"id":"acct_1PgafTB7WZ01zgkW","object":"account","country":"US","default_currency":"usd"}`)

// isAccount tells that question from the rest.
func isAccount(r *http.Request) bool { return r.URL.Path == "/v1/account" }
