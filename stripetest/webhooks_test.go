package stripetest_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/stripetest"
)

const endpointForm = "url=http://localhost/hook&enabled_events[]=*"

func TestWebhookEndpointsAreKept(t *testing.T) {
	a := memory(t, stripetest.WithClock(at(1700000000).read))
	made := a.post("/v1/webhook_endpoints", "url=https://example.com/hook&enabled_events[]=charge.succeeded&enabled_events[]=*&api_version=2020-08-27&description=D&metadata[a]=b")
	require.Regexp(t, `^we_[0-9A-Za-z]{24}$`, made["id"])
	require.Regexp(t, `^whsec_[0-9A-Za-z]{32}$`, made["secret"])
	id := made["id"].(string)
	delete(made, "id")
	delete(made, "secret")
	require.Empty(t, cmp.Diff(map[string]any{
		"object": "webhook_endpoint", "api_version": "2020-08-27", "application": nil, "created": 1700000000.0, "description": "D",
		"enabled_events": []any{"charge.succeeded", "*"}, "livemode": false, "metadata": map[string]any{"a": "b"}, "status": "enabled", "url": "https://example.com/hook",
	}, made))
	made["id"] = id
	require.Empty(t, cmp.Diff(made, a.get("/v1/webhook_endpoints/"+id)), "it has no secret any more")

	changed := a.post("/v1/webhook_endpoints/"+id, "disabled=true&url=https://example.org&enabled_events[0]=sku.created&metadata[a]=&metadata[c]=d&description=")
	require.NotContains(t, changed, "secret")
	for name, want := range map[string]any{
		"status": "disabled", "url": "https://example.org", "enabled_events": []any{"sku.created"}, "metadata": map[string]any{"c": "d"}, "description": nil,
		"api_version": "2020-08-27",
	} {
		require.Equal(t, want, changed[name], name)
	}
	require.Equal(t, "enabled", a.post("/v1/webhook_endpoints/"+id, "disabled=false")["status"])

	second := a.create("/v1/webhook_endpoints", endpointForm)
	ids, more := a.page("/v1/webhook_endpoints", nil)
	require.Equal(t, []string{second, id}, ids)
	require.False(t, more)
	require.NotContains(t, a.do("GET", "/v1/webhook_endpoints", "").raw, "whsec_")
	require.Equal(t, map[string]any{"id": id, "object": "webhook_endpoint", "deleted": true}, a.do("DELETE", "/v1/webhook_endpoints/"+id, "").body)
	require.Equal(t, http.StatusNotFound, a.do("DELETE", "/v1/webhook_endpoints/"+id, "").status)
	ids, _ = a.page("/v1/webhook_endpoints", nil)
	require.Equal(t, []string{second}, ids)
	require.Empty(t, a.everything("/v1/events"), "endpoints make no events")
}

func TestWebhookEndpointRequestsAreRefused(t *testing.T) {
	a := memory(t)
	id := a.create("/v1/webhook_endpoints", endpointForm)
	scheme := "Invalid URL: An explicit scheme (such as https) must be provided."
	const path = "/v1/webhook_endpoints"
	for _, r := range []refusal{
		{"POST", path, "enabled_events[]=*", 400, "parameter_missing", "url", "Missing required param: url."},
		{"POST", path, "url=https://a.b", 400, "parameter_missing", "enabled_events", "Missing required param: enabled_events."},
		{"POST", path, "url=https://a.b&enabled_events=", 400, "parameter_invalid_empty", "enabled_events", "You passed an empty string for 'enabled_events'."},
		{"POST", path, "url=a.b&enabled_events[]=*", 400, "url_invalid", "url", scheme},
		{"POST", path, "url=ftp://a.b&enabled_events[]=*", 400, "url_invalid", "url", scheme},
		{"POST", path, "url=http://a b/&enabled_events[]=*", 400, "url_invalid", "url", scheme},
		{"POST", path, "url=http:///x&enabled_events[]=*", 400, "url_invalid", "url", "Invalid URL: URL must have a host."},
		{"POST", path, "url=https://a.b&enabled_events[]=charge.*", 400, "", "enabled_events[0]", "Invalid enabled_events[0]: must be *"},
		{"POST", path, "url=https://a.b&enabled_events[]=*&api_version=new", 400, "", "api_version", "Invalid Stripe API version: new"},
		{"POST", path, "url=https://a.b&enabled_events[]=*&disabled=true", 400, "parameter_unknown", "disabled", "Received unknown parameter: disabled"},
		{"POST", path, "url=https://a.b&enabled_events[]=*&connect=true", 400, "parameter_unknown", "connect", "Received unknown parameter: connect"},
		{"POST", path + "/OBJ", "api_version=2020-08-27", 400, "parameter_unknown", "api_version", "Received unknown parameter: api_version"},
		{"POST", path + "/OBJ", "url=", 400, "parameter_invalid_empty", "url", "You passed an empty string for 'url'."},
		{"GET", path + "/we_x", "", 404, "resource_missing", "id", "No such webhook endpoint: 'we_x'"},
		{"DELETE", path + "/we_x", "", 404, "resource_missing", "id", "No such webhook endpoint: 'we_x'"},
		{"GET", path + "?created=1", "", 400, "parameter_unknown", "created", "Received unknown parameter: created"},
	} {
		r.refuse(t, a, id)
	}
	live := a.as("sk_live_1").do("POST", path, endpointForm)
	require.Equal(t, 400, live.status)
	require.Equal(t, "url_invalid", live.failure()["code"])
}

func TestAccountHasUpTo16WebhookEndpoints(t *testing.T) {
	a := memory(t)
	for range 16 {
		a.post("/v1/webhook_endpoints", endpointForm)
	}
	r := a.do("POST", "/v1/webhook_endpoints", endpointForm)
	require.Equal(t, 400, r.status)
	require.Contains(t, r.failure()["message"], "maximum of 16")
	a.with("Stripe-Account", "acct_other").post("/v1/webhook_endpoints", endpointForm)
}

func TestWebhookEndpointsNeedAPermission(t *testing.T) {
	a := memory(t, stripetest.WithPermissions("rk_test_1", "event_write"), stripetest.WithPermissions("rk_test_2", "webhook_write"))
	r := a.as("rk_test_1").do("POST", "/v1/webhook_endpoints", endpointForm)
	require.Equal(t, http.StatusForbidden, r.status)
	require.Contains(t, r.failure()["message"], "rak_webhook_write")
	a.as("rk_test_2").post("/v1/webhook_endpoints", endpointForm)
}

// TestNothingIsSentWithoutAClient would reach a listener of its own.
func TestNothingIsSentWithoutAClient(t *testing.T) {
	hook := newHook(t)
	a := memory(t)
	a.post("/v1/webhook_endpoints", fmt.Sprintf("url=%s&enabled_events[]=*", hook.server.URL))
	a.charge("source=tok_visa")
	require.Equal(t, 0.0, a.everything("/v1/events")[0]["pending_webhooks"])
	require.Empty(t, a.server.WebhookDeliveries())
	a.server.Close()
	require.Empty(t, hook.all())
}

func TestLoadRefusesImpossibleWebhookEndpoints(t *testing.T) {
	a := memory(t)
	a.post("/v1/webhook_endpoints", "url=https://example.com/hook&enabled_events[]=*&api_version=2020-08-27")
	good := dumped(t, a.server)
	for old, c := range map[string][2]string{
		`"url":"https:`:              {`"url":"gopher:`, "url: Invalid URL"},
		`"api_version":"2020-08-27"`: {`"api_version":"old"`, `api_version: "old" is no API version`},
	} {
		require.Contains(t, good, old)
		err := memory(t).server.Load(strings.NewReader(strings.Replace(good, old, c[0], 1)))
		require.ErrorContains(t, err, "endpoints: objects: 0: object: "+c[1])
	}
}
