package listing

import (
	"errors"
	"fmt"
)

// ErrPage is wrapped by the errors for a page that a well-formed list cannot
// contain. Reading on from such a page could loop or skip objects.
var ErrPage = errors.New("the list cannot be read to its end")

// Check returns an error if the list cannot be read on from the page.
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

// Cursors is the set of cursors that a reader of a list has used.
type Cursors map[string]bool

// Add adds a cursor. It returns an error if the cursor was used before, because
// the same pages would then repeat forever.
func (c Cursors) Add(cursor string) error {
	if c[cursor] {
		return fmt.Errorf("%w: a page repeats an earlier one", ErrPage)
	}
	c[cursor] = true
	return nil
}
