//go:debug x509usefallbackroots=1

package stripekit_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripetest"
)

// trust makes the process trust the certificate of httptest's servers, for
// 127.0.0.1 and example.com, as if it came from a public authority. This is needed
// because a client with a proxy makes its own transport, as in a user's program.
// The line at the top of this file makes it replace the authorities of the system.
var trust = sync.OnceFunc(func() {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	x509.SetFallbackRoots(roots)
})

// secure starts a fake Stripe server with TLS.
func secure(t *testing.T) *httptest.Server {
	t.Helper()
	trust()
	fake := stripetest.New(stripetest.InMemory(), stripetest.WithKeys(markedKey))
	t.Cleanup(fake.Close)
	server := httptest.NewUnstartedServer(fake)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

const proxyLogin = "user:" + proxyMark

// proxy is an HTTP proxy that makes tunnels, for those who know its password.
type proxy struct {
	*httptest.Server
	status int // of the responses; 0 makes the tunnel

	mu      sync.Mutex
	tunnels []string // where to
	passed  bytes.Buffer
}

func newProxy(t *testing.T, start func(*httptest.Server)) *proxy {
	t.Helper()
	p := new(proxy)
	p.Server = httptest.NewUnstartedServer(p)
	p.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	start(p.Server)
	t.Cleanup(p.Close)
	return p
}

// url returns the URL of the proxy, with user and password.
func (p *proxy) url() string { return strings.Replace(p.URL, "//", "//"+proxyLogin+"@", 1) }

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	user, password, _ := basic(r.Header.Get("Proxy-Authorization"))
	switch {
	case r.Method != http.MethodConnect:
		http.Error(w, "no tunnel", http.StatusMethodNotAllowed)
	case user+":"+password != proxyLogin:
		http.Error(w, "who is "+r.Header.Get("Proxy-Authorization"), http.StatusProxyAuthRequired)
	case p.status != 0:
		http.Error(w, "not for "+r.Header.Get("Proxy-Authorization"), p.status)
	default:
		p.tunnel(w, r.Host)
	}
}

// basic reads an HTTP Basic header.
func basic(header string) (user, password string, ok bool) {
	return (&http.Request{Header: http.Header{"Authorization": {header}}}).BasicAuth()
}

func (p *proxy) tunnel(w http.ResponseWriter, to string) {
	service, err := net.Dial("tcp", to)
	if err != nil {
		http.Error(w, "no way there", http.StatusBadGateway)
		return
	}
	p.mu.Lock()
	p.tunnels = append(p.tunnels, to)
	p.mu.Unlock()
	client, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		service.Close()
		return
	}
	_, _ = io.WriteString(client, "HTTP/1.1 200 Connection established\r\n\r\n")
	join(client, service, p)
}

// Write records the bytes that pass through a tunnel.
func (p *proxy) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.passed.Write(b)
}

func (p *proxy) seen() (tunnels []string, passed string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append(tunnels, p.tunnels...), p.passed.String()
}

// join copies bytes in both directions until one side ends, and writes them to a
// spy.
func join(a, b net.Conn, spy io.Writer) {
	var ways sync.WaitGroup
	ways.Go(func() {
		_, _ = io.Copy(a, io.TeeReader(b, spy))
		a.Close()
	})
	_, _ = io.Copy(b, io.TeeReader(a, spy))
	b.Close()
	ways.Wait()
}

// through returns a connection to a server through a proxy.
func through(proxy string, server *httptest.Server) stripekit.Connection {
	return stripekit.Connection{Name: "shop", APIKey: stripekit.NewSecret(markedKey), Proxy: proxy, BaseURL: server.URL}
}

func TestConnectionGoesThroughItsProxyWithTLSBehindIt(t *testing.T) {
	for name, start := range map[string]func(*httptest.Server){"http": (*httptest.Server).Start, "https": (*httptest.Server).StartTLS} {
		t.Run(name, func(t *testing.T) {
			server, p := secure(t), newProxy(t, start)
			cs := stripekit.NewConnections()
			client := opened(t, cs, through(p.url(), server))
			got, err := cs.Check(t.Context(), "shop")
			require.NoError(t, err)
			require.NotEmpty(t, got.Account.ID)
			require.Equal(t, stripekit.APIVersion, got.APIVersion)
			require.Positive(t, got.Duration)
			customer, err := client.Customers.Create(t.Context(), stripekit.CustomerCreateParams{Name: new("Jenny")})
			require.NoError(t, err)
			_, err = client.Customers.Get(t.Context(), customer.ID)
			require.NoError(t, err)

			tunnels, passed := p.seen()
			require.Equal(t, []string{strings.TrimPrefix(server.URL, "https://")}, tunnels, "one tunnel for all calls")
			require.NotEmpty(t, passed)
			requireNoSecret(t, "what the proxy sees", passed)
			require.NotContains(t, passed, "Jenny")
		})
	}
}

func TestConnectionGoesThroughASOCKSProxy(t *testing.T) {
	server := secure(t)
	for _, scheme := range []string{"socks5", "socks5h"} {
		p := newSOCKS(t)
		cs := stripekit.NewConnections()
		require.NoError(t, cs.Add(through(scheme+"://"+proxyLogin+"@"+p.address, server)))
		_, err := cs.Check(t.Context(), "shop")
		require.NoError(t, err)
		require.EqualValues(t, strings.TrimPrefix(server.URL, "https://"), <-p.tunnels)
	}
}

func TestUpdateOfTheProxyTakesEffectAndKeepsThePasswordOfTheSame(t *testing.T) {
	server, one, two := secure(t), newProxy(t, (*httptest.Server).Start), newProxy(t, (*httptest.Server).Start)
	cs := stripekit.NewConnections()
	client := opened(t, cs, through(one.url(), server))
	check := func(wantOne, wantTwo int) {
		t.Helper()
		_, err := client.Check(t.Context())
		require.NoError(t, err)
		tunnelsOne, _ := one.seen()
		tunnelsTwo, _ := two.seen()
		require.Equal(t, []int{wantOne, wantTwo}, []int{len(tunnelsOne), len(tunnelsTwo)})
	}
	check(1, 0)

	kept, err := cs.Get("shop")
	require.NoError(t, err)
	require.Equal(t, strings.Replace(one.URL, "//", "//****@", 1), kept.Proxy)
	require.NoError(t, cs.Update(kept))
	check(1, 0)
	fromJSON := stripekit.Connection{Name: "shop", Proxy: kept.Proxy, BaseURL: server.URL, Access: stripekit.ReadOnly}
	require.NoError(t, cs.Update(fromJSON))
	check(1, 0)

	// The password must be sent to its own proxy alone.
	for _, elsewhere := range []string{strings.Replace(two.URL, "//", "//****@", 1), "****"} {
		moved := kept
		moved.Proxy = elsewhere
		require.ErrorContains(t, cs.Update(moved), "stripe: proxy: must be given with its user and password again")
	}
	moved := kept
	moved.Proxy = two.URL
	require.NoError(t, cs.Update(moved))
	_, err = client.Check(t.Context())
	require.ErrorContains(t, err, "the proxy responded with 407")
	moved.Proxy = two.url()
	require.NoError(t, cs.Update(moved))
	check(1, 1)
}

func TestTestNamesTheProxyWhereItFails(t *testing.T) {
	server := secure(t)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	refusing := func(status int) string {
		p := newProxy(t, (*httptest.Server).Start)
		p.status = status
		return p.url()
	}
	secured := newProxy(t, (*httptest.Server).StartTLS)
	named := func(url, scheme, login string) string {
		_, host, _ := strings.Cut(url, "://")
		return scheme + "://" + login + "@" + host
	}
	dropped := listen(t, func(conn net.Conn) { _, _ = conn.Read(make([]byte, 1000)) })
	silent, heard := silentServer(t)
	for name, test := range map[string]struct {
		proxy  string
		reason string
		cause  error
	}{
		"not there":            {named(gone.URL, "http", proxyLogin), "connection refused", syscall.ECONNREFUSED},
		"https, not there":     {named(gone.URL, "https", proxyLogin), "connection refused", syscall.ECONNREFUSED},
		"socks, not there":     {named(gone.URL, "socks5", proxyLogin), "connection refused", syscall.ECONNREFUSED},
		"wrong password":       {named(newProxy(t, (*httptest.Server).Start).URL, "http", "user:"+proxyMark+"2"), "the proxy responded with 407 Proxy Authentication Required", nil},
		"forbidden":            {refusing(403), "the proxy responded with 403 Forbidden", nil},
		"unauthorized":         {refusing(401), "the proxy responded with 401 Unauthorized", nil},
		"no way on":            {refusing(502), "the proxy responded with 502 Bad Gateway", nil},
		"TLS with the proxy":   {strings.Replace(secured.url(), "127.0.0.1", "localhost", 1), "certificate is valid for", nil},
		"no TLS, though https": {named(newProxy(t, (*httptest.Server).Start).URL, "https", proxyLogin), "does not look like a TLS handshake", nil},
		"drops":                {"http://" + proxyLogin + "@" + dropped, "EOF", io.ErrUnexpectedEOF},
		"silent":               {"http://" + proxyLogin + "@" + silent, "context canceled", context.Canceled},
		"silent, https":        {"https://" + proxyLogin + "@" + silent, "context canceled", context.Canceled},
		"silent, socks":        {"socks5://" + proxyLogin + "@" + silent, "context canceled", context.Canceled},
		"socks, password":      {"socks5://user:" + proxyMark + "2@" + newSOCKS(t).address, "socks connect", nil},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			if test.cause == context.Canceled {
				ctx = untilHeard(t, heard)
			}
			e := requireStep(ctx, t, through(test.proxy, server), stripekit.StepProxy)
			require.Contains(t, e.Reason, "there is no connection through the proxy "+strings.Split(test.proxy, "://")[0]+"://")
			require.Contains(t, e.Reason, test.reason)
			if test.cause != nil {
				require.ErrorIs(t, e, test.cause)
			}
		})
	}
}

// requireStep requires that the check of a connection fails at a step, without a
// secret in the error, its causes, the log, or the error of a plain call.
func requireStep(ctx context.Context, t *testing.T, c stripekit.Connection, step stripekit.CheckStep) *stripekit.CheckError {
	t.Helper()
	var log bytes.Buffer
	cs := stripekit.NewConnections(stripekit.WithMaxRetries(0),
		stripekit.WithLogger(slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))))
	client := opened(t, cs, c)
	_, err := cs.Check(ctx, c.Name)
	var e *stripekit.CheckError
	require.ErrorAs(t, err, &e)
	require.Equal(t, step, e.Step, err)
	require.NotContains(t, err.Error(), "\n")
	_, call := client.Customers.Create(ctx, stripekit.CustomerCreateParams{})
	require.Error(t, call)
	require.NotErrorIs(t, call, stripekit.ErrAuthentication)
	for _, err := range []error{err, call} {
		for ; err != nil; err = errors.Unwrap(err) {
			requireShowsNoSecret(t, c.Name, err)
		}
	}
	requireNoSecret(t, "the log", log.String())
	return e
}

func TestRefusalByTheProxyIsNoUnknownOutcome(t *testing.T) {
	server, p := secure(t), newProxy(t, (*httptest.Server).Start)
	p.status = 503
	client, err := through(p.url(), server).Open(stripekit.WithMaxRetries(0))
	require.NoError(t, err)
	_, err = client.Customers.Create(t.Context(), stripekit.CustomerCreateParams{})
	require.ErrorContains(t, err, "the proxy responded with 503 Service Unavailable")
	require.NotErrorIs(t, err, stripekit.ErrOutcomeUnknown)
}

func TestTestTellsTheServiceBehindTheProxyFromTheProxy(t *testing.T) {
	server, p := secure(t), newProxy(t, (*httptest.Server).Start)
	silent, heard := silentServer(t)
	for name, test := range map[string]struct {
		change func(*stripekit.Connection)
		step   stripekit.CheckStep
		reason string
	}{
		"another's certificate": {
			func(c *stripekit.Connection) { c.BaseURL = strings.Replace(server.URL, "127.0.0.1", "localhost", 1) },
			stripekit.StepTLS, "certificate is valid for",
		},
		"no TLS": {
			func(c *stripekit.Connection) { c.BaseURL = strings.Replace(p.URL, "http:", "https:", 1) },
			stripekit.StepTLS, "HTTP response to HTTPS client",
		},
		"silence": {
			func(c *stripekit.Connection) { c.BaseURL = "https://" + silent },
			stripekit.StepTLS, "context canceled",
		},
		"wrong key": {
			func(c *stripekit.Connection) { c.APIKey = stripekit.NewSecret("sk_test_" + mark + "1") },
			stripekit.StepKey, "the service refuses the key",
		},
	} {
		for _, way := range []string{p.url(), ""} {
			t.Run(fmt.Sprint(name, ", proxy ", way != ""), func(t *testing.T) {
				c := through(way, server)
				test.change(&c)
				var log bytes.Buffer
				cs := stripekit.NewConnections(stripekit.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
				require.NoError(t, cs.Add(c))
				ctx := t.Context()
				if name == "silence" {
					ctx = untilHeard(t, heard)
				}
				_, err := cs.Check(ctx, "shop")
				var e *stripekit.CheckError
				require.ErrorAs(t, err, &e)
				require.Equal(t, test.step, e.Step, err)
				require.Contains(t, e.Reason, test.reason)
				if test.step == stripekit.StepTLS && strings.HasPrefix(test.reason, "cert") {
					var bad *tls.CertificateVerificationError
					require.ErrorAs(t, err, &bad)
				}
				for cause := err; cause != nil; cause = errors.Unwrap(cause) {
					requireShowsNoSecret(t, name, cause)
				}
				requireNoSecret(t, "the log", log.String())
			})
		}
	}
}

func TestTestNamesTheConnectionThatIsRefused(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for _, base := range []string{gone.URL, strings.Replace(gone.URL, "http:", "https:", 1)} {
		e := requireStep(t.Context(), t, stripekit.Connection{Name: "shop", APIKey: stripekit.NewSecret(markedKey), BaseURL: base}, stripekit.StepConnection)
		require.ErrorIs(t, e, syscall.ECONNREFUSED)
		require.Contains(t, e.Reason, "there is no connection to 127.0.0.1:")
	}
}

// TestTestNamesAPlainProxyThatWantsAPassword: without TLS there is no tunnel,
// and the proxy's response is like one of the service.
func TestTestNamesAPlainProxyThatWantsAPassword(t *testing.T) {
	p := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "not you", http.StatusProxyAuthRequired)
	}))
	defer p.Close()
	c := stripekit.Connection{
		Name: "shop", APIKey: stripekit.NewSecret(markedKey), BaseURL: "http://127.0.0.1:1",
		Proxy: strings.Replace(p.URL, "//", "//"+proxyLogin+"@", 1),
	}
	require.Contains(t, requireStep(t.Context(), t, c, stripekit.StepProxy).Reason, "Proxy Authentication Required")
}

// silentServer accepts connections and sends nothing. It signals when it has received
// something.
func silentServer(t *testing.T) (address string, heard chan struct{}) {
	heard = make(chan struct{})
	return listen(t, func(conn net.Conn) {
		if _, err := conn.Read(make([]byte, 1)); err != nil {
			return
		}
		select {
		case heard <- struct{}{}:
		case <-t.Context().Done():
		}
		_, _ = io.Copy(io.Discard, conn)
	}), heard
}

// untilHeard returns a context that ends when a silent server has received something.
func untilHeard(t *testing.T, heard chan struct{}) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		select {
		case <-heard:
		case <-ctx.Done():
		}
	}()
	return ctx
}

// listen serves connections until the test ends, and then closes them.
func listen(t *testing.T, serve func(net.Conn)) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			stop := context.AfterFunc(t.Context(), func() { conn.Close() })
			conns.Go(func() {
				defer stop()
				defer conn.Close()
				serve(conn)
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		conns.Wait()
	})
	return listener.Addr().String()
}

// socks is a SOCKS 5 proxy for those who know its password.
type socks struct {
	address string
	tunnels chan string
}

func newSOCKS(t *testing.T) *socks {
	t.Helper()
	s := &socks{tunnels: make(chan string, 10)}
	s.address = listen(t, s.serve)
	return s
}

func (s *socks) serve(conn net.Conn) {
	read := func(n int) []byte {
		b := make([]byte, n)
		_, _ = io.ReadFull(conn, b)
		return b
	}
	field := func() string { return string(read(int(read(1)[0]))) }
	read(int(read(2)[1])) // the ways to log in that are offered
	_, _ = conn.Write([]byte{5, 2})
	read(1)
	user, password := field(), field()
	if user+":"+password != proxyLogin {
		_, _ = conn.Write([]byte{1, 1})
		return
	}
	_, _ = conn.Write([]byte{1, 0})
	host := ""
	if read(4)[3] == 1 {
		host = net.IP(read(4)).String()
	} else {
		host = field()
	}
	to := net.JoinHostPort(host, fmt.Sprint(binary.BigEndian.Uint16(read(2))))
	service, err := net.Dial("tcp", to)
	if err != nil {
		_, _ = conn.Write([]byte{5, 5, 0, 1, 0, 0, 0, 0, 0, 0})
		return
	}
	s.tunnels <- to
	_, _ = conn.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	join(conn, service, io.Discard)
}
