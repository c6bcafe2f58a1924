package stripesql

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/internal/listing"
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
		d.learn(table, listing.Query{After: cursor}, p)
		cursor = p.objects[maxPage-1].id
		require.LessOrEqual(t, len(d.tables[table.name].seen), maxStretches)
	}
	require.Equal(t, int64(minute), d.now(table).oldest())
	for w, want := range map[window]float64{
		everything():                            pages * maxPage,
		{minute * 500_001, endOfStamps}:         500_000,
		{minute * 300_000, minute * 300_000}:    0,
		{minute * 200_000, minute * 201_000}:    1000,
		{0, minute}:                             0,
		{minute * pages * maxPage, endOfStamps}: 1,
	} {
		got := d.now(table).count(w)
		require.InDelta(t, want, got.likely, 2, w)
		require.True(t, got.sure(), "%v: %v", w, got)
	}
}

// A second with several pages is read from both ends, in any order, until the pages meet.
func TestSecondThatIsReadFromBothEndsIsKnown(t *testing.T) {
	const objects, second = 610, 1_767_405_600
	list := make([]*object, objects)
	for i := range list { // all but a few at each end are of one second
		list[i] = &object{id: fmt.Sprint("ch_", i), created: second + int64(max(20-i, 0)) - int64(max(i-objects+20, 0)), dated: true}
	}
	for order := range 1 << 6 {
		d, table := newDensities(), newTables()["charges"]
		below, above := 70, objects-19 // what was read from the newest on, and from the oldest on
		learn := func(from, to int, q listing.Query) {
			d.learn(table, q, page{objects: list[from:to], more: q.Before != "" || to < objects})
		}
		learn(0, below, listing.Query{})
		d.learn(table, listing.Query{LT: second}, page{objects: list[above:]})
		for n := 0; below < above; n++ {
			if order>>(n%6)&1 == 0 {
				learn(below, min(below+maxPage, objects), listing.Query{After: list[below-1].id})
				below += maxPage
			} else {
				learn(max(above-maxPage, 0), above, listing.Query{Before: list[above].id})
				above -= maxPage
			}
		}
		got := d.now(table).count(everything())
		require.True(t, got.sure(), "order %06b: %v", order, got)
		require.InDelta(t, objects, got.likely, maxPage, "order %06b", order)
	}
}
