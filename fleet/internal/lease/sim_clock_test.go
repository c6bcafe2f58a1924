package lease

import (
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// clock has the two clocks of a machine. Each of them runs faster or slower than the
// true time. The monotonic clock stands still while the machine is suspended, and the
// wall clock may jump.
type clock struct {
	rate       float64 // nanoseconds in a true one
	at         int64   // the true time, in nanoseconds, of what follows
	mono, wall float64
	suspended  bool
}

func newClock(rate float64, wall int64) *clock {
	return &clock{rate: rate, mono: float64(time.Hour), wall: float64(wall)}
}

// advance moves the clocks to a true time.
func (c *clock) advance(now int64) {
	passed := float64(now-c.at) * c.rate
	c.at = now
	c.wall += passed
	if !c.suspended {
		c.mono += passed
	}
}

func (c *clock) now(now int64) time.Time {
	c.advance(now)
	return moment(int64(c.wall), int64(c.mono))
}

// moment returns a time with a wall clock, in nanoseconds since 1970, and a monotonic
// clock that do not depend on each other, as package time makes it in Now. Only the
// package itself can do that, so this relies on its layout; see TestMoment.
func moment(wall, mono int64) time.Time {
	const (
		hasMonotonic = 1 << 63
		from1885     = (85*365 + 20) * 86400 // seconds from 1885 to 1970
	)
	t := time.Time{}
	layout := (*struct {
		wall uint64
		ext  int64
		loc  *time.Location
	})(unsafe.Pointer(&t))
	layout.wall = hasMonotonic | uint64(wall/1e9+from1885)<<30 | uint64(wall%1e9)
	layout.ext = mono
	return t
}

func TestMoment(t *testing.T) {
	day := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	a := moment(day.UnixNano(), int64(time.Minute))
	b := moment(day.Add(time.Hour).UnixNano(), int64(time.Minute+time.Second))
	require.True(t, a.Round(0).Equal(day))
	require.Equal(t, time.Second, b.Sub(a))
	require.Equal(t, time.Hour, b.Round(0).Sub(a.Round(0)))
	require.Equal(t, 2*time.Second, b.Add(time.Second).Sub(a))
	require.True(t, a.Before(b) && !b.Before(a))
}
