package stripetest

import (
	"cmp"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Request is a request that the server has answered.
type Request struct {
	Method string
	Path   string      // without the query, unescaped
	Query  url.Values  // of the URL
	Form   url.Values  // of the body, if it was form-encoded
	Header http.Header // without Authorization: a key is never kept

	Status    int       // of the response
	RequestID string    // the Request-Id header of the response
	Time      time.Time // by the server's clock: the created of what it created
}

// Requests returns every request answered so far, oldest first, refused ones
// included. The result is a copy.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	requests := make([]Request, len(s.requests))
	for i, r := range s.requests {
		r.Query = cloneValues(r.Query)
		r.Form = cloneValues(r.Form)
		r.Header = r.Header.Clone()
		requests[i] = r
	}
	return requests
}

func (s *Server) record(c *call, body []byte, status int) {
	header := c.request.Header.Clone()
	maps.DeleteFunc(header, func(name string, _ []string) bool {
		return strings.EqualFold(name, "Authorization")
	})
	record := Request{
		Method:    cmp.Or(c.request.Method, http.MethodGet),
		Path:      c.request.URL.Path,
		Query:     c.request.URL.Query(),
		Form:      url.Values{},
		Header:    header,
		Status:    status,
		RequestID: c.requestID,
		Time:      c.time,
	}
	if isForm(c.request) {
		// What is malformed was answered with an error; the rest is kept.
		record.Form, _ = url.ParseQuery(string(body))
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, record)
}

func cloneValues(values url.Values) url.Values {
	return url.Values(http.Header(values).Clone())
}
