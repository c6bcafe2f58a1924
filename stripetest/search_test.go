package stripetest_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/stripetest"
)

// found returns the descriptions (or names) of the objects that a search
// returns.
func (a *api) found(path, query string) []string {
	a.t.Helper()
	result := a.get(path + "?" + url.Values{"query": {query}}.Encode())
	require.Equal(a.t, "search_result", result["object"])
	require.Equal(a.t, path, result["url"])
	names := []string{}
	for _, object := range result["data"].([]any) {
		name, _ := object.(map[string]any)["description"].(string)
		names = append(names, name)
	}
	return names
}

func TestSearchFindsWhatTheQuerySays(t *testing.T) {
	c := at(100)
	a := memory(t, stripetest.WithClock(c.read))
	jo := a.post("/v1/customers", "description=jo&name=Jo+O'Neil&email=jo@shop.example&source=tok_visa&metadata[k]=v")["id"].(string)
	c.now = time.Unix(200, 0)
	a.post("/v1/customers", `description=al&name=Al+"Big"+B&phone=555&metadata[k"]=w`)
	a.post("/v1/charges", "description=small&amount=500&currency=usd&customer="+jo+"&metadata[plan]=basic")
	a.do("POST", "/v1/charges", "description=failed&amount=900&currency=eur&source=tok_chargeDeclined")
	c.now = time.Unix(300, 0)
	refunded := a.post("/v1/charges", "description=large&amount=70000&currency=eur&source=tok_visa&metadata[plan]=pro")["id"].(string)
	a.post("/v1/refunds", "charge="+refunded)
	a.post("/v1/charges", "description=disputed&amount=700&currency=usd&source=tok_createDispute")
	a.post("/v1/products", "name=Tea&description=green&shippable=true&url=https://shop.example/tea")
	a.post("/v1/products", "name=Teapot&description=brown&active=false")

	const charges, customers, products = "/v1/charges/search", "/v1/customers/search", "/v1/products/search"
	tests := []struct {
		path, query string
		want        string
	}{
		{charges, `amount:500`, "small"},
		{charges, `amount:0500`, "small"},
		{charges, `amount:"500"`, "small"},
		{charges, `amount>700`, "large failed"},
		{charges, `amount>=700`, "disputed large failed"},
		{charges, `amount<700`, "small"},
		{charges, `amount<=700`, "disputed small"},
		{charges, `-amount>700`, "disputed small"},
		{charges, `amount>500 amount<900`, "disputed"},
		{charges, `created:300`, "disputed large"},
		{charges, `created<300 AND currency:"usd"`, "small"},
		{charges, `currency:'EUR'`, "large failed"},
		{charges, `customer:"` + jo + `"`, "small"},
		{charges, `customer:null`, "disputed large failed"},
		{charges, `-customer:null`, "small"},
		{charges, `disputed:"true"`, "disputed"},
		{charges, `refunded:true`, "large"},
		{charges, `status:"failed"`, "failed"},
		{charges, `-status:"failed"`, "disputed large small"},
		{charges, `status:"failed" OR amount:500`, "failed small"},
		{charges, `status:"failed" or amount:500 OR refunded:"true"`, "large failed small"},
		{charges, `metadata["plan"]:"pro"`, "large"},
		{charges, `metadata['plan']:'PRO'`, "large"},
		{charges, `-metadata["plan"]:null`, "large small"},
		{charges, `metadata["plan"]:null AND amount>800`, "failed"},
		{charges, `-metadata["plan"]:"pro" and -amount:500`, "disputed failed"},
		{charges, `  amount:500  `, "small"},
		{customers, `email:"JO@shop.example"`, "jo"},
		{customers, `email~"shop"`, "jo"},
		{customers, `-email~"shop"`, "al"},
		{customers, `name:"Jo O'Neil"`, "jo"},
		{customers, `name:'Jo O\'Neil'`, "jo"},
		{customers, `name:"Al \"Big\" B"`, "al"},
		{customers, `name~'"big"'`, "al"},
		{customers, `phone:"555"`, "al"},
		{customers, `phone:null`, "jo"},
		{customers, `metadata["k"]:"v"`, "jo"},
		{customers, `metadata["k\""]:"w"`, "al"},
		{customers, `created>100`, "al"},
		{products, `name~"Tea"`, "brown green"},
		{products, `name:"Tea"`, "green"},
		{products, `active:"false"`, "brown"},
		{products, `shippable:"true"`, "green"},
		{products, `shippable:null`, "brown"},
		{products, `description:"brown" OR url~"example/tea"`, "brown green"},
	}
	for _, test := range tests {
		t.Run(test.query, func(t *testing.T) {
			require.Empty(t, cmp.Diff(strings.Fields(test.want), a.found(test.path, test.query)))
		})
	}
}

func TestSearchRefusesWhatItCannotRead(t *testing.T) {
	clauses := func(n int) string { return strings.TrimSpace(strings.Repeat(`amount:1 `, n)) }
	tests := map[string]struct{ query, message string }{
		"empty clause":          {`-`, "a field name is expected"},
		"only a space":          {` `, "a field name is expected"},
		"unknown field":         {`colour:"red"`, `field "colour" cannot be searched here`},
		"no operator":           {`amount`, "must be followed by one of"},
		"unknown operator":      {`amount=1`, "must be followed by one of"},
		"no value":              {`amount:`, "must be compared to a value"},
		"unclosed quote":        {`status:"failed`, `a closing " is missing`},
		"escaped closing quote": {`status:'a\'`, "a closing ' is missing"},
		"no number":             {`amount:"abc"`, `field "amount" is a number, "abc" is not`},
		"fraction":              {`amount>1.5`, `field "amount" is a number`},
		"size of a text":        {`status>"a"`, `does not support >`},
		"part of a token":       {`currency~"usd"`, `does not support ~`},
		"part of a number":      {`amount~"123"`, `does not support ~`},
		"part of metadata":      {`metadata["a"]~"abc"`, `does not support ~`},
		"size of null":          {`amount>null`, "null can only be compared with :"},
		"metadata without key":  {`metadata:"a"`, `metadata["key"]:"value"`},
		"metadata, open":        {`metadata["a":"b"`, "a ] is missing"},
		"metadata, bare key":    {`metadata[a]:"b"`, "a quoted text is expected"},
		"no space":              {`status:"a"amount:1`, "a space is missing"},
		"mixed":                 {`amount:1 AND amount:2 OR amount:3`, "AND and OR cannot be mixed"},
		"mixed with a space":    {`amount:1 OR amount:2 amount:3`, "AND and OR cannot be mixed"},
		"parentheses":           {`(amount:1)`, "a field name is expected"},
		"ends with AND":         {`amount:1 AND `, "a field name is expected"},
		"too many clauses":      {clauses(11), "up to 10 clauses, this one has 11"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := memory(t).do("GET", "/v1/charges/search?"+url.Values{"query": {test.query}}.Encode(), "")
			require.Equal(t, http.StatusBadRequest, r.status, r.raw)
			require.Equal(t, "query", r.failure()["param"])
			require.Contains(t, r.failure()["message"], test.message)
		})
	}
	a := memory(t)
	require.Empty(t, a.found("/v1/charges/search", clauses(10)))
	for query, param := range map[string]string{
		"":                               "query",
		"query=":                         "query",
		"query=amount:1&starting_after=": "starting_after",
		"query=amount:1&page=x":          "page",
		"query=amount:1&limit=x":         "limit",
	} {
		require.Equal(t, param, a.do("GET", "/v1/charges/search?"+query, "").failure()["param"], query)
	}
	short := a.do("GET", "/v1/customers/search?query=name~'ab'", "")
	require.Contains(t, short.failure()["message"], "at least 3 characters")
}

func TestSearchPagesToTheEnd(t *testing.T) {
	a := memory(t)
	want := a.server.Seed("/v1/charges", stripetest.Seeding{Count: 250, First: time.Unix(100, 0)})
	query := url.Values{"query": {"amount:1000"}, "limit": {"500"}}
	var got []string
	for {
		result := a.get("/v1/charges/search?" + query.Encode())
		for _, object := range result["data"].([]any) {
			got = append([]string{object.(map[string]any)["id"].(string)}, got...)
		}
		require.LessOrEqual(t, len(result["data"].([]any)), 100)
		require.Equal(t, result["has_more"], result["next_page"] != nil)
		if result["has_more"] == false {
			break
		}
		query.Set("page", result["next_page"].(string))
		a.charge("source=tok_visa") // a new object does not shift the later pages
	}
	require.Empty(t, cmp.Diff(want, got))

	query.Set("query", "amount:5")
	require.Equal(t, "page", a.do("GET", "/v1/charges/search?"+query.Encode(), "").failure()["param"], "a page is of one query")
}

func TestSearchLagsBehind(t *testing.T) {
	c := at(1000)
	a := memory(t, stripetest.WithClock(c.read), stripetest.WithSearchDelay(time.Minute))
	a.post("/v1/customers", "description=jo&name=Jo")
	for second, want := range map[int64]int{1000: 0, 1059: 0, 1060: 1} {
		c.now = time.Unix(second, 0)
		require.Len(t, a.found("/v1/customers/search", `name:"Jo"`), want, second)
	}
}

func TestSearchLeavesOutWhatIsDeletedOrNotVisible(t *testing.T) {
	c := at(1000)
	a := memory(t, stripetest.WithClock(c.read), stripetest.WithVisibility(func(string) time.Duration { return time.Minute }))
	id := a.post("/v1/customers", "name=Jo&description=jo")["id"].(string)
	require.Empty(t, a.found("/v1/customers/search", `name:"Jo"`))
	c.now = c.now.Add(time.Minute)
	require.Len(t, a.found("/v1/customers/search", `name:"Jo"`), 1)
	a.post("/v1/customers/"+id, "name=Al")
	require.Empty(t, a.found("/v1/customers/search", `name:"Jo"`))
	a.do("DELETE", "/v1/customers/"+id, "")
	require.Empty(t, a.found("/v1/customers/search", `name:"Al"`))
}

func FuzzSearch(f *testing.F) {
	for _, seed := range []string{
		`name:"a"`, `-name~'abc' AND created>1`, `metadata["k\""]:null OR name:""`, `name:"\\" `, `email:null-`, "created<=-9223372036854775808",
	} {
		f.Add(seed, "Jo \"O'Neil\\")
		f.Add(seed+"\x00", "Jo\x00")
		f.Add(seed, strings.Repeat("ü", 256))
		f.Add(seed, strings.Repeat("ü", 257))
	}
	f.Fuzz(func(t *testing.T, query, name string) {
		a := memory(t)
		r := a.do("GET", "/v1/customers/search?"+url.Values{"query": {query}}.Encode(), "")
		if r.status != http.StatusOK && r.status != http.StatusBadRequest {
			t.Fatalf("status %d", r.status)
		}
		if name == "" || !utf8.ValidString(name) || utf8.RuneCountInString(name) > 256 || strings.Contains(name, "\x00") {
			return // the API refuses longer names, and NUL bytes in any parameter
		}
		a.post("/v1/customers", url.Values{"name": {name}, "description": {"x"}}.Encode())
		quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name)
		require.Len(t, a.found("/v1/customers/search", fmt.Sprintf(`name:"%s" -created:0`, quoted)), 1)
	})
}

func TestSearchFindsChargesByTheirCards(t *testing.T) {
	clock := at(1700000000) // November 2023: the cards expire a year later
	a := memory(t, stripetest.WithClock(clock.read))
	visa, amex := a.charge("source=tok_visa"), a.charge("source=tok_amex")
	fingerprint := a.get("/v1/charges/" + amex)["source"].(map[string]any)["fingerprint"].(string)
	const card = "payment_method_details.card."
	for query, want := range map[string][]string{
		card + `last4:"0005"`: {amex}, card + `last4:4242`: {visa}, card + `brand:"visa"`: {visa}, "-" + card + `brand:"visa"`: {amex},
		card + `exp_month:11`: {amex, visa}, card + `exp_year>2024`: {}, card + `exp_year:2024 ` + card + `brand:amex`: {amex},
		card + `fingerprint:"` + fingerprint + `"`: {amex}, `billing_details.address.postal_code:null`: {amex, visa},
	} {
		result := a.get("/v1/charges/search?query=" + url.QueryEscape(query))
		require.Equal(t, want, ids(result), query)
	}
	r := a.do("GET", "/v1/charges/search?query="+url.QueryEscape(card+`last4~"424"`), "")
	require.Equal(t, 400, r.status)
}

func TestTotalCountsWhatAllPagesShow(t *testing.T) {
	clock := at(1700000000)
	hidden := time.Duration(0)
	a := memory(t, stripetest.WithClock(clock.read), stripetest.WithVisibility(func(string) time.Duration { return hidden }))
	for range 3 {
		a.charge("source=tok_visa")
	}
	hidden = time.Minute
	a.charge("source=tok_visa")
	require.Equal(t, 3.0, a.get("/v1/charges?limit=1&expand[]=total_count")["total_count"])
	first := a.get("/v1/charges/search?query=amount>0&limit=2&expand[]=total_count")
	second := a.get("/v1/charges/search?query=amount>0&limit=2&expand[]=total_count&page=" + first["next_page"].(string))
	require.Equal(t, []any{3.0, 3.0}, []any{first["total_count"], second["total_count"]})
	require.NotContains(t, a.get("/v1/charges"), "total_count")
}

// TestSearchEqualsAScanOfAllObjects searches among more objects than have one set of
// terms, some of which are changed or deleted.
func TestSearchEqualsAScanOfAllObjects(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	a := memory(t)
	names, sizes := map[string]string{}, map[string]string{}
	var known []string
	for i := range 1300 {
		id := a.server.Seed("/v1/customers", stripetest.Seeding{
			First:  time.Unix(int64(i), 0),
			Params: url.Values{"name": {fmt.Sprintf("Name%d", i/2)}, "metadata[size]": {fmt.Sprint(i / 3)}},
		})[0]
		known = append([]string{id}, known...)
		names[id], sizes[id] = fmt.Sprintf("name%d", i/2), fmt.Sprint(i/3)
	}
	for i, id := range slices.Clone(known) {
		switch random.IntN(8) {
		case 0:
			a.post("/v1/customers/"+id, fmt.Sprintf("name=Other%d", i))
			names[id] = fmt.Sprintf("other%d", i)
		case 1:
			require.Equal(t, 200, a.do("DELETE", "/v1/customers/"+id, "").status)
			known = slices.DeleteFunc(known, func(other string) bool { return other == id })
		}
	}
	for range 300 {
		name, size := fmt.Sprintf("name%d", random.IntN(700)), fmt.Sprint(random.IntN(450))
		if random.IntN(3) == 0 {
			name = fmt.Sprintf("other%d", random.IntN(1300))
		}
		for query, fits := range map[string]func(id string) bool{
			`name:"` + strings.ToUpper(name) + `"`:                           func(id string) bool { return names[id] == name },
			`metadata["size"]:"` + size + `"`:                                func(id string) bool { return sizes[id] == size },
			`name:"` + name + `" OR metadata["size"]:"` + size + `"`:         func(id string) bool { return names[id] == name || sizes[id] == size },
			`name:"` + name + `" AND -metadata["size"]:"` + size + `"`:       func(id string) bool { return names[id] == name && sizes[id] != size },
			`name~"` + name + `" AND metadata["size"]:"` + size + `"`:        func(id string) bool { return strings.Contains(names[id], name) && sizes[id] == size },
			`created<1300 metadata["size"]:"` + size + `" -metadata["x"]:""`: func(id string) bool { return sizes[id] == size },
		} {
			want := []string{}
			for _, id := range known {
				if fits(id) {
					want = append(want, id)
				}
			}
			require.Equal(t, want, ids(a.get("/v1/customers/search?"+url.Values{"query": {query}}.Encode())), query)
		}
	}
}
