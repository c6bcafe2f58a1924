package stripekit_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripetest"
)

// receive receives one event, unless there is none within a time or the channel is
// closed.
func receive[T any](events <-chan stripekit.Event[T], wait time.Duration) (e stripekit.Event[T], ok bool) {
	select {
	case e, ok = <-events:
	case <-time.After(wait):
	}
	return e, ok
}

// collectOf is collect for objects of any type.
func collectOf[T any](events <-chan stripekit.Event[T], wait time.Duration) (ids []string) {
	for {
		e, ok := receive(events, wait)
		if !ok {
			return ids
		}
		e.Ack()
		ids = append(ids, e.ID)
	}
}

// started starts a Poller, and returns a function that ends it and waits for the
// end.
func started[T any](t *testing.T, p *stripekit.Poller[T]) (events <-chan stripekit.Event[T], stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	events, err := p.Start(ctx)
	require.NoError(t, err)
	synctest.Wait()
	return events, func() {
		synctest.Wait() // an event that is sent when the context ends may arrive
		cancel()
		for range events {
			t.Error("an event after the end")
		}
	}
}

type payout struct {
	ArrivalDate int64 `json:"arrival_date"`
}

var createdField = regexp.MustCompile(`"created":\s*(\d+)`)

// payouts serves the customers of the shop as a list of payouts. The arrival date of
// each is up to two days after it was created.
func (s *shop) payouts(r *http.Request) (*http.Response, error) {
	if r.URL.Path != "/v1/payouts" {
		return nil, nil
	}
	r = r.Clone(r.Context())
	r.URL.Path = "/v1/customers"
	resp, err := s.server.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	body = createdField.ReplaceAllFunc(body, func(field []byte) []byte {
		created, _ := strconv.ParseInt(string(createdField.FindSubmatch(field)[1]), 10, 64)
		ahead := created * 7919 % int64(48*time.Hour/time.Second)
		return fmt.Appendf(nil, `"created":%d,"arrival_date":%d`, created, created+ahead)
	})
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	resp.Header.Del("Content-Length")
	return resp, nil
}

func (s *shop) payoutPoller(cfg stripekit.PollConfig) *stripekit.Poller[payout] {
	s.t.Helper()
	source, err := stripekit.NewSource[payout](s.newClient(), "/v1/payouts", "arrival_date")
	require.NoError(s.t, err)
	p, err := stripekit.NewPoller(source, cfg)
	require.NoError(s.t, err)
	return p
}

// backlogOfPayouts makes a checkpoint, and then payouts while no Poller runs.
func (s *shop) backlogOfPayouts(disk stripekit.CheckpointStore, seeding stripetest.Seeding) []string {
	s.t.Helper()
	s.interfere(s.payouts)
	_, stop := started(s.t, s.payoutPoller(stripekit.PollConfig{Checkpoints: disk}))
	pass(time.Minute)
	stop()
	seeding.First = time.Now().Add(time.Minute)
	pass(72 * time.Hour)
	return s.server.Seed("/v1/customers", seeding)
}

func TestPollerResumesByCreatedWhateverItsTimeField(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const crashes = 10
		s := newShop(t)
		disk := new(stripekit.MemoryStore)
		sold := s.backlogOfPayouts(disk, stripetest.Seeding{Count: 3000, Every: 80 * time.Second})
		delivered, unsaved := map[string]int{}, map[string]bool{}
		last := -1 // index in sold of the last event of this process
		take := func(e stripekit.Event[payout]) {
			place := slices.Index(sold, e.ID)
			require.Greater(t, place, last, "the oldest by created first")
			last = place
			if delivered[e.ID]++; delivered[e.ID] > 1 {
				require.True(t, unsaved[e.ID], "%s again, though it was saved", e.ID)
			}
			require.EqualValues(t, e.Created.Unix(), e.Object.ArrivalDate)
			e.Ack()
		}
		for range crashes {
			last = -1
			mortal := &mortalStore{CheckpointStore: disk}
			events, stop := started(t, s.payoutPoller(stripekit.PollConfig{Checkpoints: mortal}))
			for range 250 {
				if e, ok := receive(events, time.Hour); ok {
					take(e)
				}
			}
			pass(2 * time.Second)
			unsaved = map[string]bool{}
			for range 20 {
				if e, ok := receive(events, time.Hour); ok {
					unsaved[e.ID] = true
					take(e)
				}
			}
			mortal.dead.Store(true)
			stop()
		}
		last = -1
		events, stop := started(t, s.payoutPoller(stripekit.PollConfig{Checkpoints: disk}))
		defer stop()
		for e, ok := receive(events, time.Hour); ok; e, ok = receive(events, time.Hour) {
			take(e)
		}
		requireAllDelivered(t, sold, delivered)
	})
}

// requireAllDelivered reports how many objects were lost, instead of each.
func requireAllDelivered(t *testing.T, sold []string, delivered map[string]int) {
	t.Helper()
	lost := 0
	for _, id := range sold {
		if delivered[id] == 0 {
			lost++
		}
	}
	require.Zero(t, lost, "lost of %d", len(sold))
}

// requireDeliveredOnce is require.ElementsMatch, but reports only numbers.
func requireDeliveredOnce(t *testing.T, sold, got []string) {
	t.Helper()
	delivered := map[string]int{}
	for _, id := range got {
		delivered[id]++
	}
	requireAllDelivered(t, sold, delivered)
	require.Len(t, got, len(sold), "some twice, or some that were not sold")
}

func TestPollerLosesNothingByADeletedCursorWhateverItsTimeField(t *testing.T) {
	for nth := 1; nth <= 5; nth++ {
		t.Run(fmt.Sprint("cursor ", nth), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShop(t)
				disk := new(stripekit.MemoryStore)
				sold := s.backlogOfPayouts(disk, stripetest.Seeding{Count: 1500, Every: 2 * time.Minute})
				for burst := range 3 { // more than a page in a second, so that cursors are needed
					sold = append(sold, s.server.Seed("/v1/customers", stripetest.Seeding{
						Count: 300, First: time.Now().Add(time.Duration(burst-3) * 20 * time.Hour),
					})...)
				}
				var (
					mu      sync.Mutex
					cursors int
					deleted string
				)
				s.interfere(func(r *http.Request) (*http.Response, error) {
					cursor := cmp.Or(r.URL.Query().Get("starting_after"), r.URL.Query().Get("ending_before"))
					if cursor == "" {
						return s.payouts(r)
					}
					mu.Lock()
					cursors++
					now := cursors == nth
					mu.Unlock()
					if now {
						if _, err := s.client.Customers.Delete(t.Context(), cursor); err != nil {
							return nil, err
						}
						mu.Lock()
						deleted = cursor
						mu.Unlock()
					}
					return s.payouts(r)
				})
				events, stop := started(t, s.payoutPoller(stripekit.PollConfig{Checkpoints: disk}))
				defer stop()
				delivered := map[string]int{}
				for _, id := range collectOf(events, time.Hour) {
					delivered[id]++
					require.Equal(t, 1, delivered[id], "%s twice", id)
				}
				mu.Lock()
				defer mu.Unlock()
				require.NotEmpty(t, deleted)
				delivered[deleted] = 1 // it may be gone before it was read
				requireAllDelivered(t, sold, delivered)
			})
		})
	}
}

func TestPollerFindsLateObjectsThoughItsMachineSleptInAPoll(t *testing.T) {
	for name, tt := range map[string]struct{ quiet, between time.Duration }{
		"a burst after the start":     {time.Minute, 0},
		"a burst after a while":       {12 * time.Minute, 10 * time.Millisecond},
		"nine minutes become visible": {12 * time.Minute, time.Second},
	} {
		for request := 1; request <= 16; request++ {
			t.Run(fmt.Sprintf("%s, before request %d", name, request), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { sleepInAPoll(t, tt.quiet, tt.between, request) })
			})
		}
	}
}

// sleepInAPoll makes a poll read 560 objects at equal intervals, and late objects
// among them. The monotonic clock stands still while the machine sleeps.
func sleepInAPoll(t *testing.T, quiet, between time.Duration, before int) {
	var slept, delay atomic.Int64
	s := newShop(t,
		stripetest.WithClock(func() time.Time { return time.Now().Add(time.Duration(slept.Load())) }),
		stripetest.WithVisibility(func(string) time.Duration { return time.Duration(delay.Load()) }))
	events, stop := s.watch(s.poller(stripekit.PollConfig{}))
	defer stop()
	late := func() []string {
		delay.Store(int64(9 * time.Minute))
		defer delay.Store(0)
		return s.sell(10)
	}
	want := s.sell(1)
	require.Equal(t, want, collect(events, quiet))
	want = append(want, late()...) // the poll reads these last, or nearly so
	pass(2 * time.Second)
	var lists atomic.Int64
	s.interfere(func(r *http.Request) (*http.Response, error) {
		if r.URL.Path != "/v1/customers" {
			return nil, nil
		}
		if lists.Add(1) == int64(before) {
			slept.Store(int64(8 * time.Hour))
		}
		return nil, nil
	})
	want = append(want, s.server.Seed("/v1/customers", stripetest.Seeding{Count: 560, First: time.Now().Add(-560 * between), Every: between})...)
	want = append(want, late()...) // the poll reads these first, before the sleep
	got := append(want[:1:1], collect(events, 20*time.Minute)...)
	require.GreaterOrEqual(t, lists.Load(), int64(before))
	requireDeliveredOnce(t, want, got)
}

func TestPollerLosesNothingByADateSomewhatAhead(t *testing.T) {
	// The first second in which the floor may have passed an object that is not visible
	// yet, and the seconds around it.
	for _, at := range []time.Duration{8 * time.Minute, 9 * time.Minute, 9*time.Minute + 12*time.Second, 9*time.Minute + 28*time.Second} {
		t.Run(at.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var delay atomic.Int64
				s := newShop(t, stripetest.WithVisibility(func(string) time.Duration { return time.Duration(delay.Load()) }))
				events, stop := s.watch(s.poller(stripekit.PollConfig{}))
				defer stop()
				s.sell(1)
				require.Len(t, collect(events, time.Minute), 1)
				delay.Store(int64(9*time.Minute + 30*time.Second))
				sold := s.sell(60)
				delay.Store(0)
				pass(at)
				fault := s.server.Fault("GET /v1/customers", stripetest.Nth(1), stripetest.DateOffset(50*time.Second))
				got := collect(events, 20*time.Minute)
				require.Equal(t, 1, fault.Struck())
				requireDeliveredOnce(t, sold, got)
			})
		})
	}
}

// wrongDates are ways in which the Dates of responses are wrong. n is the number
// of the response, from 0.
var wrongDates = map[string]func(n int, now time.Time) string{
	"missing":               func(int, time.Time) string { return "" },
	"garbage":               func(int, time.Time) string { return "soon" },
	"all 3 h ahead":         func(_ int, now time.Time) string { return httpDate(now.Add(3 * time.Hour)) },
	"all 20 years behind":   func(_ int, now time.Time) string { return httpDate(now.AddDate(-20, 0, 0)) },
	"every third 3 h ahead": everyNth(3, func(now time.Time) string { return httpDate(now.Add(3 * time.Hour)) }),
	"every third 20 years behind": everyNth(3, func(now time.Time) string {
		return httpDate(now.AddDate(-20, 0, 0))
	}),
	"most an hour ahead": func(n int, now time.Time) string {
		if n%3 == 0 {
			return httpDate(now)
		}
		return httpDate(now.Add(time.Hour))
	},
	"an hour more each time": func(n int, now time.Time) string { return httpDate(now.Add(time.Duration(n) * time.Hour)) },
	"anything in any order": func(n int, now time.Time) string {
		random := rand.New(rand.NewPCG(uint64(n), 1))
		return []string{
			"", "soon", httpDate(now), httpDate(now.Add(50 * time.Second)), httpDate(now.Add(3 * time.Hour)),
			httpDate(now.AddDate(-20, 0, 0)), httpDate(now.Add(time.Duration(random.Int64N(3600)-1800) * time.Second)),
		}[random.IntN(7)]
	},
}

func httpDate(t time.Time) string { return t.UTC().Format(http.TimeFormat) }

func everyNth(nth int, wrong func(time.Time) string) func(int, time.Time) string {
	return func(n int, now time.Time) string {
		if n%nth == 0 {
			return wrong(now)
		}
		return httpDate(now)
	}
}

// redate gives every list a Date.
func (s *shop) redate(date func(n int, now time.Time) string) {
	n := 0
	s.interfere(func(r *http.Request) (*http.Response, error) {
		if r.URL.Path != "/v1/customers" {
			return nil, nil
		}
		resp, err := s.server.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		resp.Header.Del("Date")
		if d := date(n, time.Now()); d != "" {
			resp.Header.Set("Date", d)
		}
		n++
		return resp, nil
	})
}

func TestPollerLosesNothingByWrongDates(t *testing.T) {
	for name, date := range wrongDates {
		for _, fromNow := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, from now %t", name, fromNow), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var delay atomic.Int64
					s := newShop(t, stripetest.WithVisibility(func(string) time.Duration { return time.Duration(delay.Load()) }))
					cfg := stripekit.PollConfig{From: stripekit.FromTime(time.Now())}
					if fromNow {
						cfg.From = stripekit.FromNow // by Dates that are right
					} else {
						s.redate(date)
					}
					events, stop := s.watch(s.poller(cfg))
					defer stop()
					s.redate(date)
					var want, got []string
					for range 6 {
						want = append(want, s.sell(20)...)
						delay.Store(int64(9*time.Minute + 30*time.Second))
						want = append(want, s.sell(10)...)
						delay.Store(0)
						got = append(got, collect(events, 50*time.Second)...)
					}
					got = append(got, collect(events, 30*time.Minute)...)
					s.interfere(nil) // where no two Dates agreed, nothing was swept so far
					got = append(got, collect(events, 30*time.Minute)...)
					requireDeliveredOnce(t, want, got)
				})
			})
		}
	}
}

// badStarts are the failures of the first requests of a Poller, for five minutes.
func (s *shop) badStarts() map[string]func(*http.Request) (*http.Response, error) {
	withDate := func(date string) func(*http.Request) (*http.Response, error) {
		return func(r *http.Request) (*http.Response, error) {
			resp, err := s.server.RoundTrip(r)
			if err == nil {
				resp.Header["Date"] = []string{date}
			}
			return resp, err
		}
	}
	return map[string]func(*http.Request) (*http.Response, error){
		"an outage": func(r *http.Request) (*http.Response, error) {
			return response(r, 503, `{"error":{"type":"api_error","message":"down"}}`), nil
		},
		"no network":       func(*http.Request) (*http.Response, error) { return nil, errors.New("no route to host") },
		"an empty Date":    withDate(""),
		"a Date in prose":  withDate("soon"),
		"an account alone": s.accountAlone,
		"no Date": func(r *http.Request) (*http.Response, error) {
			resp, err := s.server.RoundTrip(r)
			if err == nil {
				resp.Header.Del("Date")
			}
			return resp, err
		},
	}
}

// accountAlone fails the lists, and not the request for the account.
func (s *shop) accountAlone(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, "/account") {
		return nil, nil
	}
	return response(r, 500, `{"error":{"type":"api_error","message":"down"}}`), nil
}

func TestPollerFromNowDeliversAllSinceStartHoweverItStarts(t *testing.T) {
	for name := range new(shop).badStarts() {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, restart %t", name, restart), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newShop(t)
					before := s.sell(5)
					pass(5 * time.Second)
					s.interfere(s.badStarts()[name])
					cfg := stripekit.PollConfig{Checkpoints: new(stripekit.MemoryStore)}
					events, stop := s.watch(s.poller(cfg))
					var want, got []string
					for minute := range 5 {
						pass(time.Second)
						want = append(want, s.sell(2)...)
						got = append(got, collect(events, time.Minute)...)
						if restart && minute == 2 {
							stop()
							want = append(want, s.sell(2)...)
							pass(20 * time.Second)
							events, stop = s.watch(s.poller(cfg))
						}
					}
					defer func() { stop() }()
					s.interfere(nil)
					got = append(got, collect(events, 15*time.Minute)...)
					require.Equal(t, want, got, "and nothing from before: %v", before)
				})
			})
		}
	}
}

func TestPollerDeliversAProductMadeAgainUnderItsID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		cfg := stripekit.PollConfig{Checkpoints: new(stripekit.MemoryStore)}
		poller := func() *stripekit.Poller[stripekit.Product] {
			p, err := stripekit.NewPoller(s.newClient().Products, cfg)
			require.NoError(t, err)
			return p
		}
		create := func(name string) {
			_, err := s.client.Products.Create(t.Context(), stripekit.ProductCreateParams{Name: name, ID: new("sku_1"), Type: new("service")})
			require.NoError(t, err)
		}
		next := func(events <-chan stripekit.Event[stripekit.Product]) (name string) {
			e, ok := receive(events, 5*time.Minute)
			require.True(t, ok)
			e.Ack()
			return e.Object.Name
		}
		remove := func() {
			_, err := s.client.Products.Delete(t.Context(), "sku_1")
			require.NoError(t, err)
			pass(2 * time.Second)
		}
		events, stop := started(t, poller())
		create("first")
		require.Equal(t, "first", next(events))
		remove()
		create("second")
		require.Equal(t, "second", next(events))
		remove()
		stop()

		create("third")
		events, stop = started(t, poller())
		defer stop()
		require.Equal(t, "third", next(events))
		require.Empty(t, collectOf(events, 15*time.Minute), "nothing twice")
	})
}
