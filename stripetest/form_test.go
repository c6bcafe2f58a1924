package stripetest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/stripetest"
)

func TestFormIsDecodedByName(t *testing.T) {
	type leaves = map[string]string
	tests := map[string]struct {
		form string
		want leaves // nil: refused
	}{
		"nothing":           {"", leaves{}},
		"text":              {"a=1", leaves{"a": "1"}},
		"text without =":    {"a", leaves{"a": ""}},
		"last one counts":   {"a=1&a=2", leaves{"a": "2"}},
		"escapes":           {"a%5Bb%5D=%26+%C3%BC", leaves{"a[b]": "& ü"}},
		"hash":              {"a[b]=1&a[c][d]=2", leaves{"a[b]": "1", "a[c][d]": "2"}},
		"indexed list":      {"a[0][c]=1&a[1][c]=2", leaves{"a[0][c]": "1", "a[1][c]": "2"}},
		"list":              {"a[]=1&a[]=2", leaves{"a[0]": "1", "a[1]": "2"}},
		"list after index":  {"a[7]=1&a[]=2", leaves{"a[7]": "1", "a[8]": "2"}},
		"list of hashes":    {"a[][b]=1&a[][c]=2&a[][b]=3", leaves{"a[0][b]": "1", "a[0][c]": "2", "a[1][b]": "3"}},
		"list of deep ones": {"a[][b][c]=1&a[][b][d]=2", leaves{"a[0][b][c]": "1", "a[0][b][d]": "2"}},
		"unclosed":          {"a[b=1", leaves{"a[b": "1"}},
		"unopened":          {"a]=1&[b]=2", leaves{"a]": "1", "[b]": "2"}},
		"text after":        {"a[b]c=1", leaves{"a[b]c": "1"}},
		"bracket within":    {"a[[b]]=1", leaves{"a[[b]]": "1"}},
		"no name":           {"=1", leaves{"": "1"}},
		"text, then hash":   {"a=1&a[b]=2", nil},
		"hash, then text":   {"a[b]=2&a=1", nil},
		"bad escape":        {"a=%", nil},
		"bad escaped name":  {"%g=1", nil},
		"not UTF-8":         {"a=%ff", nil},
		"depth 16":          {"a" + strings.Repeat("[b]", 15) + "=1", leaves{"a" + strings.Repeat("[b]", 15): "1"}},
		"depth 17":          {"a" + strings.Repeat("[b]", 16) + "=1", nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := stripetest.ParseForm(test.form)
			if test.want == nil {
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			require.Empty(t, cmp.Diff(test.want, got))
		})
	}
}

func FuzzParseForm(f *testing.F) {
	for _, seed := range []string{"a=1", "a[b]=1&a[][c]=2", "a[0][c]=1", "a[99999999999]=1&a[]=", "a[2147483647]=&a[]=", "[]=&]=&a[[]=", "%zz", "&&=&"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, form string) {
		got, err := stripetest.ParseForm(form)
		if err != nil {
			return
		}
		again := make(url.Values)
		for name, text := range got {
			again.Set(name, text)
		}
		back, err := stripetest.ParseForm(again.Encode())
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(got, back))
	})
}

func FuzzServer(f *testing.F) {
	f.Add("POST", "/v1/charges", "", "amount=1000&currency=usd&source=tok_visa&metadata[a]=b")
	f.Add("POST", "/v1/customers", "expand[]=a", "preferred_locales[]=en&shipping[address][line1]=a&shipping[name]=b")
	f.Add("GET", "/v1/charges", "limit=3&created[gt]=1&customer=cus_x", "")
	f.Add("GET", "/v1/charges/ch_%2F", "ending_before=a&starting_after=b", "")
	f.Add("HEAD", "//v1/./charges/", "a[b=%zz;", "\xff")
	f.Fuzz(func(t *testing.T, method, path, query, body string) {
		server := stripetest.New(stripetest.InMemory())
		target := &url.URL{Scheme: "https", Host: "stripe.test", Path: path, RawPath: path, RawQuery: query}
		req := &http.Request{Method: method, URL: target, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
		req.SetBasicAuth(testKey, "")
		resp, err := server.RoundTrip(req)
		require.NoError(t, err)
		raw, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		if method != http.MethodHead && !json.Valid(raw) {
			t.Fatalf("not JSON: %q", raw)
		}
		if resp.StatusCode >= http.StatusInternalServerError {
			t.Fatalf("status %d", resp.StatusCode)
		}
	})
}
