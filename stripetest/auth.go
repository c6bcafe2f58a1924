package stripetest

import (
	"net/http"
	"strings"
)

// authenticate says which mode the request's key is for.
func (s *Server) authenticate(r *http.Request) (live bool, failure *apiError) {
	key := apiKey(r)
	if key == "" {
		return false, noKey()
	}
	if s.expiredKeys[key] {
		return false, expiredKey(key)
	}
	if !s.accepts(key) {
		return false, badKey(key)
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

// splitKey parts a key after its prefix, which is empty if it has none that a
// server may use.
func splitKey(key string) (prefix, secret string) {
	for _, prefix := range []string{"sk_test_", "sk_live_", "rk_test_", "rk_live_"} {
		if secret, ok := strings.CutPrefix(key, prefix); ok {
			return prefix, secret
		}
	}
	return "", key
}

func notInKey(r rune) bool {
	return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r != '_'
}

// maskKey shows of a key its prefix and its last four characters, and those
// only if at least as many stay hidden.
func maskKey(key string) string {
	prefix, secret := splitKey(key)
	if len(secret) < 8 {
		return prefix + "****"
	}
	return prefix + "****" + secret[len(secret)-4:]
}
