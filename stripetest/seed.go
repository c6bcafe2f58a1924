package stripetest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// maxID is the maximum length of a chosen id, in bytes.
const maxID = 255

// Seeding says which objects [Server.Seed] stores. The zero value is one
// object, created now.
type Seeding struct {
	// Count is the number of objects. 0 means as many as there are IDs, or 1.
	Count int
	// IDs are the ids of the objects, in the order of creation. Nil means random
	// ids. Otherwise there must be Count of them, and none may be in use.
	IDs []string
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
	// Account is the id of a connected account, or that of a key by
	// [Server.AccountOf]. Empty means the account that the API keys belong to.
	Account string
	// Live selects live mode. The default is test mode.
	Live bool
}

// Seed stores objects without requests, with any created timestamps, and
// returns their ids in the order of creation. The path is that of the resource:
// /v1/charges, /v1/payment_intents, /v1/payment_methods, /v1/customers, /v1/products,
// /v1/refunds, /v1/invoiceitems or /v1/orders.
//
//	server.Seed("/v1/charges", stripetest.Seeding{Count: 1_000_000, First: start, Every: time.Second})
//
// The first object is created as if by a request at that time. The others are
// copies of it with their own id and time. A copy has no effect on other
// objects: the amount_refunded of a charge has only the first of its seeded
// refunds. But each copy of a payment intent has a copy of its latest charge.
//
// A copy of a charge takes some 230 bytes, and a million take some seconds.
// Charges that are seeded one by one, with cards and metadata of their own, take
// some 490 bytes each. Seed does not record or count anything, and seeded objects
// make no events. It panics if the API would refuse the request, or if an id of
// the Seeding is in use.
func (s *Server) Seed(path string, seeding Seeding) []string {
	ids, err := s.seed(path, seeding)
	if err != nil {
		panic("stripetest: " + err.Error())
	}
	return ids
}

// seed is Seed with an error that names the path, and the parameter if it is
// about one.
func (s *Server) seed(path string, seeding Seeding) ([]string, error) {
	route, id, ok := s.match(http.MethodPost, path)
	if !ok || id != "" {
		return nil, fmt.Errorf("seed %s: nothing is created at this path", path)
	}
	a := s.accountFor(seeding.Account, seeding.Live)
	a.mu.Lock()
	defer a.mu.Unlock()
	store := a.copier(path)
	if store == nil {
		return nil, fmt.Errorf("seed %s: this resource cannot be seeded", path)
	}
	if seeding.First.IsZero() {
		seeding.First = s.now()
	}
	c := &call{server: s, method: http.MethodPost, path: path, account: a, time: seeding.First, params: newValue(), version: defaultVersion}
	if err := seeding.checkIDs(c); err != nil {
		return nil, fmt.Errorf("seed %s: %w", path, err)
	}
	seeding.Count = max(seeding.Count, len(seeding.IDs), 1)
	if err := seeding.fill(c.params, path); err != nil {
		return nil, fmt.Errorf("seed %s: %w", path, err)
	}
	if path == "/v1/products" && seeding.IDs != nil && !c.params.has("id") {
		c.params.add("id", &value{text: seeding.IDs[0]}) // its default price refers to it
	}
	failure := route.params.check("", c.params)
	if failure != nil {
		return nil, seedRefused(path, failure)
	}
	first, failure := route.handle(c)
	if failure != nil && !failure.kept {
		return nil, seedRefused(path, failure)
	}
	ids := store(seededID(first, failure), seeding)
	if seeding.Undated {
		a.markUndated(ids)
	}
	return ids, nil
}

func seedRefused(path string, failure *apiError) error {
	if failure.Param == "" {
		return fmt.Errorf("seed %s: %s", path, failure.Message)
	}
	return fmt.Errorf("seed %s: %s: %s", path, failure.Param, failure.Message)
}

// checkIDs refuses ids that cannot be those of new objects.
func (seeding Seeding) checkIDs(c *call) error {
	if seeding.IDs == nil {
		return nil
	}
	if n := len(seeding.IDs); n == 0 || seeding.Count != 0 && seeding.Count != n {
		return fmt.Errorf("%d ids are given for %d objects", n, seeding.Count)
	}
	seen := make(map[string]bool, len(seeding.IDs))
	for _, id := range seeding.IDs {
		if seen[id] || c.taken(id) {
			return fmt.Errorf("the id %q is in use", id)
		}
		if id == "" || len(id) > maxID || !utf8.ValidString(id) || strings.ContainsFunc(id, unicode.IsControl) {
			return fmt.Errorf("the id %q is empty, too long or not printable", id)
		}
		seen[id] = true
	}
	return nil
}

// taken reports whether the path of the call has an object with this id, or a
// route in its place.
func (c *call) taken(id string) bool {
	found, _, ok := c.server.match(http.MethodGet, c.path+"/"+url.PathEscape(id))
	if !ok {
		return false
	}
	if !strings.HasSuffix(found.pattern, "/{id}") {
		return true
	}
	inner := *c
	inner.id = id
	_, failure := found.handle(&inner)
	return failure == nil
}

// fill decodes the parameters, or the minimum that the path requires.
func (seeding Seeding) fill(params *value, path string) error {
	form := seeding.Params.Encode()
	if seeding.Params == nil {
		switch path {
		case "/v1/charges":
			form = "amount=1000&currency=usd&source=tok_visa"
		case "/v1/payment_intents":
			form = "amount=1000&currency=usd&payment_method=pm_card_visa&payment_method_types[]=card&confirm=true"
		case "/v1/payment_methods":
			form = "type=card&card[token]=tok_visa"
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

// seededID returns the id of the created object. If the card was declined, that is
// the payment intent, or the failed charge.
func seededID(object any, failure *apiError) string {
	if failure != nil && failure.PaymentIntent == nil {
		return failure.Charge
	}
	if failure != nil {
		object = failure.PaymentIntent
	}
	return newTree(object).(*tree).text("id")
}

// copier stores the copies of the object with this id and returns all ids,
// beginning with that of the object.
type copier func(id string, seeding Seeding) []string

// copier returns the copier of a resource, or nil if it cannot be seeded.
func (a *account) copier(path string) copier {
	switch path {
	case "/v1/charges":
		return copying(a.charges, func(ch *charge, id string, second int64) {
			ch.ID, ch.Created = id, second
		})
	case "/v1/payment_intents":
		return a.copyIntents
	case "/v1/payment_methods":
		return copying(a.paymentMethods, func(m *paymentMethod, id string, second int64) {
			m.ID, m.Created = id, second
		})
	case "/v1/customers":
		return copying(a.customers, copyCustomer)
	case "/v1/products":
		return copying(a.products, func(p *product, id string, second int64) {
			p.ID, p.Created, p.Updated = id, second, second
		})
	case "/v1/refunds":
		return copying(a.refunds, func(r *refund, id string, second int64) {
			r.ID, r.Created = id, second
		})
	case "/v1/invoiceitems":
		return copying(a.invoiceItems, func(i *invoiceItem, id string, second int64) {
			i.ID, i.Date = id, second
		})
	case "/v1/orders":
		return copying(a.orders, func(o *order, id string, second int64) {
			o.ID, o.Created, o.Updated = id, second, second
			o.Returns.URL = "/v1/order_returns?order=" + id
		})
	}
	return nil
}

func copying[T any](objects *collection[T], set func(object *T, id string, second int64)) copier {
	return func(id string, seeding Seeding) []string { return copyObjects(objects, id, seeding, set) }
}

// copyCustomer gives the copy cards of its own, which have its customer.
func copyCustomer(cus *customer, id string, second int64) {
	cus.ID, cus.Created = id, second
	cus.cards = slices.Clone(cus.cards)
	for i, old := range cus.cards {
		card := *old
		card.ID, card.Customer = newID("card_1", 23), &cus.ID
		cus.cards[i] = &card
		if deref(cus.DefaultSource) == old.ID {
			cus.DefaultSource = &card.ID
		}
	}
}

// manyCopies is the number of copies that a shape of their own saves memory for.
const manyCopies = 100

// copyObjects stores copies of an object. The function set sets the id and the
// second of each copy.
func copyObjects[T any](objects *collection[T], id string, seeding Seeding, set func(object *T, id string, second int64)) []string {
	prefix, length := id[:strings.IndexByte(id, '_')+1], len(id)
	id = chooseID(objects, id, seeding, set)
	first, _ := objects.get(id)
	ids := append(make([]string, 0, seeding.Count), id)
	objects.expect(seeding.Count)
	if seeding.Count >= manyCopies {
		objects.shapes.adopt(first)
	}
	for i := 1; i < seeding.Count; i++ {
		object := *first
		second := seeding.First.Add(time.Duration(i) * seeding.Every).Unix()
		copied := seeding.id(i)
		if copied == "" {
			copied = quickID(prefix, length)
		}
		set(&object, copied, second)
		objects.add(copied, second, &object)
		ids = append(ids, copied)
	}
	return ids
}

// chooseID gives the first object its chosen id, if there is one, and returns
// its id.
func chooseID[T any](objects *collection[T], id string, seeding Seeding, set func(object *T, id string, second int64)) string {
	chosen := seeding.id(0)
	if chosen == "" || chosen == id {
		return id
	}
	first, _ := objects.get(id)
	renamed := *first
	set(&renamed, chosen, seeding.First.Unix())
	objects.rename(id, chosen, &renamed)
	return chosen
}

// id returns the chosen id of object i, or "" if none was chosen.
func (seeding Seeding) id(i int) string {
	if seeding.IDs == nil {
		return ""
	}
	return seeding.IDs[i]
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
		hideDates(object)
	})
}

func hideDates(object *tree) {
	for _, name := range []string{"created", "date"} {
		if _, known := object.values[name]; known {
			object.set(name, nil)
		}
	}
}
