package stripekit

import (
	"fmt"
	"os"

	"github.com/stripekit/stripekit/internal/transport"
)

// Secret is an API key that can be handed over and not read back. However it is
// printed, logged or encoded, it shows its kind and its last four characters at
// most: sk_test_…abcd. The zero value is no key.
type Secret struct {
	// reveal is a func since nothing that prints or encodes values by
	// reflection, be it unexported fields, looks into one.
	reveal        func() (string, error)
	env           string // the variable that it is read from
	allowedOrigin string // where alone it may be sent; empty for anywhere
}

// NewSecret holds a key. An empty one is the zero value.
func NewSecret(key string) Secret {
	if key == "" {
		return Secret{}
	}
	return Secret{reveal: func() (string, error) { return key, nil }}
}

// SecretFromEnv is the key in an environment variable. It is read when a
// connection with it is opened, or given to Connections, which fails if the
// variable is not set. Whoever may write the name of the variable chooses among
// all that the process has: take it from those alone who may.
func SecretFromEnv(variable string) Secret {
	// A key in the place of the name must not be shown either.
	variable = transport.Mask(variable)
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

// String is what may be shown of the key: sk_test_…abcd; the variable's name
// while it is not read; empty for no key.
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

// unread tells that the key is still in the environment.
func (s Secret) unread() bool { return s.env != "" && s.allowedOrigin == "" }

// Format prints String for every verb.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// MarshalText is String, for JSON and others. There is no way back.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// hint is the kind of the key and its end: up to four characters, and a quarter
// of it at most. Of what is not a key, or not read yet, nothing is shown.
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

// read is the key, as it is or as its variable has it now; empty where there is
// none.
func (s Secret) read() (string, error) {
	if s.IsZero() {
		return "", nil
	}
	return s.reveal()
}

// kept is the key as a connection keeps it: read, and to be sent to allowedOrigin alone.
func (s Secret) kept(key, allowedOrigin string) Secret {
	return Secret{reveal: func() (string, error) { return key, nil }, env: s.env, allowedOrigin: allowedOrigin}
}
