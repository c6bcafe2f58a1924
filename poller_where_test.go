package stripekit_test

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
)

// charge charges a customer n times, and returns the ids in order.
func (s *shop) charge(customer string, n int) []string {
	s.t.Helper()
	ids := make([]string, n)
	for i := range ids {
		c, err := s.client.Charges.Create(s.t.Context(), stripekit.ChargeCreateParams{
			Amount: 500, Currency: "eur", Customer: &customer,
		})
		require.NoError(s.t, err)
		ids[i] = c.ID
	}
	return ids
}

// sellTo makes a customer who can be charged.
func (s *shop) sellTo(email string) string {
	s.t.Helper()
	c, err := s.client.Customers.Create(s.t.Context(), stripekit.CustomerCreateParams{Email: &email, Source: new("tok_visa")})
	require.NoError(s.t, err)
	return c.ID
}

func (s *shop) pollerWhere(cfg stripekit.PollConfig, customer *string, opts ...stripekit.CallOption) *stripekit.Poller[stripekit.Charge] {
	s.t.Helper()
	source := s.newClient().Charges.Where(stripekit.ChargeListParams{Customer: customer}, opts...)
	p, err := stripekit.NewPoller(source, cfg)
	require.NoError(s.t, err)
	return p
}

func TestPollerDeliversOnlyWhatItsFilterMatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		ann, bob := s.sellTo("ann@example.com"), s.sellTo("bob@example.com")
		events, stop := started(t, s.pollerWhere(stripekit.PollConfig{}, &ann))
		defer stop()
		var want, got []string
		for round := range 6 {
			s.charge(bob, 130)
			want = append(want, s.charge(ann, 1+round*30)...) // pages have the filter too
			s.charge(bob, 1)
			got = append(got, collectOf(events, 20*time.Second)...)
		}
		got = append(got, collectOf(events, 15*time.Minute)...)
		require.Equal(t, want, got)
	})
}

func TestPollerOfAFilterKeepsItInEveryRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		s.sellTo("ann@example.com")
		for range 250 {
			s.sellTo("Ann+b&c@example.com")
		}
		source := s.newClient().Customers.Where(stripekit.CustomerListParams{
			Email: new("Ann+b&c@example.com"),
		}, stripekit.WithExpand("default_source"))
		var mu sync.Mutex
		cursors, constant := 0, map[string]int{}
		s.interfere(func(r *http.Request) (*http.Response, error) {
			mu.Lock()
			defer mu.Unlock()
			query := r.URL.Query()
			if query.Has("starting_after") {
				cursors++
			}
			for _, param := range []string{"limit", "starting_after", "created[gte]", "created[lt]"} {
				query.Del(param)
			}
			if r.URL.Path == "/v1/customers" {
				constant[query.Encode()]++
			}
			return nil, nil
		})
		p, err := stripekit.NewPoller(source, stripekit.PollConfig{From: stripekit.FromBeginning})
		require.NoError(t, err)
		events, stop := started(t, p)
		defer stop()
		require.Len(t, collectOf(events, 15*time.Minute), 250)
		mu.Lock()
		defer mu.Unlock()
		require.NotZero(t, cursors)
		require.Equal(t, []string{"email=Ann%2Bb%26c%40example.com&expand%5B0%5D=data.default_source"}, slices.Collect(maps.Keys(constant)))
	})
}

func TestPollerDeliversExpandedObjects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		ann := s.sellTo("ann@example.com")
		p := s.pollerWhere(stripekit.PollConfig{}, nil, stripekit.WithExpand("balance_transaction", "data.customer"))
		events, stop := started(t, p)
		defer stop()
		charged := s.charge(ann, 120)
		for _, id := range charged {
			e, ok := receive(events, time.Minute)
			require.True(t, ok)
			require.Equal(t, id, e.ID)
			require.NotNil(t, e.Object.Customer.Object)
			require.Equal(t, "ann@example.com", e.Object.Customer.Object.Email)
			require.NotNil(t, e.Object.BalanceTransaction.Object)
			require.EqualValues(t, 500, e.Object.BalanceTransaction.Object.Amount)
			e.Ack()
		}
		require.Zero(t, s.server.Count("GET /v1/customers/{id}"))
	})
}

// TestPollerOfAFilterHasACheckpointOfItsOwn starts flows with one Name on one store:
// with another filter a flow begins anew, and with the same filter it resumes.
func TestPollerOfAFilterHasACheckpointOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		ann, bob := s.sellTo("ann@example.com"), s.sellTo("bob@example.com")
		store := new(hookedStore)
		cfg := stripekit.PollConfig{Checkpoints: store, From: stripekit.FromBeginning, Name: "flow"}
		ofAnn, ofBob := s.charge(ann, 3), s.charge(bob, 2)
		all := append(append([]string{}, ofAnn...), ofBob...)
		run := func(customer *string, opts ...stripekit.CallOption) []string {
			p := s.pollerWhere(cfg, customer, opts...)
			events, stop := started(t, p)
			defer stop()
			got := collectOf(events, time.Minute)
			require.NoError(t, p.Err())
			return got
		}
		require.Equal(t, ofAnn, run(&ann))
		require.Equal(t, ofBob, run(&bob))
		require.Equal(t, all, run(nil))
		require.Len(t, store.savedKeys(), 3)
		for _, customer := range []*string{&ann, &bob, nil} {
			require.Empty(t, run(customer), "each resumes")
		}
		require.Empty(t, run(nil, stripekit.WithExpand("customer")), "what is expanded changes nothing of what is new")
		require.Len(t, store.savedKeys(), 3)
		more := s.charge(bob, 1)
		require.Empty(t, run(&ann))
		require.Equal(t, more, run(&bob))
		require.Equal(t, more, run(nil))
	})
}

func TestNewPollerRefusesAFilterThatThePollerSets(t *testing.T) {
	client, err := stripekit.New("sk_test_shop")
	require.NoError(t, err)
	for name, params := range map[string]stripekit.ChargeListParams{
		"limit":          {ListParams: stripekit.ListParams{Limit: 10}},
		"starting_after": {ListParams: stripekit.ListParams{StartingAfter: "ch_1"}},
		"ending_before":  {ListParams: stripekit.ListParams{EndingBefore: "ch_1"}},
		"created":        {ListParams: stripekit.ListParams{Created: &stripekit.CreatedRange{GTE: 5}}},
	} {
		p, err := stripekit.NewPoller(client.Charges.Where(params), stripekit.PollConfig{})
		require.Nil(t, p, name)
		require.ErrorIs(t, err, stripekit.ErrInvalidRequest, name)
		refused, ok := errors.AsType[*stripekit.ParamError](err)
		require.True(t, ok, fmt.Sprintf("%s: %v", name, err))
		require.Equal(t, name, refused.Param)
	}
}
