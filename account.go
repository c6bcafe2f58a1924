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
	// accountPrefix is what the id of every account begins with.
	accountPrefix = "acct_"
	// failureMemory is how long a failed request for an identity is shared with
	// callers that come after it, so that callers that come one after the other
	// do not repeat it each.
	failureMemory = time.Second
)

// errAccountID is wrapped by the error for a response with an impossible account id. A
// Poller ends on it: the id is kept in checkpoints.
var errAccountID = errors.New(`the account's id does not begin with "acct_"`)

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

	// Mode is ModeTest or ModeLive, as the key says.
	Mode Mode `json:"-"`
}

// keyIdentity is the account that one API key belongs to. A connection that is
// updated with another key gets another keyIdentity, so that comparing pointers
// shows whether the key is still the same.
//
// The account is learned by one request at a time, which all callers of
// Client.identity wait for. mu is not held over the request.
type keyIdentity struct {
	mode Mode

	mu sync.Mutex
	// latest is the request in flight, the one that succeeded, or the one that
	// failed last. It is nil before the first, and after one that all of its
	// callers have given up.
	latest *identityRequest
}

// identityRequest is a request for the account of a key, and its result.
type identityRequest struct {
	current *snapshot // the request is made with
	cancel  context.CancelFunc
	done    chan struct{} // closed when the request has ended

	// Guarded by keyIdentity.mu.
	callers int       // that wait for the result
	endedAt time.Time // zero while the request is in flight

	// Written before done is closed, and read after it.
	id  string // empty where the key may not read it
	err error
}

// identity returns the id of the account that the client acts for, which is
// empty where the key may not read it, and the identity of the key in use. It
// waits no longer than ctx allows, and shares the request and its failure with
// all who wait at the same time.
func (c *Client) identity(ctx context.Context) (id string, identity *keyIdentity, err error) {
	current := c.current.Load()
	identity = current.identity
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

// join returns the request that the caller is to wait for, and counts the caller
// in until leave. It starts fetch where no request can be shared.
func (k *keyIdentity) join(ctx context.Context, current *snapshot, fetch func(context.Context, *snapshot) (string, error)) *identityRequest {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.latest != nil && k.latest.servesFor(current) {
		k.latest.callers++
		return k.latest
	}
	// The caller that starts the request may be cancelled while others still
	// wait. So the request has a context of its own, which leave cancels.
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r := &identityRequest{current: current, cancel: cancel, done: make(chan struct{}), callers: 1}
	k.latest = r
	go func() {
		r.id, r.err = fetch(ctx, current)
		k.ended(r)
	}()
	return r
}

// servesFor reports whether a caller that uses snapshot can share the request. A
// success holds for the key and so for every snapshot. A request in flight or a
// failure may be due to the proxy or the timeout of an older snapshot, and is only
// shared with callers of the same.
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
	// A success counts even if a request of a newer snapshot has taken its place.
	if r.err == nil {
		k.latest = r
	}
	k.mu.Unlock()
	close(r.done)
}

// leave counts a caller of join out. The last one to leave a request in flight
// cancels it; who comes after that starts another.
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

// fetchIdentity requests the id of the key's account, which is empty where the
// key may not read it.
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
		if !strings.HasPrefix(account.ID, accountPrefix) {
			return errAccountID
		}
		id = account.ID
		return nil
	})
	// A 403 page of a proxy says nothing about the key.
	if e, ok := errors.AsType[*Error](err); ok && e.HTTPStatus == http.StatusForbidden && e.fromStripe() {
		return accountNamed(err), nil
	}
	return id, err
}

// accountNamed returns the account that a refusal for lack of a permission names:
// "… the required permissions for this endpoint on account 'acct_…'. Having …".
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
