package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/stripekit/stripekit"
)

// recorder makes the calls of one version and saves the responses.
type recorder struct {
	version string
	folder  string
	log     io.Writer // receives one line per call

	client *stripekit.Client
	key    string
	wire   *wire
	ids    map[string]string // ids in the responses, by the name of the call
}

// record makes every call of the version with a test key.
func (r *recorder) record(ctx context.Context, key string, opts ...stripekit.Option) error {
	r.key, r.wire, r.ids = key, new(wire), map[string]string{}
	defer r.wire.transport.CloseIdleConnections()
	client, err := stripekit.New(key, append(opts,
		stripekit.WithHTTPClient(&http.Client{Transport: r.wire}),
		stripekit.WithAPIVersion(r.version),
	)...)
	if err != nil {
		return err
	}
	if client.Mode() != stripekit.ModeTest {
		return errors.New("STRIPE_API_KEY is a live key: only test data is recorded")
	}
	r.client = client
	if err := os.MkdirAll(r.folder, 0o755); err != nil {
		return err
	}
	for _, section := range sections() {
		if !slices.Contains(section.versions, r.version) && slices.Contains(versions(), r.version) {
			continue
		}
		for _, call := range section.calls {
			if err := r.keep(ctx, call); err != nil {
				return fmt.Errorf("%s: %w", call.name, err)
			}
		}
	}
	return nil
}

// keep makes a call and writes its response, if it has the expected status.
func (r *recorder) keep(ctx context.Context, c call) error {
	path, params, missing := r.fill(c)
	if missing != "" {
		return r.report(c, "not recorded: no id from "+missing)
	}
	err := r.client.Call(ctx, c.method, path, params, nil)
	var failed *stripekit.Error
	if err != nil && (!errors.As(err, &failed) || failed.HTTPStatus == 0) {
		return err // there was no response
	}
	if r.wire.status != c.status {
		return r.report(c, fmt.Sprintf("not recorded: status %d, not %d", r.wire.status, c.status))
	}
	if bytes.Contains(r.wire.body, []byte(r.key)) {
		return errors.New("the response contains the key")
	}
	r.ids[c.name] = idOf(r.wire.body)
	file := filepath.Join(r.folder, c.name+".json")
	if kept, err := os.ReadFile(file); err == nil && same(kept, r.wire.body) {
		return r.report(c, "unchanged")
	}
	if err := os.WriteFile(file, r.wire.body, 0o644); err != nil {
		return err
	}
	return r.report(c, fmt.Sprintf("%d bytes", len(r.wire.body)))
}

// address matches the memory addresses in the validation errors of stripe-mock.
var address = regexp.MustCompile(`0x[0-9a-f]+`)

// same reports whether two responses are equal, except for what stripe-mock
// generates each time: the id of an object without a fixture, and memory
// addresses.
func same(a, b []byte) bool {
	return bytes.Equal(steady(a), steady(b))
}

func steady(body []byte) []byte {
	if id := idOf(body); id != "" {
		body = bytes.ReplaceAll(body, []byte(id), []byte("id"))
	}
	return address.ReplaceAll(body, []byte("0x0"))
}

func (r *recorder) report(c call, outcome string) error {
	_, err := fmt.Fprintf(r.log, "%s %s: %s\n", r.version, c.name, outcome)
	return err
}

var placeholder = regexp.MustCompile(`\{(\w+)\}`)

// fill puts ids into the placeholders of a call. missing is the name of a call
// whose id is needed and was not recorded.
func (r *recorder) fill(c call) (path string, filled params, missing string) {
	replace := func(s string) string {
		return placeholder.ReplaceAllStringFunc(s, func(match string) string {
			name := match[1 : len(match)-1]
			if r.ids[name] == "" {
				missing = name
			}
			return r.ids[name]
		})
	}
	filled = maps.Clone(c.params)
	for name, value := range filled {
		if text, ok := value.(string); ok {
			filled[name] = replace(text)
		}
	}
	return replace(c.path), filled, missing
}

// idOf returns the id of an object, or of the first object on a page, "" if
// there is none.
func idOf(body []byte) string {
	var response struct {
		ID   string
		Data []struct{ ID string }
	}
	if err := json.Unmarshal(body, &response); err != nil || response.ID != "" || len(response.Data) == 0 {
		return response.ID
	}
	return response.Data[0].ID
}

// wire is a transport that keeps the last response.
type wire struct {
	transport http.Transport
	status    int
	body      []byte
}

// RoundTrip reads the whole response before it returns it.
func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	w.status, w.body = 0, nil
	resp, err := w.transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return nil, err
	}
	w.status, w.body = resp.StatusCode, body
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}
