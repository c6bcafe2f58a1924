package stripetest

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// thing is an object with two fields to filter by.
type thing struct{ id, color, size string }

func newThings(delay func(string) time.Duration) *collection[thing] {
	return newCollection("thing", delay, map[string]func(*thing) string{
		"color": func(t *thing) string { return t.color },
		"size":  func(t *thing) string { return t.size },
	})
}

// plainThing is a thing in the model of the test: a sorted slice that is
// scanned for each page.
type plainThing struct {
	thing
	created, visible int64
	seq              int
}

func TestCollectionPagesLikeASortedSlice(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			wait := int64(0)
			things := newThings(func(string) time.Duration { return time.Duration(wait) * time.Second })
			var plain []plainThing
			for step := range 4000 {
				switch action := random.IntN(10); {
				case action < 6 || len(plain) == 0:
					wait = max(0, int64(random.IntN(60)-40))
					add := plainThing{created: int64(step/3 + random.IntN(40)), seq: step}
					add.thing = thing{fmt.Sprintf("id_%d", step), pick(random, "red", "blue", ""), pick(random, "s", "l")}
					add.visible = add.created + wait
					plain = append(plain, add)
					things.add(add.id, add.created, &thing{add.id, add.color, add.size})
				case action < 8:
					i := random.IntN(len(plain))
					plain[i].color = pick(random, "red", "blue", "")
					things.replace(plain[i].id, &thing{plain[i].id, plain[i].color, plain[i].size})
				case step%2 == 0:
					i := random.IntN(len(plain))
					things.remove(plain[i].id)
					plain = slices.Delete(plain, i, i+1)
				}
				if step%16 == 0 && len(plain) > 0 {
					comparePage(t, random, things, plain, int64(step/3))
				}
			}
			require.Len(t, things.byID, len(plain))
			require.Equal(t, len(plain), things.all.size)
		})
	}
}

func pick(random *rand.Rand, from ...string) string { return from[random.IntN(len(from))] }

// comparePage requests the same page from the collection and the model.
func comparePage(t *testing.T, random *rand.Rand, things *collection[thing], plain []plainThing, now int64) {
	t.Helper()
	low := int64(random.IntN(1000) - 200)
	cursor := plain[random.IntN(len(plain))]
	q := query{now: time.Unix(now, 0), limit: 1 + random.IntN(20), created: everything, where: map[string]string{}}
	if random.IntN(2) == 0 {
		q.created = everything.from(endOf(low)).until(startOf(low + 300))
	}
	if random.IntN(2) == 0 {
		q.where["color"] = "red"
	}
	if random.IntN(4) == 0 {
		q.where["size"] = "l"
	}
	after := random.IntN(2) == 0
	if after {
		q.startingAfter = cursor.id
	} else {
		q.endingBefore = cursor.id
	}

	sorted := slices.SortedFunc(slices.Values(plain), func(a, b plainThing) int {
		return cmp.Or(cmp.Compare(b.created, a.created), cmp.Compare(b.seq, a.seq))
	})
	var want []string
	at := slices.IndexFunc(sorted, func(p plainThing) bool { return p.id == cursor.id })
	for i, p := range sorted {
		fits := p.visible <= now || p.visible == p.created
		fits = fits && q.created.contains(key{p.created, 1})
		fits = fits && (q.where["color"] == "" || p.color == "red") && (q.where["size"] == "" || p.size == "l")
		if fits && after == (i > at) && i != at {
			want = append(want, p.id)
		}
	}
	more := len(want) > q.limit
	switch {
	case more && after:
		want = want[:q.limit]
	case more:
		want = want[len(want)-q.limit:]
	}

	page, gotMore, failure := things.page(q)
	if cursor.visible > now && cursor.visible != cursor.created {
		require.NotNil(t, failure, "a cursor that lists do not show")
		return
	}
	require.Nil(t, failure)
	var got []string
	for _, p := range page {
		got = append(got, p.id)
	}
	require.Equal(t, want, got)
	require.Equal(t, more, gotMore)
}

// BenchmarkRemove removes an object from the middle and adds one there.
func BenchmarkRemove(b *testing.B) {
	for _, n := range []int{1e3, 1e4, 1e5, 1e6} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			things := newThings(nil)
			for i := range n {
				things.add(fmt.Sprint(i), int64(i/7), &thing{color: "red"})
			}
			middle := n / 2
			for b.Loop() {
				id, created := fmt.Sprint(middle), int64(middle/7)
				things.remove(id)
				things.add(id, created, &thing{color: "red"})
				middle = n/4 + (middle+1)%(n/2)
			}
		})
	}
}
