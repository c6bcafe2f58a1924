package fleet_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// delays are durations, of which the largest and the middle one are of interest.
type delays []time.Duration

// quantile returns the smallest of them that is not exceeded by a share of them.
func (d delays) quantile(share float64) time.Duration {
	sorted := slices.Sorted(slices.Values(d))
	return sorted[min(int(share*float64(len(sorted))), len(sorted)-1)]
}

// tick is the unit of the times in /proc, on all systems that Go supports.
const tick = 10 * time.Millisecond

// cpuTime returns the processor time that processes have used.
func cpuTime(tb testing.TB, processes ...*process) (total time.Duration) {
	tb.Helper()
	for _, p := range processes {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid()))
		require.NoError(tb, err)
		// The name of the program before is in parentheses.
		fields := strings.Fields(string(stat)[strings.LastIndexByte(string(stat), ')')+1:])
		var user, system int64
		_, err = fmt.Sscan(fields[11]+" "+fields[12], &user, &system)
		require.NoError(tb, err)
		total += time.Duration(user+system) * tick
	}
	return total
}

// memory returns the resident memory of processes, in bytes.
func memory(tb testing.TB, processes ...*process) (total int64) {
	tb.Helper()
	for _, p := range processes {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid()))
		require.NoError(tb, err)
		_, rest, ok := strings.Cut(string(status), "VmRSS:")
		require.True(tb, ok)
		var kib int64
		_, err = fmt.Sscan(rest, &kib)
		require.NoError(tb, err)
		total += kib << 10
	}
	return total
}
