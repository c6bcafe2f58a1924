package stripekit

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"sync/atomic"

	"github.com/stripekit/stripekit/internal/form"
	"github.com/stripekit/stripekit/internal/transport"
)

// The API versions that requests are pinned to, so that responses do not depend
// on the settings of an account. WithAPIVersion overrides both.
const (
	// APIVersion is sent with all requests except those for orders.
	APIVersion = "2026-08-26.dahlia"
	// OrdersAPIVersion is sent with requests for orders. It is the last version
	// that has them.
	OrdersAPIVersion = "2020-08-27"
)

// version is the version of this library, as sent in User-Agent.
const version = "0.1.0"

// Mode distinguishes test data from live data.
type Mode string

// The two modes.
const (
	ModeTest Mode = "test" // keys sk_test_… and rk_test_…
	ModeLive Mode = "live" // keys sk_live_… and rk_live_…
)

// Client calls the Stripe API with one key. It is safe for concurrent use. It
// never reveals its key: not in an error, a log, a formatted value or JSON.
type Client struct {
	Charges      *ChargesService
	Customers    *CustomersService
	Products     *ProductsService
	Refunds      *RefundsService
	Orders       *OrdersService
	InvoiceItems *InvoiceItemsService
	Events       *EventsService

	current *atomic.Pointer[snapshot] // shared with the copies of WithAccount and PinKey
	account string
	pinned  *keyIdentity // of PinKey; nil if any key is accepted
}

// snapshot is an immutable set of settings for requests. An update of a
// connection makes another snapshot, and requests in flight keep theirs. A client
// made by New has one snapshot.
type snapshot struct {
	transport  *transport.Transport
	config     transport.Config // of transport
	identity   *keyIdentity
	version    string // set by WithAPIVersion; if empty, the constants apply
	connection string // the name of the connection; empty in a client made by New
	access     Access
	closed     error // ErrDisabled or ErrNoConnection: every call is refused
}

// refusal returns why a request must not be sent, or nil if it may be.
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

// service is the common implementation of the services of a client.
type service struct{ client *Client }

// New makes a client for an API key: a secret key (sk_test_…, sk_live_…) or a
// restricted key (rk_test_…, rk_live_…). It returns an error for any other key,
// and for an invalid option; the error does not quote the value. It makes no
// request. To find out whether the key works, call Check.
func New(apiKey string, opts ...Option) (*Client, error) {
	mode, err := modeOf(apiKey)
	if err != nil {
		return nil, err
	}
	o, err := applied(opts)
	if err != nil {
		return nil, fmt.Errorf("stripe: %w", err)
	}
	config := o.config(apiKey, mode, o.pool())
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
	c.Events = (*EventsService)(&s)
}

// WithAccount returns a client that acts for a connected account ("acct_…"), by
// the Stripe-Account header. It shares the connections and the rate limits of
// c. With an empty id the client acts for the account of the key. An id that is none, such
// as an API key, makes each call fail before it is sent.
func (c *Client) WithAccount(id string) *Client {
	other := *c
	other.account = id
	other.attach()
	return &other
}

// PinKey returns a client that keeps to the key and the base URL that c has now. Once the
// connection of c is updated to others, its calls fail with ErrKeyChanged before they are
// sent, even if it is updated back. So the pages of a list are all of one account. c itself
// uses the new key. For a client made by New, PinKey changes nothing.
func (c *Client) PinKey() *Client {
	other := *c
	if other.pinned == nil {
		other.pinned = c.current.Load().identity
	}
	other.attach()
	return &other
}

// admits reports whether a call with a key may be made.
func (c *Client) admits(identity *keyIdentity) bool { return c.pinned == nil || c.pinned == identity }

// renewable reports whether an Update may bring another key, which the client then uses.
func (c *Client) renewable() bool { return c.pinned == nil && c.current.Load().connection != "" }

// Mode returns the mode of the key: ModeTest or ModeLive. For a client of PinKey, it is
// the mode of the key that it keeps to.
func (c *Client) Mode() Mode { return cmp.Or(c.pinned, c.current.Load().identity).mode }

// RateLimit returns the rate limits: those of WithRateLimit, or the defaults.
func (c *Client) RateLimit() RateLimit { return RateLimit(c.current.Load().transport.Limits()) }

// Format prints the mode and the account of the client for every verb, and never
// the key.
func (c Client) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "stripekit.Client{mode: %s", c.Mode())
	if c.account != "" {
		fmt.Fprintf(f, ", account: %s", transport.Mask(c.account))
	}
	fmt.Fprint(f, "}")
}

// Call makes a request to any endpoint: Call(ctx, "GET", "/v1/payouts", params,
// &out). The method is GET, POST or DELETE. The path starts with /v1/ and is sent
// as given. params is a struct of which each exported field has a form tag, a map
// with string keys, url.Values, or nil. The tag is the name of the parameter, or "-"
// for a field that is not sent. A time must be a UnixTime. url.Values are sent as they
// are: an array in them is "expand[]". out is a pointer to the
// value that the response is decoded into; if it is nil, the response is ignored.
func (c *Client) Call(ctx context.Context, method, path string, params, out any, opts ...CallOption) error {
	switch method {
	case http.MethodGet, http.MethodPost, http.MethodDelete:
	default:
		return &ParamError{Param: "method", Reason: "must be GET, POST or DELETE"}
	}
	if err := checkPath(path); err != nil {
		return err
	}
	if err := checkFields(params); err != nil {
		return err
	}
	if v := reflect.ValueOf(out); out != nil && (v.Kind() != reflect.Pointer || v.IsNil()) {
		return &ParamError{Param: "out", Reason: fmt.Sprintf("must be a pointer that is not nil, and is a %T", out)}
	}
	return c.call(ctx, method, path, params, out, opts)
}

// checkFields returns an error for a struct with an exported field that has no form tag:
// a parameter would be left out in silence, for example because the tag is for JSON.
func checkFields(params any) error {
	t := reflect.TypeOf(params)
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == nil || t.Kind() != reflect.Struct {
		return nil
	}
	for i := range t.NumField() {
		if f := t.Field(i); f.IsExported() && f.Tag.Get("form") == "" {
			return &ParamError{Param: "params", Reason: fmt.Sprintf("field %s of %s has no form tag", f.Name, t)}
		}
	}
	return nil
}

// checkPath returns an error for a path that would mean something else once it
// is appended to the base URL.
func checkPath(path string) error {
	u, err := url.Parse(path)
	if err != nil || u.IsAbs() || u.Host != "" || u.RawQuery != "" || u.ForceQuery || strings.ContainsRune(path, '#') {
		return &ParamError{Param: "path", Reason: "must be a plain path, such as /v1/payouts"}
	}
	if !strings.HasPrefix(path, "/v1/") {
		return &ParamError{Param: "path", Reason: "must start with /v1/: the API below /v2/ takes JSON, which this library does not send"}
	}
	if transport.HasKey(path) {
		return &ParamError{Param: "path", Reason: looksLikeKey}
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
		return fmt.Errorf("stripe: %s %s: %w", method, path, transport.QuoteError(err))
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

// request builds the request of a call from its options. It returns an error if
// the snapshot does not allow the request.
func (c *Client) request(current *snapshot, method, path string, params []byte, opts []CallOption) (*transport.Request, *callOptions, error) {
	var co callOptions
	for _, opt := range opts {
		if err := opt(&co); err != nil {
			return nil, nil, err
		}
	}
	switch {
	case strings.ContainsFunc(c.account, func(r rune) bool { return r <= ' ' || r > '~' }):
		return nil, nil, &ParamError{Param: "Stripe-Account", Reason: "contains a character that an id cannot have"}
	case transport.HasKey(c.account):
		return nil, nil, &ParamError{Param: "Stripe-Account", Reason: looksLikeKey}
	}
	req := &transport.Request{
		Method: method, Path: path,
		Account: c.account, Version: current.versionFor(path),
	}
	err := current.refusal(method)
	if err == nil && !c.admits(current.identity) {
		err = ErrKeyChanged
	}
	if err != nil {
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

// errOtherKey is the error of withKey.
var errOtherKey = errors.New("stripe: the connection has another key")

// withKey returns the current snapshot, or errOtherKey if it has another key than
// identity. If identity is nil, any key is accepted.
func (c *Client) withKey(identity *keyIdentity) (*snapshot, error) {
	current := c.current.Load()
	if identity != nil && current.identity != identity {
		return nil, errOtherKey
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
// that the response cannot be read. The body is not valid after do has returned.
func (s *snapshot) do(ctx context.Context, req *transport.Request, co *callOptions, read func(*transport.Response) error) error {
	resp, err := s.transport.Do(ctx, req)
	if err != nil {
		return noResponse(req, err)
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

// looksLikeKey is the reason to refuse a key in the place of something else, which
// errors and logs would show.
const looksLikeKey = "looks like an API key"

// modeOf returns the mode of a key, or an error if the string cannot be a key. No
// message quotes the key.
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
			if transport.Mask(key) != prefix+"****" {
				return refuse("contains a character that a key does not have") // it could not be masked in errors
			}
			return mode, nil
		}
	}
	if strings.HasPrefix(key, "pk_") {
		return refuse("is a publishable key (pk_…), which the API does not accept: use a secret or restricted one")
	}
	return refuse("must start with sk_test_, sk_live_, rk_test_ or rk_live_")
}

// itemPath returns the path of one object. The id is always one segment: it
// returns an error for an id that would lead to another path.
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
	if transport.HasKey(id) {
		return "", &ParamError{Param: "id", Reason: looksLikeKey}
	}
	path := collection + "/" + url.PathEscape(id)
	if len(action) > 0 {
		path += "/" + action[0]
	}
	return path, nil
}

// maxID is the limit for an id in bytes, far beyond any id that Stripe makes. Users
// may choose the ids of products and coupons.
const maxID = 255

func notInID(r rune) bool {
	return r < ' ' || r == 0x7f || strings.ContainsRune(`/\?#%&=`, r) || r == '\uFFFD'
}
