package listing

import (
	"errors"
	"fmt"
)

// ErrPage is wrapped by the errors for a page that no list has. To go on behind
// it would lead nowhere, or back to where the reader has been.
var ErrPage = errors.New("the list cannot be read to its end")

// Check refuses a page that cannot be read on from.
func (p *Page) Check() error {
	for _, head := range p.Heads {
		if head.ID == "" {
			return fmt.Errorf("%w: an object without an id", ErrPage)
		}
	}
	if p.HasMore && len(p.Heads) == 0 {
		return fmt.Errorf("%w: has_more on a page without objects", ErrPage)
	}
	return nil
}

// Cursors are the cursors that a reader of a list has used.
type Cursors map[string]bool

// Add adds a cursor. It refuses one that is there already: the pages behind it
// would come again and again.
func (c Cursors) Add(cursor string) error {
	if c[cursor] {
		return fmt.Errorf("%w: a page repeats an earlier one", ErrPage)
	}
	c[cursor] = true
	return nil
}
