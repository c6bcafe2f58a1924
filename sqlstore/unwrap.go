package sqlstore

import (
	"fmt"

	"github.com/stripekit/stripekit"
)

// unwrap returns the Store in a checkpoint store that may be wrapped, or nil if there
// is none. check calls the Check of each wrapper, the outermost one first. Its error
// hides what it wraps: an ErrAcknowledged in it would be that of another Poller.
func unwrap(store stripekit.CheckpointStore) (inner *Store, check func() error) {
	var checks []func() error
	check = func() error {
		for _, c := range checks {
			if err := c(); err != nil {
				return fmt.Errorf("sqlstore: the checkpoint store refuses a transaction: %v", err)
			}
		}
		return nil
	}
	for {
		if inner, ok := store.(*Store); ok {
			return inner, check
		}
		if c, ok := store.(interface{ Check() error }); ok {
			checks = append(checks, c.Check)
		}
		wrapper, ok := store.(interface {
			Unwrap() stripekit.CheckpointStore
		})
		if !ok {
			return nil, check
		}
		store = wrapper.Unwrap()
	}
}
