package connector

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
)

func TestEventOfAChangeThatCannotBeWrittenIsTheEventOfStripe(t *testing.T) {
	const raw = `{"data": 5}`
	event := eventOf(stripekit.Event[stripekit.Change[stripekit.Customer]]{Raw: []byte(raw)},
		new(stripekit.Change[stripekit.Customer]), rawChange[stripekit.Customer])
	require.Error(t, event.DecodeErr)
	require.Equal(t, raw, string(event.Data))
}
