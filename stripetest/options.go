package stripetest

import "time"

// Option configures the Server that [New] returns.
type Option func(*Server)

// InMemory makes a server without a listener. Its URL is "https://stripe.test"
// and its Client calls [Server.RoundTrip]. It starts no goroutine, so it can be
// used inside a testing/synctest bubble.
func InMemory() Option {
	return func(s *Server) { s.inMemory = true }
}

// WithClock sets the server's clock; the default is [time.Now]. Created
// timestamps and Date headers are its time, truncated to the second. The
// function must be safe for concurrent use and must not call the server.
func WithClock(now func() time.Time) Option {
	return func(s *Server) { s.now = now }
}

// WithKeys makes the server accept these API keys and no others. If it is used
// more than once, the keys add up. A key that contains "_live_" is a live mode
// key. Without this option the server accepts any well-formed sk_test_,
// sk_live_, rk_test_ or rk_live_ key.
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

// WithExpiredKeys makes the server refuse these keys with status 401 and the
// code api_key_expired. If it is used more than once, the keys add up.
func WithExpiredKeys(keys ...string) Option {
	return func(s *Server) { s.ExpireKeys(keys...) }
}

// ExpireKeys makes the server refuse these keys from now on, as [WithExpiredKeys] does:
// as if they had been revoked, or replaced by others, during the test. Other keys stay
// valid.
func (s *Server) ExpireKeys(keys ...string) {
	for _, key := range keys {
		s.expiredKeys.Store(key, true)
	}
}
