package mock_test

import (
	"io/fs"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/internal/conformance/mock"
)

func TestStartServesTheEmbeddedDescription(t *testing.T) {
	server := start(t, mock.Description{})
	require.Equal(t, "2026-08-26.dahlia", server.Version)
	require.Equal(t, http.StatusOK, status(t, server, "/v1/charges"))
	require.Equal(t, http.StatusNotFound, status(t, server, "/v1/orders"))
	require.Equal(t, http.StatusBadRequest, status(t, server, "/v1/charges?nonsense=1"))
}

func TestStartServesOlderDescriptions(t *testing.T) {
	for _, version := range []string{"2017-08-15", "2019-09-09", "2020-08-27"} {
		t.Run(version, func(t *testing.T) {
			description, err := mock.Older(version)
			if err != nil {
				t.Log(err)
				t.Skip("SKIPPED: serving the description of " + version)
			}
			server := start(t, description)
			require.Equal(t, version, server.Version)
			require.Equal(t, http.StatusOK, status(t, server, "/v1/orders"))
		})
	}
}

func TestOlderSaysWhereItLooked(t *testing.T) {
	t.Setenv(mock.FolderVariable, "nowhere")
	_, err := mock.Older("2017-08-15")
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, "nowhere")
	require.ErrorContains(t, err, mock.FolderVariable)
}

func start(t *testing.T, description mock.Description) *mock.Server {
	t.Helper()
	server, err := mock.Start(description)
	require.NoError(t, err)
	t.Cleanup(server.Close)
	return server
}

func status(t *testing.T, server *mock.Server, path string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
	require.NoError(t, err)
	req.SetBasicAuth(mock.Key, "")
	resp, err := server.Client().Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode
}
