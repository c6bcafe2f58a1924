package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFakeStripeServesLogsAndEnds(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	output, out := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, "127.0.0.1:0", out)
		out.Close()
	}()

	lines := bufio.NewScanner(output)
	require.True(t, lines.Scan())
	base := regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(lines.Text())
	require.NotEmpty(t, base, lines.Text())
	for !strings.HasSuffix(lines.Text(), "/v1/charges -u sk_test_123:") {
		require.True(t, lines.Scan())
	}

	responses := make(chan string, 1)
	go func() {
		req, err := http.NewRequest("POST", base+"/v1/charges", strings.NewReader("amount=2000&currency=usd&source=tok_visa"))
		if err != nil {
			responses <- err.Error()
			return
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.SetBasicAuth("sk_test_hidden123", "")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			responses <- err.Error()
			return
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		responses <- resp.Status + " " + string(body)
	}()

	require.True(t, lines.Scan()) // the empty line after the examples
	require.True(t, lines.Scan())
	require.Regexp(t, `^\d\d:\d\d:\d\d POST "/v1/charges" 200 \S+$`, lines.Text())
	require.NotContains(t, lines.Text(), "hidden")
	response := <-responses
	require.True(t, strings.HasPrefix(response, "200 OK"), response)
	require.Contains(t, response, `"amount": 2000`)

	http.DefaultClient.CloseIdleConnections()
	stop()
	require.NoError(t, <-ended)
}

func TestFakeStripeSaysThatThePortIsTaken(t *testing.T) {
	require.Error(t, run(t.Context(), "127.0.0.1:no", io.Discard))
}
