package stripekit_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripetest"
)

// health responds with the status of a Poller, and with 503 if somebody must look.
func health(poller *stripekit.Poller[stripekit.Charge]) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if err := poller.Err(); err != nil { // it has ended
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		status := poller.Status()
		w.Header().Set("Content-Type", "application/json")
		if status.Failures >= 3 || status.OldestUnacked > 10*time.Minute || status.SaveErr != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(status)
	}
}

// An endpoint such as /health of a service.
func ExamplePollStatus() {
	client, server := newExampleClient()
	defer server.Close()
	poller, err := stripekit.NewPoller(client.Charges, stripekit.PollConfig{Every: time.Millisecond})
	if err != nil {
		panic(err)
	}
	get := func() *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		health(poller)(w, httptest.NewRequest(http.MethodGet, "/health", nil))
		return w
	}
	fmt.Print(get().Body)

	server.Fault("GET /v1/charges", stripetest.Every(), stripetest.Respond(401, `{"error": {"type": "invalid_request_error"}}`))
	_ = poller.Run(context.Background(), func(context.Context, stripekit.Event[stripekit.Charge]) error { return nil })
	fmt.Println(get().Code)
	// Output:
	// {"lag_seconds":0,"oldest_unacknowledged_seconds":0,"requests":0,"delivered":0,"late":0,"given_up":0,"unacknowledged":0,"waiting_seconds":0,"failures":0,"checkpoint_bytes":0}
	// 503
}
