package stripekit_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
)

// BenchmarkConnectionsAtRest measures a thousand connections to a service in another
// process, each with a Poller that polls every 5 s: with Connections, which shares a
// pool, and opened one by one.
func BenchmarkConnectionsAtRest(b *testing.B) {
	const server = "STRIPEKIT_QUIET_SERVER"
	if os.Getenv(server) != "" {
		serveQuiet()
	}
	child := exec.Command(os.Args[0], "-test.run", "^$", "-test.bench", "^BenchmarkConnectionsAtRest$")
	child.Env = append(os.Environ(), server+"=1")
	out, err := child.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, child.Start())
	b.Cleanup(func() {
		_ = child.Process.Kill()
		_ = child.Wait()
	})
	line := make([]byte, 100)
	n, err := out.Read(line)
	require.NoError(b, err)
	url := strings.TrimSpace(string(line[:n]))

	b.Run("shared", func(b *testing.B) {
		cs := stripekit.NewConnections()
		restConnections(b, url, func(c stripekit.Connection) (*stripekit.Client, error) {
			if err := cs.Add(c); err != nil {
				return nil, err
			}
			return cs.Open(c.Name)
		})
	})
	b.Run("alone", func(b *testing.B) {
		restConnections(b, url, func(c stripekit.Connection) (*stripekit.Client, error) { return c.Open() })
	})
}

// serveQuiet serves an account without charges until the process is killed.
func serveQuiet() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/account" {
			io.WriteString(w, `{"id":"acct_1"}`)
			return
		}
		<-time.After(20 * time.Millisecond) // so that polls overlap
		io.WriteString(w, `{"object":"list","data":[],"has_more":false,"url":"/v1/charges"}`)
	}))
	fmt.Println(server.URL)
	select {}
}

func restConnections(b *testing.B, url string, open func(stripekit.Connection) (*stripekit.Client, error)) {
	const connections, every = 1000, 5 * time.Second
	for b.Loop() {
		ctx, cancel := context.WithCancel(b.Context())
		before, goroutines := memoryInUse(), runtime.NumGoroutine()
		var polls atomic.Int64
		for i := range connections {
			client, err := open(stripekit.Connection{
				Name: fmt.Sprint("shop ", i), APIKey: stripekit.NewSecret("sk_test_quiet"), BaseURL: url,
			})
			require.NoError(b, err)
			p, err := stripekit.NewPoller(client.Charges, stripekit.PollConfig{
				Every: every, From: stripekit.FromTime(time.Now()), Observe: func(stripekit.PollStatus) { polls.Add(1) },
			})
			require.NoError(b, err)
			ignore := func(context.Context, stripekit.Event[stripekit.Charge]) error { return nil }
			require.NoError(b, p.Handle(ctx, ignore, func(error) {}))
		}
		for tick := time.NewTicker(50 * time.Millisecond); polls.Load() < 2*connections; {
			<-tick.C
		}
		b.ReportMetric(float64(memoryInUse()-before)/connections, "B/connection")
		b.ReportMetric(float64(runtime.NumGoroutine()-goroutines)/connections, "goroutines/connection")
		cancel()
	}
}

// memoryInUse returns the bytes in use, heap and stacks.
func memoryInUse() int64 {
	runtime.GC()
	runtime.GC() // the second run frees what sync.Pool keeps during the first
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
