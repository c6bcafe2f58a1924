package stripekittest

import (
	"sync"
	"testing"
	"time"

	"github.com/stripekit/stripekit"
)

// StoreChecks are the names of the subtests of TestStore.
func StoreChecks() (names []string) {
	for _, check := range storeChecks {
		names = append(names, check.name)
	}
	return names
}

// CheckStore runs a subtest of TestStore. patience is how long an operation may go on
// after its context is over.
func CheckStore(t testing.TB, name string, open func() stripekit.CheckpointStore, patience time.Duration) {
	for _, check := range storeChecks {
		if check.name == name {
			check.run(&storeTest{TB: t, openStore: open, patience: patience, onlyStore: new(sync.Once)})
			return
		}
	}
	panic("there is no subtest " + name)
}

// HostileKeys are the keys of TestStore.
func HostileKeys() []string { return append(append([]string{}, pollerKeys...), hostileKeys...) }
