// Package shops is a Stripe with any number of accounts, for tests, examples and
// benchmarks. Its lists are a pure function of the seed, the account and the time:
// any number of processes see the same objects, without state and without sockets.
//
// A Stripe is an http.RoundTripper and an http.Handler. It has the account and the
// lists of charges and customers of each key, to read only. Objects are never
// changed or deleted. Which objects there are, and when a list shows them, can be
// asked at any time, also for the future: see [Stripe.Objects].
//
// # Objects
//
// Object k of a list is created in the k-th slot of [Config.Period], at a moment of
// the slot that depends on the seed. If [Config.Burst] is set, some groups of
// consecutive objects are created in one second instead. So k has the order of
// creation, and the k of any moment is found without reading the objects before.
package shops

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Config configures a Stripe. All processes that shall see the same objects must
// use the same Seed, Start, Until and rates. The functions must be safe for
// concurrent use. If a function is nil, it is not called.
type Config struct {
	// Seed selects the objects: their moments, amounts and delays.
	Seed uint64
	// Accounts is the number of accounts, from 0 to Accounts-1; 0 is any number.
	Accounts int
	// Start is when the first slot begins. It is required, and not before 1970.
	Start time.Time
	// Until is when creation ends; zero is never.
	Until time.Time

	// Period is the average time between two objects of one list of one account, up
	// to 30 days. It is required unless Periods is set.
	Period time.Duration
	// Periods returns the period of a list. It is used instead of Period, and must
	// be a pure function. 0 or less is no objects, and more than 30 days is 30 days.
	Periods func(account int, list List) time.Duration
	// Burst is the number of objects of a burst, up to 1000. They are created in one
	// second. 0 and 1 are no bursts.
	Burst int
	// BurstShare is the share of the objects that are created in bursts, from 0 to 1.
	BurstShare float64
	// LateShare is the share of the objects that become visible some time after they
	// were created, from 0 to 1.
	LateShare float64
	// LateMax is the largest delay of such an object. Delays are spread evenly. It is
	// required with a LateShare.
	LateMax time.Duration

	// Fail returns the status of the response to a request, such as 429 or 500, or
	// NetworkError; 0 is no failure.
	Fail func(account int, at time.Time) (status int)
	// RetryAfter is the header Retry-After of the responses 429 and 503, rounded up to
	// seconds; 0 is no header.
	RetryAfter time.Duration
	// Revoked reports whether the key of an account is refused.
	Revoked func(account int) bool
	// Latency returns how long a request takes. Half of the time passes before the
	// response is made, and half after.
	Latency func(account int, at time.Time) time.Duration
	// Requested is called for each request with the key of an account, before
	// anything else, whether the request is refused or not.
	Requested func(account int, path string, at time.Time)
}

// NetworkError is a result of [Config.Fail]: there is no response.
const NetworkError = -1

// The bounds of a Config. They keep all moments within an int64 of nanoseconds.
const (
	maxBurst  = 1000
	maxPeriod = 30 * 24 * time.Hour
	maxSecond = 5680281600 // the year 2150
)

func (c *Config) check() error {
	switch {
	case c.Accounts < 0:
		return errors.New("shops: Accounts is negative")
	case c.Start.IsZero():
		return errors.New("shops: Start is required")
	case c.Start.Unix() < 0 || c.Start.Unix() >= maxSecond:
		return errors.New("shops: Start is not between 1970 and 2150")
	case !c.Until.IsZero() && c.Until.Before(c.Start):
		return errors.New("shops: Until is before Start")
	case c.Periods == nil && (c.Period <= 0 || c.Period > maxPeriod):
		return fmt.Errorf("shops: Period is %v: from 1 ns to %v is possible", c.Period, maxPeriod)
	case c.Burst < 0 || c.Burst > maxBurst:
		return fmt.Errorf("shops: Burst is %d: from 0 to %d is possible", c.Burst, maxBurst)
	case !isShare(c.BurstShare) || !isShare(c.LateShare):
		return errors.New("shops: BurstShare and LateShare are from 0 to 1")
	case c.BurstShare > 0 && c.Burst < 2:
		return errors.New("shops: BurstShare requires a Burst of 2 or more")
	case c.LateMax < 0 || c.LateShare > 0 && c.LateMax == 0:
		return errors.New("shops: LateShare requires a positive LateMax")
	}
	return nil
}

func isShare(share float64) bool { return share >= 0 && share <= 1 }

// Stripe is an http.RoundTripper and an http.Handler. It is safe for concurrent
// use.
type Stripe struct {
	cfg        Config
	start      int64 // the Start, in Unix nanoseconds
	end        int64 // the last nanosecond of creation
	burst      int64 // the objects of a burst, at least 1
	burstBound uint64
	lateBound  uint64
	pages      sync.Pool // of *[]byte, for the bodies of pages
}

var (
	_ http.RoundTripper = (*Stripe)(nil)
	_ http.Handler      = (*Stripe)(nil)
)

// New returns a Stripe, or an error that names the field of cfg that is out of
// range.
func New(cfg Config) (*Stripe, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s := &Stripe{
		cfg: cfg, start: cfg.Start.UnixNano(), end: maxSecond*int64(time.Second) - 1, burst: max(int64(cfg.Burst), 1),
		burstBound: bound(cfg.BurstShare), lateBound: bound(cfg.LateShare),
	}
	if !cfg.Until.IsZero() && cfg.Until.Unix() < maxSecond {
		s.end = cfg.Until.UnixNano() - 1
	}
	return s, nil
}

// bound returns the number that a share of all uint32 values is below.
func bound(share float64) uint64 { return uint64(share * (math.MaxUint32 + 1)) }

const (
	keyPrefix     = "sk_test_shop"
	accountPrefix = "acct_shop"
)

// Key returns the API key of an account: sk_test_shop7.
func Key(account int) string { return keyPrefix + strconv.Itoa(account) }

// AccountID returns the id of an account: acct_shop7.
func AccountID(account int) string { return accountPrefix + strconv.Itoa(account) }

// has reports whether there is an account of that number.
func (s *Stripe) has(account int) bool {
	return account >= 0 && (s.cfg.Accounts == 0 || account < s.cfg.Accounts)
}

// number parses a number as strconv.Itoa writes it, so that each number has one
// form only.
func number(digits string) (n int, ok bool) {
	if digits == "" || len(digits) > 1 && digits[0] == '0' {
		return 0, false
	}
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.Atoi(digits)
	return n, err == nil
}
