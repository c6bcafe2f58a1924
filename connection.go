package stripekit

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/stripekit/stripekit/internal/transport"
)

// Why a connection refuses a call before it is sent, and Connections a name, for
// errors.Is.
var (
	// ErrReadOnly: a write on a connection whose Access is ReadOnly.
	ErrReadOnly = errors.New("read-only, refuses writes")
	// ErrWriteOnly: a read on a connection whose Access is WriteOnly.
	ErrWriteOnly = errors.New("write-only, refuses reads")
	// ErrDisabled: any call on a connection that is Disabled.
	ErrDisabled = errors.New("disabled")
	// ErrNoConnection: the name is not known, or the connection was removed.
	ErrNoConnection = errors.New("no such connection")
	// ErrConnectionExists: the name is taken.
	ErrConnectionExists = errors.New("the name is taken")
)

// Access is what a connection may be used for. A GET is a read, searches too;
// POST and DELETE are writes.
type Access int

// The kinds of access.
const (
	ReadWrite Access = iota // both
	ReadOnly                // a source: it refuses writes
	WriteOnly               // a target: it refuses reads
)

var accessNames = [...]string{ReadWrite: "read_write", ReadOnly: "read_only", WriteOnly: "write_only"}

// String is read_write, read_only or write_only.
func (a Access) String() string {
	if a < 0 || int(a) >= len(accessNames) {
		return fmt.Sprintf("Access(%d)", int(a))
	}
	return accessNames[a]
}

// MarshalText is String.
func (a Access) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads read_write, read_only and write_only, and what connectors
// call them: both, source and target.
func (a *Access) UnmarshalText(text []byte) error {
	switch string(text) {
	case "read_write", "both":
		*a = ReadWrite
	case "read_only", "source":
		*a = ReadOnly
	case "write_only", "target":
		*a = WriteOnly
	default:
		return &ParamError{Param: "access", Reason: "must be read_write, read_only or write_only"}
	}
	return nil
}

// Connection is what it takes to reach one Stripe account, under a name. It may
// be printed, logged and encoded: it shows neither its key nor a proxy's user
// and password.
//
// As JSON it has the fields name, api_key or api_key_env (the environment
// variable that has the key), api_version, base_url, proxy, timeout ("80s", or
// a number of seconds), access and disabled. It is written without the key; in
// its place are mode ("test" or "live") and api_key_last4, which are ignored
// when they are read back.
type Connection struct {
	// Name tells it from others: up to 100 characters that print, without /
	// and :, and no space at either end.
	Name string
	// APIKey is a secret or a restricted key.
	APIKey Secret
	// APIVersion is sent with every request; empty is the library's own. See
	// WithAPIVersion.
	APIVersion string
	// BaseURL is where the service is; empty is https://api.stripe.com. See
	// WithBaseURL.
	BaseURL string
	// Proxy is the URL of a proxy: http, https or socks5, with user and
	// password where it wants them. Empty is the environment's. See WithProxy.
	// Once it was read from JSON or taken by Connections, it shows **** for
	// user and password, and still has them.
	Proxy string
	// Timeout bounds each attempt of a call; 0 is 80 s. See WithTimeout.
	Timeout time.Duration
	// Access is what it may be used for; 0 is ReadWrite.
	Access Access
	// Disabled has every call refused with ErrDisabled.
	Disabled bool

	login func() string // Proxy in full, where that shows **** in place of the login
}

// Open makes a client of the connection. It refuses what is wrong with the
// connection with a *ParamError that names the field as in JSON, and makes no
// request. Where opts say something else than a field that is set, the field
// holds.
func (c Connection) Open(opts ...Option) (*Client, error) {
	p, err := c.resolve(opts, nil)
	if err != nil {
		return nil, err
	}
	return newClient(&newEntry(p).current), nil
}

// plan is a connection with which nothing is wrong, and what follows from it.
type resolved struct {
	conn    Connection // as it is kept: its key and its proxy's login out of sight
	mode    Mode
	options *options
}

// resolve checks the connection. What it leaves out and kept has is taken from
// there; kept is nil for a new one.
func (c Connection) resolve(opts []Option, kept *resolved) (*resolved, error) {
	if reason := badName(c.Name); reason != "" {
		return nil, &ParamError{Param: "name", Reason: reason}
	}
	if c.Access < ReadWrite || c.Access > WriteOnly {
		return nil, &ParamError{Param: "access", Reason: "is none of ReadWrite, ReadOnly and WriteOnly"}
	}
	if kept != nil && c.APIKey.IsZero() {
		c.APIKey = kept.conn.APIKey
	}
	if kept != nil && c.Proxy == kept.conn.Proxy && c.login == nil {
		c.login = kept.conn.login
	}
	allowedOrigin := c.APIKey.allowedOrigin
	if kept != nil && c.APIKey.unread() {
		// Who names a variable need not know the key in it.
		allowedOrigin = kept.conn.APIKey.allowedOrigin
	}
	proxy, err := c.fullProxy()
	if err != nil {
		return nil, err
	}
	p := &resolved{conn: c}
	if p.options, err = c.settings(opts, proxy); err != nil {
		return nil, err
	}
	key, err := c.APIKey.read()
	if err == nil {
		p.mode, err = modeOf(key)
	}
	if err != nil {
		return nil, fieldError("api_key", err)
	}
	if allowedOrigin != "" && allowedOrigin != p.allowedOrigin() {
		return nil, &ParamError{Param: "api_key", Reason: "must be given again, for it would be sent elsewhere than before"}
	}
	p.conn.APIKey = c.APIKey.kept(key, p.allowedOrigin())
	p.conn.Proxy, p.conn.login = hideLogin(proxy)
	return p, nil
}

// allowedOrigin is where the key goes: to the service, and unencrypted to the proxy of a
// plain http base URL. Who may change a connection must not be able to have its
// key sent elsewhere.
func (p *resolved) allowedOrigin() string {
	if o := p.options; o.proxy != nil && strings.HasPrefix(o.baseURL, "http:") {
		return o.baseURL + " by " + o.proxy.Host
	}
	return p.options.baseURL
}

// settings are opts, overridden by the connection's fields.
func (c Connection) settings(opts []Option, proxy string) (*options, error) {
	o, err := applied(opts)
	if err != nil {
		return nil, fmt.Errorf("stripe: %w", err)
	}
	for _, field := range []struct {
		name   string
		isSet  bool
		option Option
	}{
		{"api_version", c.APIVersion != "", WithAPIVersion(c.APIVersion)},
		{"base_url", c.BaseURL != "", WithBaseURL(c.BaseURL)},
		{"proxy", proxy != "", WithProxy(proxy)},
		{"timeout", c.Timeout != 0, WithTimeout(c.Timeout)},
	} {
		if !field.isSet {
			continue
		}
		if err := field.option(o); err != nil {
			return nil, fieldError(field.name, err)
		}
	}
	if err := o.checkProxy(); err != nil {
		return nil, fieldError("proxy", err)
	}
	o.logger = o.logger.With("connection", c.Name)
	return o, nil
}

// fieldError is the refusal of a field. Of an option's error it leaves out which
// option that is.
func fieldError(name string, err error) error {
	_, reason, _ := strings.Cut(err.Error(), ": ")
	if refused, ok := errors.AsType[*ParamError](err); ok {
		reason = refused.Reason
	}
	return &ParamError{Param: name, Reason: reason}
}

// maxName is how many characters a name may have.
const maxName = 100

func badName(name string) (reason string) {
	switch {
	case name == "":
		return "is empty"
	case !utf8.ValidString(name) || utf8.RuneCountInString(name) > maxName:
		return fmt.Sprintf("must be up to %d characters of UTF-8", maxName)
	case strings.TrimSpace(name) != name:
		return "has a space at an end"
	case strings.ContainsFunc(name, func(r rune) bool { return r == '/' || r == ':' || !unicode.IsPrint(r) }):
		return "contains /, : or a character that does not print"
	case transport.Mask(name) != name:
		return "looks like an API key"
	}
	return ""
}

// hidden stands for a proxy's user and password.
const hidden = "****"

// hideLogin puts **** in place of a proxy's user and password, and keeps the
// whole in login; nil where there is nothing to hide.
func hideLogin(proxy string) (shown string, login func() string) {
	whole := func() string { return proxy }
	u, err := url.Parse(proxy)
	switch {
	case err == nil && u.Host != "" && u.User != nil:
		if password, _ := u.User.Password(); u.User.Username() == hidden && password == "" {
			return proxy, nil
		}
		u.User = nil
		return strings.Replace(u.String(), "//", "//"+hidden+"@", 1), whole
	case err != nil || strings.Contains(proxy, "@"):
		return hidden, whole // refused where it is used; who knows what it is
	default:
		return proxy, nil
	}
}

// fullProxy is Proxy with its user and password.
func (c Connection) fullProxy() (string, error) {
	if c.login != nil {
		if shown, _ := hideLogin(c.login()); shown == c.Proxy {
			return c.login(), nil
		}
	}
	if strings.Contains(c.Proxy, hidden) {
		return "", &ParamError{Param: "proxy", Reason: "must be given with its user and password again"}
	}
	return c.Proxy, nil
}

// connectionJSON is a Connection as JSON, in both directions.
type connectionJSON struct {
	Name        string         `json:"name"`
	APIKey      string         `json:"api_key,omitzero"` // never written
	APIKeyEnv   string         `json:"api_key_env,omitzero"`
	APIKeyLast4 string         `json:"api_key_last4,omitzero"` // never taken
	Mode        Mode           `json:"mode,omitzero"`          // never taken
	APIVersion  string         `json:"api_version,omitzero"`
	BaseURL     string         `json:"base_url,omitzero"`
	Proxy       string         `json:"proxy,omitzero"`
	Timeout     jsontext.Value `json:"timeout,omitzero"`
	Access      Access         `json:"access"`
	Disabled    bool           `json:"disabled"`
}

// MarshalJSON writes the connection without its key and its proxy's user and
// password.
func (c Connection) MarshalJSON() ([]byte, error) {
	out := connectionJSON{
		Name: c.Name, APIKeyEnv: c.APIKey.env, APIVersion: c.APIVersion, BaseURL: c.BaseURL,
		Access: c.Access, Disabled: c.Disabled,
	}
	prefix, last := c.APIKey.hint()
	if prefix != "" {
		out.Mode, _ = modeOf(prefix + "x")
		out.APIKeyLast4 = last
	}
	out.Proxy, _ = hideLogin(c.Proxy)
	if c.Timeout != 0 {
		out.Timeout = jsontext.Value(strconv.Quote(c.Timeout.String()))
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads a connection. Fields that are left out stay as they are;
// one that is not known is refused, with a *ParamError that names it.
func (c *Connection) UnmarshalJSON(b []byte) error {
	in := connectionJSON{
		Name: c.Name, APIVersion: c.APIVersion, BaseURL: c.BaseURL, Proxy: c.Proxy,
		Access: c.Access, Disabled: c.Disabled,
	}
	if err := json.Unmarshal(b, &in, json.RejectUnknownMembers(true)); err != nil {
		return jsonError(err)
	}
	key, timeout := c.APIKey, c.Timeout
	switch {
	case in.APIKey != "" && in.APIKeyEnv != "":
		return &ParamError{Param: "api_key_env", Reason: "does not go together with api_key"}
	case in.APIKey != "":
		key = NewSecret(in.APIKey)
	case in.APIKeyEnv != "":
		key = SecretFromEnv(in.APIKeyEnv)
	}
	if in.Timeout != nil {
		var err error
		if timeout, err = readTimeout(in.Timeout); err != nil {
			return err
		}
	}
	proxy, login := c.Proxy, c.login
	if in.Proxy != proxy || login == nil {
		proxy, login = hideLogin(in.Proxy)
	}
	*c = Connection{
		Name: in.Name, APIKey: key, APIVersion: in.APIVersion, BaseURL: in.BaseURL, Proxy: proxy,
		Timeout: timeout, Access: in.Access, Disabled: in.Disabled, login: login,
	}
	return nil
}

func jsonError(err error) error {
	if refused, ok := errors.AsType[*ParamError](err); ok {
		return refused
	}
	e, ok := errors.AsType[*json.SemanticError](err)
	if !ok {
		return &ParamError{Param: "connection", Reason: transport.Mask(err.Error())}
	}
	name := transport.Mask(e.JSONPointer.LastToken())
	switch {
	case errors.Is(err, json.ErrUnknownName):
		return &ParamError{Param: name, Reason: "is no field of a connection"}
	case name == "":
		return &ParamError{Param: "connection", Reason: "must be an object"}
	default:
		return &ParamError{Param: name, Reason: "is not of the right type"}
	}
}

// readTimeout reads "80s" and 80.
func readTimeout(v jsontext.Value) (time.Duration, error) {
	var text string
	var seconds float64
	switch v.Kind() {
	case 'n':
		return 0, nil
	case '"':
		if err := json.Unmarshal(v, &text); err == nil {
			if d, err := time.ParseDuration(text); err == nil {
				return d, nil
			}
		}
	case '0':
		const most = float64(math.MaxInt64 / time.Second)
		if err := json.Unmarshal(v, &seconds); err == nil && math.Abs(seconds) < most {
			return time.Duration(seconds * float64(time.Second)), nil
		}
	}
	return 0, &ParamError{Param: "timeout", Reason: `must be a time such as "80s", or a number of seconds`}
}

// LogValue is the connection as a group of attributes, for log/slog.
func (c Connection) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("name", c.Name)}
	proxy, _ := hideLogin(c.Proxy)
	for _, a := range []struct{ name, value string }{
		{"api_key", c.APIKey.String()},
		{"api_version", c.APIVersion},
		{"base_url", c.BaseURL},
		{"proxy", proxy},
	} {
		if a.value != "" {
			attrs = append(attrs, slog.String(a.name, a.value))
		}
	}
	if c.Timeout != 0 {
		attrs = append(attrs, slog.Duration("timeout", c.Timeout))
	}
	return slog.GroupValue(append(attrs, slog.String("access", c.Access.String()), slog.Bool("disabled", c.Disabled))...)
}

// Format prints what LogValue shows, for every verb.
func (c Connection) Format(f fmt.State, _ rune) { fmt.Fprint(f, "stripekit.Connection", c.LogValue()) }
