package stripekit_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripetest"
)

// meter counts the list requests to a server, and the bytes of the responses.
type meter struct {
	server   *stripetest.Server
	mu       sync.Mutex
	requests int
	bytes    int
}

func (m *meter) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := m.server.RoundTrip(r)
	if err != nil || !strings.HasPrefix(r.URL.Path, "/v1/charges") {
		return resp, err
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body = io.NopCloser(bytes.NewReader(body))
	m.mu.Lock()
	defer m.mu.Unlock()
	m.requests, m.bytes = m.requests+1, m.bytes+len(body)
	return resp, err
}

func (m *meter) reading() (requests, bytes int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.requests, m.bytes
}

// load is the activity of an account, poll by poll.
type load struct {
	name  string
	sells func(poll int) int // charges in the 15 s before a poll
	polls int                // how many are measured
}

var loads = []load{
	{"quiet", func(int) int { return 0 }, 200},
	{"50 charges in the overlap", func(poll int) int {
		return (poll*50+25)/40 - ((poll-1)*50+25)/40 // 50 in 40 polls
	}, 200},
	{"10 charges a second", func(int) int { return 150 }, 16},
}

// way is a method of polling. It returns all ids delivered so far after each poll.
type way struct {
	name string
	run  func(t *testing.T, client *stripekit.Client, got map[string]int, polls func(yield func(int) bool))
}

var ways = []way{{"stripekit", pollWithPoller}, {"the newest page each time", pollNewestPage}, {"created[gte] over the overlap each time", pollOverlap}}

func pollWithPoller(t *testing.T, client *stripekit.Client, got map[string]int, polls func(func(int) bool)) {
	p, err := stripekit.NewPoller(client.Charges, stripekit.PollConfig{})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		done <- p.Run(ctx, func(_ context.Context, e stripekit.Event[stripekit.Charge]) error {
			got[e.ID]++
			return nil
		})
	}()
	synctest.Wait()
	for range polls {
	}
	pass(20 * time.Second)
	cancel()
	require.NoError(t, <-done)
}

func pollNewestPage(t *testing.T, client *stripekit.Client, got map[string]int, polls func(func(int) bool)) {
	for range polls {
		page, err := client.Charges.Page(t.Context(), stripekit.ChargeListParams{ListParams: stripekit.ListParams{Limit: 100}})
		require.NoError(t, err)
		for _, charge := range page.Data {
			got[charge.ID] = 1
		}
	}
}

func pollOverlap(t *testing.T, client *stripekit.Client, got map[string]int, polls func(func(int) bool)) {
	for range polls {
		from := stripekit.UnixTime(time.Now().Add(-10 * time.Minute).Unix())
		for charge, err := range client.Charges.List(t.Context(), stripekit.ChargeListParams{ListParams: stripekit.ListParams{Created: &stripekit.CreatedRange{GTE: from}}}) {
			require.NoError(t, err)
			got[charge.ID] = 1
		}
	}
}

// TestPollerCostsLessThanOtherWays prints the cost of a poll after the time of the
// overlap.
func TestPollerCostsLessThanOtherWays(t *testing.T) {
	const fill = 40 // polls of the overlap's 10 minutes
	var out strings.Builder
	fmt.Fprintf(&out, "| account | way | requests a poll | KB a poll | missed |\n|---|---|---|---|---|\n")
	for _, l := range loads {
		for _, w := range ways {
			synctest.Test(t, func(t *testing.T) {
				m := &meter{server: stripetest.New(stripetest.InMemory(), stripetest.WithRequestLog(1))}
				defer m.server.Close()
				client, err := stripekit.New("sk_test_shop", stripekit.WithBaseURL(m.server.URL), stripekit.WithHTTPClient(&http.Client{Transport: m}))
				require.NoError(t, err)
				sold, got := []string{}, map[string]int{}
				var requests, read int
				w.run(t, client, got, func(yield func(int) bool) {
					for poll := range fill + l.polls {
						if poll == fill {
							requests, read = m.reading()
						}
						pass(14 * time.Second)
						if n := l.sells(poll); n > 0 {
							sold = append(sold, m.server.Seed("/v1/charges", stripetest.Seeding{
								Count: n, First: time.Now().Add(-14 * time.Second), Every: 14 * time.Second / time.Duration(n),
							})...)
						}
						pass(time.Second)
						if !yield(poll) {
							return
						}
					}
					r, b := m.reading()
					requests, read = r-requests, b-read
				})
				missed := 0
				for _, id := range sold {
					if got[id] != 1 {
						missed++
					}
				}
				perPoll := float64(requests) / float64(l.polls)
				fmt.Fprintf(&out, "| %s | %s | %.1f | %.1f | %d of %d |\n", l.name, w.name, perPoll, float64(read)/float64(l.polls)/1024, missed, len(sold))
				if w.name == "stripekit" {
					require.Zero(t, missed)
					if l.sells(1) < 100 {
						require.InDelta(t, 1, perPoll, 0.01)
					}
				}
			})
		}
	}
	t.Logf("\n%s", &out)
}
