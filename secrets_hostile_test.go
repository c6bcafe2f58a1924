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
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
)

// headers are those of a response that the library reads.
var headers = []string{
	"Content-Type", "Date", "Idempotent-Replayed", "Location", "Request-Id", "Retry-After",
	"Stripe-Rate-Limited-Reason", "Stripe-Should-Retry", "Stripe-Version",
}

// TestEchoedHeadersShowNoKey has a service that sends the key back in every header.
func TestEchoedHeadersShowNoKey(t *testing.T) {
	for _, status := range []int{200, 400, 401, 403, 407, 409, 429, 500, 503} {
		var log bytes.Buffer
		var attempts []stripekit.Attempt
		n := &network{respond: func(r *http.Request) (*http.Response, error) {
			key, _, _ := r.BasicAuth()
			resp := reply(status, `{"id":"acct_1","error":{"type":"api_error"}}`)
			for _, h := range headers {
				resp.Header.Set(h, key)
			}
			return resp, nil
		}}
		c, err := stripekit.New(markedKey, stripekit.WithHTTPClient(&http.Client{Transport: n}), stripekit.WithMaxRetries(0),
			stripekit.WithLogger(slog.New(slog.NewJSONHandler(&log, nil))),
			stripekit.WithObserver(func(_ context.Context, a stripekit.Attempt) { attempts = append(attempts, a) }))
		require.NoError(t, err)
		var response stripekit.Response
		_, got := c.Charges.Get(t.Context(), "ch_1", stripekit.CaptureResponse(&response))
		var e *stripekit.Error
		if errors.As(got, &e) {
			requireShowsNoSecret(t, "the value of the error", *e)
			require.NotContains(t, dump(reflect.ValueOf(e)), mark)
		}
		checked, check := c.Check(t.Context())
		for _, err := range []error{got, check, errors.Join(got, check)} {
			requireShowsNoSecret(t, fmt.Sprint("error of ", status), err)
		}
		requireShowsNoSecret(t, "the result of a check", checked)
		requireNoSecret(t, "the request's id", response.RequestID)
		require.Len(t, attempts, 2)
		requireShowsNoSecret(t, "observed", attempts)
		requireNoSecret(t, "the log", log.String())
	}
}

// TestEchoedFormsOfTheKeyShowNoKey has a page that repeats the request in other forms
// than that in which it was sent.
func TestEchoedFormsOfTheKeyShowNoKey(t *testing.T) {
	for name, form := range map[string]func(string) string{
		"percent-encoded":    func(s string) string { return strings.ReplaceAll(s, "_", "%5F") },
		"escaped as JSON":    func(s string) string { return strings.ReplaceAll(s, "_", `\u005f`) },
		"escaped as HTML":    func(s string) string { return strings.ReplaceAll(s, "_", "&#x5F;") },
		"upper case":         strings.ToUpper,
		"hexadecimal":        func(s string) string { return fmt.Sprintf("%x", s) },
		"base64":             func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
		"base64, one later":  func(s string) string { return base64.StdEncoding.EncodeToString([]byte(":" + s)) },
		"base64, two later":  func(s string) string { return base64.StdEncoding.EncodeToString([]byte("; " + s)) },
		"base64 of a header": func(s string) string { return base64.URLEncoding.EncodeToString([]byte("X-Key: " + s)) },
	} {
		n := &network{respond: func(r *http.Request) (*http.Response, error) {
			key, _, _ := r.BasicAuth()
			return reply(502, form(key), "Content-Type", "text/"+form(key)), nil
		}}
		_, err := clientWithKey(t, n).Charges.Get(t.Context(), "ch_1")
		requireShowsNoSecret(t, name, err)
		secret := form(markedKey)
		require.NotContains(t, strings.ToUpper(err.Error()), strings.ToUpper(secret[len(secret)-16:]), name)
	}
}

// TestOtherSecretsOfABodyAreNotInErrors has an object in place of an error.
func TestOtherSecretsOfABodyAreNotInErrors(t *testing.T) {
	for _, secret := range []string{"pi_3Nq_secret_" + mark, "whsec_" + mark, "ek_live_" + mark} {
		for _, body := range []string{
			`{"object":"payment_intent","client_secret":"` + secret + `"}`,
			`{"error":{"type":"invalid_request_error","message":"No such intent: '` + secret + `'","param":"` + secret + `"}}`,
		} {
			_, err := clientWithKey(t, replies(502, body)).Charges.Get(t.Context(), "ch_1")
			requireShowsNoSecret(t, "the error", err)
		}
	}
}

func clientWithKey(t *testing.T, n *network, opts ...stripekit.Option) *stripekit.Client {
	t.Helper()
	opts = append([]stripekit.Option{stripekit.WithHTTPClient(&http.Client{Transport: n}), stripekit.WithMaxRetries(0)}, opts...)
	c, err := stripekit.New(markedKey, opts...)
	require.NoError(t, err)
	return c
}

// TestErrorsOfHugeResponsesAreShort has texts of megabytes, which would fill a log.
func TestErrorsOfHugeResponsesAreShort(t *testing.T) {
	huge := strings.Repeat("x", 1<<20)
	for name, n := range map[string]*network{
		"a message":       replies(400, `{"error":{"type":"invalid_request_error","message":"`+huge+`"}}`),
		"all fields":      replies(400, `{"error":{"type":"`+huge+`","code":"`+huge+`","decline_code":"`+huge+`","param":"`+huge+`"}}`),
		"a header":        replies(400, `{"error":{"type":"invalid_request_error"}}`, "Request-Id", huge),
		"a field's name":  replies(200, `{"metadata":{"`+huge+`":7}}`),
		"not an object":   replies(200, `"`+huge+`"`),
		"a type of body":  replies(502, "x", "Content-Type", huge),
		"a broken header": fails(fmt.Errorf("malformed MIME header line: %s", huge)),
	} {
		_, err := clientWithKey(t, n).Charges.Get(t.Context(), "ch_1")
		require.Error(t, err, name)
		require.Less(t, len(fmt.Sprintf("%+v", err)), 20<<10, name)
		var e *stripekit.Error
		require.ErrorAs(t, err, &e, name)
		b, err := json.Marshal(e)
		require.NoError(t, err)
		require.Less(t, len(b), 40<<10, name)
	}
}

// TestKeyInAWrongPlaceIsRefusedAndNotShown passes a key where something else is
// expected.
func TestKeyInAWrongPlaceIsRefusedAndNotShown(t *testing.T) {
	n := replies(200, `{}`)
	c := clientWithKey(t, n)
	ctx := t.Context()
	for name, call := range map[string]func() error{
		"id":     func() error { _, err := c.Charges.Get(ctx, markedKey); return err },
		"path":   func() error { return c.Call(ctx, "GET", "/v1/charges/"+markedKey, nil, nil) },
		"method": func() error { return c.Call(ctx, markedKey, "/v1/charges", nil, nil) },
		"idempotency key": func() error {
			return c.Call(ctx, "POST", "/v1/charges", nil, nil, stripekit.WithIdempotencyKey(markedKey))
		},
		"account": func() error { return c.WithAccount(markedKey).Call(ctx, "GET", "/v1/charges", nil, nil) },
		"tag":     func() error { return c.Call(ctx, "POST", "/v1/charges", map[string]any{markedKey: func() {}}, nil) },
	} {
		err := call()
		require.Error(t, err, name)
		requireShowsNoSecret(t, name, err)
	}
	for name, configure := range map[string]func() error{
		"name of a poller": func() error {
			_, err := stripekit.NewPoller(c.Charges, stripekit.PollConfig{Name: markedKey})
			return err
		},
		"filter": func() error {
			_, err := stripekit.NewPoller(c.Charges.Where(stripekit.ChargeListParams{Customer: new(markedKey)}), stripekit.PollConfig{})
			return err
		},
		"name of a backfill": func() error {
			cfg := stripekit.BackfillConfig{Name: markedKey, Checkpoints: new(stripekit.MemoryStore)}
			for _, err := range stripekit.Backfill(ctx, c.Charges, cfg) {
				return err
			}
			return nil
		},
		"folder": func() error { _, err := stripekit.NewFileStore(markedKey); return err },
		"folder that is no": func() error {
			_, err := stripekit.NewFileStore("postgres://user:" + proxyMark + "@host/db")
			return err
		},
	} {
		err := configure()
		require.Error(t, err, name)
		requireShowsNoSecret(t, name, err)
	}
	require.Empty(t, n.requests)
	requireShowsNoSecret(t, "a client with a key for an account", c.WithAccount(markedKey))

	for name, opt := range map[string]stripekit.Option{
		"base URL":            stripekit.WithBaseURL("https://" + markedKey + ".example"),
		"path of base URL":    stripekit.WithBaseURL("https://api.example/" + markedKey),
		"proxy":               stripekit.WithProxy("http://" + markedKey + ":3128"),
		"API version":         stripekit.WithAPIVersion(markedKey),
		"password with slash": stripekit.WithProxy("http://user:0123/" + proxyMark + "@proxy.example:3128"),
		"password with #":     stripekit.WithProxy("http://user:0123#" + proxyMark + "@proxy.example:3128"),
		"password with ?":     stripekit.WithProxy("http://user:0123?" + proxyMark + "@proxy.example:3128"),
	} {
		_, err := stripekit.New(markedKey, opt)
		require.Error(t, err, name)
		requireShowsNoSecret(t, name, err)
	}
}

// TestConnectionWithAKeyInAWrongFieldShowsNone prints connections that are refused.
func TestConnectionWithAKeyInAWrongFieldShowsNone(t *testing.T) {
	for name, c := range map[string]stripekit.Connection{
		"name":              {Name: markedKey},
		"version":           {APIVersion: markedKey},
		"base URL":          {BaseURL: "https://" + markedKey + ".example"},
		"login of base URL": {BaseURL: "https://user:" + proxyMark + "@example.com"},
		"proxy":             {Proxy: markedKey},
		"proxy's host":      {Proxy: "http://" + markedKey},
		"no URL of a proxy": {Proxy: "user:" + proxyMark},
	} {
		b, err := json.Marshal(c)
		require.NoError(t, err)
		requireNoSecret(t, name, string(b))
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
			requireNoSecret(t, name+" as "+verb, fmt.Sprintf(verb, c))
		}
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "c", c, "p", &c)
		requireNoSecret(t, name+" in a log", log.String())
		requireShowsNoSecret(t, name, stripekit.NewConnections().Add(c))
	}
}

// TestKeysThatCannotBeMaskedAreRefused has characters that no key of Stripe has.
func TestKeysThatCannotBeMaskedAreRefused(t *testing.T) {
	for _, key := range []string{"sk_test_." + mark, `sk_test_a"` + mark, `sk_test_a\` + mark, "sk_live_a," + mark, "rk_test_a%" + mark} {
		_, err := stripekit.New(key)
		require.ErrorContains(t, err, "a character that a key does not have")
		requireShowsNoSecret(t, key[:8], err)
	}
}

func TestAccountWhoseIDIsAKeyIsRefused(t *testing.T) {
	store := new(stripekit.MemoryStore)
	c := clientWithKey(t, echo(200, "application/json", `{"id":"acct_KEY","object":"list","data":[]}`))
	poller, err := stripekit.NewPoller(c.Charges, stripekit.PollConfig{Checkpoints: store})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err = poller.Run(ctx, func(context.Context, stripekit.Event[stripekit.Charge]) error { return nil })
	require.ErrorContains(t, err, "the account's id")
	requireShowsNoSecret(t, "the error", err)
	requireShowsNoSecret(t, "the status", poller.Status())
	data, _, err := store.Load(t.Context(), poller.Key())
	require.NoError(t, err)
	requireNoSecret(t, "the checkpoint", string(data))
	result, err := c.Check(t.Context())
	requireShowsNoSecret(t, "the result of a check", result)
	requireShowsNoSecret(t, "the error of a check", err)
}

// lists returns the same page for all lists, and an account.
func lists(page string) *network {
	return &network{respond: func(r *http.Request) (*http.Response, error) {
		body := page
		if r.URL.Path == "/v1/account" {
			body = `{"id":"acct_1"}`
		}
		return reply(200, body, "Date", time.Now().UTC().Format(http.TimeFormat)), nil
	}}
}

// TestEventWhoseIDIsAKeyIsNotInTheLog has a handler that fails, and then one event given up.
func TestEventWhoseIDIsAKeyIsNotInTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := lists(fmt.Sprintf(`{"object":"list","data":[{"id":"%s","created":%d}],"has_more":false}`, markedKey, time.Now().Unix()-60))
		var log bytes.Buffer
		poller, err := stripekit.NewPoller(clientWithKey(t, n).Charges, stripekit.PollConfig{
			From: stripekit.FromTime(time.Now().Add(-time.Hour)), MaxAttempts: 2, Logger: slog.New(slog.NewTextHandler(&log, nil)),
			OnGiveUp: func(context.Context, stripekit.Event[any], error) error { return errors.New("no place") },
		})
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		err = poller.Run(ctx, func(context.Context, stripekit.Event[stripekit.Charge]) error { return io.ErrUnexpectedEOF })
		require.NoError(t, err)
		require.Contains(t, log.String(), `"stripe event not handled"`)
		require.Contains(t, log.String(), "giving up event sk_test_****")
		requireNoSecret(t, "the log", log.String())
		requireShowsNoSecret(t, "the status", poller.Status())
	})
}

// TestObjectWhoseIDIsAKeyIsNotInACheckpoint has a list without created seconds, of which the
// checkpoint has ids.
func TestObjectWhoseIDIsAKeyIsNotInACheckpoint(t *testing.T) {
	store := new(stripekit.MemoryStore)
	c := clientWithKey(t, lists(`{"object":"list","data":[{"id":"good_2"},{"id":"`+markedKey+`"},{"id":"good_1"}],"has_more":false}`))
	source, err := stripekit.NewSource[map[string]any](c, "/v1/things", "")
	require.NoError(t, err)
	cfg := stripekit.BackfillConfig{Checkpoints: store, Name: "all"}
	for _, err := range stripekit.Backfill(t.Context(), source, cfg) {
		require.NoError(t, err)
	}
	data, _, err := store.Load(t.Context(), "backfill/test///things//all")
	require.NoError(t, err)
	require.Contains(t, string(data), "good_2")
	requireNoSecret(t, "the checkpoint", string(data))
}

// TestListedObjectsWhoseIDsAreKeysAreNotInErrors has pages that are wrong, so that
// errors name their objects.
func TestListedObjectsWhoseIDsAreKeysAreNotInErrors(t *testing.T) {
	for name, body := range map[string]string{
		"undated":    `{"object":"list","data":[{"id":"KEY"}],"has_more":false}`,
		"in future":  `{"object":"list","data":[{"id":"KEY","created":1},{"id":"KEY2","created":2}],"has_more":false}`,
		"not a type": `{"object":"list","data":[{"id":"KEY","created":1,"amount":"KEY"}],"has_more":false}`,
		"field name": `{"object":"list","data":[{"id":"KEY","created":1,"metadata":{"KEY":{"KEY":1}}}],"has_more":false}`,
	} {
		c := clientWithKey(t, echo(200, "application/json", body))
		var failures []error
		for _, err := range stripekit.Backfill(t.Context(), c.Charges, stripekit.BackfillConfig{}) {
			failures = append(failures, err)
		}
		for _, err := range c.Charges.List(t.Context(), stripekit.ChargeListParams{}) {
			failures = append(failures, err)
		}
		for _, err := range failures {
			for ; err != nil; err = errors.Unwrap(err) {
				requireShowsNoSecret(t, name, err)
			}
		}
	}
}

// TestReflectionFindsNoSecret looks through all that the library hands out, as printers
// do that ignore methods, such as those of testify for a failed assertion.
func TestReflectionFindsNoSecret(t *testing.T) {
	cs := stripekit.NewConnections()
	require.NoError(t, cs.Add(through("http://user:"+proxyMark+"@127.0.0.1:1", secure(t))))
	opened, err := cs.Open("shop")
	require.NoError(t, err)
	_, failed := opened.Check(t.Context())
	require.Error(t, failed)
	server := secure(t)
	trust()
	c, err := stripekit.New(markedKey, stripekit.WithBaseURL(server.URL))
	require.NoError(t, err)
	_, err = c.Check(t.Context())
	require.NoError(t, err)
	kept := stripekit.NewConnections()
	require.NoError(t, kept.Add(through("", server)))
	_, err = kept.Check(t.Context(), "shop")
	require.NoError(t, err)
	poller, err := stripekit.NewPoller(c.Charges, stripekit.PollConfig{Checkpoints: new(stripekit.MemoryStore)})
	require.NoError(t, err)
	for what, v := range map[string]any{
		"connections": cs, "connections in use": kept, "client": c, "client of a connection": opened,
		"error": failed, "poller": poller, "all connections": kept.All(), "list": c.Charges.Where(stripekit.ChargeListParams{}),
	} {
		var out recorder
		assert.Equal(&out, v, "something else")
		requireNoSecret(t, what+" in a failed assertion", out.String())
		requireNoSecret(t, what, deepDump(v))
	}
}

// recorder records the message of a failed assertion.
type recorder struct{ strings.Builder }

// Errorf records a message.
func (r *recorder) Errorf(format string, args ...any) { fmt.Fprintf(r, format, args...) }

// deepDump writes all strings and bytes that can be reached from a value by reflection.
func deepDump(v any) string {
	var out strings.Builder
	seen := map[any]bool{}
	var walk func(reflect.Value)
	walk = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.String:
			fmt.Fprintln(&out, v.String())
		case reflect.Pointer:
			if at := [2]any{v.Type(), v.Pointer()}; !v.IsNil() && !seen[at] {
				seen[at] = true
				walk(v.Elem())
			}
		case reflect.Interface:
			if !v.IsNil() {
				walk(v.Elem())
			}
		case reflect.Struct:
			for _, field := range v.Fields() {
				walk(field)
			}
		case reflect.Map:
			for _, key := range v.MapKeys() {
				walk(key)
				walk(v.MapIndex(key))
			}
		case reflect.Slice:
			if v.Type().Elem().Kind() == reflect.Uint8 {
				out.Write(v.Bytes())
				out.Write(v.Slice(0, v.Cap()).Bytes())
				return
			}
			for i := range v.Len() {
				walk(v.Index(i))
			}
		}
	}
	walk(reflect.ValueOf(v))
	return out.String()
}

// TestProxyOfTheEnvironmentShowsNoPassword runs in a process of its own, because
// net/http reads the environment once.
func TestProxyOfTheEnvironmentShowsNoPassword(t *testing.T) {
	if os.Getenv("STRIPEKIT_TEST_CHILD") != "" {
		c, err := stripekit.New(markedKey, stripekit.WithMaxRetries(0))
		require.NoError(t, err)
		_, err = c.Charges.Get(t.Context(), "ch_1")
		fmt.Println(err)
		_, err = c.Check(t.Context())
		fmt.Println(err)
		c, err = stripekit.New(markedKey, stripekit.WithMaxRetries(0), stripekit.WithHTTPClient(http.DefaultClient))
		require.NoError(t, err)
		_, err = c.Check(t.Context())
		fmt.Println(err)
		return
	}
	for name, proxy := range map[string]string{
		"not a URL":      "http://user:" + proxyMark + "%zz@127.0.0.1:1",
		"a slash":        "http://user:0123/" + proxyMark + "@127.0.0.1:1",
		"another scheme": "ftp://user:" + proxyMark + "@127.0.0.1:1",
		"no host":        "http://user:" + proxyMark + "@",
		"not there":      "http://user:" + proxyMark + "@127.0.0.1:1",
	} {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v")
		child.Env = append(os.Environ(), "STRIPEKIT_TEST_CHILD=1", "HTTPS_PROXY="+proxy)
		out, err := child.CombinedOutput()
		require.NoError(t, err, string(out))
		require.Contains(t, string(out), "stripe: ", name)
		requireNoSecret(t, name, string(out))
		require.NotContains(t, string(out), "0123", name)
	}
}

// TestPlainProxyThatRepeatsItsLoginShowsNoPassword: without TLS there is no tunnel, so the
// page of the proxy is quoted.
func TestPlainProxyThatRepeatsItsLoginShowsNoPassword(t *testing.T) {
	proxy := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusProxyAuthRequired)
		_, _ = io.WriteString(w, "not with "+r.Header.Get("Proxy-Authorization"))
	})
	server := httptest.NewServer(proxy)
	defer server.Close()
	c := stripekit.Connection{
		Name: "shop", APIKey: stripekit.NewSecret(markedKey), BaseURL: "http://127.0.0.1:1",
		Proxy: strings.Replace(server.URL, "//", "//user:"+proxyMark+"@", 1),
	}
	requireStep(t.Context(), t, c, stripekit.StepProxy)
}

// A name that is no secret stays as it is where it is stored and shown.
func TestConnectionWithANameLikeALoginKeepsIt(t *testing.T) {
	for _, name := range []string{"Basic 2", "basic planB", "shop_secret_1", "task_test_1"} {
		c := connection(name)
		_, err := c.Open()
		require.NoError(t, err)
		text, err := json.Marshal(c)
		require.NoError(t, err)
		var read stripekit.Connection
		require.NoError(t, json.Unmarshal(text, &read))
		require.Equal(t, name, read.Name)
		require.Contains(t, fmt.Sprint(c), name)
	}
}
