package stripetest

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// handler runs under the account's lock, with parameters that fit the route's
// fields. What it returns must never change afterwards.
type handler func(*call) (any, *apiError)

type route struct {
	method  string
	pattern string
	params  fields
	handle  handler
}

// routes is the table of operations. Where two patterns fit, the first counts.
func routes() []route {
	expandable := fields{"expand": list(text)}
	return []route{
		{http.MethodGet, "/v1/account", expandable, retrieveAccount},

		{http.MethodPost, "/v1/charges", chargeFields(), createCharge},
		{http.MethodGet, "/v1/charges", listFields(chargeFilters()), listing(charges)},
		{http.MethodGet, "/v1/charges/{id}", expandable, retrieval(charges)},

		{http.MethodPost, "/v1/customers", customerFields(), createCustomer},
		{http.MethodGet, "/v1/customers", listFields(customerFilters()), listing(customers)},
		{http.MethodGet, "/v1/customers/{id}", expandable, retrieval(customers)},
	}
}

// account is the data of one account in one mode: a collection a resource.
type account struct {
	live    bool
	profile *accountObject

	mu        sync.RWMutex // guards what follows
	charges   *collection[charge]
	customers *collection[customer]
}

func newAccount(profile *accountObject, live bool) *account {
	return &account{
		live:      live,
		profile:   profile,
		charges:   newCharges(),
		customers: newCustomers(),
	}
}

func charges(a *account) *collection[charge]     { return a.charges }
func customers(a *account) *collection[customer] { return a.customers }

// retrieval answers with the object that the path names.
func retrieval[T any](from func(*account) *collection[T]) handler {
	return func(c *call) (any, *apiError) {
		objects := from(c.account)
		if object, ok := objects.get(c.id); ok {
			return object, nil
		}
		return nil, notFound(objects.object, c.id)
	}
}

// listing answers with a page of the objects that the parameters select.
func listing[T any](from func(*account) *collection[T]) handler {
	return func(c *call) (any, *apiError) {
		objects := from(c.account)
		data, more, failure := objects.page(objects.newQuery(c.params))
		if failure != nil {
			return nil, failure
		}
		return &listObject{Object: "list", Data: data, HasMore: more, URL: c.path}, nil
	}
}

// match finds the route of an escaped path, and the id in it.
func (s *Server) match(method, path string) (found route, id string, ok bool) {
	for _, route := range s.routes {
		if route.method != method {
			continue
		}
		if id, ok := matchPattern(route.pattern, path); ok {
			return route, id, true
		}
	}
	return route{}, "", false
}

// matchPattern compares segment by segment; {id} takes any one segment that is
// not empty. An escaped slash is part of an id and leads nowhere else.
func matchPattern(pattern, path string) (id string, ok bool) {
	for {
		want, patternRest, more := strings.Cut(pattern, "/")
		got, pathRest, pathMore := strings.Cut(path, "/")
		switch {
		case more != pathMore:
			return "", false
		case want == "{id}" && got != "":
			unescaped, err := url.PathUnescape(got)
			if err != nil {
				return "", false
			}
			id = unescaped
		case want != got:
			return "", false
		}
		if !more {
			return id, true
		}
		pattern, path = patternRest, pathRest
	}
}
