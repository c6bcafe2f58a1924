package transport

import (
	"context"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"
)

// BenchmarkEndOfWaitingPolls ends polls that wait for others of their account.
func BenchmarkEndOfWaitingPolls(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			var took time.Duration
			for b.Loop() {
				a := newAccounts()
				ctx, cancel := context.WithCancel(b.Context())
				var all sync.WaitGroup
				for range firstAccountPolls + n {
					all.Go(func() { _ = a.enter(ctx, "acct_1") })
				}
				for a.waits("acct_1") < n {
					runtime.Gosched()
				}
				began := time.Now()
				cancel()
				all.Wait()
				took += time.Since(began)
			}
			b.ReportMetric(float64(took.Nanoseconds())/float64(b.N)/float64(n), "ns/poll")
		})
	}
}

func (a *accounts) waits(id string) int {
	a.mu.Lock()
	l := a.lines[id]
	a.mu.Unlock()
	if l == nil {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waiting.Len()
}
