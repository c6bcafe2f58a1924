package natsstore

import (
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

func TestURLInThePlaceOfAStreamShowsNoPassword(t *testing.T) {
	js, err := jetstream.New(new(nats.Conn))
	require.NoError(t, err)
	const url = "nats://user:MARKED@nats.example"
	_, err = Create(t.Context(), js, Config{Name: url})
	require.ErrorContains(t, err, "creating stream")
	require.NotContains(t, err.Error(), "MARKED")
	_, err = Open(t.Context(), js, url)
	require.ErrorContains(t, err, "opening stream")
	require.NotContains(t, err.Error(), "MARKED")
}
