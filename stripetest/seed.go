package stripetest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Seeding says which objects [Server.Seed] stores. The zero value is one
// object, created now.
type Seeding struct {
	// Count is the number of objects. 0 means 1.
	Count int
	// First is the time of the first object. Zero means now, by the server's
	// clock. Created timestamps are truncated to the second.
	First time.Time
	// Every is the time between two objects. 0 gives all of them the same
	// second. It may be less than a second, or negative.
	Every time.Duration
	// Params are the parameters of the request that would create the object,
	// such as {"amount": {"500"}, "currency": {"eur"}, "source": {"tok_visa"}}.
	// Nil means the minimum that the API requires. Refunds need Params with a
	// charge.
	Params url.Values
	// Undated makes responses show null as the objects' created timestamp (date
	// for invoice items). Lists still order and filter the objects by the times
	// that First and Every give.
	Undated bool
	// Account is the id of a connected account. Empty means the account that
	// the API keys belong to.
	Account string
	// Live selects live mode. The default is test mode.
	Live bool
}

// Seed stores objects without requests, with any created timestamps, and
// returns their ids in the order of creation. The path is that of the resource:
// /v1/charges, /v1/customers, /v1/products, /v1/refunds, /v1/invoiceitems or
// /v1/orders.
//
//	server.Seed("/v1/charges", stripetest.Seeding{Count: 1_000_000, First: start, Every: time.Second})
//
// The first object is created as if by a request at that time. The others are
// copies of it with their own id and time. A copy has no effect on other
// objects: a charge shows only the first of its seeded refunds. A million
// charges take about 0.7 GB of memory and one or two seconds. Seed does not
// record or count anything. It panics if the API would refuse the request.
func (s *Server) Seed(path string, seeding Seeding) []string {
	route, _, ok := s.match(http.MethodPost, path)
	if !ok {
		panic("stripetest: nothing is created at " + path)
	}
	a := s.accountFor(seeding.Account, seeding.Live)
	a.mu.Lock()
	defer a.mu.Unlock()
	if seeding.First.IsZero() {
		seeding.First = s.now()
	}
	c := &call{server: s, method: http.MethodPost, path: path, account: a, time: seeding.First, params: newValue(), version: defaultVersion}
	if err := seeding.fill(c.params, path); err != nil {
		panic("stripetest: " + err.Error())
	}
	if failure := route.params.check("", c.params); failure != nil {
		panic("stripetest: " + failure.Message)
	}
	first, failure := route.handle(c)
	if failure != nil && failure.Charge == "" {
		panic("stripetest: " + failure.Message)
	}
	ids := a.copies(path, seededID(first, failure), seeding)
	if seeding.Undated {
		a.markUndated(ids)
	}
	return ids
}

// fill decodes the parameters, or the minimum that the path requires.
func (seeding Seeding) fill(params *value, path string) error {
	form := seeding.Params.Encode()
	if seeding.Params == nil {
		switch path {
		case "/v1/charges":
			form = "amount=1000&currency=usd&source=tok_visa"
		case "/v1/products":
			form = "name=Seeded"
		case "/v1/invoiceitems":
			form = "amount=1000&currency=usd&customer_account=acct_seeded"
		case "/v1/orders":
			form = "currency=usd"
		}
	}
	decoded, err := parseForm(form)
	if err == nil {
		*params = *decoded
	}
	return err
}

// seededID returns the id of the created object, or of the failed charge if the
// card was declined.
func seededID(object any, failure *apiError) string {
	if failure != nil {
		return failure.Charge
	}
	return newTree(object).(*tree).text("id")
}

// copies stores the copies of an object and returns all ids, beginning with
// that of the object.
func (a *account) copies(path, id string, seeding Seeding) []string {
	switch path {
	case "/v1/charges":
		return copyObjects(a.charges, id, seeding, func(ch *charge, id string, second int64) {
			ch.ID, ch.Created = id, second
			ch.Refunds.URL = "/v1/charges/" + id + "/refunds"
		})
	case "/v1/customers":
		return copyObjects(a.customers, id, seeding, func(cus *customer, id string, second int64) {
			cus.ID, cus.Created = id, second
		})
	case "/v1/products":
		return copyObjects(a.products, id, seeding, func(p *product, id string, second int64) {
			p.ID, p.Created, p.Updated = id, second, second
		})
	case "/v1/refunds":
		return copyObjects(a.refunds, id, seeding, func(r *refund, id string, second int64) {
			r.ID, r.Created = id, second
		})
	case "/v1/invoiceitems":
		return copyObjects(a.invoiceItems, id, seeding, func(i *invoiceItem, id string, second int64) {
			i.ID, i.Date = id, second
		})
	case "/v1/orders":
		return copyObjects(a.orders, id, seeding, func(o *order, id string, second int64) {
			o.ID, o.Created, o.Updated = id, second, second
		})
	}
	panic(fmt.Sprintf("stripetest: %s cannot be seeded", path))
}

// copyBlock is the number of copies that are allocated together.
const copyBlock = 1024

// copyObjects stores copies of an object. The function set sets the id and the
// second of each copy.
func copyObjects[T any](objects *collection[T], id string, seeding Seeding, set func(object *T, id string, second int64)) []string {
	first, _ := objects.get(id)
	prefix := id[:strings.IndexByte(id, '_')+1]
	ids := append(make([]string, 0, max(seeding.Count, 1)), id)
	objects.expect(seeding.Count)
	var block []T
	for i := 1; i < seeding.Count; i++ {
		if len(block) == 0 {
			block = make([]T, min(copyBlock, seeding.Count-i))
		}
		object := &block[0]
		block = block[1:]
		*object = *first
		second := seeding.First.Add(time.Duration(i) * seeding.Every).Unix()
		copied := quickID(prefix, len(id))
		set(object, copied, second)
		objects.add(copied, second, object)
		ids = append(ids, copied)
	}
	return ids
}

// expect makes room for n more ids if n is larger than the collection.
func (c *collection[T]) expect(n int) {
	if n <= len(c.byID) {
		return
	}
	byID := make(map[string]*entry[T], len(c.byID)+n)
	maps.Copy(byID, c.byID)
	c.byID = byID
}

// quickID returns an id of the given length. It is faster than newID.
func quickID(prefix string, length int) string {
	var id strings.Builder
	id.Grow(length)
	id.WriteString(prefix)
	random := uint64(0)
	for id.Len() < length {
		if random < uint64(len(base62)) {
			random = rand.Uint64()
		}
		id.WriteByte(base62[random%uint64(len(base62))])
		random /= uint64(len(base62))
	}
	return id.String()
}

func (a *account) markUndated(ids []string) {
	if a.undated == nil {
		a.undated = make(map[string]bool)
	}
	for _, id := range ids {
		a.undated[id] = true
	}
}

// undate removes the created timestamps of the undated objects in a response.
func (a *account) undate(response any) {
	if len(a.undated) == 0 {
		return
	}
	eachObject(response, func(object *tree) {
		if !a.undated[object.text("id")] {
			return
		}
		for _, name := range []string{"created", "date"} {
			if _, known := object.values[name]; known {
				object.set(name, nil)
			}
		}
	})
}
