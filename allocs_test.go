package stripekit_test

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
)

// memory is what an operation allocates.
type memory struct{ allocs, bytes float64 }

// memoryLimits are about a tenth above what was measured, which stands beside them. It
// was the same in every run, and with GOEXPERIMENT=jsonv2. Only the handover varied:
// 0.96 to 1.13 allocations, 125 to 155 bytes. With -v the test prints what it measures.
var memoryLimits = []struct {
	name    string
	measure func(*testing.T) memory
	limit   memory
}{
	{"a poll of an empty list", pollsOf(0, false), memory{33, 3300}},                            // 30, 3,005
	{"a poll of an unchanged page with 75 known charges", pollsOf(75, false), memory{33, 3300}}, // 30, 3,005
	{"a poll of a changed page with 75 known charges", pollsOf(75, true), memory{121, 11_400}},  // 110, 10,333
	{"a page of 100 charges", pagesOf(100), memory{810, 128_000}},                               // 734, 116,592
	{"Get", callsOf(getCharge), memory{31, 3700}},                                               // 28, 3,336
	{"Create", callsOf(createCharge), memory{42, 4500}},                                         // 38, 4,088
	{"the handover and Ack of an event in a drain", handovers, memory{1.25, 180}},
}

// TestAllocationsStayWithinLimits finds what a timed test could only find on a quiet
// machine.
func TestAllocationsStayWithinLimits(t *testing.T) {
	if raceDetector {
		t.Skip("under the race detector a sync.Pool forgets at random; the test runs in go test work")
	}
	for _, operation := range memoryLimits {
		t.Run(operation.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got := operation.measure(t)
				t.Logf("%.2f allocations, %.0f bytes", got.allocs, got.bytes)
				require.LessOrEqual(t, got.allocs, operation.limit.allocs, "allocations")
				require.LessOrEqual(t, got.bytes, operation.limit.bytes, "bytes")
			})
		})
	}
}

// measured returns what one of n operations allocates, on average. It is the least of
// three rounds, because other goroutines may allocate meanwhile. The first round is not
// measured.
func measured(n int, round func()) memory {
	// The buffers of a sync.Pool are kept for each processor, until the collector runs.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(math.MaxInt64)) // GOMEMLIMIT starts it, too
	round()
	least := memory{allocs: 1e9, bytes: 1e9}
	for range 3 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		round()
		runtime.ReadMemStats(&after)
		least.allocs = min(least.allocs, float64(after.Mallocs-before.Mallocs)/float64(n))
		least.bytes = min(least.bytes, float64(after.TotalAlloc-before.TotalAlloc)/float64(n))
	}
	return least
}

// recorded is a service in memory that returns the same body to every request. It
// allocates nothing but the Date of a response. It takes one request at a time.
type recorded struct {
	body     []byte
	changing int // the index of a digit that differs from response to response; 0 for none
	requests int
	reader   bytes.Reader
	response http.Response
}

func (s *recorded) RoundTrip(r *http.Request) (*http.Response, error) {
	if s.requests++; s.changing > 0 {
		s.body[s.changing] = '0' + byte(s.requests%10)
	}
	body := s.body
	if r.URL.Path == "/v1/account" {
		body = []byte(`{"id":"acct_1"}`)
	}
	s.reader.Reset(body)
	if s.response.Header == nil {
		s.response = http.Response{
			StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, Body: unclosed{&s.reader},
			Header: http.Header{"Content-Type": {"application/json"}, "Request-Id": {"req_1"}, "Date": {""}},
		}
	}
	s.response.Request, s.response.ContentLength = r, int64(len(body))
	s.response.Header["Date"][0] = time.Now().UTC().Format(http.TimeFormat)
	return &s.response, nil
}

// unclosed is a body that can be read again after Close.
type unclosed struct{ *bytes.Reader }

func (unclosed) Close() error { return nil }

// client returns a client with the default rate limits.
func (s *recorded) client(t *testing.T) *stripekit.Client {
	client, err := stripekit.New("sk_test_allocations", stripekit.WithHTTPClient(&http.Client{Transport: s}))
	require.NoError(t, err)
	return client
}

// chargeOf returns a charge of a fixture, with another id and second.
func chargeOf(t *testing.T, number int, created time.Time) string {
	charge, err := os.ReadFile("testdata/fixtures/2026-08-26.dahlia/charge.json")
	require.NoError(t, err)
	return strings.NewReplacer(
		"ch_1PgafuB7WZ01zgkWXYmPNZs8", fmt.Sprintf("ch_%024d", number),
		`"created":1234567890`, fmt.Sprintf(`"created":%d`, created.Unix()),
	).Replace(string(charge))
}

// chargesPage returns a page of n charges, one of each second before now.
func chargesPage(t *testing.T, n int) []byte {
	charges := make([]string, n)
	for i := range charges {
		charges[i] = chargeOf(t, n-i, time.Now().Add(-time.Duration(i+1)*time.Second))
	}
	return []byte(`{"object":"list","url":"/v1/charges","has_more":false,"data":[` + strings.Join(charges, ",") + `]}`)
}

// pollsOf measures polls of a page of charges that the Poller knows. If changes is true,
// one digit of the page differs in each poll.
func pollsOf(charges int, changes bool) func(*testing.T) memory {
	return func(t *testing.T) memory {
		s := &recorded{body: chargesPage(t, charges)}
		if changes {
			const year = `"exp_year":2030`
			s.changing = bytes.LastIndex(s.body, []byte(year)) + len(year) - 1
		}
		p, err := stripekit.NewPoller(s.client(t).Charges, stripekit.PollConfig{
			Every: time.Second, From: stripekit.FromTime(time.Now().Add(-2 * time.Minute)),
		})
		require.NoError(t, err)
		events, stop := started(t, p)
		defer stop()
		for range charges {
			(<-events).Ack()
		}
		pass(time.Minute)
		const polls = 50
		before := s.requests
		m := measured(polls, func() { pass(polls * time.Second) })
		require.InDelta(t, 4*polls, s.requests-before, 2) // a poll may be at the beginning or the end
		return m
	}
}

func pagesOf(charges int) func(*testing.T) memory {
	return func(t *testing.T) memory {
		return measuredCalls(t, chargesPage(t, charges), func(ctx context.Context, client *stripekit.Client) error {
			page, err := client.Charges.Page(ctx, stripekit.ChargeListParams{ListParams: stripekit.ListParams{Limit: charges}})
			if err == nil && len(page.Data) != charges {
				return fmt.Errorf("%d charges", len(page.Data))
			}
			return err
		})
	}
}

func callsOf(call func(context.Context, *stripekit.Client) error) func(*testing.T) memory {
	return func(t *testing.T) memory {
		return measuredCalls(t, []byte(chargeOf(t, 1, time.Now())), call)
	}
}

func getCharge(ctx context.Context, client *stripekit.Client) error {
	_, err := client.Charges.Get(ctx, "ch_1")
	return err
}

func createCharge(ctx context.Context, client *stripekit.Client) error {
	_, err := client.Charges.Create(ctx, stripekit.ChargeCreateParams{
		Amount: 2000, Currency: "usd", Source: new("tok_visa"), Metadata: stripekit.Metadata{"order": "6735"},
	})
	return err
}

// measuredCalls measures calls, one in each second, so that none waits for the rate
// limits.
func measuredCalls(t *testing.T, body []byte, call func(context.Context, *stripekit.Client) error) memory {
	client := (&recorded{body: body}).client(t)
	second := time.NewTicker(time.Second)
	defer second.Stop()
	const n = 20
	return measured(n, func() {
		for range n {
			<-second.C
			if err := call(t.Context(), client); err != nil {
				t.Error(err)
			}
		}
	})
}

// handovers measures the delivery of events from the buffer of a drain, and their
// acknowledgement. The whole list has been read before.
func handovers(t *testing.T) memory {
	const n = 1000
	l := newFakeList(t)
	l.add(backlog(6*n, time.Minute)...)
	events, stop := started(t, l.poller(stripekit.PollConfig{From: stripekit.FromBeginning}))
	defer stop()
	pass(10 * time.Minute)
	before := l.listRequests()
	m := measured(n, func() {
		for range n {
			(<-events).Ack()
		}
	})
	require.Equal(t, before, l.listRequests())
	return m
}
