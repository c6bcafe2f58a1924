package stripekit_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	jsonv2 "github.com/stripekit/stripekit/internal/json"
)

// connection returns a valid connection.
func connection(name string) stripekit.Connection {
	return stripekit.Connection{Name: name, APIKey: stripekit.NewSecret(goodKey)}
}

func TestSecretShowsNoMoreThanAQuarterOfItsEnd(t *testing.T) {
	for key, want := range map[string]string{
		"":                                 "",
		"sk_test_51abcdefghijklmnopqrstuv": "sk_test_…stuv",
		"rk_live_51abcdefghijklmnopqrstuv": "rk_live_…stuv",
		"sk_test_0123456789abcdef":         "sk_test_…cdef",
		"sk_test_0123456789abcde":          "sk_test_…cde",
		"sk_test_0123456":                  "sk_test_…6",
		"sk_test_012":                      "sk_test_…",
		"sk_test_":                         "…",
		"pk_test_51abcdefghijklmnopqrstuv": "…",
		"sk_test_51abcdefghijklmn pqrstuv": "…",
		"what is not a key at all":         "…",
		"x":                                "…",
	} {
		s := stripekit.NewSecret(key)
		require.Equal(t, want, s.String(), key)
		require.Equal(t, key == "", s.IsZero())
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			require.Equal(t, want, fmt.Sprintf(verb, s))
		}
		for _, marshal := range []func(any) ([]byte, error){json.Marshal, func(v any) ([]byte, error) { return jsonv2.Marshal(v) }} {
			b, err := marshal(map[string]any{"k": s})
			require.NoError(t, err)
			require.Equal(t, `{"k":"`+want+`"}`, string(b))
		}
		var out bytes.Buffer
		slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "k", s)
		require.Contains(t, out.String(), `"k":"`+want+`"`)
	}
}

func TestSecretEqualsTheSameKey(t *testing.T) {
	t.Setenv("STRIPEKIT_TEST_KEY", otherKey)
	var cs stripekit.Connections
	require.NoError(t, cs.Add(stripekit.Connection{Name: "read", APIKey: stripekit.SecretFromEnv("STRIPEKIT_TEST_KEY")}))
	read, err := cs.Get("read")
	require.NoError(t, err)
	key := stripekit.NewSecret(otherKey)
	for name, test := range map[string]struct {
		a, b stripekit.Secret
		want bool
	}{
		"one key":                    {key, stripekit.NewSecret(otherKey), true},
		"another key":                {key, stripekit.NewSecret(liveKey), false},
		"another last character":     {key, stripekit.NewSecret(otherKey[:len(otherKey)-1] + "x"), false},
		"a key, and none":            {key, stripekit.Secret{}, false},
		"none":                       {stripekit.Secret{}, stripekit.Secret{}, true},
		"a variable that was read":   {key, read.APIKey, true},
		"a variable that is unread":  {key, stripekit.SecretFromEnv("STRIPEKIT_TEST_KEY"), false},
		"two variables, both unread": {stripekit.SecretFromEnv("A"), stripekit.SecretFromEnv("A"), false},
	} {
		require.Equal(t, test.want, test.a.Equal(test.b), name)
		require.Equal(t, test.want, test.b.Equal(test.a), name)
	}
}

func TestSecretOfAnEnvironmentVariableIsReadWhenItIsUsed(t *testing.T) {
	secret := stripekit.SecretFromEnv("STRIPEKIT_TEST_KEY")
	require.False(t, secret.IsZero())
	require.Equal(t, "$STRIPEKIT_TEST_KEY", secret.String())
	c := stripekit.Connection{Name: "shop", APIKey: secret}
	for _, unset := range []bool{true, false} {
		if !unset {
			t.Setenv("STRIPEKIT_TEST_KEY", "")
		}
		_, err := c.Open()
		require.EqualError(t, err, `stripe: api_key: the environment variable "STRIPEKIT_TEST_KEY" is not set`)
		require.ErrorIs(t, err, stripekit.ErrInvalidRequest)
	}
	t.Setenv("STRIPEKIT_TEST_KEY", "sk_live_0123456789abcdef")
	client, err := c.Open()
	require.NoError(t, err)
	require.Equal(t, stripekit.ModeLive, client.Mode())
	require.Equal(t, "$STRIPEKIT_TEST_KEY", secret.String())
}

func TestConnectionOpensAClientOfItsSettings(t *testing.T) {
	n := replies(200, `{"id":"acct_1"}`)
	c := stripekit.Connection{
		Name: "shop", APIKey: stripekit.NewSecret("rk_live_123"), APIVersion: "2020-08-27", BaseURL: "https://gateway.example/",
	}
	client, err := c.Open(stripekit.WithHTTPClient(&http.Client{Transport: n}), stripekit.WithBaseURL("https://other.example"))
	require.NoError(t, err)
	result, err := client.Check(t.Context())
	require.NoError(t, err)
	require.Equal(t, stripekit.ModeLive, result.Mode)
	require.Equal(t, stripekit.ModeLive, client.Mode())
	sent := n.last()
	require.Equal(t, "https://gateway.example/v1/account", sent.URL.String())
	require.Equal(t, "2020-08-27", sent.Header.Get("Stripe-Version"))
	key, _, _ := sent.BasicAuth()
	require.Equal(t, "rk_live_123", key)
}

func TestConnectionRefusesWhatIsWrongByItsField(t *testing.T) {
	for field, wrong := range map[string][]func(*stripekit.Connection){
		"name": {
			func(c *stripekit.Connection) { c.Name = "" },
			func(c *stripekit.Connection) { c.Name = "a/b" },
			func(c *stripekit.Connection) { c.Name = "a:b" },
			func(c *stripekit.Connection) { c.Name = "a\nb" },
			func(c *stripekit.Connection) { c.Name = "a\x00" },
			func(c *stripekit.Connection) { c.Name = "a\u200bb" }, // zero width
			func(c *stripekit.Connection) { c.Name = " a" },
			func(c *stripekit.Connection) { c.Name = "a\xff" },
			func(c *stripekit.Connection) { c.Name = markedKey },
			func(c *stripekit.Connection) { c.Name = strings.Repeat("ü", 101) },
		},
		"api_key": {
			func(c *stripekit.Connection) { c.APIKey = stripekit.Secret{} },
			func(c *stripekit.Connection) { c.APIKey = stripekit.NewSecret("pk_test_" + mark) },
			func(c *stripekit.Connection) { c.APIKey = stripekit.NewSecret(mark) },
			func(c *stripekit.Connection) { c.APIKey = stripekit.NewSecret(markedKey + "\n") },
			func(c *stripekit.Connection) { c.APIKey = stripekit.SecretFromEnv("STRIPEKIT_NOT_SET") },
			func(c *stripekit.Connection) { c.APIKey = stripekit.SecretFromEnv(markedKey) },
		},
		"api_version": {func(c *stripekit.Connection) { c.APIVersion = "2020 08" }},
		"base_url": {
			func(c *stripekit.Connection) { c.BaseURL = "http://stripe.example" },
			func(c *stripekit.Connection) { c.BaseURL = "https://user:" + proxyMark + "@stripe.example" },
			func(c *stripekit.Connection) { c.BaseURL = "stripe.example" },
		},
		"proxy": {
			func(c *stripekit.Connection) { c.Proxy = "ftp://user:" + proxyMark + "@proxy.example" },
			func(c *stripekit.Connection) { c.Proxy = "http://user:" + proxyMark + "%zz@proxy.example" },
			func(c *stripekit.Connection) { c.Proxy = "user:" + proxyMark + "@proxy.example:3128" },
			func(c *stripekit.Connection) { c.Proxy = "proxy.example:3128" },
			func(c *stripekit.Connection) { c.Proxy = "http://****@proxy.example" },
			func(c *stripekit.Connection) { c.Proxy = "****" },
			func(c *stripekit.Connection) {
				c.BaseURL, c.Proxy = "http://localhost:1", "http://user:"+proxyMark+"@proxy.example"
			},
		},
		"timeout": {func(c *stripekit.Connection) { c.Timeout = -1 }},
		"access": {
			func(c *stripekit.Connection) { c.Access = -1 },
			func(c *stripekit.Connection) { c.Access = 3 },
		},
	} {
		for i, spoil := range wrong {
			c := connection("shop")
			spoil(&c)
			_, open := c.Open()
			add := stripekit.NewConnections().Add(c)
			for _, err := range []error{open, add} {
				var refused *stripekit.ParamError
				require.ErrorAs(t, err, &refused, "%s %d", field, i)
				require.Equal(t, field, refused.Param, "%s %d", field, i)
				require.NotEmpty(t, refused.Reason)
				requireShowsNoSecret(t, field, err)
			}
		}
	}
	for _, name := range []string{"a", "Shop 1 (EU)", "店", strings.Repeat("ü", 100), "..", "sk"} {
		_, err := connection(name).Open()
		require.NoError(t, err, name)
	}
}

func TestConnectionRefusesAProxyBesideAnHTTPClient(t *testing.T) {
	c := connection("shop")
	c.Proxy = "http://user:" + proxyMark + "@proxy.example"
	_, err := c.Open(stripekit.WithHTTPClient(new(http.Client)))
	require.ErrorContains(t, err, "stripe: proxy: ")
	requireShowsNoSecret(t, "error", err)
}

func TestConnectionPassesOnAWrongOption(t *testing.T) {
	_, err := connection("shop").Open(stripekit.WithMaxRetries(-1))
	require.EqualError(t, err, "stripe: WithMaxRetries: negative")
	require.EqualError(t, stripekit.NewConnections(stripekit.WithMaxRetries(-1)).Add(connection("shop")), "stripe: WithMaxRetries: negative")
}

func TestConnectionReadsJSON(t *testing.T) {
	t.Setenv("STRIPEKIT_TEST_KEY", "sk_live_0123456789abcdef")
	for text, want := range map[string]string{
		`{"name":"a","api_key":"sk_test_0123456789abcdef"}`:       `{"name":"a","api_key_last4":"cdef","mode":"test","access":"read_write","disabled":false}`,
		`{"name":"a","api_key_env":"STRIPEKIT_TEST_KEY"}`:         `{"name":"a","api_key_env":"STRIPEKIT_TEST_KEY","access":"read_write","disabled":false}`,
		`{"name":"a","access":"read_only","timeout":"80s"}`:       `{"name":"a","timeout":"1m20s","access":"read_only","disabled":false}`,
		`{"name":"a","access":"source","timeout":1.5}`:            `{"name":"a","timeout":"1.5s","access":"read_only","disabled":false}`,
		`{"name":"a","access":"target","timeout":90}`:             `{"name":"a","timeout":"1m30s","access":"write_only","disabled":false}`,
		`{"name":"a","access":"write_only","timeout":null}`:       `{"name":"a","access":"write_only","disabled":false}`,
		`{"name":"a","access":"both","disabled":true}`:            `{"name":"a","access":"read_write","disabled":true}`,
		`{"name":"a","api_key_last4":"cdef","mode":"live"}`:       `{"name":"a","access":"read_write","disabled":false}`,
		`{"name":"a","proxy":"http://u:pw@p:3128","base_url":""}`: `{"name":"a","proxy":"http://****@p:3128","access":"read_write","disabled":false}`,
		`{"name":"a","proxy":"socks5://u@p"}`:                     `{"name":"a","proxy":"socks5://****@p","access":"read_write","disabled":false}`,
		`{"name":"a","proxy":"http://p","api_version":"v"}`:       `{"name":"a","api_version":"v","proxy":"http://p","access":"read_write","disabled":false}`,
	} {
		for _, codec := range []struct {
			unmarshal func([]byte, any) error
			marshal   func(any) ([]byte, error)
		}{
			{json.Unmarshal, json.Marshal},
			{func(b []byte, v any) error { return jsonv2.Unmarshal(b, v) }, func(v any) ([]byte, error) { return jsonv2.Marshal(v) }},
		} {
			var c stripekit.Connection
			require.NoError(t, codec.unmarshal([]byte(text), &c), text)
			b, err := codec.marshal(c)
			require.NoError(t, err)
			require.Equal(t, want, string(b))

			var again stripekit.Connection
			require.NoError(t, codec.unmarshal(b, &again), "what was written can be read")
		}
	}
}

func TestConnectionRefusesWrongJSONByItsField(t *testing.T) {
	for text, want := range map[string]string{
		`{"name":"a","apikey":"` + markedKey + `"}`:                 "apikey: is no field of a connection",
		`{"name":"a","API_KEY":"` + markedKey + `"}`:                "API_KEY: is no field of a connection",
		`{"` + markedKey + `":1}`:                                   "sk_test_****: is no field of a connection",
		`{"name":7}`:                                                "name: is not of the right type",
		`{"disabled":"` + markedKey + `"}`:                          "disabled: is not of the right type",
		`{"api_key":["` + markedKey + `"]}`:                         "api_key: is not of the right type",
		`{"api_key":"` + markedKey + `","api_key_env":"A"}`:         "api_key_env: does not go together with api_key",
		`{"access":"` + markedKey + `"}`:                            "access: must be read_write, read_only or write_only",
		`{"access":1}`:                                              "access: is not of the right type",
		`{"timeout":"soon"}`:                                        `timeout: must be a time such as "80s", or a number of seconds`,
		`{"timeout":1e300}`:                                         `timeout: must be a time such as "80s", or a number of seconds`,
		`{"timeout":{}}`:                                            `timeout: must be a time such as "80s", or a number of seconds`,
		`["` + markedKey + `"]`:                                     "connection: must be an object",
		`"` + markedKey + `"`:                                       "connection: must be an object",
		`{"api_key":"` + markedKey + `","api_key":"` + mark + `"}`:  "",
		`{"proxy":"http://u:` + proxyMark + `@p","disabled":"yes"}`: "disabled: is not of the right type",
	} {
		c := connection("shop")
		err := json.Unmarshal([]byte(text), &c)
		var refused *stripekit.ParamError
		require.ErrorAs(t, err, &refused, text)
		require.Contains(t, err.Error(), want)
		requireShowsNoSecret(t, text, err)
		require.Equal(t, "shop", c.Name, "a connection that is refused is left alone")
	}
}

func TestConnectionJSONChangesWhatItNamesAlone(t *testing.T) {
	c := stripekit.Connection{
		Name: "shop", APIKey: stripekit.NewSecret(goodKey), APIVersion: "v", BaseURL: "https://b.example",
		Proxy: "http://p.example", Timeout: time.Second, Access: stripekit.WriteOnly, Disabled: true,
	}
	before := fmt.Sprint(c)
	require.NoError(t, json.Unmarshal([]byte(`{}`), &c))
	require.Equal(t, before, fmt.Sprint(c))
	require.NoError(t, json.Unmarshal([]byte(`{"disabled":false,"timeout":2}`), &c))
	require.Equal(t, `stripekit.Connection[name=shop api_key=sk_test_…stuv api_version=v base_url=https://b.example `+
		`proxy=http://p.example timeout=2s access=write_only disabled=false]`, fmt.Sprint(c))
}

func TestAccessHasNames(t *testing.T) {
	require.Equal(t, "read_write read_only write_only Access(3)", fmt.Sprint(stripekit.Access(0), stripekit.ReadOnly, stripekit.WriteOnly, stripekit.Access(3)))
}

func FuzzConnectionJSON(f *testing.F) {
	f.Add([]byte(`{"name":"shop","api_key":"sk_test_0123456789abcdef","proxy":"http://user:pw@p:1","timeout":1.5,"access":"source"}`))
	f.Add([]byte(`{"name":"shop","api_key_env":"KEY","api_version":"v","base_url":"https://x","proxy":"user:pw@p","timeout":"80s","disabled":true}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var c, again stripekit.Connection
		if err := json.Unmarshal(text, &c); err != nil {
			return
		}
		shown, err := json.Marshal(c)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(shown, &again), "what was written can be read")
		again.APIKey = c.APIKey
		require.Equal(t, fmt.Sprint(c), fmt.Sprint(again))
	})
}
