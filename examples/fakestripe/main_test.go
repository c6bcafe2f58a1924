package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// program is fakestripe while it runs, with its output.
type program struct {
	t      *testing.T
	base   string
	lines  *bufio.Scanner
	client *http.Client
	end    func()

	account string // of the Stripe-Account header; empty for none
}

// start runs fakestripe on a free port until the test ends.
func start(t *testing.T, args ...string) *program {
	t.Helper()
	cfg, err := parseFlags(append([]string{"-addr", "127.0.0.1:0"}, args...), io.Discard)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	output, out := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, cfg, out)
		out.Close()
	}()
	transport := &http.Transport{}
	p := &program{t: t, lines: bufio.NewScanner(output), client: &http.Client{Transport: transport}}
	p.end = func() {
		transport.CloseIdleConnections()
		stop()
		go io.Copy(io.Discard, output)
		require.NoError(t, <-ended)
	}
	require.True(t, p.lines.Scan())
	p.base = regexp.MustCompile(`https?://127\.0\.0\.1:\d+`).FindString(p.lines.Text())
	require.NotEmpty(t, p.base, p.lines.Text())
	for range 4 { // the examples
		require.True(t, p.lines.Scan())
	}
	return p
}

// send makes a request and returns the status, the body, and the line of the log.
func (p *program) send(method, path, body string) (*http.Response, string, string) {
	p.t.Helper()
	type result struct {
		resp *http.Response
		raw  []byte
		err  error
	}
	done := make(chan result, 1)
	go func() {
		req, err := http.NewRequest(method, p.base+path, strings.NewReader(body))
		if err != nil {
			done <- result{err: err}
			return
		}
		if body != "" && !strings.HasPrefix(path, "/_") {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		req.SetBasicAuth("sk_test_hidden123", "")
		if account := p.account; account != "" {
			req.Header.Set("Stripe-Account", account)
		}
		resp, err := p.client.Do(req)
		if err != nil {
			done <- result{err: err}
			return
		}
		defer resp.Body.Close()
		raw, err := io.ReadAll(resp.Body)
		done <- result{resp, raw, err}
	}()
	require.True(p.t, p.lines.Scan())
	line := p.lines.Text()
	got := <-done
	require.NoError(p.t, got.err)
	return got.resp, string(got.raw), line
}

func TestFakeStripeServesLogsAndEnds(t *testing.T) {
	p := start(t)
	resp, body, line := p.send("POST", "/v1/charges", "amount=2000&currency=usd&source=tok_visa")
	require.Regexp(t, `^\d\d:\d\d:\d\d POST "/v1/charges" 200 \S+$`, line)
	require.NotContains(t, line, "hidden")
	require.Equal(t, 200, resp.StatusCode, body)
	require.Contains(t, body, `"amount": 2000`)
	p.end()
}

func TestFakeStripeBeginsAsItsFlagsSay(t *testing.T) {
	dir := t.TempDir()
	seed := filepath.Join(dir, "seed.json")
	require.NoError(t, os.WriteFile(seed, []byte(`[{"path": "/v1/customers", "key": "sk_test_hidden123", "ids": ["cus_seeded"]}]`), 0o600))
	p := start(t, "-version", "2019-09-09", "-seed", seed, "-time", "2026-01-31T12:00:00Z", "-account-per-key", "-account", "acct_shop=sk_test_hidden123,sk_live_1")
	_, body, _ := p.send("GET", "/v1/account", "")
	require.Contains(t, body, `"id": "acct_shop"`)
	resp, body, _ := p.send("GET", "/v1/customers/cus_seeded", "")
	require.Contains(t, body, `"account_balance": 0`)
	require.Contains(t, body, `"created": 1769860800`)
	require.Equal(t, "2019-09-09", resp.Header.Get("Stripe-Version"))
	_, dump, _ := p.send("GET", "/_stripetest/state", "")
	p.end()

	loaded := filepath.Join(dir, "dump.json")
	require.NoError(t, os.WriteFile(loaded, []byte(dump), 0o600))
	p = start(t, "-load", loaded, "-account", "acct_shop=sk_test_hidden123")
	_, again, _ := p.send("GET", "/v1/customers/cus_seeded", "")
	require.Equal(t, body, again)
	p.end()
}

func TestFakeStripeListsItsConnectedAccounts(t *testing.T) {
	p := start(t, "-connected", "acct_one,acct_two")
	for account, want := range map[string]int{"": 200, "acct_one": 200, "acct_two": 200, "acct_three": 403} {
		p.account = account
		resp, body, _ := p.send("GET", "/v1/charges", "")
		require.Equal(t, want, resp.StatusCode, body)
	}
	p.end()
}

func TestFakeStripeHasAControlPlane(t *testing.T) {
	for access, want := range map[string]int{"loopback": 200, "anywhere": 200, "off": 404} {
		p := start(t, "-control", access)
		resp, body, _ := p.send("POST", "/_stripetest/clock", `{"advance": "1h"}`)
		require.Equal(t, want, resp.StatusCode, body)
		p.end()
	}
}

func TestFakeStripeServesHTTP2OverTLS(t *testing.T) {
	cert := filepath.Join(t.TempDir(), "cert.pem")
	p := start(t, "-tls", "-tls-cert-out", cert)
	require.Regexp(t, "^https://", p.base)
	encoded, err := os.ReadFile(cert)
	require.NoError(t, err)
	require.NotContains(t, string(encoded), "KEY")
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(encoded))
	for version, http2 := range map[int]bool{1: false, 2: true} {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: http2}
		p.client.Transport = transport
		resp, body, _ := p.send("GET", "/v1/account", "")
		require.Equal(t, []int{version, 200}, []int{resp.ProtoMajor, resp.StatusCode}, body)
		transport.CloseIdleConnections()
	}
	p.end()
}

func TestDropsOverHTTP2EndTheStreamAlone(t *testing.T) {
	p := start(t, "-tls")
	p.client.Transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	for _, at := range []string{"before_call", "before_response", "in_response"} {
		p.send("POST", "/_stripetest/faults", `{"route": "GET /v1/account", "first": 1, "effects": [{"drop": "`+at+`"}]}`)
		failed := make(chan error, 1)
		go func() {
			req, _ := http.NewRequest("GET", p.base+"/v1/account", nil)
			resp, err := p.client.Do(req)
			if err == nil {
				_, err = io.ReadAll(resp.Body)
				resp.Body.Close()
			}
			failed <- err
		}()
		require.ErrorContains(t, <-failed, "INTERNAL_ERROR", at)
		resp, _, _ := p.send("GET", "/v1/account", "")
		require.Equal(t, []int{2, 200}, []int{resp.ProtoMajor, resp.StatusCode})
	}
	p.client.CloseIdleConnections()
	p.end()
}

func TestFakeStripeRefusesFlagsThatItCannotFollow(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.json")
	require.NoError(t, os.WriteFile(bad, []byte(`{"path": "/v1/nothing"}`), 0o600))
	for args, want := range map[string]string{
		"-addr 127.0.0.1:no":           "listen tcp",
		"-control everybody":           "-control is loopback, anywhere or off",
		"-webhooks everywhere":         "-webhooks is off, loopback or anywhere",
		"-version new":                 `-version: "new" is no API version`,
		"-time tomorrow":               "neither a time",
		"-time 99999999999999":         "not between 1970 and 9998",
		"-account sk_test_secret":      "-account is like acct_shop=",
		"-account acct_1=sk_test_1,":   "-account is like acct_shop=",
		"-cert x":                      "-cert and -key belong together",
		"-tls -cert x -key y":          "-tls makes a certificate",
		"-tls-cert-out x":              "-tls-cert-out needs -tls",
		"-cert x -key y":               "open x",
		"-seed " + bad:                 bad + ": stripetest: seeding 1 of 1: seed /v1/nothing: nothing is created",
		"-load " + bad:                 "stripetest_state is missing",
		"-load " + dir + "/none.json":  "open ",
		"-tls -tls-cert-out /no/where": "open /no/where",
		"12111":                        `there are flags only, and no "12111"`,
		"-nothing":                     "flag provided but not defined",
	} {
		cfg, err := parseFlags(strings.Fields(args), io.Discard)
		if err == nil {
			err = run(t.Context(), cfg, io.Discard)
		}
		require.ErrorContains(t, err, want, args)
		require.NotContains(t, err.Error(), "secret", "a key")
	}
}
