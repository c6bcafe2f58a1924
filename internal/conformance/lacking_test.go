package conformance_test

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-mock/embedded"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/internal/conformance/mock"
)

// description is the part of an OpenAPI description that lists the parameters
// of an operation.
type description struct {
	Paths map[string]map[string]struct {
		Parameters []struct {
			Name   string
			In     string
			Schema schema
		}
		RequestBody struct {
			Content map[string]struct{ Schema schema }
		}
	}
}

type schema struct {
	Properties map[string]schema
	Items      *schema
	AnyOf      []schema
}

// names adds the names of a parameter and its parts, such as "items[][type]".
func (s schema) names(name string, to map[string]bool) {
	for part, below := range s.Properties {
		below.names(name+"["+part+"]", to)
	}
	if s.Items != nil {
		s.Items.names(name+"[]", to)
	}
	for _, choice := range s.AnyOf {
		choice.names(name, to)
	}
	if len(s.Properties) == 0 && s.Items == nil && len(s.AnyOf) == 0 {
		to[name] = true
	}
}

// parameters returns the parameters of the operation that a request belongs to.
func (d description) parameters(t *testing.T, r *http.Request) map[string]bool {
	t.Helper()
	for pattern, methods := range d.Paths {
		expr := "^" + regexp.MustCompile(`\\\{[a-z_]+\\\}`).ReplaceAllString(regexp.QuoteMeta(pattern), "[^/]+") + "$"
		op, ok := methods[strings.ToLower(r.Method)]
		if !ok || !regexp.MustCompile(expr).MatchString(r.URL.Path) || strings.HasSuffix(r.URL.Path, "/search") != strings.HasSuffix(pattern, "/search") {
			continue
		}
		names := map[string]bool{}
		for _, p := range op.Parameters {
			if p.In == "query" {
				p.Schema.names(p.Name, names)
			}
		}
		for _, body := range op.RequestBody.Content {
			body.Schema.names("", names)
		}
		delete(names, "") // the body of a GET
		return trimmed(names)
	}
	t.Fatalf("no operation for %s %s", r.Method, r.URL.Path)
	return nil
}

// trimmed rewrites "[shipping][name]", as in the schema of a body, without the
// brackets of the first name.
func trimmed(names map[string]bool) map[string]bool {
	out := map[string]bool{}
	for name := range names {
		if strings.HasPrefix(name, "[") {
			top, rest, _ := strings.Cut(name[1:], "]")
			name = top + rest
		}
		out[name] = true
	}
	return out
}

// TestLackingParametersAreKnown compares the parameters of each operation with
// the description's. lackingTable must have exactly the parameters that the
// library lacks.
func TestLackingParametersAreKnown(t *testing.T) {
	newest := parseDescription(t, embedded.OpenAPISpec)
	legacy, skipped := legacyDescription(t)

	known, operations := map[string]bool{}, operations()
	for _, o := range operations {
		of := newest
		if strings.HasPrefix(o.name, "Orders.") {
			if skipped {
				continue
			}
			of = legacy
		}
		sent, r := sentNames(t, o)
		for name := range of.parameters(t, r) {
			if covers(sent, name) {
				continue
			}
			reason := lacking(o.name, name)
			assert.NotEmpty(t, reason, "%s lacks %s, and lacking_table_test.go has no reason for it", o.name, name)
			known[reason] = true
		}
	}
	for _, row := range lackingTable {
		require.True(t, known[row.reason] || skipped, "nothing is lacking any more because: %s", row.reason)
	}
	t.Logf("%d operations compared, %d reasons for what is lacking", len(operations), len(known))
}

// covers reports whether a parameter, or a part of it, was sent. A second and a
// range count as one parameter, and so do a hash and the "" that unsets it.
func covers(sent map[string]bool, name string) bool {
	for s := range sent {
		if s == name || strings.HasPrefix(s, name+"[") {
			return true
		}
	}
	return false
}

func parseDescription(t *testing.T, spec []byte) (d description) {
	t.Helper()
	require.NoError(t, json.Unmarshal(spec, &d))
	return d
}

func legacyDescription(t *testing.T) (d description, skipped bool) {
	t.Helper()
	older, err := mock.Older("2020-08-27")
	if err != nil {
		t.Logf("NOT COMPARED: the parameters of orders: %v", err)
		return d, true
	}
	spec, err := os.ReadFile(older.Spec)
	require.NoError(t, err)
	return parseDescription(t, spec), false
}

var metadataKey = regexp.MustCompile(`(metadata\]?)\[[^\]]*\]$`)

// unsent is a transport that sends no request.
type unsent struct {
	last  *http.Request
	names map[string]bool
}

func (u *unsent) RoundTrip(r *http.Request) (*http.Response, error) {
	encoded := r.URL.RawQuery
	if r.Body != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		encoded = string(body)
	}
	params, err := url.ParseQuery(encoded)
	if err != nil {
		return nil, err
	}
	for name := range params {
		name = metadataKey.ReplaceAllString(index.ReplaceAllString(name, "[]"), "$1")
		u.names[name] = true
	}
	u.last = r
	return nil, http.ErrServerClosed
}

// sentNames returns the parameters that an operation sends with everything set,
// in every version.
func sentNames(t *testing.T, o operation) (map[string]bool, *http.Request) {
	t.Helper()
	u := &unsent{names: map[string]bool{}}
	client, err := stripekit.New(mock.Key, stripekit.WithHTTPClient(&http.Client{Transport: u}),
		stripekit.WithMaxRetries(0), stripekit.WithRateLimit(stripekit.RateLimit{}))
	require.NoError(t, err)
	requests := [][]string{o.together()}
	for _, field := range o.apart {
		requests = append(requests, append(slices.Clone(o.required), field))
	}
	for _, fields := range requests {
		params := o.params
		if params != nil {
			params = subset(params, fields...)
		}
		require.ErrorIs(t, o.call(t.Context(), client, params), http.ErrServerClosed, o.name)
	}
	return u.names, u.last
}

// together returns the fields that go into one request.
func (o operation) together() []string {
	if o.params == nil {
		return nil
	}
	all := slices.Sorted(maps.Keys(fields(reflect.ValueOf(o.params))))
	return slices.DeleteFunc(all, func(f string) bool { return slices.Contains(o.apart, f) })
}
