package stripekit

import (
	"crypto/subtle"
	"fmt"
	"os"
	"strings"

	"github.com/stripekit/stripekit/internal/transport"
)

// Secret is an API key that can be passed on but not read. When it is printed,
// logged or encoded, it shows at most its prefix and its last four characters:
// sk_test_…abcd. The zero value is no key.
type Secret struct {
	// reveal is a func because code that prints or encodes values by reflection,
	// even unexported fields, cannot see what a func returns.
	reveal        func() (string, error)
	env           string // the variable that the key is read from; empty if there is none
	allowedOrigin string // the only origin that the key may be sent to; empty for any
}

// NewSecret returns a Secret that holds key. If key is empty, it returns the zero
// value.
func NewSecret(key string) Secret {
	if key == "" {
		return Secret{}
	}
	return Secret{reveal: func() (string, error) { return key, nil }}
}

// SecretFromEnv returns the key in an environment variable. The variable is read
// when a Connection with the Secret is opened, or added to Connections; both fail
// if the variable is not set. Take the name of the variable only from users whom
// you trust with all environment variables of the process.
func SecretFromEnv(variable string) Secret {
	// A key that is passed instead of a name must not be shown either.
	variable = withoutSecret(variable)
	return Secret{env: variable, reveal: func() (string, error) {
		key := os.Getenv(variable)
		if key == "" {
			return "", &ParamError{Param: "api_key", Reason: fmt.Sprintf("the environment variable %q is not set", variable)}
		}
		return key, nil
	}}
}

// IsZero reports whether there is no key.
func (s Secret) IsZero() bool { return s.reveal == nil }

// Equal reports whether s and other hold the same key. A Secret with a variable that was
// not read yet equals no other.
func (s Secret) Equal(other Secret) bool {
	if s.unread() || other.unread() {
		return false
	}
	key, _ := s.read()
	otherKey, _ := other.read()
	return subtle.ConstantTimeCompare([]byte(key), []byte(otherKey)) == 1
}

// String returns the part of the key that may be shown, such as sk_test_…abcd. For
// a variable that was not read yet, it returns the name as $NAME. For the zero value
// it returns "".
func (s Secret) String() string {
	switch {
	case s.IsZero():
		return ""
	case s.unread():
		return "$" + s.env
	}
	prefix, last := s.hint()
	return prefix + "…" + last
}

// unread reports whether the key was not read from its variable yet.
func (s Secret) unread() bool { return s.env != "" && s.allowedOrigin == "" }

// Format prints String for every verb.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// MarshalText returns String, for JSON and other encodings. The key cannot be
// decoded from it, so a program that stores keys must take them from its own input.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// hint returns the prefix of the key and its last characters: at most four, and at
// most a quarter of the rest. Both are empty for a string that is not a key, or was
// not read yet.
func (s Secret) hint() (prefix, last string) {
	if s.unread() {
		return "", ""
	}
	key, _ := s.read()
	if _, err := modeOf(key); err != nil {
		return "", ""
	}
	prefix, rest := key[:len("sk_test_")], key[len("sk_test_"):]
	return prefix, rest[len(rest)-min(4, len(rest)/4):]
}

// read returns the key, from its variable if it has one. It returns "" for the zero
// value.
func (s Secret) read() (string, error) {
	if s.IsZero() {
		return "", nil
	}
	return s.reveal()
}

// kept returns the Secret that a connection keeps: it holds the key that was read,
// and may be sent to allowedOrigin alone.
func (s Secret) kept(key, allowedOrigin string) Secret {
	return Secret{reveal: func() (string, error) { return key, nil }, env: s.env, allowedOrigin: allowedOrigin}
}

// withoutSecret returns a text of a user without the API key, or the login of a URL, that it
// may have in place of what belongs there.
func withoutSecret(text string) string {
	if transport.HasKey(text) || strings.Contains(text, "://") {
		return transport.Quote(text)
	}
	return text
}
