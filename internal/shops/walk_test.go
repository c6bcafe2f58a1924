package shops_test

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/internal/shops"
)

// TestWalksHaveEveryObjectOnceWhileTimeGoesOn reads all pages by a cursor, with some
// time between two pages. What was visible when the walk began is read, once, and
// in order.
func TestWalksHaveEveryObjectOnceWhileTimeGoesOn(t *testing.T) {
	cfg := shops.Config{
		Period: 3 * time.Second, Burst: 30, BurstShare: 0.4, LateShare: 0.2, LateMax: 20 * time.Second,
	}
	for _, upward := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			cfg.Start = start.Add(-time.Hour)
			stripe := newStripe(t, cfg)
			for account := range 20 {
				began := time.Now()
				visible := func(o shops.Object, at time.Time) bool { return !o.Visible.After(at) }
				walked := walk(t, stripe, account, upward)
				ks := []int{}
				for _, id := range walked {
					_, _, k, ok := shops.ParseID(id)
					require.True(t, ok)
					ks = append(ks, k)
				}
				if !upward {
					slices.Reverse(ks)
				}
				require.True(t, slices.IsSortedFunc(ks, func(a, b int) int { return a - b }), "newest first, through all pages")
				require.Len(t, slices.Compact(slices.Clone(ks)), len(ks), "each once")
				for o := range stripe.Objects(account, shops.Charges, cfg.Start, time.Now()) {
					_, read := slices.BinarySearch(ks, o.K)
					switch {
					case visible(o, began) && (!upward || o.K > ks[0]):
						require.True(t, read, "%s was visible", o.ID())
					case read:
						require.True(t, visible(o, time.Now()), "%s was not visible", o.ID())
					}
				}
				require.Greater(t, len(ks), 1000)
			}
		})
	}
}

// walk returns the ids of all pages: from the newest down, or from the oldest up.
func walk(t *testing.T, stripe *shops.Stripe, account int, upward bool) (ids []string) {
	param, page := "starting_after", get(t, stripe, account, "/v1/charges?limit=100")
	if upward {
		param = "ending_before"
		for k := 0; ; k++ {
			o, ok := stripe.Object(account, shops.Charges, k)
			require.True(t, ok)
			if !o.Visible.After(time.Now()) {
				ids = append(ids, o.ID())
				break
			}
		}
		page = get(t, stripe, account, "/v1/charges?ending_before="+ids[0])
	}
	for {
		found := page.ids()
		if upward {
			slices.Reverse(found)
		}
		ids = append(ids, found...)
		if !page.HasMore {
			return ids
		}
		pass(rand.N(5 * time.Second))
		page = get(t, stripe, account, "/v1/charges?limit=70&"+param+"="+ids[len(ids)-1])
	}
}

// TestAnObjectIsListedFromItsMomentOn looks at each list a nanosecond before, and at
// the moment itself.
func TestAnObjectIsListedFromItsMomentOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stripe := newStripe(t, lively)
		objects := slices.SortedFunc(stripe.Objects(1, shops.Charges, start, start.Add(time.Hour)), func(a, b shops.Object) int {
			return a.Visible.Compare(b.Visible)
		})
		for _, o := range objects {
			at := "/v1/charges?limit=100&created=" + strconv.FormatInt(o.Created.Unix(), 10)
			if wait := time.Until(o.Visible) - 1; wait >= 0 {
				pass(wait)
				require.NotContains(t, get(t, stripe, 1, at).ids(), o.ID())
				pass(1)
			}
			require.Equal(t, o.Visible, time.Now().UTC())
			require.Contains(t, get(t, stripe, 1, at).ids(), o.ID())
			require.Equal(t, 200, get(t, stripe, 1, "/v1/charges?ending_before="+o.ID()).status)
		}
	})
}
