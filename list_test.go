package stripekit_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripetest"
)

// gather returns the ids that an iteration yields, and the error that ended it.
func gather(t *testing.T, seq iter.Seq2[*stripekit.Customer, error]) (ids []string, err error) {
	t.Helper()
	for customer, failure := range seq {
		require.NoError(t, err, "nothing comes after an error")
		if failure != nil {
			require.Nil(t, customer)
			err = failure
			continue
		}
		ids = append(ids, customer.ID)
	}
	return ids, err
}

// stocked starts a server with customers, and returns their ids, newest first.
func stocked(t *testing.T, n int) (server *stripetest.Server, c *stripekit.Client, ids []string) {
	t.Helper()
	now := time.Unix(1700000000, 0)
	server = stripetest.New(stripetest.InMemory(), stripetest.WithClock(func() time.Time { return now }))
	c = clientOf(t, server)
	for i := range n {
		if i%7 == 0 {
			now = now.Add(time.Second)
		}
		made, err := c.Customers.Create(t.Context(), stripekit.CustomerCreateParams{Email: new("a@example.com")})
		require.NoError(t, err)
		ids = append(ids, made.ID)
	}
	slices.Reverse(ids)
	return server, c, ids
}

// listed returns the queries of the list requests to a server.
func listed(server *stripetest.Server) (queries []string) {
	for _, r := range server.Requests() {
		if r.Method == http.MethodGet {
			queries = append(queries, r.Query.Encode())
		}
	}
	return queries
}

func TestListReadsAllPagesInBothDirections(t *testing.T) {
	server, c, ids := stocked(t, 250)
	oldestFirst := slices.Clone(ids)
	slices.Reverse(oldestFirst)
	for name, test := range map[string]struct {
		paging   stripekit.ListParams
		want     []string
		requests int
	}{
		"all":           {stripekit.ListParams{}, ids, 3},
		"in tens":       {stripekit.ListParams{Limit: 10}, ids, 25},
		"from a cursor": {stripekit.ListParams{StartingAfter: ids[19]}, ids[20:], 3},
		"upward":        {stripekit.ListParams{EndingBefore: ids[249]}, oldestFirst[1:], 3},
		"upward in 60s": {stripekit.ListParams{EndingBefore: ids[200], Limit: 60}, oldestFirst[50:], 4},
		"behind oldest": {stripekit.ListParams{StartingAfter: ids[249]}, nil, 1},
		"above newest":  {stripekit.ListParams{EndingBefore: ids[0]}, nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(listed(server))
			got, err := gather(t, c.Customers.List(t.Context(), stripekit.CustomerListParams{ListParams: test.paging}))
			require.NoError(t, err)
			require.Equal(t, test.want, got)
			require.Len(t, listed(server), before+test.requests)
		})
	}
}

func TestListOfNothingIsEmpty(t *testing.T) {
	server, c, _ := stocked(t, 0)
	got, err := gather(t, c.Customers.List(t.Context(), stripekit.CustomerListParams{}))
	require.NoError(t, err)
	require.Empty(t, got)
	require.Equal(t, []string{"limit=100"}, listed(server))
}

func TestListIsLazy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, c, ids := stocked(t, 250)
		customers := c.Customers.List(t.Context(), stripekit.CustomerListParams{})
		require.Empty(t, listed(server), "nothing is asked before the first turn")
		for stop, requests := range map[int]int{1: 1, 50: 1, 51: 2, 100: 2, 101: 3, 200: 3, 250: 3} {
			before, got := len(listed(server)), 0
			for customer, err := range customers {
				require.NoError(t, err)
				require.Equal(t, ids[got], customer.ID)
				synctest.Wait() // the page ahead is requested
				if got++; got == stop {
					break
				}
			}
			require.Len(t, listed(server), before+requests, "after %d", stop)
		}
	})
}

func TestListCanBeRangedOverAgain(t *testing.T) {
	_, c, ids := stocked(t, 120)
	customers := c.Customers.List(t.Context(), stripekit.CustomerListParams{ListParams: stripekit.ListParams{Limit: 50}})
	for range 2 {
		got, err := gather(t, customers)
		require.NoError(t, err)
		require.Equal(t, ids, got)
	}
}

func TestListCopiesItsParams(t *testing.T) {
	server, c, _ := stocked(t, 1)
	email, created, extra := "a@example.com", stripekit.CreatedRange{GTE: 5}, stripekit.Extra{"created": map[string]any{"lt": 9}}
	p := stripekit.CustomerListParams{ListParams: stripekit.ListParams{Created: &created, Limit: 3}, Email: &email, Extra: extra}
	customers := c.Customers.List(t.Context(), p)
	email, created.GTE, p.Limit = "changed", 6, 4
	extra["created"].(map[string]any)["lt"] = 10
	_, err := gather(t, customers)
	require.NoError(t, err)
	require.Equal(t, []string{"created%5Bgte%5D=5&created%5Blt%5D=9&email=a%40example.com&limit=3"}, listed(server))
}

func TestListSendsFiltersAndOptionsWithEveryPage(t *testing.T) {
	server, c, ids := stocked(t, 3)
	got, err := gather(t, c.Customers.List(t.Context(), stripekit.CustomerListParams{ListParams: stripekit.ListParams{Limit: 2}, Email: new("a@example.com")}, stripekit.WithExpand("data.default_source")))
	require.NoError(t, err)
	require.Equal(t, ids, got)
	const filters = "email=a%40example.com&expand%5B0%5D=data.default_source&limit=2"
	require.Equal(t, []string{filters, filters + "&starting_after=" + ids[1]}, listed(server))
}

func TestPagingIsChecked(t *testing.T) {
	server, c, _ := stocked(t, 0)
	for _, paging := range []stripekit.ListParams{{Limit: -1}, {Limit: 101}, {StartingAfter: "cus_1", EndingBefore: "cus_2"}} {
		p := stripekit.CustomerListParams{ListParams: paging}
		_, err := gather(t, c.Customers.List(t.Context(), p))
		require.ErrorIs(t, err, stripekit.ErrInvalidRequest)
		page, err := c.Customers.Page(t.Context(), p)
		require.ErrorIs(t, err, stripekit.ErrInvalidRequest)
		require.Nil(t, page)
	}
	_, err := gather(t, c.Customers.List(t.Context(), stripekit.CustomerListParams{Extra: stripekit.Extra{"x": func() {}}}))
	require.ErrorContains(t, err, "cannot be encoded")
	require.Empty(t, listed(server))
}

func TestPageReadsOnePage(t *testing.T) {
	server, c, ids := stocked(t, 15)
	page, err := c.Customers.Page(t.Context(), stripekit.CustomerListParams{})
	require.NoError(t, err)
	require.Len(t, page.Data, 10)
	require.True(t, page.HasMore)
	require.Equal(t, "/v1/customers", page.URL)
	page, err = c.Customers.Page(t.Context(), stripekit.CustomerListParams{ListParams: stripekit.ListParams{EndingBefore: ids[4], Limit: 3}})
	require.NoError(t, err)
	require.Equal(t, ids[1], page.Data[0].ID, "newest first, upward too")
	require.Equal(t, ids[3], page.Data[2].ID)
	require.Equal(t, []string{"", "ending_before=" + ids[4] + "&limit=3"}, listed(server))
}

func TestListEndsAtTheFirstError(t *testing.T) {
	page := replies(200, `{"data":[{"id":"cus_2"},{"id":"cus_1"}],"has_more":true}`)
	n := inTurn(page, replies(403, `{"error":{"type":"invalid_request_error"}}`))
	got, err := gather(t, clientOver(t, n).Customers.List(t.Context(), stripekit.CustomerListParams{}))
	require.ErrorIs(t, err, stripekit.ErrPermission)
	require.Equal(t, []string{"cus_2", "cus_1"}, got)
	require.Len(t, n.requests, 2)

	_, c, _ := stocked(t, 1)
	_, err = gather(t, c.Customers.List(t.Context(), stripekit.CustomerListParams{ListParams: stripekit.ListParams{StartingAfter: "cus_gone"}}))
	require.ErrorIs(t, err, stripekit.ErrNotFound)
}

func TestListEndsWithItsContext(t *testing.T) {
	_, c, _ := stocked(t, 150)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	read := 0
	for _, err := range c.Customers.List(ctx, stripekit.CustomerListParams{}) {
		if err != nil {
			require.ErrorIs(t, err, context.Canceled)
			break
		}
		if read++; read == 50 {
			cancel()
		}
	}
	require.Equal(t, 100, read, "what is read already comes first")
}

func TestListThatWouldNeverEndEndsWithAnError(t *testing.T) {
	of := func(ids ...string) *network {
		objects := []string{}
		for _, id := range ids {
			objects = append(objects, fmt.Sprintf(`{"id":%q}`, id))
		}
		return replies(200, `{"has_more":true,"data":[`+strings.Join(objects, ",")+`]}`)
	}
	alternating := new(network)
	alternating.respond = func(r *http.Request) (*http.Response, error) {
		return []*network{of("a", "b"), of("c", "d")}[len(alternating.requests)%2].respond(r)
	}
	for name, test := range map[string]struct {
		n        *network
		requests int
	}{
		"same page":          {of("a", "b"), 2},
		"A, B, A, B":         {alternating, 3},
		"three in a ring":    {inTurn(of("a"), of("b"), of("c"), of("a")), 4},
		"more of nothing":    {inTurn(of("a"), of()), 2},
		"data is null":       {replies(200, `{"has_more":true,"data":null}`), 1},
		"object without id":  {inTurn(of("a"), replies(200, `{"has_more":true,"data":[{"id":"b"},{}]}`)), 2},
		"null object":        {replies(200, `{"has_more":false,"data":[null,{"id":"b"}]}`), 1},
		"not a page":         {replies(200, `[]`), 1},
		"object that breaks": {replies(200, `{"data":[{"id":"a"},{"id":7}]}`), 1},
	} {
		for _, paging := range []stripekit.ListParams{{}, {StartingAfter: "z"}, {EndingBefore: "z"}} {
			t.Run(fmt.Sprintf("%s/%v", name, paging), func(t *testing.T) {
				test.n.requests = nil
				got, err := gather(t, clientOver(t, test.n).Customers.List(t.Context(), stripekit.CustomerListParams{ListParams: paging}))
				require.ErrorIs(t, err, stripekit.ErrAPI)
				require.LessOrEqual(t, len(test.n.requests), test.requests)
				slices.Sort(got)
				require.Equal(t, slices.Compact(slices.Clone(got)), got, "no object comes twice")
			})
		}
	}
}

func TestListEndsOnACursorThatComesBack(t *testing.T) {
	for _, paging := range []stripekit.ListParams{{StartingAfter: "a"}, {EndingBefore: "b"}} {
		n := replies(200, `{"has_more":true,"data":[{"id":"b"},{"id":"a"}]}`)
		got, err := gather(t, clientOver(t, n).Customers.List(t.Context(), stripekit.CustomerListParams{ListParams: paging}))
		require.ErrorIs(t, err, stripekit.ErrAPI)
		var e *stripekit.Error
		require.False(t, errors.As(err, &e), "the response itself was a success")
		require.Empty(t, got)
		require.Len(t, n.requests, 1)
	}
}
