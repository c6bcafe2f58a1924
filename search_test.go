package stripekit_test

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
)

// found is a page of a search.
func found(next string, more bool, ids ...string) string {
	objects := make([]string, len(ids))
	for i, id := range ids {
		objects[i] = fmt.Sprintf(`{"id": %q}`, id)
	}
	page := "null"
	if next != "" {
		page = fmt.Sprintf("%q", next)
	}
	return fmt.Sprintf(`{"object": "search_result", "data": [%s], "has_more": %t, "next_page": %s, "url": "/v1/x/search"}`,
		strings.Join(objects, ","), more, page)
}

func playing(pages ...string) func(int) string {
	return func(n int) string { return pages[min(n, len(pages)-1)] }
}

func walked[T any](seq iter.Seq2[*T, error], id func(*T) string) (ids []string, err error) {
	for object, err := range seq {
		if err != nil {
			return ids, err
		}
		ids = append(ids, id(object))
	}
	return ids, nil
}

// searches are all searches.
var searches = map[string]func(context.Context, *stripekit.Client, string, ...stripekit.CallOption) ([]string, error){
	"/v1/charges/search": func(ctx context.Context, c *stripekit.Client, q string, opts ...stripekit.CallOption) ([]string, error) {
		return walked(c.Charges.Search(ctx, q, opts...), func(o *stripekit.Charge) string { return o.ID })
	},
	"/v1/customers/search": func(ctx context.Context, c *stripekit.Client, q string, opts ...stripekit.CallOption) ([]string, error) {
		return walked(c.Customers.Search(ctx, q, opts...), func(o *stripekit.Customer) string { return o.ID })
	},
	"/v1/products/search": func(ctx context.Context, c *stripekit.Client, q string, opts ...stripekit.CallOption) ([]string, error) {
		return walked(c.Products.Search(ctx, q, opts...), func(o *stripekit.Product) string { return o.ID })
	},
}

func TestSearchReadsAllPages(t *testing.T) {
	for path, search := range searches {
		t.Run(path, func(t *testing.T) {
			tp, client := newTape(t)
			tp.play = playing(found("p&2", true, "a", "b"), found("p3", true, "c"), found("", false, "d"))
			ids, err := search(t.Context(), client, `metadata["k"]:"v"`, stripekit.WithExpand("data.customer"))
			require.NoError(t, err)
			require.Equal(t, []string{"a", "b", "c", "d"}, ids)
			const query = `query=metadata["k"]:"v"&limit=100`
			require.Empty(t, cmp.Diff([]sentRequest{
				{"GET", path, query + "&expand[0]=data.customer"},
				{"GET", path, query + "&page=p&2&expand[0]=data.customer"},
				{"GET", path, query + "&page=p3&expand[0]=data.customer"},
			}, tp.sent))
		})
	}
}

func TestSearchEndsWhereNothingIsLeft(t *testing.T) {
	for name, pages := range map[string][]string{
		"nothing found":                  {found("", false)},
		"a next_page behind the end":     {found("p2", false, "a")},
		"an old next_page at the end":    {found("p2", true, "a"), found("p2", false, "b")},
		"no has_more, which means false": {`{"data": [{"id": "a"}], "next_page": "p2"}`},
	} {
		t.Run(name, func(t *testing.T) {
			tp, client := newTape(t)
			tp.play = playing(pages...)
			require.NoError(t, drained(client.Charges.Search(t.Context(), "amount>1")))
			require.Len(t, tp.sent, len(pages))
		})
	}
}

func TestSearchMakesNoRequestThatNobodyReads(t *testing.T) {
	tp, client := newTape(t)
	tp.play = playing(found("p2", true, "a", "b"), found("", false, "c"))
	all := client.Charges.Search(t.Context(), "amount>1")
	require.Empty(t, tp.sent)
	for charge, err := range all {
		require.NoError(t, err)
		if charge.ID == "a" {
			break
		}
	}
	require.Len(t, tp.sent, 1)

	// Ranging over it again starts from the beginning.
	tp.sent = nil
	ids, err := walked(all, func(c *stripekit.Charge) string { return c.ID })
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b", "c"}, ids)
}

func TestSearchThatWouldNotEndIsAnError(t *testing.T) {
	tests := map[string]struct {
		pages    []string
		requests int
		ids      []string
	}{
		"the same page for ever":           {[]string{found("p2", true, "a")}, 2, []string{"a"}},
		"pages in a circle":                {[]string{found("p2", true, "a"), found("p3", true, "b"), found("p2", true, "c")}, 3, []string{"a", "b"}},
		"has_more without a next_page":     {[]string{found("", true, "a")}, 1, nil},
		"has_more on a page of nothing":    {[]string{found("p2", true)}, 1, nil},
		"an object without an id":          {[]string{found("p2", true, "a", "")}, 1, nil},
		"no object where one should be":    {[]string{`{"data": [null], "has_more": true, "next_page": "p2"}`}, 1, nil},
		"an object without an id, further": {[]string{found("p2", true, "a"), found("", false, "")}, 2, []string{"a"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tp, client := newTape(t)
			tp.play = playing(tt.pages...)
			ids, err := searches["/v1/products/search"](t.Context(), client, "active:'true'")
			require.ErrorIs(t, err, stripekit.ErrAPI)
			require.ErrorContains(t, err, "GET /v1/products/search: the list cannot be read to its end")
			require.Equal(t, tt.ids, ids)
			require.Len(t, tp.sent, tt.requests)
		})
	}
}

// TestListThatWouldNotEndIsAnError: lists are walked by the same steps.
func TestListThatWouldNotEndIsAnError(t *testing.T) {
	tests := map[string]struct {
		paging   stripekit.ListParams
		pages    []string
		requests int
	}{
		"the same page for ever":   {stripekit.ListParams{}, []string{found("", true, "a", "b")}, 2},
		"the same page at the end": {stripekit.ListParams{}, []string{found("", true, "a", "b"), found("", false, "a", "b")}, 2},
		"the cursor's own page":    {stripekit.ListParams{StartingAfter: "b"}, []string{found("", true, "a", "b")}, 1},
		"upward, the same page":    {stripekit.ListParams{EndingBefore: "c"}, []string{found("", true, "a", "b")}, 2},
		"has_more on nothing":      {stripekit.ListParams{}, []string{found("", true)}, 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tp, client := newTape(t)
			tp.play = playing(tt.pages...)
			err := drained(client.Refunds.List(t.Context(), stripekit.RefundListParams{ListParams: tt.paging}))
			require.ErrorIs(t, err, stripekit.ErrAPI)
			require.ErrorContains(t, err, "GET /v1/refunds: the list cannot be read to its end")
			require.Len(t, tp.sent, tt.requests)
		})
	}
}

func TestListWalksEitherWay(t *testing.T) {
	tests := map[string]struct {
		paging stripekit.ListParams
		pages  []string
		ids    []string
		sent   []string
	}{
		"down": {
			stripekit.ListParams{Limit: 2},
			[]string{found("", true, "d", "c"), found("", false, "b", "a")},
			[]string{"d", "c", "b", "a"},
			[]string{"limit=2", "limit=2&starting_after=c"},
		},
		"up": {
			stripekit.ListParams{Limit: 2, EndingBefore: "a"},
			[]string{found("", true, "c", "b"), found("", false, "d")},
			[]string{"b", "c", "d"},
			[]string{"limit=2&ending_before=a", "limit=2&ending_before=c"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tp, client := newTape(t)
			tp.play = playing(tt.pages...)
			all := client.Orders.List(t.Context(), stripekit.OrderListParams{ListParams: tt.paging})
			ids, err := walked(all, func(o *stripekit.Order) string { return o.ID })
			require.NoError(t, err)
			require.Equal(t, tt.ids, ids)
			var sent []string
			for _, r := range tp.sent {
				sent = append(sent, r.Params)
			}
			require.Equal(t, tt.sent, sent)
		})
	}
}

func TestEmptySearchIsRefusedBeforeARequest(t *testing.T) {
	calls := map[string]refusal{}
	for path, search := range searches {
		for _, query := range []string{"", " \t"} {
			calls[path+" "+query] = refusal{"query", func(ctx context.Context, c *stripekit.Client) error {
				_, err := search(ctx, c, query)
				return err
			}}
		}
	}
	requireParamErrors(t, calls)
}

func TestSearchPageReadsOnePage(t *testing.T) {
	pages := map[string]func(context.Context, *stripekit.Client, string, string) (ids []string, next string, err error){
		"/v1/charges/search": func(ctx context.Context, c *stripekit.Client, query, cursor string) ([]string, string, error) {
			return onePage(c.Charges.SearchPage(ctx, query, cursor))(func(o *stripekit.Charge) string { return o.ID })
		},
		"/v1/customers/search": func(ctx context.Context, c *stripekit.Client, query, cursor string) ([]string, string, error) {
			return onePage(c.Customers.SearchPage(ctx, query, cursor))(func(o *stripekit.Customer) string { return o.ID })
		},
		"/v1/products/search": func(ctx context.Context, c *stripekit.Client, query, cursor string) ([]string, string, error) {
			return onePage(c.Products.SearchPage(ctx, query, cursor))(func(o *stripekit.Product) string { return o.ID })
		},
	}
	for path, page := range pages {
		t.Run(path, func(t *testing.T) {
			tp, client := newTape(t)
			tp.play = playing(found("p2", true, "a", "b"), found("", false, "c"))
			ids, next, err := page(t.Context(), client, "amount>1", "")
			require.NoError(t, err)
			require.Equal(t, []string{"a", "b"}, ids)
			ids, last, err := page(t.Context(), client, "amount>1", next)
			require.NoError(t, err)
			require.Equal(t, []string{"c"}, ids)
			require.Empty(t, last)
			require.Empty(t, cmp.Diff([]sentRequest{
				{"GET", path, "query=amount>1&limit=100"}, {"GET", path, "query=amount>1&limit=100&page=p2"},
			}, tp.sent))
			_, _, err = page(t.Context(), client, " ", "")
			require.ErrorIs(t, err, stripekit.ErrInvalidRequest)
			require.Len(t, tp.sent, 2)
		})
	}
}

// onePage returns the ids of a page, and its NextPage.
func onePage[T any](page *stripekit.Page[T], err error) func(id func(*T) string) ([]string, string, error) {
	return func(id func(*T) string) (ids []string, next string, _ error) {
		if err != nil {
			return nil, "", err
		}
		for _, object := range page.Data {
			ids = append(ids, id(object))
		}
		return ids, page.NextPage, nil
	}
}
