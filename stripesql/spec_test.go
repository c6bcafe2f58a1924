package stripesql

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// one returns a term without a value, in a list.
func one(column, op string) []term { return []term{{Column: column, Op: op}} }

func TestSpecIsWhatIsAsked(t *testing.T) {
	for name, test := range map[string]struct {
		plan   plan
		values []any
		want   string // "" for no request
	}{
		"all":                      {plan{Table: "charges", How: byList}, nil, "GET /v1/charges?limit=100"},
		"some":                     {plan{Table: "charges", How: byList, Limit: 7}, nil, "GET /v1/charges?limit=7"},
		"some, put in order":       {plan{Table: "charges", How: byList, Limit: 7, Order: newestFirstByID}, nil, "GET /v1/charges?limit=100"},
		"some of what fits":        {plan{Table: "charges", How: byList, Limit: 7, Local: one("amount", ">")}, nil, "GET /v1/charges?limit=100"},
		"an id":                    {plan{Table: "charges", How: byID, Terms: one("id", opEqual)}, []any{"ch_1"}, "GET /v1/charges/ch_1"},
		"an id with a space":       {plan{Table: "products", How: byID, Terms: one("id", opEqual)}, []any{"a b"}, "GET /v1/products/a%20b"},
		"an id that is none":       {plan{Table: "charges", How: byID, Terms: one("id", opEqual)}, []any{"a/b"}, ""},
		"an empty id":              {plan{Table: "charges", How: byID, Terms: one("id", opEqual)}, []any{""}, ""},
		"an id that is a number":   {plan{Table: "charges", How: byID, Terms: one("id", opEqual)}, []any{int64(5)}, ""},
		"a number for a product":   {plan{Table: "products", How: byID, Terms: one("id", opEqual)}, []any{int64(5)}, "GET /v1/products?limit=100"},
		"an id that is a blob":     {plan{Table: "charges", How: byID, Terms: one("id", opEqual)}, []any{[]byte("5")}, ""},
		"an id that is NULL":       {plan{Table: "charges", How: byID, Terms: one("id", opEqual)}, []any{nil}, ""},
		"ids":                      {plan{Table: "products", How: byIDs, Terms: one("id", opIn)}, []any{[]any{"a", nil, "b", "a", ""}}, "GET /v1/products?ids[]=a&ids[]=b&limit=100"},
		"no ids":                   {plan{Table: "products", How: byIDs, Terms: one("id", opIn)}, []any{[]any{nil}}, ""},
		"ids with a number":        {plan{Table: "products", How: byIDs, Terms: one("id", opIn)}, []any{[]any{"a", int64(5)}}, "GET /v1/products?limit=100"},
		"a customer's":             {plan{Table: "charges", How: byList, Terms: one("customer", opEqual)}, []any{"cus_1"}, "GET /v1/charges?customer=cus_1&limit=100"},
		"an empty customer's":      {plan{Table: "charges", How: byList, Terms: one("customer", opEqual)}, []any{""}, "GET /v1/charges?limit=100"},
		"a blob's":                 {plan{Table: "charges", How: byList, Terms: one("customer", opEqual)}, []any{[]byte("cus_1")}, "GET /v1/charges?limit=100"},
		"no UTF-8":                 {plan{Table: "customers", How: byList, Terms: one("email", opEqual)}, []any{"\xff"}, "GET /v1/customers?limit=100"},
		"active":                   {plan{Table: "products", How: byList, Terms: one("active", opEqual)}, []any{int64(1)}, "GET /v1/products?active=true&limit=100"},
		"not active":               {plan{Table: "products", How: byList, Terms: one("active", opEqual)}, []any{int64(0)}, "GET /v1/products?active=false&limit=100"},
		"neither":                  {plan{Table: "products", How: byList, Terms: one("active", opEqual)}, []any{int64(2)}, "GET /v1/products?limit=100"},
		"pending":                  {plan{Table: "invoice_items", How: byList, Terms: one("invoice", opNull)}, []any{nil}, "GET /v1/invoiceitems?pending=true&limit=100"},
		"not pending":              {plan{Table: "invoice_items", How: byList, Terms: one("invoice", opNotNull)}, []any{nil}, "GET /v1/invoiceitems?pending=false&limit=100"},
		"since":                    {plan{Table: "invoice_items", How: byList, Terms: one("date", opMore)}, []any{"1970-01-01 00:00:05"}, "GET /v1/invoiceitems?created[gte]=6&limit=100"},
		"a second":                 {plan{Table: "charges", How: byList, Terms: one("created_unix", opEqual)}, []any{int64(7)}, "GET /v1/charges?created[gte]=7&created[lt]=8&limit=100"},
		"half a second":            {plan{Table: "charges", How: byList, Terms: one("created_unix", opEqual)}, []any{7.5}, ""},
		"upstream ids":             {plan{Table: "orders", How: byList, Terms: one("upstream_id", opIn)}, []any{[]any{"a", "b"}}, "GET /v1/orders?upstream_ids[]=a&upstream_ids[]=b&limit=100"},
		"one upstream id":          {plan{Table: "orders", How: byList, Terms: one("upstream_id", opEqual)}, []any{"a"}, "GET /v1/orders?upstream_ids[]=a&limit=100"},
		"paid between":             {plan{Table: "orders", How: byList, Terms: append(one("status_transitions_paid", opMore), one("status_transitions_paid_unix", opAtMost)...)}, []any{"1970-01-01T00:00:05Z", int64(9)}, "GET /v1/orders?status_transitions[paid][gte]=6&status_transitions[paid][lt]=10&limit=100"},
		"paid twice since":         {plan{Table: "orders", How: byList, Terms: append(one("status_transitions_paid_unix", opMore), one("status_transitions_paid_unix", opMore)...)}, []any{int64(9), int64(5)}, "GET /v1/orders?status_transitions[paid][gte]=10&limit=100"},
		"a search":                 {plan{Table: "charges", How: search, Terms: append(one("status", opEqual), one("amount", opAtLeast)...)}, []any{"failed", int64(5)}, `GET /v1/charges/search?query=status:"failed" AND amount>=5&limit=100`},
		"a search since":           {plan{Table: "charges", How: search, Terms: append(one("disputed", opEqual), one("created_unix", opLess)...)}, []any{int64(1), int64(5)}, `GET /v1/charges/search?query=disputed:"true" AND created<5&limit=100`},
		"a quoted search":          {plan{Table: "products", How: search, Terms: one("name", opEqual)}, []any{`a "b" \ c`}, `GET /v1/products/search?query=name:"a \"b\" \\ c"&limit=100`},
		"a search for a number":    {plan{Table: "charges", How: search, Terms: one("status", opEqual)}, []any{int64(5)}, "GET /v1/charges?limit=100"},
		"a search for nothing":     {plan{Table: "charges", How: search, Terms: one("status", opEqual)}, []any{""}, "GET /v1/charges?limit=100"},
		"a search over two lines":  {plan{Table: "charges", How: search, Terms: one("status", opEqual)}, []any{"a\nb"}, "GET /v1/charges?limit=100"},
		"a search without an int":  {plan{Table: "charges", How: search, Terms: one("amount", opLess)}, []any{1.5}, "GET /v1/charges?limit=100"},
		"a search for half a flag": {plan{Table: "charges", How: search, Terms: one("disputed", opEqual)}, []any{int64(2)}, "GET /v1/charges?limit=100"},
	} {
		t.Run(name, func(t *testing.T) {
			decoded, _, err := decodePlan(test.plan.encode())
			require.NoError(t, err)
			s := decoded.newSpec(oneAccount, newTables()[test.plan.Table], test.values)
			require.Equal(t, test.want == "", s.none)
			if !s.none {
				require.Equal(t, test.want, s.request().String())
			}
		})
	}
}

func TestIDsAreAskedForByTheHundred(t *testing.T) {
	var ids []any
	for i := range 250 {
		ids = append(ids, fmt.Sprint("prod_", i))
	}
	p := plan{Table: "products", How: byIDs, Terms: []term{{Column: "id", Op: opIn}}}
	s := p.newSpec(oneAccount, newTables()["products"], []any{ids})
	require.Len(t, s.ids, 250)
	require.Equal(t, 100, strings.Count(s.request().String(), "ids[]"))
}

func TestExpandedFieldsAreSent(t *testing.T) {
	s := (&plan{Table: "refunds", How: byList}).newSpec(oneAccount, newTables()["refunds"], nil)
	s.expand = []string{"charge", "charge.customer"}
	require.Equal(t, "GET /v1/refunds?limit=100&expand[]=data.charge&expand[]=data.charge.customer", s.request().String())
	require.Equal(t, "GET /v1/refunds?starting_after=re_1&limit=100&expand[]=data.charge&expand[]=data.charge.customer", s.after("re_1").String())
}

// The list that lookups read a part of has their order, without their limit.
func TestListOfLookups(t *testing.T) {
	charges := newTables()["charges"]
	p := &plan{
		Table: "charges", How: byList, Order: newestFirstByID, Limit: 1, Short: true, Local: one("amount", opMore),
		Terms: append(one("created", opAtLeast), one("customer", opEqual)...),
	}
	require.Equal(t, 1, p.lookup(charges))
	whole := p.without(oneAccount, charges, 1, []any{"2026-01-01", "cus_1"})
	require.Equal(t, newestFirstByID, whole.order)
	require.Zero(t, whole.limit)
	require.True(t, whole.short, "one page after another")
	require.Equal(t, "GET /v1/charges?created[gte]=1767225600&limit=100", whole.request().String())

	require.Equal(t, 0, (&plan{How: byID, Terms: one("id", opEqual)}).lookup(charges))
	for _, other := range []*plan{
		{How: byList, Terms: one("created", opEqual)},
		{How: byList, Terms: one("disputed", opEqual)},
		{How: search, Terms: one("status", opEqual)},
		{How: byIDs, Terms: one("id", opIn)},
		{How: byList, Terms: []term{{Column: "customer", Op: opEqual, Value: &literal{Text: new("cus_1")}}}},
	} {
		require.Equal(t, -1, other.lookup(charges))
	}
}

// A connection may have no SQLite: there was no memory for it.
func TestConnectionWithoutSQLiteIsClosed(t *testing.T) {
	require.NoError(t, (&conn{broken: true}).Close())
	require.NoError(t, (&conn{}).Close())
}

var oneAccount = []*account{{density: newDensities()}}
