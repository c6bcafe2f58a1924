package listing

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCheckRefusesPagesThatNoListHas(t *testing.T) {
	for name, p := range map[string]Page{
		"an object without an id":            {Heads: []Head{{ID: "a"}, {Created: 1}}},
		"has_more on a page without objects": {HasMore: true},
	} {
		err := p.Check()
		require.ErrorIs(t, err, ErrPage)
		require.ErrorContains(t, err, name)
	}
	for _, p := range []Page{{}, {Heads: []Head{{ID: "a"}}}, {Heads: []Head{{ID: "a"}}, HasMore: true}} {
		require.NoError(t, p.Check())
	}
}

func TestCursorsRefuseOneThatWasUsed(t *testing.T) {
	used := Cursors{}
	require.NoError(t, used.Add("a"))
	require.NoError(t, used.Add("b"))
	err := used.Add("a")
	require.ErrorIs(t, err, ErrPage)
	require.ErrorContains(t, err, "a page repeats an earlier one")
}
