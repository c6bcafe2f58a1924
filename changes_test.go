package stripekit_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
)

func TestChangeIsReadFromAnEvent(t *testing.T) {
	const event = `{
		"id": "evt_1", "object": "event", "api_version": "2019-09-09", "created": 1700000000, "livemode": false,
		"pending_webhooks": 1, "request": {"id": "req_1", "idempotency_key": "key"}, "type": "customer.updated",
		"data": {
			"object": {"id": "cus_1", "object": "customer", "email": "new@example.com", "created": 1600000000},
			"previous_attributes": {"email": "old@example.com"}
		}
	}`
	var change stripekit.Change[stripekit.Customer]
	require.NoError(t, json.Unmarshal([]byte(event), &change))
	require.Equal(t, stripekit.Change[stripekit.Customer]{
		Type: stripekit.Updated, EventType: "customer.updated", EventID: "evt_1", At: 1700000000,
		Object:     &stripekit.Customer{ID: "cus_1", Email: "new@example.com", Created: 1600000000},
		Previous:   json.RawMessage(`{"email": "old@example.com"}`),
		APIVersion: "2019-09-09",
	}, change)

	var e stripekit.AccountEvent
	require.NoError(t, json.Unmarshal([]byte(event), &e))
	require.Equal(t, stripekit.AccountEventRequest{ID: "req_1", IdempotencyKey: "key"}, e.Request)
	require.Equal(t, int64(1), e.PendingWebhooks)
	require.Contains(t, string(e.Data.Object), `"cus_1"`)

	old := strings.Replace(event, `{"id": "req_1", "idempotency_key": "key"}`, `"req_2"`, 1)
	require.NoError(t, json.Unmarshal([]byte(old), &e))
	require.Equal(t, stripekit.AccountEventRequest{ID: "req_2"}, e.Request)

	byStripe := strings.Replace(event, `{"id": "req_1", "idempotency_key": "key"}`, `null`, 1)
	require.NoError(t, json.Unmarshal([]byte(byStripe), &e))
	require.Empty(t, e.Request)
}

func TestChangeHasTheTypeOfItsEvent(t *testing.T) {
	const updated = `{"status": "pending"}`
	for _, test := range []struct {
		event, previous string
		want            stripekit.ChangeType
	}{
		{"charge.succeeded", "null", stripekit.Created},
		{"charge.succeeded", updated, stripekit.Updated}, // it was pending
		{"charge.pending", "null", stripekit.Created},
		{"charge.failed", "null", stripekit.Created},
		{"charge.failed", updated, stripekit.Updated},
		{"charge.captured", updated, stripekit.Updated},
		{"charge.captured", "null", stripekit.Updated},
		{"charge.refunded", updated, stripekit.Updated},
		{"charge.expired", "null", stripekit.Updated},
		{"charge.refund.updated", updated, stripekit.Updated},
		{"refund.created", "null", stripekit.Created},
		{"refund.failed", "null", stripekit.Updated},
		{"customer.created", "null", stripekit.Created},
		{"customer.deleted", "null", stripekit.Deleted},
		{"invoiceitem.deleted", "null", stripekit.Deleted},
		{"order.payment_failed", "null", stripekit.Updated},
		{"order.created", "null", stripekit.Created},
	} {
		t.Run(test.event+" "+test.previous, func(t *testing.T) {
			var change stripekit.Change[struct{}]
			event := `{"id": "evt_1", "type": "` + test.event + `", "data": {"object": {}, "previous_attributes": ` + test.previous + `}}`
			require.NoError(t, json.Unmarshal([]byte(event), &change))
			require.Equal(t, test.want, change.Type)
			if test.previous == "null" {
				require.Nil(t, change.Previous)
			}
		})
	}
}

func TestChangeWithoutAnObjectIsRefused(t *testing.T) {
	for _, data := range []string{``, `, "data": null`, `, "data": {}`, `, "data": {"object": null}`, `, "data": {"object": 5}`, `, "data": {"object": {"id": 7}}`} {
		var change stripekit.Change[stripekit.Customer]
		require.Error(t, json.Unmarshal([]byte(`{"id": "evt_1", "type": "customer.updated"`+data+`}`), &change), data)
	}
}
