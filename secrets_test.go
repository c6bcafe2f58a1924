package stripekit_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	jsonv2 "github.com/stripekit/stripekit/internal/json"
)

const (
	mark      = "MARKEDSECRET"
	markedKey = "sk_test_" + mark + "0123456789abcdefghijklmn"
	proxyMark = "MARKEDPASSW0RD"
)

// marks are texts that must not appear anywhere: the key, plain, as in HTTP Basic,
// and in part; and the password of a proxy. A text has three forms in Base64,
// depending on its offset, and Basic uses one of them.
func marks() []string {
	basic := base64.StdEncoding.EncodeToString([]byte(markedKey + ":"))
	return []string{
		mark, strings.ToLower(mark), basic, basic[12:24], basic[len(basic)-16:], proxyMark,
		base64.StdEncoding.EncodeToString([]byte("user:" + proxyMark))[8:20],
		fmt.Sprintf("%x", mark), strings.ToUpper(fmt.Sprintf("%x", mark)),
	}
}

func requireNoSecret(t *testing.T, what, text string) {
	t.Helper()
	for _, m := range marks() {
		require.NotContains(t, text, m, what)
	}
}

// requireShowsNoSecret prints a value in all ways.
func requireShowsNoSecret(t *testing.T, what string, v any) {
	t.Helper()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%p"} {
		requireNoSecret(t, what+" as "+verb, fmt.Sprintf(verb, v))
	}
	for _, marshal := range []func(any) ([]byte, error){
		json.Marshal, func(v any) ([]byte, error) { return jsonv2.Marshal(v) },
	} {
		b, err := marshal(v)
		requireNoSecret(t, what+" as JSON", string(b))
		if err != nil {
			requireNoSecret(t, what+" as JSON", err.Error())
		}
	}
	for _, handler := range []func(io.Writer, *slog.HandlerOptions) slog.Handler{
		func(w io.Writer, o *slog.HandlerOptions) slog.Handler { return slog.NewTextHandler(w, o) },
		func(w io.Writer, o *slog.HandlerOptions) slog.Handler { return slog.NewJSONHandler(w, o) },
	} {
		var out bytes.Buffer
		slog.New(handler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})).Debug("m", "v", v, slog.Group("g", "v", v))
		requireNoSecret(t, what+" in a log", out.String())
	}
}

func TestClientShowsNoKey(t *testing.T) {
	c, err := stripekit.New(markedKey, stripekit.WithProxy("http://user:"+proxyMark+"@proxy.example:3128"))
	require.NoError(t, err)
	connected := c.WithAccount("acct_1")
	for what, v := range map[string]any{
		"client": c, "client value": *c, "connected client": connected, "clients": []*stripekit.Client{c, connected},
		"client in a struct": struct{ C *stripekit.Client }{c}, "client value in a struct": struct{ c stripekit.Client }{*c},
		"charges": c.Charges, "charges value": *c.Charges, "customers": c.Customers, "customers value": *c.Customers,
		"mode": c.Mode(), "list": c.Charges.List(t.Context(), stripekit.ChargeListParams{}),
		"option": stripekit.WithProxy("http://user:" + proxyMark + "@proxy.example"),
	} {
		requireShowsNoSecret(t, what, v)
	}
	b, err := json.Marshal(c)
	require.NoError(t, err)
	require.NotContains(t, string(b), "test")
}

func TestNewShowsNoKey(t *testing.T) {
	proxy := "://user:" + proxyMark + "@proxy.example"
	for _, key := range []string{"pk_test_" + mark, mark, " " + markedKey, markedKey + "\n", markedKey + "ü", "sk_prod_" + mark, markedKey + ":"} {
		_, err := stripekit.New(key)
		require.Error(t, err)
		requireShowsNoSecret(t, "error of New", err)
	}
	for _, opts := range [][]stripekit.Option{
		{stripekit.WithProxy(proxy)},
		{stripekit.WithProxy("ftp" + proxy)},
		{stripekit.WithProxy("http" + proxy + "%zz")},
		{stripekit.WithProxy("http" + proxy), stripekit.WithHTTPClient(http.DefaultClient)},
		{stripekit.WithProxy("http" + proxy), stripekit.WithBaseURL("http://localhost")},
		{stripekit.WithBaseURL("https" + proxy)},
		{stripekit.WithBaseURL("http://" + mark + ".example")},
		{stripekit.WithBaseURL(mark)},
		{stripekit.WithAPIVersion(mark + " ")},
	} {
		_, err := stripekit.New(markedKey, opts...)
		require.Error(t, err)
		requireShowsNoSecret(t, "error of New", err)
	}
}

// TestConnectionShowsNoSecret prints connections from JSON and from Connections,
// including those in unexported fields, for which fmt calls no methods.
func TestConnectionShowsNoSecret(t *testing.T) {
	t.Setenv("STRIPEKIT_TEST_KEY", markedKey)
	const login = "http://user:" + proxyMark + "@proxy.example:3128"
	var decoded, named stripekit.Connection
	require.NoError(t, json.Unmarshal([]byte(`{"name":"decoded","api_key":"`+markedKey+`","proxy":"`+login+`"}`), &decoded))
	require.NoError(t, json.Unmarshal([]byte(`{"name":"named","api_key_env":"STRIPEKIT_TEST_KEY","proxy":"user:`+proxyMark+`@proxy"}`), &named))
	cs := stripekit.NewConnections()
	require.NoError(t, cs.Add(decoded))
	require.Error(t, cs.Add(named))
	require.NoError(t, json.Unmarshal([]byte(`{"proxy":"`+login+`"}`), &named))
	require.NoError(t, cs.Add(named))
	_, err := cs.Open(markedKey)
	requireShowsNoSecret(t, "a key in the place of a name", err)
	kept, err := cs.Get("decoded")
	require.NoError(t, err)
	keptNamed, err := cs.Get("named")
	require.NoError(t, err)
	opened, err := cs.Open("decoded")
	require.NoError(t, err)
	secret := stripekit.NewSecret(markedKey)
	literal := stripekit.Connection{Name: "literal", APIKey: secret, Proxy: login}

	for what, v := range map[string]any{
		"secret": secret, "secret's pointer": &secret, "secrets": []stripekit.Secret{secret}, "keyed": map[string]stripekit.Secret{"k": secret},
		"secret in a struct": struct{ s stripekit.Secret }{secret}, "secret's pointer in a struct": struct{ s *stripekit.Secret }{&secret},
		"key in the place of a variable": stripekit.SecretFromEnv(markedKey),
		"decoded":                        decoded, "named": named, "kept": kept, "kept, named": keptNamed, "pointer": &kept,
		"in a struct": struct{ c stripekit.Connection }{kept}, "decoded in a struct": struct{ c stripekit.Connection }{decoded},
		"several": []stripekit.Connection{decoded, named, kept}, "connections": cs, "client": opened, "client value": *opened,
		"literal": &literal, "result": stripekit.CheckResult{Mode: stripekit.ModeTest},
	} {
		requireShowsNoSecret(t, what, v)
	}
	// With %p, which is for pointers, fmt asks no method.
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		requireNoSecret(t, "literal as "+verb, fmt.Sprintf(verb, literal))
	}
	b, err := json.Marshal([]stripekit.Connection{literal, kept, keptNamed})
	require.NoError(t, err)
	requireNoSecret(t, "JSON", string(b))
	require.Equal(t, 3, strings.Count(string(b), `"proxy":"http://****@proxy.example:3128"`))
}

// TestSecretIsClosedToReflection searches for the secret by reflection.
func TestSecretIsClosedToReflection(t *testing.T) {
	c := stripekit.Connection{APIKey: stripekit.NewSecret(markedKey)}
	require.NoError(t, json.Unmarshal([]byte(`{"name":"shop","proxy":"http://user:`+proxyMark+`@proxy.example"}`), &c))
	requireNoSecret(t, "a dump", dump(reflect.ValueOf(c)))
	require.Contains(t, dump(reflect.ValueOf(struct{ c stripekit.Connection }{c})), "shop")
}

// dump writes all strings that can be reached from a value.
func dump(v reflect.Value) (out string) {
	switch v.Kind() {
	case reflect.String:
		out = v.String() + "\n"
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			out = dump(v.Elem())
		}
	case reflect.Struct:
		for _, field := range v.Fields() {
			out += dump(field)
		}
	}
	return out
}

// echo returns the request in its response, including the key.
func echo(status int, kind, format string) *network {
	return &network{respond: func(r *http.Request) (*http.Response, error) {
		key, _, _ := r.BasicAuth()
		body := strings.NewReplacer("AUTH", r.Header.Get("Authorization"), "KEY", key).Replace(format)
		return reply(status, body, "Content-Type", kind, "Request-Id", key, "Location", "https://evil.example/?key="+key), nil
	}}
}

func TestFailedCallsShowNoKey(t *testing.T) {
	quoting := func(format string, args ...any) *network {
		return &network{respond: func(r *http.Request) (*http.Response, error) {
			return nil, fmt.Errorf("%s of %v %w", format, r.Header, errors.Join(io.ErrUnexpectedEOF))
		}}
	}
	for name, n := range map[string]*network{
		"bad key":            replies(401, `{"error":{"message":"Invalid API Key provided: sk_test_****klmn"}}`),
		"bad key in full":    echo(401, "application/json", `{"error":{"message":"Invalid API Key provided: KEY","param":"KEY","code":"KEY","charge":"KEY","doc_url":"https://x/?k=KEY"}}`),
		"header in JSON":     echo(400, "application/json", `{"error":{"type":"AUTH","message":"you sent AUTH","decline_code":"AUTH","request_log_url":"AUTH"}}`),
		"page with header":   echo(403, "text/html", "<html><pre>GET /v1/charges\nAuthorization: AUTH\nHost: api.stripe.com</pre>"),
		"page with key":      echo(502, "text/html", "<p>KEY</p>"),
		"key in the type":    echo(502, "text/KEY", "x"),
		"cut in the middle":  echo(502, "text/plain", strings.Repeat("x ", 85)+"AUTH"),
		"cut in the key":     echo(502, "text/plain", strings.Repeat("x ", 92)+"KEY"),
		"redirect":           echo(307, "text/html", "moved to KEY"),
		"not an object":      echo(200, "application/json", `{"id":"ch_1","amount":"AUTH"}`),
		"not an object, key": echo(200, "application/json", `{"id":["KEY"],"created":"KEY"}`),
		"a field's name":     echo(200, "application/json", `{"metadata":{"KEY":7}}`),
		"echoing success":    echo(200, "text/html", "KEY AUTH"),
		"reset":              fails(&net.OpError{Op: "read", Err: syscall.ECONNRESET}),
		"transport quotes":   quoting("cannot send"),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				var attempts []stripekit.Attempt
				c, err := stripekit.New(markedKey, stripekit.WithHTTPClient(&http.Client{Transport: n}),
					stripekit.WithLogger(slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))),
					stripekit.WithObserver(func(_ context.Context, a stripekit.Attempt) { attempts = append(attempts, a) }))
				require.NoError(t, err)

				_, get := c.Charges.Get(t.Context(), "ch_1")
				_, post := c.Charges.Create(t.Context(), stripekit.ChargeCreateParams{Amount: 5, Currency: "usd", Source: new("tok_x")})
				_, page := c.Customers.Page(t.Context(), stripekit.CustomerListParams{})
				var list error
				for _, err := range c.Charges.List(t.Context(), stripekit.ChargeListParams{}) {
					list = err
				}
				require.Error(t, get)
				require.Error(t, post)
				for what, err := range map[string]error{"get": get, "post": post, "page": page, "list": list} {
					for ; err != nil; err = errors.Unwrap(err) {
						requireShowsNoSecret(t, what, err)
						var e *stripekit.Error
						if errors.As(err, &e) {
							requireShowsNoSecret(t, what+", the value", *e)
						}
					}
				}
				require.NotEmpty(t, attempts)
				for _, a := range attempts {
					requireShowsNoSecret(t, "observed", a)
				}
				requireNoSecret(t, "the log", log.String())
			})
		})
	}
}

func TestKeyReachesNoOtherHost(t *testing.T) {
	var seen []string
	stranger := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		seen = append(seen, fmt.Sprint(r.URL, r.Header))
	}))
	defer stranger.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		server := httptest.NewServer(http.RedirectHandler(stranger.URL+"/v1/charges", status))
		c, err := stripekit.New(markedKey, stripekit.WithBaseURL(server.URL))
		require.NoError(t, err)
		_, err = c.Charges.Get(t.Context(), "ch_1")
		require.ErrorIs(t, err, stripekit.ErrAPI)
		requireShowsNoSecret(t, "redirect", err)
		_, err = c.Charges.Create(t.Context(), stripekit.ChargeCreateParams{Amount: 5, Currency: "usd", Source: new("tok_x")})
		require.ErrorIs(t, err, stripekit.ErrAPI)
		server.Close()
	}
	require.Empty(t, seen)
}

func TestProxyThatCannotBeReachedShowsNoPassword(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, listener.Close())
	for _, scheme := range []string{"http", "https", "socks5"} {
		c, err := stripekit.New(markedKey, stripekit.WithProxy(scheme+"://user:"+proxyMark+"@"+address), stripekit.WithMaxRetries(0))
		require.NoError(t, err)
		_, err = c.Check(t.Context())
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		for ; err != nil; err = errors.Unwrap(err) {
			requireShowsNoSecret(t, "proxy error", err)
		}
	}
}

func TestProxyThatRefusesShowsNoPassword(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "not with "+r.Header.Get("Proxy-Authorization"), http.StatusProxyAuthRequired)
	}))
	defer proxy.Close()
	c, err := stripekit.New(markedKey, stripekit.WithMaxRetries(0),
		stripekit.WithProxy(strings.Replace(proxy.URL, "//", "//user:"+proxyMark+"@", 1)))
	require.NoError(t, err)
	_, err = c.Check(t.Context())
	require.ErrorContains(t, err, "Proxy Authentication Required")
	for ; err != nil; err = errors.Unwrap(err) {
		requireShowsNoSecret(t, "proxy error", err)
	}
}

func TestParametersAreNotInErrorsAndLogs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		for _, n := range []*network{
			replies(500, ""),
			fails(io.ErrUnexpectedEOF),
			{respond: func(r *http.Request) (*http.Response, error) { return nil, fmt.Errorf("no route to %s", r.URL) }},
		} {
			c := clientOver(t, n, stripekit.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
			_, err := c.Customers.Page(t.Context(), stripekit.CustomerListParams{Email: new("jenny@example.com")})
			require.Error(t, err)
			require.NotContains(t, err.Error(), "jenny")
			_, err = c.Customers.Create(t.Context(), stripekit.CustomerCreateParams{Email: new("jenny@example.com")})
			require.Error(t, err)
			require.NotContains(t, err.Error(), "jenny")
		}
		require.NotEmpty(t, log.String())
		require.NotContains(t, log.String(), "jenny")
	})
}
