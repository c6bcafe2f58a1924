package natsstore_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/natsstore"
)

// The tests with a server are in internal/stores, so that this module needs none. They
// use testify; these do without, for the same reason.

func TestMessage(t *testing.T) {
	const flow = "test///charges//a%20b"
	created := time.Unix(1700000000, 0)
	type event = stripekit.Event[stripekit.Charge]
	for name, test := range map[string]struct {
		event event
		want  nats.Header
	}{
		"an event": {
			event{ID: "ch_1", Created: created, Attempt: 1},
			nats.Header{"Nats-Msg-Id": {flow + "/ch_1/1700000000"}, "Stripekit-Id": {"ch_1"}, "Stripekit-Created": {"1700000000"}},
		},
		"its redelivery, late": {
			event{ID: "ch_1", Created: created, Attempt: 7, Late: true, Seen: time.Now()},
			nats.Header{
				"Nats-Msg-Id": {flow + "/ch_1/1700000000"}, "Stripekit-Id": {"ch_1"}, "Stripekit-Created": {"1700000000"},
				"Stripekit-Late": {"true"},
			},
		},
		"an object without a time": {
			event{ID: "ch_1"}, nats.Header{"Nats-Msg-Id": {flow + "/ch_1/"}, "Stripekit-Id": {"ch_1"}},
		},
		"one that cannot be decoded": {
			event{ID: "ch_1", DecodeErr: errors.New("broken")}, nats.Header{"Nats-Msg-Id": {flow + "/ch_1/"}, "Stripekit-Id": {"ch_1"}},
		},
		"a hostile id": {
			event{ID: "a/1 \r\nNats-Rollup: all\xff"},
			nats.Header{"Nats-Msg-Id": {flow + "/a%2F1%20%0D%0ANats-Rollup:%20all%FF/"}, "Stripekit-Id": {"a%2F1%20%0D%0ANats-Rollup:%20all%FF"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			test.event.Raw = []byte(`{"object": "charge"}`)
			m, err := natsstore.Message("stripe.charges", flow, test.event)
			if err != nil {
				t.Fatal(err)
			}
			test.want["Stripekit-Flow"], test.want["Content-Type"] = []string{flow}, []string{"application/json"}
			if !maps.EqualFunc(m.Header, test.want, slices.Equal) {
				t.Errorf("got %v\nwant %v", m.Header, test.want)
			}
			if m.Subject != "stripe.charges" || string(m.Data) != `{"object": "charge"}` || m.Reply != "" {
				t.Errorf("got %q %q %q", m.Subject, m.Data, m.Reply)
			}
		})
	}
}

func TestMessageRefusesWhatCannotBeSent(t *testing.T) {
	for name, test := range map[string]struct{ subject, flow, want string }{
		"no subject":            {"", "flow", "is empty"},
		"an empty part":         {"a..b", "flow", "empty part"},
		"a dot at the end":      {"a.", "flow", "empty part"},
		"a wildcard":            {"a.*", "flow", "wildcard"},
		"a wildcard at the end": {"a.>", "flow", "wildcard"},
		"a wildcard in a part":  {"a.b*c", "flow", "wildcard"},
		"a space":               {"a b", "flow", "space"},
		"a line break":          {"a\r\nPUB b 0", "flow", "control character"},
		"not UTF-8":             {"a\xff", "flow", "not UTF-8"},
		"no flow":               {"a", "", "the flow"},
		"a flow with a space":   {"a", "flow 1", "the flow"},
		"a flow with a break":   {"a", "flow\r\nb: c", "the flow"},
		"a flow beyond ASCII":   {"a", "flów", "the flow"},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := natsstore.Message(test.subject, test.flow, stripekit.Event[stripekit.Charge]{ID: "ch_1"})
			if m != nil || err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, %v; want an error with %q", m, err, test.want)
			}
		})
	}
	if _, err := natsstore.Message("größe.A-b_c.$1", "flow", stripekit.Event[stripekit.Charge]{}); err != nil {
		t.Error(err)
	}
}
