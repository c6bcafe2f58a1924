package shops

import (
	"iter"
	"sort"
	"strconv"
	"strings"
	"time"
)

// List is one of the lists of an account.
type List string

// The lists of an account.
const (
	Charges   List = "charges"
	Customers List = "customers"
)

// path returns the path of the list.
func (l List) path() string {
	if l == Customers {
		return "/v1/customers"
	}
	return "/v1/charges"
}

// object returns the type of the list's objects in JSON.
func (l List) object() string {
	if l == Customers {
		return "customer"
	}
	return "charge"
}

// prefix returns the beginning of the ids of the list's objects.
func (l List) prefix() string {
	if l == Customers {
		return "cus_"
	}
	return "ch_"
}

// Object is a charge or a customer of an account.
type Object struct {
	Account int
	List    List
	K       int       // counts the objects of the list from 0, in the order of creation
	Created time.Time // a whole second
	Visible time.Time // lists show the object from this moment on; not before Created

	Amount   int64  // in the smallest unit of Currency; of a customer, the balance
	Currency string // three letters, lower case
	Status   string // "succeeded", "pending" or "failed"; empty for a customer
}

// ID returns the id of the object: ch_7_1 is the charge 1 of account 7, and cus_7_1
// the customer.
func (o Object) ID() string { return string(appendID(nil, o.List, o.Account, o.K)) }

func appendID(b []byte, list List, account, k int) []byte {
	b = append(b, list.prefix()...)
	b = strconv.AppendInt(b, int64(account), 10)
	b = append(b, '_')
	return strconv.AppendInt(b, int64(k), 10)
}

// ParseID returns the account, the list and the K of an object with the id. It
// returns false for an id that no object has. It does not know whether the object
// is created yet, and how many accounts there are.
func ParseID(id string) (account int, list List, k int, ok bool) {
	for _, list = range [...]List{Charges, Customers} {
		rest, isOne := strings.CutPrefix(id, list.prefix())
		if !isOne {
			continue
		}
		a, n, _ := strings.Cut(rest, "_")
		account, ok = number(a)
		if !ok {
			break
		}
		if k, ok = number(n); ok {
			return account, list, k, true
		}
		break
	}
	return 0, "", 0, false
}

// Object returns the object with the number k, false if it is never created.
func (s *Stripe) Object(account int, list List, k int) (Object, bool) {
	f := s.flow(account, list)
	if k < 0 || k > f.top(s.end) {
		return Object{}, false
	}
	return f.object(k), true
}

// Objects returns the objects of a list with from <= Created < to, in the order of
// creation, visible or not.
func (s *Stripe) Objects(account int, list List, from, to time.Time) iter.Seq[Object] {
	return func(yield func(Object) bool) {
		f := s.flow(account, list)
		for k, last := f.top(beforeSecond(ceil(from)))+1, f.top(beforeSecond(ceil(to))); k <= last; k++ {
			if !yield(f.object(k)) {
				return
			}
		}
	}
}

// Count returns the number of objects of a list with Created < before, visible or
// not. It does not read the objects.
func (s *Stripe) Count(account int, list List, before time.Time) int {
	f := s.flow(account, list)
	return f.top(beforeSecond(ceil(before))) + 1
}

// ceil returns the first whole Unix second that is not before t.
func ceil(t time.Time) int64 {
	second := t.Unix()
	if t.Nanosecond() > 0 {
		second++
	}
	return second
}

// beforeSecond returns the last nanosecond before a second, within the bounds of a
// Config.
func beforeSecond(second int64) int64 {
	return min(max(second, 0), maxSecond)*int64(time.Second) - 1
}

// flow is the definition of one list. The moments of its objects are in Unix
// nanoseconds, and do not decrease with k.
type flow struct {
	*Stripe
	account int
	list    List
	seed    uint64
	period  int64 // in nanoseconds; 0 is no objects
}

func (s *Stripe) flow(account int, list List) flow {
	f := flow{Stripe: s, account: account, list: list, period: int64(s.cfg.Period)}
	if s.cfg.Periods != nil {
		f.period = int64(min(max(s.cfg.Periods(account, list), 0), maxPeriod))
	}
	if !s.has(account) {
		f.period = 0
	}
	f.seed = mix(s.cfg.Seed + uint64(account)*golden)
	if list == Customers {
		f.seed = mix(f.seed)
	}
	return f
}

// golden is the odd number next to 2⁶⁴ divided by the golden ratio. Its multiples
// are spread evenly.
const golden = 0x9e3779b97f4a7c15

// The numbers that make independent hashes of one k.
const (
	saltMoment uint64 = iota + 1
	saltBurst
	saltLate
	saltValues
)

// mix is the finalizer of the SplitMix64 generator.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func (f *flow) hash(salt uint64, k int64) uint64 {
	return mix(mix(f.seed+uint64(k)*golden) + salt*golden)
}

// moment returns when object k is created.
func (f *flow) moment(k int64) int64 {
	if f.burstBound > 0 {
		group := k / f.burst
		if h := f.hash(saltBurst, group); h&0xffffffff < f.burstBound {
			return f.burstMoment(group, k%f.burst, mix(h))
		}
	}
	return f.start + k*f.period + int64(f.hash(saltMoment, k)%uint64(f.period))
}

// burstMoment returns when object i of a burst is created. All are in one second,
// and within the time of their group.
func (f *flow) burstMoment(group, i int64, h uint64) int64 {
	span := f.period * f.burst
	from := f.start + group*span
	at := from + int64(h%uint64(span))
	at -= at % int64(time.Second)
	at += i * (int64(time.Second) / f.burst)
	return min(max(at, from), from+span-1)
}

// delay returns how long after its creation lists begin to show object k.
func (f *flow) delay(k int64) int64 {
	if f.lateBound == 0 {
		return 0
	}
	h := f.hash(saltLate, k)
	if h&0xffffffff >= f.lateBound {
		return 0
	}
	return 1 + int64(mix(h)%uint64(f.cfg.LateMax))
}

// visible returns the moment from which lists show object k.
func (f *flow) visible(k int) int64 { return f.moment(int64(k)) + f.delay(int64(k)) }

// top returns the last object that is created at a moment or before, -1 if there is
// none.
func (f *flow) top(moment int64) int {
	moment = min(moment, f.end)
	if f.period == 0 || moment < f.start {
		return -1
	}
	// All of the earlier groups are created by then, and none of the later ones.
	first := (moment - f.start) / (f.period * f.burst) * f.burst
	created := sort.Search(int(f.burst), func(i int) bool { return f.moment(first+int64(i)) > moment })
	return int(first) + created - 1
}

func (f *flow) object(k int) Object {
	o := Object{
		Account: f.account, List: f.list, K: k,
		Created: time.Unix(f.moment(int64(k))/int64(time.Second), 0).UTC(), Visible: time.Unix(0, f.visible(k)).UTC(),
	}
	o.Amount, o.Currency, o.Status = f.values(k)
	return o
}

// values returns the fields of object k that do not concern the time.
func (f *flow) values(k int) (amount int64, currency, status string) {
	h := f.hash(saltValues, int64(k))
	amount = 50 + int64(h%20000)
	currency = [...]string{"usd", "usd", "eur", "gbp"}[h>>60&3]
	if f.list == Customers {
		return amount, currency, ""
	}
	switch h >> 40 & 31 {
	case 0:
		status = "failed"
	case 1:
		status = "pending"
	default:
		status = "succeeded"
	}
	return amount, currency, status
}
