package stripetest

import "time"

// Option changes how [New] sets up a Server.
type Option func(*Server)

// InMemory makes a server without a listener: its URL is "https://stripe.test"
// and its Client calls [Server.RoundTrip]. It starts no goroutine, so it can
// be used inside a testing/synctest bubble.
func InMemory() Option {
	return func(s *Server) { s.inMemory = true }
}

// WithClock replaces [time.Now] as the server's clock. Every created and every
// Date header comes from it, to the second. It must be safe for concurrent
// use, and must not call the server.
func WithClock(now func() time.Time) Option {
	return func(s *Server) { s.now = now }
}

// WithKeys makes the server accept these API keys and no others; used more
// than once, the keys add up. A key is a live one if it has "_live_" in it.
// Without this option any well-formed sk_test_, sk_live_, rk_test_ or rk_live_
// key is accepted.
func WithKeys(keys ...string) Option {
	return func(s *Server) {
		if s.keys == nil {
			s.keys = make(map[string]bool)
		}
		for _, key := range keys {
			s.keys[key] = true
		}
	}
}

// WithExpiredKeys makes the server answer 401 with the code api_key_expired to
// these keys.
func WithExpiredKeys(keys ...string) Option {
	return func(s *Server) {
		if s.expiredKeys == nil {
			s.expiredKeys = make(map[string]bool)
		}
		for _, key := range keys {
			s.expiredKeys[key] = true
		}
	}
}
