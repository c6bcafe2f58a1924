package main

import (
	"context"
	"io"
	"net/http"

	"github.com/stripe/stripe-go/v85"

	"github.com/stripekit/stripekit"
)

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
// log is off.
func theirClient(url string, rt http.RoundTripper) *stripe.Client {
	config := &stripe.BackendConfig{
		URL:           &url,
		LeveledLogger: &stripe.LeveledLogger{Level: stripe.LevelNull},
	}
	if rt != nil {
		config.HTTPClient = &http.Client{Transport: rt}
	}
	return stripe.NewClient(key, stripe.WithBackends(stripe.NewBackendsWithConfig(config)))
}

// plain makes requests with net/http alone, with the headers of stripekit, and
// drains the response bodies.
type plain struct {
	client *http.Client
	url    string
}

func (p plain) do(ctx context.Context, method, path string, body io.Reader, extra ...string) error {
	_, err := p.copy(ctx, io.Discard, method, path, body, extra...)
	return err
}

func (p plain) copy(ctx context.Context, to io.Writer, method, path string, body io.Reader, extra ...string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, p.url+path, body)
	if err != nil {
		return nil, err
	}
	r.Header["Authorization"] = []string{"Basic c2tfdGVzdF9iZW5jaG1hcms6"}
	r.Header["User-Agent"] = []string{"stripekit/0.1.0 go/1.26"}
	r.Header["Stripe-Version"] = []string{stripekit.APIVersion}
	for i := 0; i < len(extra); i += 2 {
		r.Header[extra[i]] = []string{extra[i+1]}
	}
	resp, err := p.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(to, resp.Body)
	return resp, err
}

// into is a writer that overwrites its memory with each Write.
type into []byte

func (b *into) Write(p []byte) (int, error) {
	*b = append((*b)[:0], p...)
	return len(p), nil
}

func repeat(n int, once func() error) error {
	for range n {
		if err := once(); err != nil {
			return err
		}
	}
	return nil
}
