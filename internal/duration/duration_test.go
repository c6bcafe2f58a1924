package duration_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/internal/duration"
)

func TestCheckRefusesTimesThatLackTheirUnit(t *testing.T) {
	for d, want := range map[time.Duration]string{
		math.MinInt64:        "Config.Every must not be negative",
		-1:                   "Config.Every must not be negative",
		0:                    "",
		1:                    "Config.Every is 1ns: is the unit missing?",
		15:                   "Config.Every is 15ns: is the unit missing?",
		3600:                 "Config.Every is 3.6µs: is the unit missing?",
		900_000:              "Config.Every is 900µs: is the unit missing?",
		time.Millisecond - 1: "Config.Every is 999.999µs: is the unit missing?",
		time.Millisecond:     "",
		15 * time.Second:     "",
		math.MaxInt64:        "",
	} {
		err := duration.Check("Config.Every", d)
		if want == "" {
			require.NoError(t, err, d)
		} else {
			require.EqualError(t, err, want)
		}
	}
}
