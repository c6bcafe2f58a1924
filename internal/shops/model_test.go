package shops_test

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/internal/shops"
)

// model returns pages as plainly as possible: it makes the whole list of a moment,
// sorts it, filters it, and cuts a page out.
type model struct {
	stripe *shops.Stripe
	cfg    shops.Config
}

// all returns the objects that are visible at a moment, newest first.
func (m model) all(account int, list shops.List, now time.Time) (objects []shops.Object) {
	slots := int(now.Sub(m.cfg.Start)/m.cfg.Period) + m.cfg.Burst + 2
	for k := range slots {
		if o, ok := m.stripe.Object(account, list, k); ok && !o.Visible.After(now) {
			objects = append(objects, o)
		}
	}
	rand.Shuffle(len(objects), func(i, j int) { objects[i], objects[j] = objects[j], objects[i] })
	slices.SortFunc(objects, func(a, b shops.Object) int {
		if c := b.Created.Compare(a.Created); c != 0 {
			return c
		}
		return b.K - a.K
	})
	return objects
}

// ask holds the parameters of a request. -1 and "" are not sent.
type ask struct {
	limit                   int
	exact, gt, gte, lt, lte int64
	after, before           string
}

func (a ask) query() string {
	v := url.Values{}
	for name, n := range map[string]int64{
		"limit": int64(a.limit), "created": a.exact, "created[gt]": a.gt, "created[gte]": a.gte,
		"created[lt]": a.lt, "created[lte]": a.lte,
	} {
		if n >= 0 {
			v.Set(name, fmt.Sprint(n))
		}
	}
	if a.after != "" {
		v.Set("starting_after", a.after)
	}
	if a.before != "" {
		v.Set("ending_before", a.before)
	}
	return v.Encode()
}

func (a ask) matches(o shops.Object) bool {
	second := o.Created.Unix()
	return (a.exact < 0 || second == a.exact) && (a.gt < 0 || second > a.gt) && (a.gte < 0 || second >= a.gte) &&
		(a.lt < 0 || second < a.lt) && (a.lte < 0 || second <= a.lte)
}

// page returns the ids of a page. known is false if a cursor is unknown.
func (m model) page(account int, list shops.List, now time.Time, a ask) (ids []string, more, known bool) {
	objects := m.all(account, list, now)
	at := func(id string) int {
		return slices.IndexFunc(objects, func(o shops.Object) bool { return o.ID() == id })
	}
	if a.after != "" {
		i := at(a.after)
		if i < 0 {
			return nil, false, false
		}
		objects = objects[i+1:]
	}
	if a.before != "" {
		i := at(a.before)
		if i < 0 {
			return nil, false, false
		}
		objects = objects[:i]
	}
	ids = []string{}
	for _, o := range objects {
		if a.matches(o) {
			ids = append(ids, o.ID())
		}
	}
	limit := 10
	if a.limit >= 0 {
		limit = min(max(a.limit, 1), 100)
	}
	if len(ids) <= limit {
		return ids, false, true
	}
	if a.before != "" {
		return ids[len(ids)-limit:], true, true
	}
	return ids[:limit], true, true
}

// random returns a random request. Its cursor is of this list, or else of another,
// invisible, or nonsense.
func (m model) random(account int, list shops.List, now time.Time) ask {
	a := ask{limit: -1, exact: -1, gt: -1, gte: -1, lt: -1, lte: -1}
	if rand.N(4) > 0 {
		a.limit = rand.N(120)
	}
	for _, bound := range []*int64{&a.exact, &a.gt, &a.gte, &a.lt, &a.lte} {
		if rand.N(5) == 0 {
			*bound = m.cfg.Start.Add(rand.N(now.Sub(m.cfg.Start)+10*time.Second)-5*time.Second).Unix() - 1
		}
	}
	created := m.stripe.Count(account, list, now.Add(10*time.Second))
	id := func() string {
		switch o, _ := m.stripe.Object(account, list, rand.N(created+3)); rand.N(12) {
		case 0:
			o.Account++
			return o.ID()
		case 1:
			return "ch_" + fmt.Sprint(account) + "_x"
		default:
			o.Account, o.List = account, list
			return o.ID()
		}
	}
	switch rand.N(4) {
	case 0:
		a.after = id()
	case 1:
		a.before = id()
	}
	return a
}

// TestPagesAreThoseOfAPlainModel compares random requests at random moments.
func TestPagesAreThoseOfAPlainModel(t *testing.T) {
	for name, cfg := range map[string]shops.Config{
		"plain":             {Period: 7 * time.Second},
		"late":              {Period: 2 * time.Second, LateShare: 0.3, LateMax: 11 * time.Second},
		"bursts":            {Period: 4 * time.Second, Burst: 8, BurstShare: 0.5},
		"bursts over pages": {Period: 500 * time.Millisecond, Burst: 130, BurstShare: 0.6, LateShare: 0.1, LateMax: 4 * time.Second},
		"many a second":     {Period: 90 * time.Millisecond, Burst: 3, BurstShare: 0.5, LateShare: 0.5, LateMax: time.Second},
		"ended":             {Period: time.Second, Until: start.Add(90 * time.Second), LateShare: 0.2, LateMax: 50 * time.Second},
		"nothing yet":       {Period: 24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg.Seed, cfg.Start = rand.Uint64(), start.Add(time.Second/3)
				m := model{newStripe(t, cfg), cfg}
				pass(time.Second)
				unknown, empty, full := 0, 0, 0
				for range 400 {
					pass(rand.N(700 * time.Millisecond))
					account, list := rand.N(3), []shops.List{shops.Charges, shops.Customers}[rand.N(2)]
					a := m.random(account, list, time.Now())
					want, more, known := m.page(account, list, time.Now(), a)
					got := get(t, m.stripe, account, "/v1/"+string(list)+"?"+a.query())
					about := fmt.Sprintf("seed %d, account %d, at %v: %s?%s", cfg.Seed, account, time.Now(), list, a.query())
					if !known {
						unknown++
						require.Equal(t, 400, got.status, about)
						require.Equal(t, "resource_missing", got.Error.Code, about)
						continue
					}
					require.Equal(t, 200, got.status, "%s\n%s", about, got.body)
					require.Equal(t, want, got.ids(), about)
					require.Equal(t, more, got.HasMore, about)
					if empty++; len(want) > 0 {
						empty, full = empty-1, full+1
					}
				}
				require.Greater(t, unknown, 5)
				require.Greater(t, empty, 5)
				if name != "nothing yet" {
					require.Greater(t, full, 100)
				}
			})
		})
	}
}
