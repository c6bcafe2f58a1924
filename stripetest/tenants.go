package stripetest

import (
	"crypto/sha256"
	"maps"
	"math/big"
)

// WithAccountPerKey gives each API key an account of its own, so that two
// suites of tests with two keys do not see the objects of each other. The id of
// the account follows from the key. Keys that [WithAccountKeys] names are those
// of the account there. Without this option all keys belong to one account.
func WithAccountPerKey() Option {
	return func(s *Server) { s.accountPerKey = true }
}

// WithAccountKeys says which account some keys belong to, such as the test and
// live keys of one account. If it is used more than once, the keys add up. With
// [WithKeys], that option must list the keys too.
func WithAccountKeys(account string, keys ...string) Option {
	return func(s *Server) {
		if s.keyAccounts == nil {
			s.keyAccounts = make(map[string]string)
		}
		for _, key := range keys {
			s.keyAccounts[key] = account
		}
	}
}

// AccountOf returns the id of the account that an API key belongs to, for
// [Seeding] and [Server.Clear]. It does not check the key.
func (s *Server) AccountOf(key string) string {
	if account, named := s.keyAccounts[key]; named {
		return account
	}
	if s.accountPerKey {
		return keyAccountID(key)
	}
	return s.sharedAccount()
}

// sharedAccount returns the account of the keys that have no other.
func (s *Server) sharedAccount() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accountID
}

// keyAccountID returns the id of the account of a single key. It is the same in
// every server, and the key cannot be found from it.
func keyAccountID(key string) string {
	const prefix, length = "acct_1", 15
	sum := sha256.Sum256([]byte("stripetest account of " + key))
	n, digit := new(big.Int).SetBytes(sum[:]), new(big.Int)
	id := []byte(prefix)
	for range length {
		n.DivMod(n, big.NewInt(int64(len(base62))), digit)
		id = append(id, base62[digit.Int64()])
	}
	return string(id)
}

// Clear removes the data of these accounts in both modes, or of all accounts if
// none is named: objects, events, webhooks, and responses stored for idempotency
// keys. Recorded requests, counts, faults and the clock stay. A request that is in progress
// meanwhile may still be executed on the removed data.
func (s *Server) Clear(accounts ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(accounts) == 0 {
		clear(s.accounts)
	}
	for _, id := range accounts {
		maps.DeleteFunc(s.accounts, func(key tenant, _ *account) bool { return key.account == id })
	}
}
