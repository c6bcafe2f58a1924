package stripesql_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/stripekit/stripekit/stripesql"
)

// scans returns a query for each way to read a list.
func scans() map[string]string {
	return map[string]string{
		"any order":            "SELECT id FROM charges",
		"in order":             "SELECT id FROM charges ORDER BY created DESC",
		"in order of ids, too": "SELECT id FROM charges ORDER BY created DESC, id",
		"a window":             "SELECT id FROM charges WHERE created >= '2026-01-02'",
		"filtered":             "SELECT id FROM charges WHERE customer = 'cus_1'",
		"filtered, in order":   "SELECT id FROM charges WHERE customer = 'cus_1' ORDER BY created DESC",
		"filtered, a window":   "SELECT id FROM charges WHERE customer = 'cus_1' AND created >= '2026-01-02'",
		"limited":              "SELECT id FROM charges ORDER BY created DESC LIMIT 15000",
		"in no order":          "SELECT id FROM invoice_items",
	}
}

// Objects are deleted right after a page was read, including those that the
// next page is requested by. Every object that stays is read, and none twice.
func TestScanGoesOnBehindADeletedCursor(t *testing.T) {
	for deletion, deleted := range map[string]func(page []int) []int{
		"the last of each page":   func(page []int) []int { return page[len(page)-1:] },
		"both ends of each page":  func(page []int) []int { return []int{page[0], page[len(page)-1]} },
		"half of each page":       func(page []int) []int { return page[len(page)/2:] },
		"the whole of some pages": func(page []int) []int { return page[:len(page)*max(page[0]/100%9-7, 0)] },
	} {
		if raceDetector && deletion != "half of each page" {
			continue // it is slow, and the other cases cover the same races
		}
		for name, query := range scans() {
			t.Run(deletion+"/"+name, func(t *testing.T) {
				list := many()
				list.gone = map[int]bool{}
				list.onPage = func(page []int) {
					if len(page) > 0 {
						for _, place := range deleted(page) {
							list.gone[place] = true
						}
					}
				}
				got := mustRun(t, list.open(t, stripesql.WithMaxCalls(2000)), query)
				require.Positive(t, list.lost, "cursors that were lost")

				read := make([]int, len(got.rows))
				for i, id := range got.rows {
					read[i] = place(id)
				}
				slices.Sort(read)
				require.Len(t, slices.Compact(slices.Clone(read)), len(read), "no row comes twice")
				want := slices.DeleteFunc(list.places(query), func(i int) bool { return list.gone[i] })
				for _, i := range want {
					_, found := slices.BinarySearch(read, i)
					require.True(t, found, "charge %d stayed and did not come", i)
				}
			})
		}
	}
}

// The second of the cursor has several pages.
func TestDeletedCursorWithinALongSecond(t *testing.T) {
	for name, query := range scans() {
		if isWindow(query) {
			continue
		}
		list := &bareList{created: slices.Repeat([]int64{newYear.Unix()}, 900), gone: map[int]bool{}}
		list.onPage = func(page []int) {
			if last := page[len(page)-1]; last == 299 {
				list.gone[last] = true
			}
		}
		got := mustRun(t, list.open(t), query)
		require.Positive(t, list.lost, name)
		slices.Sort(got.rows)
		require.Len(t, slices.Compact(got.rows), 900, name)
		require.LessOrEqual(t, got.stats.Calls, 9+1+4, name)
	}
}

// places returns the places of the charges that a query of scans reads.
func (l *bareList) places(query string) []int {
	var places []int
	for i, created := range l.created {
		if query == scans()["limited"] && i == 15_000 {
			break
		}
		if created >= newYear.AddDate(0, 0, 1).Unix() || !isWindow(query) {
			places = append(places, i)
		}
	}
	return places
}

func isWindow(query string) bool {
	return query == scans()["a window"] || query == scans()["filtered, a window"]
}

// A service that knows no cursor at all has a list that cannot be read.
func TestScanEndsWhereEveryCursorIsLost(t *testing.T) {
	list := many()
	list.cursorless = true
	for name, problem := range map[string]string{"filtered": "pages repeat earlier ones|needs more than its 1000 API calls", "in no order": "resource_missing"} {
		got, err := run(t.Context(), list.open(t), scans()[name])
		require.Error(t, err, name)
		require.Regexp(t, problem, err.Error(), name)
		require.LessOrEqual(t, got.stats.Calls, 1000, name)
	}
}
