package stripekit

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/stripekit/stripekit/internal/form"
	"github.com/stripekit/stripekit/internal/transport"
)

// API versions that requests are pinned to, so that what the service answers
// does not depend on an account's settings. WithAPIVersion overrides both.
const (
	// APIVersion is sent with every request but those for orders.
	APIVersion = "2026-08-26.dahlia"
	// OrdersAPIVersion is sent with requests for orders: it is the last
	// version that has them.
	OrdersAPIVersion = "2020-08-27"
)

// version is the version of this library, as sent in User-Agent.
const version = "0.1.0"

// Mode tells test data from live data.
type Mode string

// The two modes.
const (
	ModeTest Mode = "test" // keys sk_test_… and rk_test_…
	ModeLive Mode = "live" // keys sk_live_… and rk_live_…
)

// Client calls the Stripe API with one key. It is safe for concurrent use and
// never reveals its key: not in an error, a log, any format verb or JSON.
type Client struct {
	Charges      *ChargesService
	Customers    *CustomersService
	Products     *ProductsService
	Refunds      *RefundsService
	Orders       *OrdersService
	InvoiceItems *InvoiceItemsService

	current *atomic.Pointer[snapshot] // shared with the copies of WithAccount
	account string
}

// snapshot is an immutable set of settings for requests. A connection that is
// updated gets another one; requests in flight keep theirs. A client of New keeps
// the same one.
type snapshot struct {
	transport  *transport.Transport
	config     transport.Config // of transport
	identity   *keyIdentity
	version    string // set by WithAPIVersion; empty: the constants
	connection string // its name; empty in a client of New
	access     Access
	closed     error // ErrDisabled or ErrNoConnection: every call is refused
}

// refusal is why a request must not be sent; nil if it may be.
func (s *snapshot) refusal(method string) error {
	switch {
	case s.closed != nil:
		return s.closed
	case s.access == ReadOnly && method != http.MethodGet:
		return ErrReadOnly
	case s.access == WriteOnly && method == http.MethodGet:
		return ErrWriteOnly
	}
	return nil
}

// service is what the services of a client have in common.
type service struct{ client *Client }

// New makes a client for an API key: a secret key (sk_test_…, sk_live_…) or a
// restricted one (rk_test_…, rk_live_…). It refuses every other key, and bad
// options, with an error that does not quote them. It makes no request: Check
// does.
func New(apiKey string, opts ...Option) (*Client, error) {
	mode, err := modeOf(apiKey)
	if err != nil {
		return nil, err
	}
	o, err := applied(opts)
	if err != nil {
		return nil, fmt.Errorf("stripe: %w", err)
	}
	config := o.config(apiKey, mode, o.client())
	current := new(atomic.Pointer[snapshot])
	current.Store(&snapshot{
		transport: transport.New(config), config: config,
		identity: &keyIdentity{mode: mode}, version: o.version,
	})
	return newClient(current), nil
}

func newClient(current *atomic.Pointer[snapshot]) *Client {
	c := &Client{current: current}
	c.attach()
	return c
}

func (c *Client) attach() {
	s := service{client: c}
	c.Charges = (*ChargesService)(&s)
	c.Customers = (*CustomersService)(&s)
	c.Products = (*ProductsService)(&s)
	c.Refunds = (*RefundsService)(&s)
	c.Orders = (*OrdersService)(&s)
	c.InvoiceItems = (*InvoiceItemsService)(&s)
}

// WithAccount returns a client that acts for a connected account ("acct_…"), by
// the Stripe-Account header. It shares the connections and the rate limits of
// c. An empty id is the key's own account.
func (c *Client) WithAccount(id string) *Client {
	other := *c
	other.account = id
	other.attach()
	return &other
}

// Mode is ModeTest or ModeLive, as the key says.
func (c *Client) Mode() Mode { return c.current.Load().identity.mode }

// Format prints what may be known of a client, for every verb: never its key.
func (c Client) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "stripekit.Client{mode: %s", c.Mode())
	if c.account != "" {
		fmt.Fprintf(f, ", account: %s", c.account)
	}
	fmt.Fprint(f, "}")
}

// Call makes a request to any endpoint: Call(ctx, "GET", "/v1/payouts", params,
// &out). The path starts with /v1/ and is sent as given; params is a
// struct with form tags, a map with string keys, url.Values, or nil; out is a
// pointer that the answer is decoded into, or nil to ignore it.
func (c *Client) Call(ctx context.Context, method, path string, params, out any, opts ...CallOption) error {
	switch method {
	case http.MethodGet, http.MethodPost, http.MethodDelete:
	default:
		return &ParamError{Param: "method", Reason: "must be GET, POST or DELETE"}
	}
	if err := checkPath(path); err != nil {
		return err
	}
	return c.call(ctx, method, path, params, out, opts)
}

// checkPath refuses a path that would mean something else once it is put
// behind the base URL.
func checkPath(path string) error {
	u, err := url.Parse(path)
	if err != nil || u.IsAbs() || u.Host != "" || u.RawQuery != "" || u.ForceQuery || strings.ContainsRune(path, '#') {
		return &ParamError{Param: "path", Reason: "must be a plain path, such as /v1/payouts"}
	}
	if !strings.HasPrefix(path, "/v1/") {
		return &ParamError{Param: "path", Reason: "must start with /v1/: the API below /v2/ takes JSON, which this library does not send"}
	}
	for segment := range strings.SplitSeq(u.Path, "/") {
		if segment == "." || segment == ".." {
			return &ParamError{Param: "path", Reason: "must not contain . or .. segments"}
		}
	}
	return nil
}

// call makes a request and decodes its response into out.
func (c *Client) call(ctx context.Context, method, path string, params, out any, opts []CallOption) error {
	return c.callWith(ctx, c.current.Load(), method, path, params, out, opts)
}

func (c *Client) callWith(ctx context.Context, current *snapshot, method, path string, params, out any, opts []CallOption) error {
	encoded, err := form.Append(nil, params)
	if err != nil {
		return fmt.Errorf("stripe: %s %s: %w", method, path, err)
	}
	req, co, err := c.request(current, method, path, encoded, opts)
	if err != nil {
		return err
	}
	return current.do(ctx, req, co, func(resp *transport.Response) error {
		if out == nil {
			return nil
		}
		return unmarshal(resp.Body, out)
	})
}

// request makes a request of a call and its options. It is refused if the
// snapshot does not allow it.
func (c *Client) request(current *snapshot, method, path string, params []byte, opts []CallOption) (*transport.Request, *callOptions, error) {
	var co callOptions
	for _, opt := range opts {
		if err := opt(&co); err != nil {
			return nil, nil, err
		}
	}
	if strings.ContainsFunc(c.account, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, nil, &ParamError{Param: "Stripe-Account", Reason: "contains a character that an id cannot have"}
	}
	req := &transport.Request{
		Method: method, Path: path,
		Account: c.account, Version: current.versionFor(path),
	}
	if err := current.refusal(method); err != nil {
		refused := newError(req)
		refused.cause = fmt.Errorf("connection %q: %w", current.connection, err)
		return nil, nil, refused
	}
	for i, field := range co.expand {
		params = form.AppendPair(params, fmt.Sprintf("expand[%d]", i), field)
	}
	req.Params = params
	if method == http.MethodPost {
		req.IdempotencyKey = co.idempotencyKey
		if req.IdempotencyKey == "" {
			req.IdempotencyKey = rand.Text()
		}
	}
	return req, &co, nil
}

// errKeyChanged is the error of withKey once the key is another.
var errKeyChanged = errors.New("stripe: the key of the connection was changed")

// withKey returns the current snapshot, or errKeyChanged if its key is not the
// one of identity. If identity is nil, any key will do.
func (c *Client) withKey(identity *keyIdentity) (*snapshot, error) {
	current := c.current.Load()
	if identity != nil && current.identity != identity {
		return nil, errKeyChanged
	}
	return current, nil
}

func (s *snapshot) versionFor(path string) string {
	switch {
	case s.version != "":
		return s.version
	case strings.HasPrefix(path, "/v1/order"):
		return OrdersAPIVersion
	default:
		return APIVersion
	}
}

// do sends req and calls read with a successful response. An error of read means
// that the response cannot be read. The body is gone when do returns.
func (s *snapshot) do(ctx context.Context, req *transport.Request, co *callOptions, read func(*transport.Response) error) error {
	resp, err := s.transport.Do(ctx, req)
	if err != nil {
		return unanswered(req, err)
	}
	defer resp.Release()
	if co.capture != nil {
		*co.capture = responseOf(resp)
	}
	if err := errorOf(req, resp); err != nil {
		return err
	}
	if err := read(resp); err != nil {
		return unreadable(req, resp, err)
	}
	return nil
}

// modeOf reads the mode off a key, and refuses what cannot be one. No message
// quotes the key.
func modeOf(key string) (Mode, error) {
	refuse := func(reason string) (Mode, error) { return "", &ParamError{Param: "api key", Reason: reason} }
	if key == "" {
		return refuse("is empty")
	}
	for _, r := range key {
		if r <= ' ' || r > '~' {
			return refuse("contains a space, a control character or one that is not ASCII")
		}
	}
	for prefix, mode := range map[string]Mode{"sk_test_": ModeTest, "rk_test_": ModeTest, "sk_live_": ModeLive, "rk_live_": ModeLive} {
		if rest, ok := strings.CutPrefix(key, prefix); ok {
			if rest == "" || strings.ContainsRune(rest, ':') {
				return refuse("is not complete")
			}
			return mode, nil
		}
	}
	if strings.HasPrefix(key, "pk_") {
		return refuse("is a publishable key (pk_…), which the API does not accept: use a secret or restricted one")
	}
	return refuse("must start with sk_test_, sk_live_, rk_test_ or rk_live_")
}

// itemPath is the path of one object. The id is one segment, whatever it is
// made of: what could leave it is refused.
func itemPath(collection, id string, action ...string) (string, error) {
	if id == "" {
		return "", &ParamError{Param: "id", Reason: "is empty"}
	}
	if len(id) > maxID {
		return "", &ParamError{Param: "id", Reason: fmt.Sprintf("is longer than %d bytes", maxID)}
	}
	if id == "." || id == ".." || strings.ContainsFunc(id, notInID) {
		return "", &ParamError{Param: "id", Reason: "contains a character that an id cannot have"}
	}
	path := collection + "/" + url.PathEscape(id)
	if len(action) > 0 {
		path += "/" + action[0]
	}
	return path, nil
}

// maxID is far beyond any id of Stripe's own; those of products and coupons
// may be chosen by the user.
const maxID = 255

func notInID(r rune) bool {
	return r < ' ' || r == 0x7f || strings.ContainsRune(`/\?#%&=`, r) || r == '\uFFFD'
}
