package conformance_test

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-mock/spec"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/internal/conformance/mock"
	"github.com/stripekit/stripekit/stripetest"
)

// lengthPaths are the paths of the operations whose texts are compared.
var lengthPaths = []string{
	"/v1/charges", "/v1/charges/x", "/v1/charges/x/capture", "/v1/charges/x/refunds", "/v1/customers", "/v1/customers/x", "/v1/customers/x/sources/x",
	"/v1/products", "/v1/products/x", "/v1/prices", "/v1/prices/x", "/v1/refunds", "/v1/refunds/x", "/v1/invoiceitems", "/v1/invoiceitems/x",
	"/v1/payment_intents", "/v1/payment_intents/x", "/v1/payment_intents/x/confirm", "/v1/payment_intents/x/capture", "/v1/payment_methods", "/v1/payment_methods/x",
	"/v1/tokens", "/v1/orders", "/v1/orders/x", "/v1/orders/x/pay", "/v1/orders/x/returns", "/v1/skus", "/v1/skus/x",
}

// TestTextsAreRefusedAsLongAsInStripesDescription sends each text of each
// request to stripetest, as long as the description allows and one character
// longer. Parameters that stripetest does not know are left out.
func TestTextsAreRefusedAsLongAsInStripesDescription(t *testing.T) {
	server := stripetest.New(stripetest.InMemory())
	t.Cleanup(server.Close)
	sizes := map[string]int{} // by path and parameter
	for _, version := range []string{stripekit.APIVersion, stripekit.OrdersAPIVersion} {
		var source mock.Description
		if version != stripekit.APIVersion {
			var err error
			if source, err = mock.Older(version); err != nil {
				t.Log(err)
				continue
			}
		}
		d, err := source.Load()
		require.NoError(t, err)
		compared := 0
		for _, path := range lengthPaths {
			op := specification{d, version}.operation(http.MethodPost, path)
			if op == nil {
				continue
			}
			for name, most := range textsOf(requestSchema(op), "") {
				if _, newer := sizes[path+" "+name]; newer {
					continue // the newest description counts
				}
				sizes[path+" "+name] = most
				if failure := postText(t, server, version, path, name, most+1); failure.Code != "parameter_unknown" {
					require.Equal(t, name, failure.Param, "%s %s: %d characters: %s", path, name, most+1, failure.Message)
					require.Contains(t, failure.Message, " at most ", "%s %s", path, name)
					compared++
				}
				require.NotContains(t, postText(t, server, version, path, name, most).Message, " at most ", "%s %s: %d characters", path, name, most)
			}
		}
		t.Logf("compared %d texts of %s", compared, version)
		require.Greater(t, compared, 20)
	}
}

// textsOf returns the maxLength of each text in a schema, by its full name. The
// texts of a fixed choice have none that matters.
func textsOf(s *spec.Schema, prefix string) map[string]int {
	texts := map[string]int{}
	add := func(more map[string]int) { maps.Copy(texts, more) }
	switch {
	case s == nil:
	case len(s.AnyOf) > 0:
		// Of a text or an object, such as the card of a token, stripetest has
		// the object.
		objects := slices.ContainsFunc(s.AnyOf, func(a *spec.Schema) bool { return a.Type == spec.TypeObject })
		for _, alternative := range s.AnyOf {
			if !objects || alternative.Type != spec.TypeString {
				add(textsOf(alternative, prefix))
			}
		}
	case s.Type == spec.TypeObject:
		for name, property := range s.Properties {
			if prefix != "" {
				name = prefix + "[" + name + "]"
			}
			add(textsOf(property, name))
		}
	case s.Type == spec.TypeArray:
		add(textsOf(s.Items, prefix+"[0]"))
	case s.Type == spec.TypeString && s.MaxLength > 0 && len(s.Enum) == 0 && !strings.HasPrefix(prefix, "expand["):
		texts[prefix] = s.MaxLength
	}
	return texts
}

type textFailure struct{ Code, Param, Message string }

func postText(t *testing.T, server *stripetest.Server, version, path, name string, length int) textFailure {
	t.Helper()
	form := url.Values{name: {strings.Repeat("a", length)}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+path, strings.NewReader(form.Encode()))
	require.NoError(t, err)
	req.SetBasicAuth(mock.Key, "")
	req.Header.Set("Stripe-Version", version)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := server.Client().Do(req)
	require.NoError(t, err)
	defer func() { require.NoError(t, resp.Body.Close()) }()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	var body struct{ Error textFailure }
	require.NoError(t, json.Unmarshal(raw, &body))
	require.True(t, resp.StatusCode < http.StatusInternalServerError && !slices.Contains([]int{401, 403, 429}, resp.StatusCode), "%s", raw)
	return body.Error
}
