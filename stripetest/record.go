package stripetest

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// defaultLog is the default of [WithRequestLog].
const defaultLog = 10_000

// Request is a record of a request that the server has handled.
type Request struct {
	Method string
	Path   string      // without the query, unescaped
	Query  url.Values  // query parameters of the URL
	Form   url.Values  // parameters of the body; empty if it was not form-encoded
	Header http.Header // without Authorization, so that no key is recorded

	Status    int       // HTTP status of the response; 0 if none was sent
	RequestID string    // Request-Id header of the response
	Time      time.Time // by the server's clock; objects that it created have this time
}

// WithRequestLog sets how many of the newest requests [Server.Requests]
// returns. The default is 10,000; 0 means none. It does not affect the counts.
func WithRequestLog(n int) Option {
	return func(s *Server) { s.logSize = max(n, 0) }
}

// Requests returns the newest requests in the order in which they were handled:
// up to 10,000, unless [WithRequestLog] sets another number. Refused requests
// are included. The result is a copy.
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

func (s *Server) record(c *call, body []byte, resp *response) {
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
		// A malformed body has got an error response. Its valid part is recorded.
		record.Form, _ = url.ParseQuery(string(body))
	}
	if _, ok := resp.sent(); ok && resp.err == nil {
		record.Status = resp.status
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.add(c.routeName(), c.time)
	s.requests = append(s.requests, record)
	if len(s.requests) > 2*s.logSize { // dropping half at a time moves each request once
		s.requests = append(s.requests[:0:0], s.requests[len(s.requests)-s.logSize:]...)
	}
}

func cloneValues(values url.Values) url.Values {
	return url.Values(http.Header(values).Clone())
}
