package stripekit

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/stripekit/stripekit/internal/transport"
)

const (
	accountPath = "/v1/account"
	// accountPrefix is the beginning of the id of every account.
	accountPrefix = "acct_"
	// failureMemory is how long later callers share the result of a failed request
	// for an identity, so that each of them does not repeat the request.
	failureMemory = time.Second
)

// errAccountID is wrapped by the error for a response with an impossible account id. A
// Poller ends on it: the id is kept in checkpoints.
var errAccountID = errors.New(`the account's id does not begin with "acct_", or has a key in it`)

// Account is the Stripe account that an API key belongs to.
type Account struct {
	ID              string   `json:"id"` // "acct_…"
	BusinessProfile struct { // what customers see
		Name string `json:"name"`
		URL  string `json:"url"`
	} `json:"business_profile"`
	BusinessName     string   `json:"business_name"` // in old versions, in place of BusinessProfile
	ChargesEnabled   bool     `json:"charges_enabled"`
	Country          string   `json:"country"` // two letters
	Created          UnixTime `json:"created"`
	DefaultCurrency  string   `json:"default_currency"`
	DetailsSubmitted bool     `json:"details_submitted"`
	Email            string   `json:"email"`
	PayoutsEnabled   bool     `json:"payouts_enabled"`
	Type             string   `json:"type"`

	// Mode is the mode of the key: ModeTest or ModeLive.
	Mode Mode `json:"-"`
}

// keyIdentity identifies one API key, and the account that it belongs to. A
// connection that is updated with another key gets another keyIdentity, so that
// comparing pointers shows whether the key is still the same.
//
// One request at a time asks for the account, and all callers of Client.identity
// wait for it. mu is not held during the request.
type keyIdentity struct {
	mode Mode

	mu sync.Mutex
	// latest is the request in flight, the request that succeeded, or the request
	// that failed last. It is nil before the first request, and after a request
	// that all of its callers stopped waiting for.
	latest *identityRequest
}

// identityRequest is a request for the account of a key, and its result.
type identityRequest struct {
	current *snapshot // the settings of the request
	cancel  context.CancelFunc
	done    chan struct{} // closed when the request has ended

	// Guarded by keyIdentity.mu.
	callers int       // how many wait for the result
	endedAt time.Time // zero while the request is in flight

	// Written before done is closed, and read after it.
	id  string // empty if the key lacks the permission to read it
	err error
}

// identity returns the id of the account that the client acts for, and the
// identity of the key in use. The id is empty if the key lacks the permission to
// read it. identity waits no longer than ctx allows, and shares the request and
// its result with other callers.
func (c *Client) identity(ctx context.Context) (id string, identity *keyIdentity, err error) {
	current := c.current.Load()
	identity = current.identity
	if !c.admits(identity) {
		_, _, err := c.request(current, http.MethodGet, accountPath, nil, nil)
		return "", identity, err
	}
	if c.account != "" {
		return c.account, identity, nil
	}
	if ctx.Err() == nil {
		r := identity.join(ctx, current, c.fetchIdentity)
		defer identity.leave(r)
		select {
		case <-r.done:
			return r.id, identity, r.err
		case <-ctx.Done():
		}
	}
	return "", identity, &Error{Method: http.MethodGet, Path: accountPath, cause: ctx.Err()}
}

// join returns the request that the caller shall wait for. If no request can be
// shared, it starts one with fetch. The caller is counted until it calls leave.
func (k *keyIdentity) join(ctx context.Context, current *snapshot, fetch func(context.Context, *snapshot) (string, error)) *identityRequest {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.latest != nil && k.latest.servesFor(current) {
		k.latest.callers++
		return k.latest
	}
	// The caller that starts the request may be cancelled while other callers
	// still wait. So the request has its own context, which leave cancels.
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r := &identityRequest{current: current, cancel: cancel, done: make(chan struct{}), callers: 1}
	k.latest = r
	go func() {
		r.id, r.err = fetch(ctx, current)
		k.ended(r)
	}()
	return r
}

// servesFor reports whether a caller with the settings current can share the
// request. A success holds for the key, and so for all settings. A request that
// is in flight or failed may suffer from the proxy or the timeout of older
// settings, so only callers with the same settings share it.
func (r *identityRequest) servesFor(current *snapshot) bool {
	switch {
	case r.endedAt.IsZero():
		return r.current == current
	case r.err == nil:
		return true
	default:
		return r.current == current && time.Since(r.endedAt) < failureMemory
	}
}

// ended publishes the result of a request.
func (k *keyIdentity) ended(r *identityRequest) {
	r.cancel()
	k.mu.Lock()
	r.endedAt = time.Now()
	// A success counts even if a request of a newer snapshot has replaced it.
	if r.err == nil {
		k.latest = r
	}
	k.mu.Unlock()
	close(r.done)
}

// leave ends the wait of a caller of join. The last caller to leave a request in
// flight cancels it, and the next caller starts another one.
func (k *keyIdentity) leave(r *identityRequest) {
	k.mu.Lock()
	defer k.mu.Unlock()
	r.callers--
	if r.callers > 0 || !r.endedAt.IsZero() {
		return
	}
	r.cancel()
	if k.latest == r {
		k.latest = nil
	}
}

// fetchIdentity requests the id of the account of the key. The id is empty if
// the key lacks the permission to read it, and the service does not name it.
func (c *Client) fetchIdentity(ctx context.Context, current *snapshot) (id string, err error) {
	req, co, err := c.request(current, http.MethodGet, accountPath, nil, nil)
	if err != nil {
		return "", err
	}
	err = current.do(ctx, req, co, func(resp *transport.Response) error {
		var account Account
		if err := unmarshal(resp.Body, &account); err != nil {
			return err
		}
		if !strings.HasPrefix(account.ID, accountPrefix) || transport.HasKey(account.ID) {
			return errAccountID
		}
		id = account.ID
		return nil
	})
	// A 403 from a proxy says nothing about the key.
	if e, ok := errors.AsType[*Error](err); ok && e.HTTPStatus == http.StatusForbidden && e.fromStripe() {
		return accountNamed(err), nil
	}
	return id, err
}

// accountNamed returns the account id in the message of a 403, empty if there is
// none: "… the required permissions for this endpoint on account 'acct_…'. …".
func accountNamed(err error) string {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return ""
	}
	_, rest, _ := strings.Cut(e.Message, "on account '")
	id, _, found := strings.Cut(rest, "'")
	if !found || !strings.HasPrefix(id, accountPrefix) {
		return ""
	}
	return id
}
