package stripetest

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// WebhookDelivery is an event that is sent to one webhook endpoint.
type WebhookDelivery struct {
	Event       string    `json:"event"`    // its id
	Type        string    `json:"type"`     // of the event
	Endpoint    string    `json:"endpoint"` // its id
	URL         string    `json:"url"`      // of the last attempt
	Account     string    `json:"account"`
	Live        bool      `json:"live"`
	State       string    `json:"state"`                 // pending, succeeded or failed
	Attempts    int       `json:"attempts"`              // how many there were
	Status      int       `json:"status"`                // HTTP status of the last attempt; 0: there was no response
	Error       string    `json:"error,omitempty"`       // of the last attempt
	NextAttempt time.Time `json:"next_attempt,omitzero"` // by the server's clock; zero if it is not pending
}

// WebhookDeliveries returns the deliveries of events to webhook endpoints: for each
// account and mode the newest 1,000 that have succeeded or failed, the oldest first,
// and then those that are pending, by the time of the next attempt. See
// [WithWebhookClient].
func (s *Server) WebhookDeliveries() []WebhookDelivery {
	shown := []WebhookDelivery{}
	all := s.allAccounts()
	slices.SortFunc(all, func(a, b *account) int {
		return tenant{a.profile.ID, a.live}.compare(tenant{b.profile.ID, b.live})
	})
	for _, a := range all {
		shown = append(shown, a.showDeliveries()...)
	}
	return shown
}

func (a *account) showDeliveries() []WebhookDelivery {
	a.mu.RLock()
	defer a.mu.RUnlock()
	var shown []WebhookDelivery
	for _, d := range a.delivered[max(len(a.delivered)-maxDelivered, 0):] {
		shown = append(shown, a.showDelivery(d))
	}
	for e := range a.deliveries.all.ascend(everything) {
		shown = append(shown, a.showDelivery(*e.read()))
	}
	return shown
}

func (a *account) showDelivery(d webhook) WebhookDelivery {
	shown := WebhookDelivery{
		Event: d.Event, Type: d.Type, Endpoint: d.Endpoint, URL: d.URL, Account: a.profile.ID, Live: a.live,
		State: d.State, Attempts: d.Attempts, Status: d.Status, Error: d.Error,
	}
	if d.State == deliveryPending {
		shown.NextAttempt = time.Unix(d.Due, 0).UTC()
	}
	return shown
}

// controlWebhooks shows the deliveries to all endpoints, or to one of them.
func (s *Server) controlWebhooks(r *http.Request) (any, error) {
	endpoint, state := r.URL.Query().Get("endpoint"), r.URL.Query().Get("state")
	if state != "" && !slices.Contains([]string{deliveryPending, deliverySucceeded, deliveryFailed}, state) {
		return nil, errors.New("state: it is pending, succeeded or failed")
	}
	shown := slices.DeleteFunc(s.WebhookDeliveries(), func(d WebhookDelivery) bool {
		return endpoint != "" && d.Endpoint != endpoint || state != "" && d.State != state
	})
	return map[string]any{"deliveries": shown, "sends": s.webhooks != nil}, nil
}

// withoutURL returns the reason of a failed request. The error of a client has the
// URL, which may have a password.
func withoutURL(err error) error {
	var failed *url.Error
	if errors.As(err, &failed) {
		return errors.New(strings.TrimSpace(failed.Err.Error()))
	}
	return err
}
