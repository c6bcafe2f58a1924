package stripekit

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPageIsNotScannedTwice(t *testing.T) {
	last := newLastPage()
	body := []byte(`{"data":[{"id":"ch_1","created":1}]}`)
	first, err := last.read(body, "created")
	require.NoError(t, err)
	require.NotNil(t, first.Raw)
	again, err := last.read(body, "created")
	require.NoError(t, err)
	require.Nil(t, again.Raw, "the same bytes")
	require.Equal(t, first.Heads, again.Heads)
	raw, err := again.objects("created")
	require.NoError(t, err)
	require.Equal(t, `{"id":"ch_1","created":1}`, string(raw[0]), "an object that is fresh again")
	other, err := last.read([]byte(strings.Replace(string(body), "1", "2", 1)), "created")
	require.NoError(t, err)
	require.NotNil(t, other.Raw)
}
