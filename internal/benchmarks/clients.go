package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/stripe/stripe-go/v85"

	"github.com/stripekit/stripekit"
)

// timeout is the default timeout of a request, in both libraries.
const timeout = 80 * time.Second

// ourClient returns a client of this library. If rt is nil, it has its default
// transport.
func ourClient(url string, rt http.RoundTripper, extra ...stripekit.Option) (*stripekit.Client, error) {
	opts := []stripekit.Option{stripekit.WithBaseURL(url)}
	if rt != nil {
		opts = append(opts, stripekit.WithHTTPClient(&http.Client{Transport: rt}))
	}
	// By default, only Stripe's URL has rate limits. A row without a network
	// uses that URL, so they are switched off.
	opts = append(opts, stripekit.WithRateLimit(stripekit.RateLimit{}))
	return stripekit.New(key, append(opts, extra...)...)
}

// theirClient returns a client of stripe-go with its defaults, except that the
// log is off. If rt is nil, it has its default transport, too.
func theirClient(url string, rt http.RoundTripper) *stripe.Client {
	config := &stripe.BackendConfig{
		URL:           &url,
		LeveledLogger: &stripe.LeveledLogger{Level: stripe.LevelNull},
	}
	if rt != nil {
		config.HTTPClient = &http.Client{Transport: rt, Timeout: timeout}
	}
	return stripe.NewClient(key, stripe.WithBackends(stripe.NewBackendsWithConfig(config)))
}

// lenient are the options that stripekit decodes with.
var lenient = json.JoinOptions(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))

// plain makes requests with net/http alone, with the headers and the timeout of
// stripekit.
type plain struct {
	client *http.Client
	url    string
}

func newPlain(url string, rt http.RoundTripper) plain {
	return plain{&http.Client{Transport: rt}, url}
}

// buffers are for the bodies of plain requests.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// call makes a request. If object is nil, the body of the response is only read.
// Otherwise it is decoded, as stripekit does.
func (p plain) call(ctx context.Context, object any, method, path string, body io.Reader, extra ...string) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, p.url+path, body)
	if err != nil {
		return err
	}
	r.Header["Authorization"] = []string{"Basic c2tfdGVzdF9iZW5jaG1hcms6"}
	r.Header["User-Agent"] = []string{"stripekit/0.1.0 go/1.26"}
	r.Header["Stripe-Version"] = []string{stripekit.APIVersion}
	for i := 0; i < len(extra); i += 2 {
		r.Header[extra[i]] = []string{extra[i+1]}
	}
	resp, err := p.client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s", method, path, resp.Status)
	}
	buffer := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(buffer)
	buffer.Reset()
	if _, err := buffer.ReadFrom(resp.Body); err != nil || object == nil {
		return err
	}
	return json.Unmarshal(buffer.Bytes(), object, lenient)
}

func (p plain) get(ctx context.Context, object any, path string) error {
	return p.call(ctx, object, http.MethodGet, path, nil)
}

func repeat(n int, once func() error) error {
	for range n {
		if err := once(); err != nil {
			return err
		}
	}
	return nil
}

// discarding returns the run of a side that does the operation n times, without its
// result.
func discarding[T any](operation func() (T, error)) func(n int) error {
	return func(n int) error {
		return repeat(n, func() error { _, err := operation(); return err })
	}
}
