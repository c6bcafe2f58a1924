package stripetest

import (
	"net/http"
	"strings"
)

// authenticate checks the request's API key and returns its mode. A publishable
// key, which browsers use, can only create tokens.
func (s *Server) authenticate(c *call) (live bool, failure *apiError) {
	key := apiKey(c.request)
	if key == "" {
		return false, noKey()
	}
	if _, expired := s.expiredKeys.Load(key); expired {
		return false, expiredKey(key)
	}
	if !s.accepts(key) {
		return false, badKey(key)
	}
	if strings.HasPrefix(key, "pk_") && c.route.pattern != "/v1/tokens" {
		return false, publishableKey()
	}
	return strings.Contains(key, "_live_"), nil
}

func apiKey(r *http.Request) string {
	if user, _, ok := r.BasicAuth(); ok {
		return user
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

func (s *Server) accepts(key string) bool {
	if s.keys != nil {
		return s.keys[key]
	}
	prefix, secret := splitKey(key)
	return prefix != "" && secret != "" && !strings.ContainsFunc(secret, notInKey)
}

// splitKey splits a key after its prefix. The prefix is empty if the key does
// not begin with that of a secret, restricted or publishable key.
func splitKey(key string) (prefix, secret string) {
	for _, prefix := range []string{"sk_test_", "sk_live_", "rk_test_", "rk_live_", "pk_test_", "pk_live_"} {
		if secret, ok := strings.CutPrefix(key, prefix); ok {
			return prefix, secret
		}
	}
	return "", key
}

func notInKey(r rune) bool {
	return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r != '_'
}

// maskKey returns the prefix of a key, asterisks, and its last four characters
// if at least four others stay hidden.
func maskKey(key string) string {
	prefix, secret := splitKey(key)
	if len(secret) < 8 {
		return prefix + "****"
	}
	return prefix + "****" + secret[len(secret)-4:]
}
