package fleettest

import (
	"sync"
	"testing"

	"github.com/stripekit/stripekit/fleet"
)

// EngineChecks are the names of the subtests of TestEngine.
func EngineChecks() (names []string) {
	for _, check := range engineChecks {
		names = append(names, check.name)
	}
	return names
}

// CheckEngine runs a subtest of TestEngine.
func CheckEngine(t testing.TB, name string, open func() fleet.Engine) {
	for _, check := range engineChecks {
		if check.name == name {
			check.run(&engineTest{TB: t, openEngine: open, patience: patience, onlyEngine: new(sync.Once)})
			return
		}
	}
	panic("there is no subtest " + name)
}

// AllKeys are the keys of TestEngine.
func AllKeys() []string { return testKeys() }
