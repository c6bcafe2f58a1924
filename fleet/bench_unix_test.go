//go:build unix

package fleet_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/fleet"
	"github.com/stripekit/stripekit/internal/shops"
)

// forgetfulStore keeps no data, so that its memory does not count.
type forgetfulStore struct{ revision atomic.Uint64 }

func (s *forgetfulStore) Load(context.Context, string) ([]byte, uint64, error) { return nil, 0, nil }
func (s *forgetfulStore) Delete(context.Context, string) error                 { return nil }
func (s *forgetfulStore) Save(context.Context, string, []byte, uint64) (uint64, error) {
	return s.revision.Add(1), nil
}

// BenchmarkConnectionsAtRest prints what a connection costs that is polled every 15 s
// and gets an event every 10 minutes: memory, and time of a processor for each poll. The shops and
// their responses are part of it, TLS and the network are not. STRIPEKIT_CONNECTIONS sets
// how many there are.
func BenchmarkConnectionsAtRest(b *testing.B) {
	n := 10_000
	if s := os.Getenv("STRIPEKIT_CONNECTIONS"); s != "" {
		var err error
		n, err = strconv.Atoi(s)
		require.NoError(b, err)
	}
	var polls atomic.Int64
	stripe, err := shops.New(shops.Config{Start: time.Now().Add(-time.Hour), Period: 10 * time.Minute, Requested: func(int, string, time.Time) { polls.Add(1) }})
	require.NoError(b, err)
	engine := new(fleet.MemoryEngine)
	f, err := fleet.New(fleet.Config{
		Worker: "bench", Engine: engine, Checkpoints: new(forgetfulStore), HTTP: &http.Client{Transport: stripe},
		Keys: func(_ context.Context, ref string) (stripekit.Secret, error) {
			return stripekit.NewSecret("sk_test_" + ref), nil
		},
	})
	require.NoError(b, err)
	var events atomic.Int64
	require.NoError(b, fleet.Watch(f, "charges", func(c *stripekit.Client) stripekit.Source[stripekit.Charge] { return c.Charges },
		func(context.Context, stripekit.Event[stripekit.Charge]) error { events.Add(1); return nil }))
	for i := range n {
		require.NoError(b, f.Put(b.Context(), fleet.Spec{
			Name: fmt.Sprintf("shop %d", i), Key: fmt.Sprintf("shop%d", i), Triggers: []fleet.Trigger{{Name: "charges"}},
		}))
	}
	before := heapAlloc()
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error)
	go func() { done <- f.Run(ctx) }()
	for polls.Load() < int64(3*n) { // each account and its first polls
		time.Sleep(100 * time.Millisecond)
	}
	cpu, at, polled := cpuTime(), time.Now(), polls.Load()
	for b.Loop() {
		time.Sleep(15 * time.Second)
	}
	took, perPoll := time.Since(at), float64(polls.Load()-polled)
	b.ReportMetric(perPoll/took.Seconds(), "polls/s")
	b.ReportMetric(float64((cpuTime()-cpu).Microseconds())/perPoll, "µs/poll")
	b.ReportMetric(100*(cpuTime()-cpu).Seconds()/took.Seconds(), "%core")
	b.ReportMetric(float64(heapAlloc()-before)/float64(n), "B/connection")
	b.ReportMetric(float64(runtime.NumGoroutine()), "goroutines")
	b.ReportMetric(float64(rss())/float64(n), "rss-B/connection")
	cancel()
	require.NoError(b, <-done)
}

func heapAlloc() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func rss() int64 {
	data, _ := os.ReadFile("/proc/self/statm")
	var size, resident int64
	_, _ = fmt.Sscan(string(data), &size, &resident)
	return resident * int64(os.Getpagesize())
}
