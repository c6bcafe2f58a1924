package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// webhookDelivery is a delivery as the control plane shows it.
type webhookDelivery struct {
	State, Error string
	Attempts     int
}

// sendTo lets a new program create a charge and send its event to a URL. It returns
// the delivery after its first attempt, or nil if there is none.
func sendTo(t *testing.T, url string, args ...string) *webhookDelivery {
	t.Helper()
	p := start(t, args...)
	defer p.end()
	resp, body, _ := p.send("POST", "/v1/webhook_endpoints", "url="+url+"&enabled_events[]=charge.succeeded")
	require.Equal(t, 200, resp.StatusCode, body)
	p.send("POST", "/v1/charges", "amount=2000&currency=usd&source=tok_visa")
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); {
		_, body, _ := p.send("GET", "/_stripetest/webhooks", "")
		var shown struct {
			Sends      bool
			Deliveries []webhookDelivery
		}
		require.NoError(t, json.Unmarshal([]byte(body), &shown))
		switch {
		case !shown.Sends:
			require.Empty(t, shown.Deliveries)
			return nil
		case shown.Deliveries[0].Attempts > 0:
			return &shown.Deliveries[0]
		}
	}
	require.Fail(t, "no attempt was made")
	return nil
}

func TestFakeStripeSendsWebhooksIfItsFlagSaysSo(t *testing.T) {
	hooks := make(chan string, 9)
	endpoint := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { hooks <- r.Header.Get("Stripe-Signature") }))
	defer endpoint.Close()
	require.Nil(t, sendTo(t, endpoint.URL))
	require.Nil(t, sendTo(t, endpoint.URL, "-webhooks", "off"))
	require.Empty(t, hooks)
	for n, to := range []string{"loopback", "anywhere"} {
		require.Equal(t, &webhookDelivery{State: "succeeded", Attempts: 1}, sendTo(t, endpoint.URL, "-webhooks", to))
		require.Len(t, hooks, n+1)
	}
	require.Contains(t, <-hooks, ",v1=")
}

func TestFakeStripeSendsLoopbackWebhooksToThisMachineAlone(t *testing.T) {
	for _, url := range []string{"http://192.0.2.1:9", "http://[2001:db8::1]:9"} { // for documentation: nobody has them
		made := sendTo(t, url, "-webhooks", "loopback")
		require.Equal(t, "pending", made.State)
		require.Contains(t, made.Error, "webhooks are for this machine only")
	}
}
