package stripesql

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// What is remembered of a list is bounded, and still right: 10,000 pages with an object a
// minute are 2,000 stretches at most.
func TestDensityOfALongListIsSmall(t *testing.T) {
	const pages, minute = 10_000, 60
	d, table := newDensities(), newTables()["charges"]
	cursor := ""
	for n := range pages {
		p := page{more: n < pages-1}
		for i := range maxPage {
			at := int64(pages*maxPage-n*maxPage-i) * minute
			p.objects = append(p.objects, &object{id: fmt.Sprint("ch_", at), created: at, dated: true})
		}
		r := request{path: table.path, params: map[string]string{"limit": "100"}}
		if cursor != "" {
			r.params["starting_after"] = cursor
		}
		d.learn(table, r, p)
		cursor = p.objects[maxPage-1].id
		require.LessOrEqual(t, len(d.tables[table.name].seen), maxStretches)
	}
	require.Equal(t, int64(minute), d.oldest(table))
	for w, want := range map[window]float64{
		everything():                            pages * maxPage,
		{minute * 500_001, endOfStamps}:         500_000,
		{minute * 300_000, minute * 300_000}:    0,
		{minute * 200_000, minute * 201_000}:    1000,
		{0, minute}:                             0,
		{minute * pages * maxPage, endOfStamps}: 1,
	} {
		got := d.count(table, w)
		require.InDelta(t, want, got.likely, 2, w)
		require.True(t, got.sure(), "%v: %v", w, got)
	}
}
