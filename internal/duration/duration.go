// Package duration checks the times in a configuration.
package duration

import (
	"fmt"
	"time"
)

// least is the shortest time of a setting. A number without a unit is nanoseconds: in
// place of seconds, or of milliseconds up to a quarter of an hour, it is less than this.
const least = time.Millisecond

// Check returns an error if the time of a setting is negative, or so short that its unit
// must be missing, as in Every: 15. Zero is valid. The error begins with the name of the
// setting.
func Check(setting string, d time.Duration) error { return CheckFrom(setting, d, least) }

// CheckFrom is Check for a setting with another shortest time.
func CheckFrom(setting string, d, least time.Duration) error {
	switch {
	case d < 0:
		return fmt.Errorf("%s must not be negative", setting)
	case d > 0 && d < least:
		return fmt.Errorf("%s is %v: is the unit missing?", setting, d)
	}
	return nil
}
