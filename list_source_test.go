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

func TestNewSourceTakesTheFilterOfThePath(t *testing.T) {
	c := whereClient(t)
	plain, err := NewSource[ObjectID](c, "/v1/subscriptions", "")
	require.NoError(t, err)
	source, err := NewSource[ObjectID](c, "/v1/subscriptions?status=all&plan[product]=a%26b", "")
	require.NoError(t, err)
	filter, params, err := sourceParts(t, source, plain)
	require.NoError(t, err)
	require.Equal(t, "plan[product]=a%26b&status=all", filter)
	require.Equal(t, filter, params)

	for _, path := range []string{"/v1/charges?limit=3", "/v1/charges?created[gte]=1", "/v1/charges?a=1&a=2", "/v1/charges?%zz"} {
		_, err := NewSource[ObjectID](c, path, "")
		require.ErrorIs(t, err, ErrInvalidRequest, path)
	}
}
