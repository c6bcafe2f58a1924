package listing

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLanesAreAsManyAsTheRateNeedsAtTheLatency(t *testing.T) {
	for _, test := range []struct {
		rate    float64
		latency time.Duration
		want    int
	}{
		{25, 0, 4},
		{25, 100 * time.Millisecond, 6},
		{25, time.Second, 34},
		{25, 24 * time.Hour, 64},
		{25, math.MaxInt64, 64},
		{0.1, 0, 4},
		{0.1, time.Hour, 64},
		{1e9, 0, 4},
		{1e9, 1, 4},
		{1e9, time.Millisecond, 64},
		{math.SmallestNonzeroFloat64, math.MaxInt64, 4},
		{math.MaxFloat64, 0, 4},
		{math.MaxFloat64, 1, 64},
		{math.Inf(1), 0, 4},
		{math.Inf(1), time.Hour, 64},
		{0, time.Hour, 16},
	} {
		lanes := NewLanes(test.rate, 0)
		n, _ := lanes.Observe(test.latency)
		require.Equal(t, test.want, n, "%v", test)
		require.Equal(t, test.want, lanes.Count())
	}
}

func TestBufferGrowsWithTheRate(t *testing.T) {
	for rate, want := range map[float64]int{
		0: 16_000, 0.1: 16_000, 40: 16_000, 75: 30_000, 100: 40_000, 1e9: 40_000, math.MaxFloat64: 40_000, math.Inf(1): 40_000,
	} {
		require.Equal(t, want, NewLanes(rate, 0).Buffer(), "%g requests a second", rate)
	}
}
