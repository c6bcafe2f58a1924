package stripekittest_test

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/internal/delivery"
	"github.com/stripekit/stripekit/stripekittest"
)

var recordedAt = time.Unix(1234567890, 0).UTC()

func TestNewEventIsAsAPollerDeliversIt(t *testing.T) {
	charge := &stripekit.Charge{ID: "ch_1", Amount: 2000, Created: 1234567890}
	event, receipt := stripekittest.NewEvent(charge)
	require.Same(t, charge, event.Object)
	require.Equal(t, "ch_1", event.ID)
	require.Equal(t, recordedAt, event.Created)
	require.Equal(t, 1, event.Attempt)
	require.NoError(t, event.DecodeErr)
	require.False(t, event.Late)
	require.Zero(t, event.Seen)
	require.False(t, receipt.Acked())
}

func TestNewEventReadsWhatTheJSONHas(t *testing.T) {
	for name, test := range map[string]struct {
		object  any
		id      string
		created time.Time
	}{
		"an invoice item":         {&stripekit.InvoiceItem{ID: "ii_1", Date: 1234567890}, "ii_1", recordedAt},
		"created and date":        {map[string]any{"id": "in_1", "created": 1234567890, "date": 1}, "in_1", recordedAt},
		"an object of the user's": {struct{ ID string }{"po_1"}, "po_1", time.Time{}},
		"neither":                 {map[string]any{"object": "balance"}, "", time.Time{}},
		"other types":             {map[string]any{"id": "x_1", "created": "today", "date": 1234567890}, "x_1", recordedAt},
		"no object":               {[]int{1}, "", time.Time{}},
		"nothing":                 {nil, "", time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			event, _ := stripekittest.NewEvent(&test.object)
			require.Equal(t, test.id, event.ID)
			require.Equal(t, test.created, event.Created)
			want, err := json.Marshal(test.object)
			require.NoError(t, err)
			require.JSONEq(t, string(want), string(event.Raw))
		})
	}
}

func TestNewEventOfNoObject(t *testing.T) {
	event, _ := stripekittest.NewEvent[stripekit.Charge](nil)
	require.Nil(t, event.Object)
	require.Empty(t, event.ID)
	require.Equal(t, "null", string(event.Raw))
}

func TestNewEventHasRawThatDecodesToTheObject(t *testing.T) {
	decodesBack[stripekit.Charge](t, "charge_expanded")
	decodesBack[stripekit.Customer](t, "customer")
	decodesBack[stripekit.InvoiceItem](t, "invoiceitem")
	decodesBack[stripekit.Product](t, "product")
	decodesBack[stripekit.Refund](t, "refund")
}

func decodesBack[T any](t *testing.T, fixture string) {
	t.Helper()
	recorded, err := os.ReadFile("../testdata/fixtures/" + stripekit.APIVersion + "/" + fixture + ".json")
	require.NoError(t, err)
	want, got := new(T), new(T)
	require.NoError(t, json.Unmarshal(recorded, want))
	event, _ := stripekittest.NewEvent(want)
	require.NotEmpty(t, event.ID)
	require.Equal(t, recordedAt, event.Created)
	require.NoError(t, json.Unmarshal(event.Raw, got))
	require.Equal(t, want, got)
}

func TestNewEventPanicsOverWhatJSONCannotHold(t *testing.T) {
	require.PanicsWithValue(t, "stripekittest: json: unsupported value: NaN", func() { stripekittest.NewEvent(new(math.NaN())) })
}

func TestReceiptTellsHowTheEventEnded(t *testing.T) {
	broken, other := errors.New("broken"), errors.New("other")
	type event = stripekit.Event[stripekit.Charge]
	type outcome struct {
		acked      bool
		nacked     bool
		after      time.Duration
		terminated bool
		reason     error
	}
	again := func(e event) event {
		e.Attempt++
		return e
	}
	for name, test := range map[string]struct {
		do   func(event)
		want outcome
	}{
		"nothing":                 {func(event) {}, outcome{}},
		"ack":                     {func(e event) { e.Ack() }, outcome{acked: true}},
		"ack twice":               {func(e event) { e.Ack(); e.Ack() }, outcome{acked: true}},
		"nack at once":            {func(e event) { e.Nack(0) }, outcome{nacked: true}},
		"nack":                    {func(e event) { e.Nack(time.Minute) }, outcome{nacked: true, after: time.Minute}},
		"nack twice":              {func(e event) { e.Nack(time.Minute); e.Nack(time.Hour) }, outcome{nacked: true, after: time.Minute}},
		"nack and ack":            {func(e event) { e.Nack(time.Minute); e.Ack() }, outcome{acked: true}},
		"ack and nack":            {func(e event) { e.Ack(); e.Nack(time.Minute) }, outcome{acked: true}},
		"term":                    {func(e event) { e.Term(broken) }, outcome{terminated: true, reason: broken}},
		"term without reason":     {func(e event) { e.Term(nil) }, outcome{terminated: true}},
		"term twice":              {func(e event) { e.Term(broken); e.Term(other) }, outcome{terminated: true, reason: broken}},
		"term and nack":           {func(e event) { e.Term(broken); e.Nack(time.Minute) }, outcome{terminated: true, reason: broken}},
		"nack and term":           {func(e event) { e.Nack(time.Minute); e.Term(broken) }, outcome{nacked: true, after: time.Minute}},
		"term and ack":            {func(e event) { e.Term(broken); e.Ack() }, outcome{acked: true}},
		"ack and term":            {func(e event) { e.Ack(); e.Term(broken) }, outcome{acked: true}},
		"nack and nack again":     {func(e event) { e.Nack(time.Minute); again(e).Nack(time.Hour) }, outcome{nacked: true, after: time.Hour}},
		"nack and term again":     {func(e event) { e.Nack(time.Minute); again(e).Term(broken) }, outcome{terminated: true, reason: broken}},
		"nack again and nack":     {func(e event) { again(e).Nack(time.Hour); e.Nack(time.Minute) }, outcome{nacked: true, after: time.Hour}},
		"term and nack again":     {func(e event) { e.Term(broken); again(e).Nack(time.Hour) }, outcome{terminated: true, reason: broken}},
		"first seen in a later":   {func(e event) { e.Attempt = 7; e.Nack(time.Minute) }, outcome{nacked: true, after: time.Minute}},
		"another copy is the one": {func(e event) { func(e event) { e.Ack() }(e) }, outcome{acked: true}},
	} {
		t.Run(name, func(t *testing.T) {
			e, receipt := stripekittest.NewEvent(&stripekit.Charge{ID: "ch_1"})
			test.do(e)
			var got outcome
			got.acked = receipt.Acked()
			got.after, got.nacked = receipt.Nacked()
			got.reason, got.terminated = receipt.Terminated()
			require.Equal(t, test.want, got)
		})
	}
}

// TestReceiptHasTheRulesOfAPoller compares a Receipt with the queue of a Poller,
// over every sequence of five calls.
func TestReceiptHasTheRulesOfAPoller(t *testing.T) {
	steps := []string{"ack", "nack 1", "term 1", "nack 2", "term 2"}
	sequences := [][]string{nil}
	for range 5 {
		var longer [][]string
		for _, sequence := range sequences {
			for _, step := range steps {
				longer = append(longer, append(sequence[:len(sequence):len(sequence)], step))
			}
		}
		sequences = longer
	}
	for _, sequence := range sequences {
		require.Equal(t, outcomeInQueue(sequence), outcomeInReceipt(sequence), strings.Join(sequence, ", "))
	}
}

// outcomeInQueue is the outcome of an event in a Poller. Attempt 2 is there once
// attempt 1 has ended by a Nack.
func outcomeInQueue(sequence []string) string {
	queue, outcome := delivery.New[string](1), "open"
	seq := queue.Add("ch_1")
	queue.Take(seq, 1)
	redelivered := false
	for _, step := range sequence {
		attempt := 1
		if strings.HasSuffix(step, "2") {
			attempt = 2
			if !redelivered {
				continue
			}
		}
		switch {
		case step == "ack":
			if _, ok := queue.Ack(seq); ok {
				outcome = "acked"
			}
		case strings.HasPrefix(step, "nack"):
			if queue.Nack(seq, attempt, time.Time{}) {
				outcome, redelivered = step, true
			}
		case queue.GiveUp(seq, attempt):
			outcome = "terminated"
		}
	}
	return outcome
}

func outcomeInReceipt(sequence []string) string {
	first, receipt := stripekittest.NewEvent(&stripekit.Charge{ID: "ch_1"})
	redelivered := false
	for _, step := range sequence {
		e := first
		if strings.HasSuffix(step, "2") {
			e.Attempt = 2
			if !redelivered {
				continue
			}
		}
		switch {
		case step == "ack":
			e.Ack()
		case strings.HasPrefix(step, "nack"):
			e.Nack(time.Duration(e.Attempt))
			_, redelivered = receipt.Nacked()
		default:
			e.Term(nil)
		}
	}
	if after, ok := receipt.Nacked(); ok {
		return map[time.Duration]string{1: "nack 1", 2: "nack 2"}[after]
	}
	if _, ok := receipt.Terminated(); ok {
		return "terminated"
	}
	if receipt.Acked() {
		return "acked"
	}
	return "open"
}

func TestReceiptIsSafeForConcurrentUse(t *testing.T) {
	e, receipt := stripekittest.NewEvent(&stripekit.Charge{ID: "ch_1"})
	var calls sync.WaitGroup
	for range 8 {
		calls.Go(func() { e.Nack(time.Second) })
		calls.Go(func() { e.Term(nil) })
		calls.Go(e.Ack)
		calls.Go(func() {
			receipt.Acked()
			receipt.Nacked()
			receipt.Terminated()
		})
	}
	calls.Wait()
	require.True(t, receipt.Acked())
}
