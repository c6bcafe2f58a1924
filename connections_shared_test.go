package stripekit_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripetest"
)

// callsTogether returns how many calls clients make in a second, all at the same
// time.
func callsTogether(t *testing.T, clients ...*stripekit.Client) int {
	made := make(chan int)
	for _, c := range clients {
		go func() {
			made <- callsInASecond(t, c, "/v1/charges", "/v1/customers", "/v1/products", "/v1/refunds", "/v1/payouts")
		}()
	}
	sum := 0
	for range clients {
		sum += <-made
	}
	return sum
}

func TestClientsOfOneConnectionShareItsRateLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cs := stripekit.NewConnections(stripekit.WithHTTPClient(&http.Client{Transport: replies(200, "{}")}))
		one := opened(t, cs, connection("shop"))
		two, err := cs.Open("shop")
		require.NoError(t, err)
		three := opened(t, cs, connection("other"))
		require.Equal(t, 25, callsTogether(t, one, two, two.WithAccount("acct_1")))
		pass(time.Minute)
		require.Equal(t, 50, callsTogether(t, one, three), "another connection has its own")

		pass(time.Minute)
		require.NoError(t, one.Call(t.Context(), "GET", "/v1/charges", nil, nil))
		changed := connection("shop")
		changed.APIKey, changed.Timeout = stripekit.NewSecret(otherKey), time.Minute
		require.NoError(t, cs.Update(changed))
		ctx, cancel := context.WithTimeout(t.Context(), 39*time.Millisecond)
		defer cancel()
		require.ErrorIs(t, one.Call(ctx, "GET", "/v1/charges", nil, nil), context.DeadlineExceeded, "an update is no new second")

		changed.APIKey = stripekit.NewSecret(liveKey)
		require.NoError(t, cs.Update(changed))
		require.Equal(t, 100, callsTogether(t, one, two), "those of the other mode")
	})
}

// dials counts the connections to a server, and those that are still open.
type dials struct {
	mu   sync.Mutex
	all  int
	open map[net.Conn]bool
	left chan struct{} // receives for each connection that is closed
}

func (d *dials) watch(conn net.Conn, state http.ConnState) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch state {
	case http.StateNew:
		d.all++
		d.open[conn] = true
	case http.StateClosed:
		delete(d.open, conn)
		d.left <- struct{}{}
	}
}

func (d *dials) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.all
}

// waitForEnd waits until a connection is closed, for less time than an idle one is
// kept.
func (d *dials) waitForEnd(t *testing.T) {
	t.Helper()
	select {
	case <-d.left:
	case <-time.After(45 * time.Second):
		t.Fatal("the pool was not closed")
	}
}

// counting starts a fake Stripe server and counts its connections.
func counting(t *testing.T) (url string, d *dials) {
	fake := stripetest.New(stripetest.InMemory())
	t.Cleanup(fake.Close)
	d = &dials{open: map[net.Conn]bool{}, left: make(chan struct{}, 100)}
	server := httptest.NewUnstartedServer(fake)
	server.Config.ConnState = d.watch
	server.Start()
	t.Cleanup(server.Close)
	return server.URL, d
}

func TestClientsOfOneConnectionShareItsPool(t *testing.T) {
	url, d := counting(t)
	cs := stripekit.NewConnections()
	c := connection("shop")
	c.BaseURL = url
	client := opened(t, cs, c)
	check := func() {
		t.Helper()
		_, err := client.Check(t.Context())
		require.NoError(t, err)
	}
	check()
	var err error
	client, err = cs.Open("shop")
	require.NoError(t, err)
	check()
	c.APIKey, c.Timeout, c.Access, c.APIVersion = stripekit.NewSecret(otherKey), time.Minute, stripekit.ReadOnly, "2020-08-27"
	require.NoError(t, cs.Update(c))
	check()
	require.Equal(t, 1, d.count(), "the same way is gone on the same connection")

	other, more := counting(t)
	c.BaseURL = other
	require.NoError(t, cs.Update(c))
	d.waitForEnd(t)
	check()
	require.Equal(t, 1, d.count())
	require.Equal(t, 1, more.count())
	require.NoError(t, cs.Remove("shop"))
	more.waitForEnd(t)
}

func TestConnectionsToOneServiceShareAPool(t *testing.T) {
	url, d := counting(t)
	cs := stripekit.NewConnections()
	for i := range 10 {
		c := connection(fmt.Sprint("shop ", i))
		c.BaseURL = url
		_, err := opened(t, cs, c).Check(t.Context())
		require.NoError(t, err)
	}
	require.Equal(t, 1, d.count())
	for i := range 9 {
		require.NoError(t, cs.Remove(fmt.Sprint("shop ", i)))
	}
	_, err := cs.Check(t.Context(), "shop 9")
	require.NoError(t, err)
	require.Equal(t, 1, d.count(), "those that are removed take nothing from the last")
	require.NoError(t, cs.Remove("shop 9"))
	d.waitForEnd(t)
}

// TestConnectionsOfAHangingServiceWaitForOneAnother has a poller on each of many
// connections.
func TestConnectionsOfAHangingServiceWaitForOneAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var hanging atomic.Int64
		cs := stripekit.NewConnections(stripekit.WithHTTPClient(&http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.URL.Path == "/v1/account" {
				return reply(200, `{"id":"acct_1"}`), nil
			}
			hanging.Add(1)
			defer hanging.Add(-1)
			<-r.Context().Done()
			return nil, r.Context().Err()
		})}))
		ctx, cancel := context.WithCancel(t.Context())
		var all []*stripekit.Poller[stripekit.Charge]
		for i := range 300 {
			p, err := stripekit.NewPoller(opened(t, cs, connection(fmt.Sprint("shop ", i))).Charges, stripekit.PollConfig{})
			require.NoError(t, err)
			_, err = p.Start(ctx)
			require.NoError(t, err)
			all = append(all, p)
		}
		pass(20 * time.Second)
		require.EqualValues(t, 256, hanging.Load())
		waiting := 0
		for _, p := range all {
			if w := p.Status().Waiting; w > 0 {
				require.Greater(t, w, 10*time.Second)
				waiting++
			}
		}
		require.Equal(t, 300-256, waiting)
		cancel()
	})
}

func TestPoolOfTheCallersClientIsLeftAlone(t *testing.T) {
	n := &closable{network: replies(200, "{}")}
	cs := connectionsOver(n)
	client := opened(t, cs, connection("shop"))
	moved := connection("shop")
	moved.BaseURL = "https://elsewhere.example"
	require.NoError(t, cs.Update(moved))
	_, err := client.Check(t.Context())
	require.NoError(t, err)
	require.NoError(t, cs.Remove("shop"))
	require.False(t, n.closed)
}

type closable struct {
	*network
	closed bool
}

func (c *closable) CloseIdleConnections() { c.closed = true }

func TestPollerOfARemovedConnectionEnds(t *testing.T) {
	for name, test := range map[string]struct {
		act  func(cs *stripekit.Connections) error
		want error
	}{
		"removed": {func(cs *stripekit.Connections) error { return cs.Remove("shop") }, stripekit.ErrNoConnection},
		"disabled": {func(cs *stripekit.Connections) error {
			return cs.Update(stripekit.Connection{Name: "shop", Disabled: true})
		}, stripekit.ErrDisabled},
		"target": {func(cs *stripekit.Connections) error {
			return cs.Update(stripekit.Connection{Name: "shop", Access: stripekit.WriteOnly})
		}, stripekit.ErrWriteOnly},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := stripetest.New(stripetest.InMemory())
				defer server.Close()
				cs := connectionsOver(server)
				client := opened(t, cs, connection("shop"))
				other := opened(t, cs, connection("other"))
				poll := func(c *stripekit.Client) (*stripekit.Poller[stripekit.Customer], <-chan stripekit.Event[stripekit.Customer]) {
					p, err := stripekit.NewPoller(c.Customers, stripekit.PollConfig{})
					require.NoError(t, err)
					ctx, cancel := context.WithCancel(t.Context())
					t.Cleanup(cancel)
					events, err := p.Start(ctx)
					require.NoError(t, err)
					return p, events
				}
				ends, events := poll(client)
				stays, _ := poll(other)
				pass(59 * time.Second)
				require.NoError(t, test.act(cs))
				_, more := <-events // at the next poll
				require.False(t, more)
				synctest.Wait()
				require.ErrorIs(t, ends.Err(), test.want)
				require.ErrorContains(t, ends.Err(), `connection "shop": `)
				before := server.Count("GET /v1/customers")
				pass(time.Minute + time.Second)
				require.NoError(t, stays.Err())
				require.InDelta(t, 4, server.Count("GET /v1/customers")-before, 1)
			})
		})
	}
}

// TestConnectionsAreSafeForConcurrentUse does everything with one name at the same
// time. Every call that is sent has a key and a version that belong together.
func TestConnectionsAreSafeForConcurrentUse(t *testing.T) {
	versions := map[string]string{goodKey: "1", otherKey: "2", liveKey: "3"}
	var mixed atomic.Value
	n := roundTrip(func(r *http.Request) (*http.Response, error) {
		if versions[keyOf(r)] != r.Header.Get("Stripe-Version") {
			mixed.Store(fmt.Sprint(r.Header))
		}
		return reply(200, `{"id":"acct_1"}`), nil
	})
	cs := connectionsOver(n)
	var all []stripekit.Connection
	for key, version := range versions {
		c := connection("shop")
		c.APIKey, c.APIVersion = stripekit.NewSecret(key), version
		all = append(all, c)
	}
	allowed := func(err error) bool {
		return err == nil || errors.Is(err, stripekit.ErrNoConnection) || errors.Is(err, stripekit.ErrConnectionExists)
	}
	var failed atomic.Value
	var users sync.WaitGroup
	for i := range 8 {
		users.Go(func() {
			for j := range 200 {
				c := all[(i+j)%len(all)]
				errs := []error{nil, nil, nil, nil}
				switch (i + j) % 4 {
				case 0:
					errs[0] = cs.Add(c)
				case 1:
					errs[0] = cs.Update(c)
				case 2:
					if j%5 == 0 {
						errs[0] = cs.Remove("shop")
					}
				}
				client, err := cs.Open("shop")
				errs[1] = err
				if err == nil {
					_, errs[2] = client.Check(t.Context())
					_ = fmt.Sprint(client)
				}
				got, err := cs.Get("shop")
				errs[3] = err
				_ = fmt.Sprint(got, cs.Names())
				_, err = cs.Check(t.Context(), "shop")
				for _, err := range append(errs, err) {
					if !allowed(err) {
						failed.Store(err.Error())
					}
				}
			}
		})
	}
	users.Wait()
	require.Nil(t, failed.Load())
	require.Nil(t, mixed.Load())
}

// roundTrip is an http.RoundTripper made of a function. It records nothing.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
