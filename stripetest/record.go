package stripetest

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// defaultLog is how many requests are kept unless [WithRequestLog] says.
const defaultLog = 10_000

// Request is a request that the server has dealt with.
type Request struct {
	Method string
	Path   string      // without the query, unescaped
	Query  url.Values  // of the URL
	Form   url.Values  // of the body, if it was form-encoded
	Header http.Header // without Authorization: a key is never kept

	Status    int       // of the response; 0 if none was sent
	RequestID string    // the Request-Id header of the response
	Time      time.Time // by the server's clock: the created of what it created
}

// WithRequestLog sets how many requests [Server.Requests] keeps, the newest
// ones: 10,000 by default, 0 for none. The counts are of all requests.
func WithRequestLog(n int) Option {
	return func(s *Server) { s.logSize = max(n, 0) }
}

// Requests returns the newest requests, oldest of them first, refused ones
// included: all of them, up to 10,000 or what [WithRequestLog] says. The
// result is a copy.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.requests[max(len(s.requests)-s.logSize, 0):]
	requests := make([]Request, len(kept))
	for i, r := range kept {
		r.Query = cloneValues(r.Query)
		r.Form = cloneValues(r.Form)
		r.Header = r.Header.Clone()
		requests[i] = r
	}
	return requests
}

func (s *Server) record(c *call, body []byte, a *answer) {
	header := c.request.Header.Clone()
	maps.DeleteFunc(header, func(name string, _ []string) bool {
		return strings.EqualFold(name, "Authorization")
	})
	record := Request{
		Method:    c.method,
		Path:      c.request.URL.Path,
		Query:     c.request.URL.Query(),
		Form:      url.Values{},
		Header:    header,
		RequestID: c.requestID,
		Time:      c.time,
	}
	if isForm(c.request) {
		// What is malformed was answered with an error; the rest is kept.
		record.Form, _ = url.ParseQuery(string(body))
	}
	if _, some := a.sent(); some && a.err == nil {
		record.Status = a.status
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.add(c.routeName(), c.time)
	s.requests = append(s.requests, record)
	if len(s.requests) > 2*s.logSize { // half of them at a time: each is moved once
		s.requests = append(s.requests[:0:0], s.requests[len(s.requests)-s.logSize:]...)
	}
}

func cloneValues(values url.Values) url.Values {
	return url.Values(http.Header(values).Clone())
}
