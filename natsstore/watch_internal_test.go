package natsstore

import (
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// received is a message that a Watch receives.
type received struct {
	jetstream.Msg
	subject string
	header  nats.Header
	data    []byte
}

func (m received) Subject() string      { return m.subject }
func (m received) Headers() nats.Header { return m.header }
func (m received) Data() []byte         { return m.data }

// observed is a call of observe.
type observed struct {
	key      string
	removed  bool
	revision uint64
}

// newTestWatch returns a Watch that has stored its first beacon, with the number 10.
func newTestWatch(calls *[]observed) *watch {
	return &watch{
		engine: newEngine(&keyStream{name: "F"}), seen: map[string]bool{}, first: 10, confirmed: time.Now(),
		observe: func(key string, value []byte, revision uint64) {
			*calls = append(*calls, observed{key, value == nil && key != "", revision})
		},
	}
}

func TestWatchObservesMessages(t *testing.T) {
	removal := nats.Header{"Nats-Marker-Reason": {"MaxAge"}}
	record := func(key string) received { return received{subject: "F." + key} }
	removed := func(key string) received { return received{subject: "F." + key, header: removal} }
	type step struct {
		m        received
		sequence uint64
	}
	for name, test := range map[string]struct {
		steps []step
		want  []observed
	}{
		"a record, and then its own beacon": {
			[]step{{record("a"), 3}, {record("~watch"), 10}},
			[]observed{{"a", false, 6}, {"", false, 0}},
		},
		"its beacon was replaced by another one": {
			[]step{{record("a"), 3}, {record("~watch"), 12}},
			[]observed{{"a", false, 6}, {"", false, 0}},
		},
		"its beacon was replaced by another one behind a new record": {
			[]step{{record("a"), 3}, {record("b"), 11}, {record("~watch"), 12}},
			[]observed{{"a", false, 6}, {"", false, 0}, {"b", false, 22}},
		},
		"a removal before it began": {
			[]step{{removed("a"), 3}, {record("~watch"), 10}},
			[]observed{{"", false, 0}},
		},
		"a removal of what a server that was behind has sent before": {
			[]step{{record("a"), 3}, {removed("a"), 5}, {record("~watch"), 10}},
			[]observed{{"a", false, 6}, {"a", true, 11}, {"", false, 0}},
		},
		"a removal of a record that it has missed": {
			[]step{{record("~watch"), 10}, {removed("a"), 12}},
			[]observed{{"", false, 0}, {"a", true, 25}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var calls []observed
			w := newTestWatch(&calls)
			for _, s := range test.steps {
				if err := w.receiveMessage(s.m, s.sequence); err != nil {
					t.Fatal(err)
				}
			}
			if len(calls) != len(test.want) {
				t.Fatalf("got %v, want %v", calls, test.want)
			}
			for i, c := range calls {
				if c != test.want[i] {
					t.Fatalf("got %v, want %v", calls, test.want)
				}
			}
		})
	}
}

// A Watch that is far behind may have missed removals that the stream no longer has.
func TestWatchEndsWhenItIsFarBehind(t *testing.T) {
	var calls []observed
	w := newTestWatch(&calls)
	w.beacons = []beacon{{10, time.Now().Add(-2 * maxLag)}, {12, time.Now()}}
	if err := w.receiveMessage(received{subject: "F.~watch"}, 11); err != nil {
		t.Fatal(err)
	}
	if err := w.receiveMessage(received{subject: "F.~watch"}, 12); !errors.Is(err, errLag) {
		t.Fatalf("got %v, want %v", err, errLag)
	}
}

func TestEngineKeysAndSubjects(t *testing.T) {
	e := newEngine(&keyStream{name: "F"})
	for _, key := range []string{"a", "session/w.1", "a..b", "a//b", "a_-b", "9"} {
		if got, ok := e.keyOf(e.subject(key)); !ok || got != key {
			t.Errorf("%q has the subject %q, which has the key %q", key, e.subject(key), got)
		}
	}
	for _, subject := range []string{"F", "F.", "G.a", "F.a.b", "F.~watch", "F.-a", "F.a:", "F.a b"} {
		if key, ok := e.keyOf(subject); ok {
			t.Errorf("%q has the key %q", subject, key)
		}
	}
}

func TestEngineForgetsLeases(t *testing.T) {
	e := newEngine(&keyStream{name: "F"})
	past := time.Now().Add(-time.Hour)
	for i := range 100_000 {
		e.setLease(string(rune('a'+i)), 1, past, time.Second)
	}
	if len(e.leases) > 1001 {
		t.Errorf("%d leases are kept", len(e.leases))
	}
	e.setLease("key", 5, time.Now(), time.Hour)
	if !e.inTime("key", 5, time.Hour) || e.inTime("key", 4, time.Hour) || !e.inTime("key", 4, 0) || !e.inTime("key", 0, time.Hour) {
		t.Error("a lease is not remembered")
	}
	ttl := nats.Header{jetstream.MsgTTLHeader: {"8s"}}
	e.note("key", ttl, 5) // what it knows already
	if !e.inTime("key", 5, 0) {
		t.Error("a lease was forgotten")
	}
	e.note("key", ttl, 6)
	if e.inTime("key", 6, 0) {
		t.Error("it is not known when another's record is removed")
	}
	e.note("key", nil, 7)
	if !e.inTime("key", 7, 0) || len(e.leases) > 1001 {
		t.Error("a record without a ttl has a lease")
	}
}
