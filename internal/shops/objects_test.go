package shops_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/internal/shops"
)

// lively has every kind of object.
var lively = shops.Config{
	Seed: 1, Start: start, Period: 20 * time.Second,
	Burst: 5, BurstShare: 0.3, LateShare: 0.2, LateMax: 9 * time.Second,
}

// TestTheSeedDecidesTheObjects has fixed values, so that two versions of a program,
// in two processes, see the same objects.
func TestTheSeedDecidesTheObjects(t *testing.T) {
	s := newStripe(t, lively)
	for _, want := range []struct {
		account          int
		list             shops.List
		k                int
		created, visible time.Duration // since the start
		amount           int64
		currency, status string
	}{
		{0, shops.Charges, 0, 14 * time.Second, 14425330031, 3941, "usd", "succeeded"},
		{7, shops.Charges, 2, 48 * time.Second, 55343913942, 16694, "usd", "succeeded"},
		{7, shops.Charges, 12, 282 * time.Second, 282821880736, 1358, "usd", "succeeded"},
		{7, shops.Customers, 12, 244 * time.Second, 244400000000, 10681, "usd", ""},
		{99999, shops.Charges, 4000000, 80000027 * time.Second, 80000030484966779, 17088, "usd", "succeeded"},
	} {
		got, ok := s.Object(want.account, want.list, want.k)
		require.True(t, ok)
		require.Empty(t, cmp.Diff(shops.Object{
			Account: want.account, List: want.list, K: want.k, Created: start.Add(want.created), Visible: start.Add(want.visible),
			Amount: want.amount, Currency: want.currency, Status: want.status,
		}, got))
	}
}

func TestObjectsDependOnSeedAccountAndList(t *testing.T) {
	other := lively
	other.Seed = 2
	take := func(cfg shops.Config, account int, list shops.List) (moments []time.Time) {
		for o := range newStripe(t, cfg).Objects(account, list, start, start.Add(time.Hour)) {
			moments = append(moments, o.Created)
		}
		return moments
	}
	first := take(lively, 1, shops.Charges)
	require.Equal(t, first, take(lively, 1, shops.Charges))
	require.NotEqual(t, first, take(lively, 2, shops.Charges))
	require.NotEqual(t, first, take(lively, 1, shops.Customers))
	require.NotEqual(t, first, take(other, 1, shops.Charges))
}

func TestObjectsComeAtTheRateOfTheConfig(t *testing.T) {
	const accounts, hours = 20, 50
	s := newStripe(t, lively)
	end := start.Add(hours * time.Hour)
	objects, late, bursts, delays := 0, 0, 0, time.Duration(0)
	gaps := map[time.Duration]int{}
	for account := range accounts {
		var last []shops.Object // the latest ones
		for o := range s.Objects(account, shops.Charges, start, end) {
			objects++
			require.Equal(t, account, o.Account)
			require.False(t, o.Visible.Before(o.Created))
			if d := o.Visible.Sub(o.Created); d >= time.Second {
				late++
				delays = max(delays, d)
			}
			if n := len(last); n > 0 {
				require.False(t, o.Created.Before(last[n-1].Created), "they are in order")
				require.Equal(t, last[n-1].K+1, o.K)
				gaps[o.Created.Sub(last[n-1].Created)]++
			}
			last = append(last, o)
			if n := len(last); n >= 5 && last[n-5].Created.Equal(o.Created) {
				bursts++
			}
		}
	}
	slots := accounts * hours * 3600 / 20
	require.Equal(t, slots, objects)
	require.InEpsilon(t, 0.3*float64(slots)/5, bursts, 0.1)
	// A delay of less than a second may look like the fraction of the created second.
	require.InEpsilon(t, 0.2*float64(slots), late, 0.1)
	require.Greater(t, delays, 8*time.Second)
	require.Less(t, delays, 10*time.Second)
	require.Greater(t, len(gaps), 40, "they do not come like clockwork")
}

func TestCountIsTheNumberOfObjectsBefore(t *testing.T) {
	for name, cfg := range map[string]shops.Config{
		"lively": lively,
		"plain":  {Seed: 3, Start: start.Add(300 * time.Millisecond), Period: 700 * time.Millisecond},
		"ends":   {Seed: 4, Start: start, Until: start.Add(5*time.Minute + time.Second/3), Period: 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStripe(t, cfg)
			all := slices.Collect(s.Objects(7, shops.Customers, time.Unix(0, 0), start.Add(time.Hour)))
			require.NotEmpty(t, all)
			for d := -time.Second; d < 20*time.Minute; d += 333 * time.Millisecond {
				before, want := start.Add(d), 0
				for _, o := range all {
					if o.Created.Before(before) {
						want++
					}
				}
				require.Equal(t, want, s.Count(7, shops.Customers, before), "before %v", before)
				span := slices.Collect(s.Objects(7, shops.Customers, before, before.Add(time.Minute)))
				require.Len(t, span, s.Count(7, shops.Customers, before.Add(time.Minute))-want)
				if len(span) > 0 {
					require.Equal(t, all[want], span[0])
				}
			}
		})
	}
}

// TestMomentsAreInOrder has no late objects, so an object is visible at the moment of
// its creation.
func TestMomentsAreInOrder(t *testing.T) {
	for _, period := range []time.Duration{time.Millisecond, 90 * time.Millisecond, time.Second, 10 * time.Second} {
		s := newStripe(t, shops.Config{Period: period, Burst: 7, BurstShare: 0.5})
		last := start
		for o := range s.Objects(1, shops.Charges, start, start.Add(10_000*period)) {
			require.False(t, o.Visible.Before(last), "%s with a period of %v", o.ID(), period)
			require.Less(t, o.Visible.Sub(o.Created), time.Second)
			last = o.Visible
		}
		require.Greater(t, last.Sub(start), 9000*period)
	}
}

func TestNothingIsCreatedOutsideOfStartAndUntil(t *testing.T) {
	cfg := lively
	cfg.Start = start.Add(100*time.Second + time.Second/2)
	cfg.Until = start.Add(200*time.Second + time.Second/2)
	s := newStripe(t, cfg)
	for account := range 200 {
		for o := range s.Objects(account, shops.Charges, time.Unix(0, 0), start.Add(24*time.Hour)) {
			require.GreaterOrEqual(t, o.Created.Unix(), cfg.Start.Unix())
			require.LessOrEqual(t, o.Created.Unix(), cfg.Until.Unix())
		}
		n := s.Count(account, shops.Charges, start.Add(24*time.Hour))
		require.InDelta(t, 5, n, 5)
		_, ok := s.Object(account, shops.Charges, n-1)
		require.Equal(t, n > 0, ok)
		_, ok = s.Object(account, shops.Charges, n)
		require.False(t, ok)
		_, ok = s.Object(account, shops.Charges, -1)
		require.False(t, ok)
	}
}

func TestPeriodsGivesEachListItsOwnRate(t *testing.T) {
	s := newStripe(t, shops.Config{Accounts: 3, Periods: func(account int, list shops.List) time.Duration {
		if list == shops.Customers {
			return -1
		}
		return time.Duration(account) * time.Minute
	}})
	hour := start.Add(time.Hour)
	require.Equal(t, 0, s.Count(0, shops.Charges, hour))
	require.Equal(t, 60, s.Count(1, shops.Charges, hour))
	require.Equal(t, 30, s.Count(2, shops.Charges, hour))
	require.Equal(t, 0, s.Count(3, shops.Charges, hour), "there is no such account")
	require.Equal(t, 0, s.Count(1, shops.Customers, hour))
	require.Empty(t, slices.Collect(s.Objects(1, shops.Customers, start, hour)))
}

func TestIDsAreUniqueAndParsed(t *testing.T) {
	s := newStripe(t, lively)
	seen := map[string]bool{}
	for _, list := range []shops.List{shops.Charges, shops.Customers} {
		for account := range 30 {
			for o := range s.Objects(account, list, start, start.Add(20*time.Minute)) {
				require.False(t, seen[o.ID()])
				seen[o.ID()] = true
				a, l, k, ok := shops.ParseID(o.ID())
				require.True(t, ok)
				require.Equal(t, []any{account, list, o.K}, []any{a, l, k})
			}
		}
	}
	require.Len(t, seen, 2*30*60)
	for _, id := range []string{
		"", "ch_", "ch_1", "ch_1_", "ch__1", "ch_01_1", "ch_1_01", "ch_-1_1", "ch_1_-1", "ch_+1_1", "ch_1_1_1", "cus1_1",
		"ch_1_99999999999999999999", "re_1_1", "ch_1_1 ", "CH_1_1",
	} {
		_, _, _, ok := shops.ParseID(id)
		require.False(t, ok, "%q", id)
	}
}

func TestNewNamesTheFieldThatIsOutOfRange(t *testing.T) {
	for want, change := range map[string]func(*shops.Config){
		"Accounts":                      func(c *shops.Config) { c.Accounts = -1 },
		"Start is required":             func(c *shops.Config) { c.Start = time.Time{} },
		"Start is not between":          func(c *shops.Config) { c.Start = time.Date(1969, 1, 1, 0, 0, 0, 0, time.UTC) },
		"Until":                         func(c *shops.Config) { c.Until = c.Start.Add(-1) },
		"Period is 0s":                  func(c *shops.Config) { c.Period = 0 },
		"Period is 744h0m0s":            func(c *shops.Config) { c.Period = 31 * 24 * time.Hour },
		"Burst is -1":                   func(c *shops.Config) { c.Burst = -1 },
		"Burst is 1001":                 func(c *shops.Config) { c.Burst = 1001 },
		"from 0 to 1":                   func(c *shops.Config) { c.BurstShare = 1.1 },
		"LateShare are from 0 to 1":     func(c *shops.Config) { c.LateShare = -0.1 },
		"BurstShare requires":           func(c *shops.Config) { c.Burst = 1 },
		"requires a positive LateMax":   func(c *shops.Config) { c.LateMax = 0 },
		"LateShare requires a positive": func(c *shops.Config) { c.LateMax = -1 },
	} {
		cfg := lively
		change(&cfg)
		_, err := shops.New(cfg)
		require.ErrorContains(t, err, want)
	}
}

// TestTheLargestConfigDoesNotOverflow has the longest slots, up to the last moment.
func TestTheLargestConfigDoesNotOverflow(t *testing.T) {
	first := time.Unix(0, 0)
	s := newStripe(t, shops.Config{
		Start: first, Period: 30 * 24 * time.Hour, Burst: 1000, BurstShare: 1, LateShare: 1, LateMax: time.Hour,
	})
	end := time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC)
	last, n := first, 0
	for o := range s.Objects(5, shops.Charges, first, end) {
		require.False(t, o.Created.Before(last))
		last = o.Created
		n++
	}
	require.Equal(t, s.Count(5, shops.Charges, end), n)
	require.Greater(t, n, 1000)
	require.Less(t, last.Year(), 2151)
}
