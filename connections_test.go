package stripekit_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripetest"
)

const (
	otherKey = "sk_test_52abcdefghijklmnopqrstuv"
	liveKey  = "sk_live_51abcdefghijklmnopqrstuv"
)

// connectionsOver returns Connections over a network, without rate limits.
func connectionsOver(n http.RoundTripper, opts ...stripekit.Option) *stripekit.Connections {
	return stripekit.NewConnections(append([]stripekit.Option{
		stripekit.WithHTTPClient(&http.Client{Transport: n}), stripekit.WithRateLimit(stripekit.RateLimit{}),
	}, opts...)...)
}

// opened adds a connection and opens it.
func opened(t *testing.T, cs *stripekit.Connections, c stripekit.Connection) *stripekit.Client {
	t.Helper()
	require.NoError(t, cs.Add(c))
	client, err := cs.Open(c.Name)
	require.NoError(t, err)
	return client
}

// keyOf returns the key of a request.
func keyOf(r *http.Request) string {
	key, _, _ := r.BasicAuth()
	return key
}

func TestConnectionsKeepConnectionsByName(t *testing.T) {
	var cs stripekit.Connections // the zero value is valid
	require.Empty(t, cs.Names())
	for _, name := range []string{"b", "c", "a"} {
		require.NoError(t, cs.Add(connection(name)))
	}
	require.Equal(t, []string{"a", "b", "c"}, cs.Names())
	all := cs.All()
	require.Len(t, all, 3)
	for i, name := range cs.Names() {
		require.Equal(t, name, all[i].Name)
		require.Equal(t, "sk_test_…stuv", all[i].APIKey.String())
	}

	err := cs.Add(connection("b"))
	require.ErrorIs(t, err, stripekit.ErrConnectionExists)
	require.EqualError(t, err, `stripe: connection "b": the name is taken`)

	changed := connection("b")
	changed.Timeout = time.Second
	require.NoError(t, cs.Update(changed))
	got, err := cs.Get("b")
	require.NoError(t, err)
	require.Equal(t, time.Second, got.Timeout)
	require.Equal(t, "sk_test_…stuv", got.APIKey.String())

	require.NoError(t, cs.Remove("b"))
	require.Equal(t, []string{"a", "c"}, cs.Names())
	require.NoError(t, cs.Add(connection("b")), "the name is free again")

	_, get := cs.Get("x")
	_, open := cs.Open("x")
	_, test := cs.Check(t.Context(), "x")
	for _, err := range []error{get, open, test, cs.Update(connection("x")), cs.Remove("x")} {
		require.ErrorIs(t, err, stripekit.ErrNoConnection)
		require.EqualError(t, err, `stripe: connection "x": no such connection`)
	}
}

// calls makes one call of every kind. It returns their errors, by whether the call
// writes, and by name.
func calls(ctx context.Context, c *stripekit.Client) map[bool]map[string]error {
	last := func(list func(yield func(*stripekit.Customer, error) bool)) (last error) {
		for _, err := range list {
			last = err
		}
		return last
	}
	_, check := c.Check(ctx)
	_, get := c.Customers.Get(ctx, "cus_1")
	_, page := c.Customers.Page(ctx, stripekit.CustomerListParams{})
	_, create := c.Customers.Create(ctx, stripekit.CustomerCreateParams{})
	_, update := c.Customers.Update(ctx, "cus_1", stripekit.CustomerUpdateParams{})
	_, remove := c.Customers.Delete(ctx, "cus_1")
	return map[bool]map[string]error{
		false: {
			"GET /v1/account": check, "GET /v1/customers/cus_1": get, "GET /v1/customers": page,
			"GET /v1/customers/search": last(c.Customers.Search(ctx, "name:'x'")),
			"GET /v1/payouts":          c.Call(ctx, "GET", "/v1/payouts", nil, nil),
		},
		true: {
			"POST /v1/customers": create, "POST /v1/customers/cus_1": update,
			"DELETE /v1/customers/cus_1": remove,
			"POST /v1/payouts":           c.Call(ctx, "POST", "/v1/payouts", nil, nil),
		},
	}
}

func TestConnectionRefusesWhatItsAccessForbids(t *testing.T) {
	disabled := func(c *stripekit.Connection) { c.Disabled = true }
	access := func(a stripekit.Access) func(*stripekit.Connection) {
		return func(c *stripekit.Connection) { c.Access = a }
	}
	for name, test := range map[string]struct {
		set    func(*stripekit.Connection)
		reads  error
		writes error
	}{
		"both":     {access(stripekit.ReadWrite), nil, nil},
		"source":   {access(stripekit.ReadOnly), nil, stripekit.ErrReadOnly},
		"target":   {access(stripekit.WriteOnly), stripekit.ErrWriteOnly, nil},
		"disabled": {disabled, stripekit.ErrDisabled, stripekit.ErrDisabled},
	} {
		t.Run(name, func(t *testing.T) {
			n := replies(200, `{"id":"x","data":[{"id":"x"}],"deleted":true}`)
			c := connection("shop")
			test.set(&c)
			standalone, err := c.Open(stripekit.WithHTTPClient(&http.Client{Transport: n}), stripekit.WithRateLimit(stripekit.RateLimit{}))
			require.NoError(t, err)
			registered := opened(t, connectionsOver(n), c)
			for _, client := range []*stripekit.Client{standalone, registered, registered.WithAccount("acct_1")} {
				for writes, errs := range calls(t.Context(), client) {
					want := test.reads
					if writes {
						want = test.writes
					}
					for call, err := range errs {
						if want == nil {
							require.NoError(t, err, call)
							continue
						}
						require.ErrorIs(t, err, want, call)
						require.EqualError(t, err, fmt.Sprintf(`stripe: %s: connection "shop": %s`, call, want))
						require.NotErrorIs(t, err, stripekit.ErrOutcomeUnknown)
						var e *stripekit.Error
						require.ErrorAs(t, err, &e)
						require.Zero(t, e.Attempts)
					}
				}
			}
			sent := map[bool]bool{}
			for _, r := range n.requests {
				sent[r.Method != "GET"] = true
			}
			require.Equal(t, map[bool]bool{false: test.reads == nil, true: test.writes == nil}, map[bool]bool{false: sent[false], true: sent[true]})
		})
	}
}

func TestUpdateTakesEffectForOpenClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := replies(200, `{"id":"acct_1"}`)
		slow := atomic.Bool{}
		n.respond = func(r *http.Request) (*http.Response, error) {
			if slow.Load() {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			return reply(200, `{"id":"acct_1"}`), nil
		}
		cs := connectionsOver(n, stripekit.WithMaxRetries(0))
		client := opened(t, cs, connection("shop"))
		copied := client.WithAccount("acct_2")
		call := func(c *stripekit.Client) (*http.Request, error) {
			_, err := c.Check(t.Context())
			return n.last(), err
		}
		change := func(change func(*stripekit.Connection)) {
			c, err := cs.Get("shop")
			require.NoError(t, err)
			change(&c)
			require.NoError(t, cs.Update(c))
		}

		change(func(c *stripekit.Connection) { c.APIKey = stripekit.NewSecret(otherKey) })
		change(func(c *stripekit.Connection) { c.APIVersion = "2020-08-27" })
		for _, c := range []*stripekit.Client{client, copied} {
			sent, err := call(c)
			require.NoError(t, err)
			require.Equal(t, otherKey, keyOf(sent))
			require.Equal(t, "2020-08-27", sent.Header.Get("Stripe-Version"))
		}

		change(func(c *stripekit.Connection) { c.APIKey = stripekit.NewSecret(liveKey) })
		require.Equal(t, stripekit.ModeLive, client.Mode())
		change(func(c *stripekit.Connection) { c.APIVersion = "" })
		sent, err := call(copied)
		require.NoError(t, err)
		require.Equal(t, stripekit.APIVersion, sent.Header.Get("Stripe-Version"))

		change(func(c *stripekit.Connection) { c.Timeout = time.Second })
		slow.Store(true)
		start := time.Now()
		_, err = call(client)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(start))
		slow.Store(false)

		change(func(c *stripekit.Connection) { c.Access = stripekit.WriteOnly })
		_, err = call(client)
		require.ErrorIs(t, err, stripekit.ErrWriteOnly)
		change(func(c *stripekit.Connection) { c.Disabled = true })
		_, err = call(copied)
		require.ErrorIs(t, err, stripekit.ErrDisabled)
		change(func(c *stripekit.Connection) { c.Disabled, c.Access = false, stripekit.ReadOnly })
		_, err = call(client)
		require.NoError(t, err)
	})
}

func TestUpdateThatIsRefusedChangesNothing(t *testing.T) {
	n := replies(200, `{"id":"acct_1"}`)
	cs := connectionsOver(n)
	client := opened(t, cs, connection("shop"))
	bad := connection("shop")
	bad.APIKey, bad.Timeout, bad.Disabled = stripekit.NewSecret(otherKey), -1, true
	require.ErrorIs(t, cs.Update(bad), stripekit.ErrInvalidRequest)
	_, err := client.Check(t.Context())
	require.NoError(t, err)
	require.Equal(t, goodKey, keyOf(n.last()))
}

func TestCallUnderWayEndsOnTheKeyItBeganWith(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := inTurn(replies(500, "{}"), replies(500, "{}"), replies(200, `{"id":"acct_1"}`))
		cs := connectionsOver(n)
		client := opened(t, cs, connection("shop"))
		for _, end := range []func() error{
			func() error {
				c := connection("shop")
				c.APIKey, c.APIVersion = stripekit.NewSecret(otherKey), "2020-08-27"
				return cs.Update(c)
			},
			func() error {
				c := connection("shop")
				c.Disabled = true
				return cs.Update(c)
			},
			func() error { return cs.Remove("shop") },
		} {
			require.NoError(t, cs.Update(connection("shop")))
			n.requests = nil
			done := make(chan error)
			go func() {
				done <- client.Call(t.Context(), "GET", "/v1/account", nil, nil)
			}()
			synctest.Wait() // for the first retry
			require.NoError(t, end())
			require.NoError(t, <-done)
			require.Len(t, n.requests, 3)
			for _, r := range n.requests {
				require.Equal(t, goodKey, keyOf(r))
				require.Equal(t, stripekit.APIVersion, r.Header.Get("Stripe-Version"))
			}
		}
	})
}

func TestCallsOfAPinnedKeyEndOnceItHasChanged(t *testing.T) {
	updated := func(change func(*stripekit.Connection)) stripekit.Connection {
		c := connection("shop")
		change(&c)
		return c
	}
	another := updated(func(c *stripekit.Connection) { c.APIKey = stripekit.NewSecret(otherKey) })
	elsewhere := updated(func(c *stripekit.Connection) {
		c.APIKey, c.BaseURL = stripekit.NewSecret(goodKey), "https://elsewhere.example"
	})
	for name, test := range map[string]struct {
		updates []stripekit.Connection
		problem error
	}{
		"nothing":                 {nil, nil},
		"the same key again":      {[]stripekit.Connection{connection("shop")}, nil},
		"another timeout":         {[]stripekit.Connection{updated(func(c *stripekit.Connection) { c.Timeout = time.Second })}, nil},
		"another key":             {[]stripekit.Connection{another}, stripekit.ErrKeyChanged},
		"another key, and back":   {[]stripekit.Connection{another, connection("shop")}, stripekit.ErrKeyChanged},
		"another service":         {[]stripekit.Connection{elsewhere}, stripekit.ErrKeyChanged},
		"disabled, and a new key": {[]stripekit.Connection{updated(func(c *stripekit.Connection) { c.APIKey, c.Disabled = stripekit.NewSecret(otherKey), true })}, stripekit.ErrDisabled},
	} {
		t.Run(name, func(t *testing.T) {
			n := replies(200, `{"id":"acct_1"}`)
			cs := connectionsOver(n)
			client := opened(t, cs, connection("shop"))
			pinned := client.PinKey()
			call := func(c *stripekit.Client) error {
				_, err := c.WithAccount("acct_2").Charges.Get(t.Context(), "ch_1")
				return err
			}
			require.NoError(t, call(pinned))
			for _, c := range test.updates {
				require.NoError(t, cs.Update(c))
			}
			made := len(n.requests)
			err := call(pinned)
			require.ErrorIs(t, err, test.problem)
			if test.problem == nil {
				return
			}
			require.ErrorContains(t, err, `connection "shop"`)
			require.Len(t, n.requests, made, "no request is made")
			if test.problem == stripekit.ErrKeyChanged {
				require.ErrorIs(t, call(pinned.PinKey()), test.problem)
				require.NoError(t, call(client))
				require.NoError(t, call(client.PinKey()))
			}
		})
	}
}

// No Update can bring the client another key, so it makes no sense to wait for one.
func TestPollerAndBackfillOfAPinnedKeyEndOnceItIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := stripetest.New(stripetest.InMemory(), stripetest.WithExpiredKeys(goodKey))
		defer server.Close()
		pinned := opened(t, connectionsOver(server), connection("shop")).PinKey()
		p, err := stripekit.NewPoller(pinned.Charges, stripekit.PollConfig{})
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		events, err := p.Start(ctx)
		require.NoError(t, err)
		start := time.Now()
		<-events
		require.ErrorIs(t, p.Err(), stripekit.ErrAuthentication)
		for _, err := range stripekit.Backfill(t.Context(), pinned.Charges, stripekit.BackfillConfig{}) {
			require.ErrorIs(t, err, stripekit.ErrAuthentication)
		}
		require.Less(t, time.Since(start), time.Minute)
	})
}

func TestModeOfAPinnedKeyIsThatOfTheKey(t *testing.T) {
	cs := connectionsOver(replies(200, `{}`))
	client := opened(t, cs, connection("shop"))
	pinned := client.PinKey()
	c := connection("shop")
	c.APIKey = stripekit.NewSecret("sk_live_0123456789")
	require.NoError(t, cs.Update(c))
	require.Equal(t, stripekit.ModeLive, client.Mode())
	require.Equal(t, stripekit.ModeLive, client.PinKey().Mode())
	require.Equal(t, stripekit.ModeTest, pinned.Mode())
	require.Equal(t, stripekit.ModeTest, pinned.WithAccount("acct_2").Mode())
	require.Equal(t, "stripekit.Client{mode: test}", fmt.Sprint(pinned))
}

func TestRemovedConnectionRefusesCalls(t *testing.T) {
	n := replies(200, `{"id":"acct_1"}`)
	cs := connectionsOver(n)
	client := opened(t, cs, connection("shop"))
	require.NoError(t, cs.Remove("shop"))
	require.NoError(t, cs.Add(connection("shop")), "another one of the same name")
	_, err := client.Check(t.Context())
	require.ErrorIs(t, err, stripekit.ErrNoConnection)
	require.EqualError(t, err, `stripe: GET /v1/account: connection "shop": removed: no such connection`)
	require.Empty(t, n.requests)
	require.Equal(t, stripekit.ModeTest, client.Mode())
}

// TestUpdateKeepsTheKeyAtHome: a user who may edit a connection, by JSON or in code,
// must not be able to send its key to a server of his own.
func TestUpdateKeepsTheKeyAtHome(t *testing.T) {
	t.Setenv("STRIPEKIT_TEST_KEY", goodKey)
	n := replies(200, `{"id":"acct_1"}`)
	cs := connectionsOver(n)
	require.NoError(t, cs.Add(connection("plain")))
	named := connection("named")
	named.APIKey = stripekit.SecretFromEnv("STRIPEKIT_TEST_KEY")
	require.NoError(t, cs.Add(named))
	require.NoError(t, cs.Add(connection("moved")))
	evil := connection("evil")
	evil.BaseURL = "https://evil.example"
	require.NoError(t, cs.Add(evil))

	taken := func(name string) stripekit.Connection {
		c, err := cs.Get(name)
		require.NoError(t, err)
		return c
	}
	elsewhere := func(c stripekit.Connection) stripekit.Connection {
		c.BaseURL = "https://evil.example"
		return c
	}
	asOther := func(c stripekit.Connection, name string) stripekit.Connection {
		c.Name = name
		return c
	}
	edited := func(c stripekit.Connection, change string) stripekit.Connection {
		require.NoError(t, json.Unmarshal([]byte(change), &c))
		return c
	}
	sameEnv := stripekit.Connection{Name: "named", APIKey: stripekit.SecretFromEnv("STRIPEKIT_TEST_KEY")}
	sameEnvForPlain := asOther(sameEnv, "plain")
	for what, update := range map[string]stripekit.Connection{
		"no key":                   elsewhere(stripekit.Connection{Name: "plain"}),
		"the key that Get gave":    elsewhere(taken("plain")),
		"of another, from Get":     elsewhere(asOther(taken("plain"), "named")),
		"to where another goes":    elsewhere(asOther(taken("plain"), "evil")),
		"JSON on top of Get":       edited(taken("plain"), `{"base_url":"https://evil.example"}`),
		"JSON alone":               edited(stripekit.Connection{}, `{"name":"plain","base_url":"https://evil.example","mode":"test"}`),
		"the same variable":        elsewhere(sameEnv),
		"any variable":             elsewhere(sameEnvForPlain),
		"a variable, by JSON":      edited(taken("named"), `{"base_url":"https://evil.example","api_key_env":"STRIPEKIT_TEST_KEY"}`),
		"Get of one by a variable": elsewhere(taken("named")),
	} {
		err := cs.Update(update)
		var refused *stripekit.ParamError
		require.ErrorAs(t, err, &refused, what)
		require.Equal(t, "api_key", refused.Param, what)
		require.Contains(t, refused.Reason, "must be given again")
	}
	for what, c := range map[string]stripekit.Connection{
		"Get to Add": elsewhere(asOther(taken("plain"), "new")), "variable, Get to Add": elsewhere(asOther(taken("named"), "new")),
	} {
		require.ErrorContains(t, cs.Add(c), "api_key: must be given again", what)
		_, err := c.Open()
		require.ErrorContains(t, err, "api_key: must be given again", what)
	}

	for what, update := range map[string]stripekit.Connection{
		"no key":                     {Name: "plain", Timeout: time.Second},
		"the key that Get gave":      taken("plain"),
		"the default, by its name":   {Name: "plain", BaseURL: "https://api.stripe.com/"},
		"the same variable":          sameEnv,
		"another, from Get":          asOther(taken("plain"), "named"),
		"a key, to somewhere":        {Name: "moved", BaseURL: "https://elsewhere.example", APIKey: stripekit.NewSecret(otherKey)},
		"the very key, to somewhere": elsewhere(connection("moved")),
	} {
		require.NoError(t, cs.Update(update), what)
	}
}

func TestUpdateShowsTheKeyToNoOtherProxyOfPlainHTTP(t *testing.T) {
	cs := stripekit.NewConnections()
	c := connection("shop")
	c.BaseURL, c.Proxy = "http://127.0.0.1:1", "http://user:"+proxyMark+"@127.0.0.1:2"
	require.NoError(t, cs.Add(c))
	c.APIKey = stripekit.Secret{}
	for _, proxy := range []string{"http://127.0.0.1:3", "http://localhost:2", ""} {
		c.Proxy = proxy
		require.ErrorContains(t, cs.Update(c), "stripe: api_key: must be given again", proxy)
	}
	c.Proxy = "http://****@127.0.0.1:2"
	require.NoError(t, cs.Update(c))
	c.Proxy = "http://127.0.0.1:3"
	c.APIKey = stripekit.NewSecret(goodKey)
	require.NoError(t, cs.Update(c))

	tls := connection("encrypted")
	require.NoError(t, cs.Add(tls))
	tls.APIKey, tls.Proxy = stripekit.Secret{}, "http://proxy.example:3128"
	require.NoError(t, cs.Update(tls), "a proxy sees nothing of TLS")
}

func TestUpdateReadsTheVariableAgain(t *testing.T) {
	t.Setenv("STRIPEKIT_TEST_KEY", goodKey)
	n := replies(200, `{"id":"acct_1"}`)
	cs := connectionsOver(n)
	var c stripekit.Connection
	require.NoError(t, json.Unmarshal([]byte(`{"name":"shop","api_key_env":"STRIPEKIT_TEST_KEY"}`), &c))
	client := opened(t, cs, c)
	kept, err := cs.Get("shop")
	require.NoError(t, err)
	shown, err := json.Marshal(kept)
	require.NoError(t, err)
	require.Equal(t, `{"name":"shop","api_key_env":"STRIPEKIT_TEST_KEY","api_key_last4":"stuv","mode":"test","access":"read_write","disabled":false}`, string(shown))

	t.Setenv("STRIPEKIT_TEST_KEY", otherKey)
	_, err = client.Check(t.Context())
	require.NoError(t, err)
	require.Equal(t, goodKey, keyOf(n.last()), "it was read once")
	require.NoError(t, json.Unmarshal(shown, &c))
	require.NoError(t, cs.Update(c))
	_, err = client.Check(t.Context())
	require.NoError(t, err)
	require.Equal(t, otherKey, keyOf(n.last()))
}

func TestPollerAndBackfillOfAPinnedKeyEndOnceItHasChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := stripetest.New(stripetest.InMemory())
		defer server.Close()
		cs := connectionsOver(server)
		pinned := opened(t, cs, connection("shop")).PinKey()
		p, err := stripekit.NewPoller(pinned.Charges, stripekit.PollConfig{})
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		events, err := p.Start(ctx)
		require.NoError(t, err)
		time.Sleep(time.Minute)
		require.NoError(t, p.Err())

		c := connection("shop")
		c.APIKey = stripekit.NewSecret(otherKey)
		require.NoError(t, cs.Update(c))
		_, open := <-events
		require.False(t, open)
		require.ErrorIs(t, p.Err(), stripekit.ErrKeyChanged)
		for _, err := range stripekit.Backfill(t.Context(), pinned.Charges, stripekit.BackfillConfig{}) {
			require.ErrorIs(t, err, stripekit.ErrKeyChanged)
			require.ErrorContains(t, err, `connection "shop"`)
			return
		}
		t.Fatal("the Backfill has no error")
	})
}
