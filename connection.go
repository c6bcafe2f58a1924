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

	"github.com/stripekit/stripekit/internal/json"
	"github.com/stripekit/stripekit/internal/transport"
)

// The errors of connections, for errors.Is. A call that fails with one of them was
// not sent.
var (
	// ErrReadOnly: a write on a connection with the Access ReadOnly.
	ErrReadOnly = errors.New("read-only, refuses writes")
	// ErrWriteOnly: a read on a connection with the Access WriteOnly.
	ErrWriteOnly = errors.New("write-only, refuses reads")
	// ErrDisabled: any call on a connection that is Disabled.
	ErrDisabled = errors.New("disabled")
	// ErrNoConnection: the name is unknown, or the connection was removed.
	ErrNoConnection = errors.New("no such connection")
	// ErrKeyChanged: the connection was updated to another key or base URL since PinKey.
	ErrKeyChanged = errors.New("the key was changed")
	// ErrConnectionExists: Connections has a connection of this name already.
	ErrConnectionExists = errors.New("the name is taken")
)

// Access is what a connection may be used for. GET requests are reads, searches
// included; POST and DELETE requests are writes.
type Access int

// The kinds of access.
const (
	ReadWrite Access = iota // reads and writes
	ReadOnly                // for a source: writes are refused with ErrReadOnly
	WriteOnly               // for a target: reads are refused with ErrWriteOnly
)

var accessNames = [...]string{ReadWrite: "read_write", ReadOnly: "read_only", WriteOnly: "write_only"}

// String returns "read_write", "read_only" or "write_only".
func (a Access) String() string {
	if a < 0 || int(a) >= len(accessNames) {
		return fmt.Sprintf("Access(%d)", int(a))
	}
	return accessNames[a]
}

// MarshalText returns String.
func (a Access) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads "read_write", "read_only" or "write_only", or the names that
// connectors use: "both", "source" or "target".
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

// Connection holds the named settings to reach one Stripe account. It may be
// printed, logged and encoded as JSON: it shows neither its key nor the user and password
// of a proxy. Other encodings, such as YAML and gob, and printers that ignore methods show
// Proxy as it was set.
//
// In JSON it has the fields name, api_key or api_key_env (the environment
// variable that holds the key), api_version, base_url, proxy, timeout ("80s", or
// a number of seconds), access and disabled. The key is never written. The fields
// mode ("test" or "live") and api_key_last4 are written instead, and ignored when
// they are read.
//
// For APIVersion, BaseURL, Proxy and Timeout, the zero value is what the options of Open
// or NewConnections say. The defaults below are those without such an option.
type Connection struct {
	// Name identifies the connection: 1 to 100 printable characters without / and
	// :, and without a space at either end.
	Name string
	// APIKey is a secret or a restricted key.
	APIKey Secret
	// APIVersion is sent with every request. If empty, the versions of this library
	// are sent. See WithAPIVersion.
	APIVersion string
	// BaseURL is the URL of the service. If empty, it is https://api.stripe.com. See
	// WithBaseURL.
	BaseURL string
	// Proxy is the URL of a proxy: http, https or socks5, with user and password if
	// the proxy requires them. If empty, the proxy of the environment is used. See
	// WithProxy. In a Connection read from JSON or returned by Connections.Get, it
	// shows **** in place of user and password, which are kept out of sight.
	Proxy string
	// Timeout bounds each attempt of a call; 0 is 80 s. See WithTimeout.
	Timeout time.Duration
	// Access is what the connection may be used for; 0 is ReadWrite.
	Access Access
	// Disabled makes every call fail with ErrDisabled.
	Disabled bool

	// login returns Proxy with its user and password. It is nil if Proxy shows no
	// **** in their place.
	login func() string
}

// Open makes a client of the connection. It makes no request. An invalid field is
// a *ParamError that names the field as in JSON. A field that is set overrides
// opts.
func (c Connection) Open(opts ...Option) (*Client, error) {
	p, err := c.resolve(opts, nil)
	if err != nil {
		return nil, err
	}
	return newClient(&newEntry(p, p.options.pool()).current), nil
}

// resolved is a valid connection, with its mode and its options.
type resolved struct {
	conn    Connection // with the key and the login of the proxy out of sight
	mode    Mode
	options *options
}

// resolve checks the connection. A key or login that it leaves out is taken from
// kept, which is nil for a new connection.
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
		// A user who names a variable need not know the key in it.
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

// allowedOrigin identifies where the key is sent: to the service, and unencrypted
// to the proxy of a plain http base URL. A user who may change a connection must
// not be able to send its key elsewhere.
func (p *resolved) allowedOrigin() string {
	if o := p.options; o.proxy != nil && strings.HasPrefix(o.baseURL, "http:") {
		return o.baseURL + " by " + o.proxy.Host
	}
	return p.options.baseURL
}

// settings returns opts, overridden by the fields of the connection.
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

// fieldError returns the ParamError for a field. It leaves out the name of the
// option that err begins with.
func fieldError(name string, err error) error {
	_, reason, _ := strings.Cut(err.Error(), ": ")
	if refused, ok := errors.AsType[*ParamError](err); ok {
		reason = refused.Reason
	}
	return &ParamError{Param: name, Reason: reason}
}

// maxName is the most characters that a name may have.
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
	case transport.HasKey(name):
		return looksLikeKey
	}
	return ""
}

// hidden stands for a proxy's user and password.
const hidden = "****"

// hideLogin replaces the user and password in a proxy URL by ****. login returns
// the URL as it was; it is nil if there is nothing to hide.
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
	case err != nil || strings.Contains(proxy, "@") || proxy != "" && checkProxyURL(u) != nil:
		return hidden, whole // it may contain a password or a key, and is refused where it is used
	default:
		return proxy, nil
	}
}

// fullProxy returns Proxy with its user and password.
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

// connectionJSON is the JSON form of a Connection.
type connectionJSON struct {
	Name        string     `json:"name"`
	APIKey      string     `json:"api_key,omitzero"` // never written
	APIKeyEnv   string     `json:"api_key_env,omitzero"`
	APIKeyLast4 string     `json:"api_key_last4,omitzero"` // ignored when read
	Mode        Mode       `json:"mode,omitzero"`          // ignored when read
	APIVersion  string     `json:"api_version,omitzero"`
	BaseURL     string     `json:"base_url,omitzero"`
	Proxy       string     `json:"proxy,omitzero"`
	Timeout     json.Value `json:"timeout,omitzero"`
	Access      Access     `json:"access"`
	Disabled    bool       `json:"disabled"`
}

// MarshalJSON writes the connection without its key and its proxy's user and
// password.
func (c Connection) MarshalJSON() ([]byte, error) {
	out := connectionJSON{
		Name: withoutSecret(c.Name), APIKeyEnv: c.APIKey.env, APIVersion: withoutSecret(c.APIVersion), BaseURL: withoutSecret(c.BaseURL),
		Access: c.Access, Disabled: c.Disabled,
	}
	prefix, last := c.APIKey.hint()
	if prefix != "" {
		out.Mode, _ = modeOf(prefix + "x")
		out.APIKeyLast4 = last
	}
	out.Proxy, _ = hideLogin(c.Proxy)
	if c.Timeout != 0 {
		out.Timeout = json.Value(strconv.Quote(c.Timeout.String()))
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads a connection. Fields that are left out stay as they are. An
// unknown field is a *ParamError that names it.
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

// readTimeout reads a timeout such as "80s", or a number of seconds.
func readTimeout(v json.Value) (time.Duration, error) {
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

// LogValue returns the connection as a group of attributes, for log/slog.
func (c Connection) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("name", withoutSecret(c.Name))}
	proxy, _ := hideLogin(c.Proxy)
	for _, a := range []struct{ name, value string }{
		{"api_key", c.APIKey.String()},
		{"api_version", c.APIVersion},
		{"base_url", c.BaseURL},
		{"proxy", proxy},
	} {
		if a.value != "" {
			attrs = append(attrs, slog.String(a.name, withoutSecret(a.value)))
		}
	}
	if c.Timeout != 0 {
		attrs = append(attrs, slog.Duration("timeout", c.Timeout))
	}
	return slog.GroupValue(append(attrs, slog.String("access", c.Access.String()), slog.Bool("disabled", c.Disabled))...)
}

// Format prints the attributes of LogValue for every verb.
func (c Connection) Format(f fmt.State, _ rune) { fmt.Fprint(f, "stripekit.Connection", c.LogValue()) }
