package stripesql

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestStampsCompareAsTimes(t *testing.T) {
	// Each line is before the next. The texts of one line are equal.
	ordered := [][]string{
		{""},
		{"0", "1970-01-01", "0.0"},
		{"20261231", "1970-08-23T12:07:11Z"}, // digits are seconds
		{"1767225599", "2025-12-31T23:59:59Z", "1767225599.0"},
		{"2025-12-31T23:59:59.9Z", "1767225599.9", "2026-01-01T00:59:59.9+01:00"},
		{"2026"},
		{"2026-01"},
		{"2026-01-01", "1767225600", "2026-01-01T00:00:00Z", "2026-01-01 00:00", "2026-01-01T01:00:00+01:00", "2025-12-31T16:00:00-08:00", "2026-01-01T00:00Z", "2026-01-01T00:00:00.000Z"},
		{"2026-01-01T00:00:00.25Z", "2026-01-01 00:00:00.250"},
		{"2026-01-01T00:00:01Z", "2026-01-01 00:00:01"},
		{"2026-01-31", "2026-01-31T00:00:00Z"},
		{"2026-02-28T23:59:59Z"},
		{"2026-02-30"}, // not a day: a text
		{"2026-03-01T00:00:00Z"},
		{"99999999999999999999"},                 // too large for a number: a text
		{"1767225600000", "9223372036854775807"}, // beyond all times
		{"yesterday"},
	}
	for i, line := range ordered {
		for _, a := range line {
			for j, other := range ordered {
				for _, b := range other {
					got := compareStamps([]byte(a), []byte(b))
					require.Equal(t, sign(i-j), sign(got), "%q %q", a, b)
				}
			}
		}
	}
}

func sign(n int) int { return min(max(n, -1), 1) }

func TestFirstStampIsTheEdge(t *testing.T) {
	for _, text := range []string{
		"", "2026", "2026-01", "2026-01-01", "2026-01-01T00:00:00.5Z", "2026-01-01 10:00:00+02:00", "2026-02-30", "x", "1969-01-01", "9999-12-31T23:59:59Z", "5", "1767225600", "1767225600.5", "1767225600000",
	} {
		for _, after := range []bool{false, true} {
			first := firstStamp(text, after)
			for second := max(first-2, 0); second < min(first+2, endOfStamps); second++ {
				order := compareStamps([]byte(formatStamp(second)), []byte(text))
				require.Equal(t, second >= first, order > 0 || order == 0 && !after, "%q %v %s", text, after, formatStamp(second))
			}
		}
	}
	require.Equal(t, time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC).Unix(), int64(endOfStamps))
}

// FuzzStampKey checks that the fast path and parseStamp agree on the time of a
// text.
func FuzzStampKey(f *testing.F) {
	for _, s := range []string{"2026-01-01T00:00:00Z", "2026-12-31T23:59:59Z", "2026-02-29T00:00:00Z", "0000-01-01T00:00:00Z", "2026-01-01T24:00:00Z", "2026-13-01T00:00:00Z", "2026-01-01t00:00:00z"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		parsed, ok := parseStamp(s)
		if plainStamp([]byte(s)) {
			require.True(t, ok)
		}
		key := string(stampKey([]byte(s)))
		if _, _, digits := unixStamp(s); digits {
			return
		}
		if !ok {
			require.Equal(t, s, key)
			return
		}
		require.Equal(t, parsed.Format(stampLayout), key)
		require.Zero(t, compareStamps([]byte(s), []byte(key)))
	})
}
