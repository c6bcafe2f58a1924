package transport

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestMaskHidesKeysAndNothingElse(t *testing.T) {
	basic := func(key string) string { return base64.StdEncoding.EncodeToString([]byte(key + ":")) }
	for _, prefix := range []string{"sk_test_", "sk_live_", "rk_test_", "rk_live_"} {
		key := prefix + "51Hxyz0123456789"
		require.Equal(t, "key: "+prefix+"****.", Mask("key: "+key+"."))
		require.Equal(t, prefix+"****", Mask(prefix+"5"), "a key that was cut off")
		require.Equal(t, strings.ToUpper(prefix)+"****", Mask(strings.ToUpper(key)))
		got := Quote("<p>Authorization: Basic " + basic(key) + "</p>")
		require.Equal(t, "<p>Authorization: Basic ****</p>", got)
	}
	for _, text := range []string{
		"", "the parameter client_secret", "STRIPE_SECRET_KEY", "No such customer: 'cus_NffrFeUfNV2Hib'", "Invalid API Key provided: sk_test_****1234",
		"The provided key 'rk_test_***' does not have the required permissions", "use a key that starts with sk_live_",
	} {
		require.Equal(t, text, Mask(text))
	}
}

// TestMaskFindsSecretsInOtherForms has the forms in which a page may repeat a request.
func TestMaskFindsSecretsInOtherForms(t *testing.T) {
	const secret = "MARKEDSECRET0123456789"
	for _, begin := range []string{"sk_test_", "rk_live_", "sk_org_live_", "ek_test_", "whsec_", "pi_3Nq_secret_", "src_client_secret_"} {
		key := begin + secret
		for name, escaped := range map[string]string{
			"plain": key, "in a word": "acct_" + key,
			"for a URL": strings.ReplaceAll(key, "_", "%5F"), "twice for a URL": strings.ReplaceAll(key, "_", "%255f"),
			"for JSON": strings.ReplaceAll(key, "_", `\u005f`), "for HTML": strings.ReplaceAll(key, "_", "&#95;"),
		} {
			require.NotContains(t, strings.ToUpper(Mask("<"+escaped+">")), secret, "%s: %s", name, begin)
		}
	}
	for _, begin := range []string{"sk_test_", "rk_test_", "sk_live_", "rk_live_"} {
		key := []byte(begin + secret)
		for _, before := range []string{"", "A", "AB"} {
			for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
				text := encoding.EncodeToString(append([]byte(before), key...))
				require.NotContains(t, Mask(text), text[len(text)-16:], before+begin)
			}
		}
		require.NotContains(t, Mask(fmt.Sprintf("%x %X", key, key)), fmt.Sprintf("%x", secret))
		require.NotContains(t, Mask(fmt.Sprintf("%x %X", key, key)), fmt.Sprintf("%X", secret))
	}
}

func TestKeyIsNotTakenForAnotherID(t *testing.T) {
	for _, key := range []string{
		"sk_test_1", "rk_live_1", "sk_org_live_1", "whsec_1", "SK_TEST_1", "acct_sk_test_1", "/v1/charges/sk_test_1", "a%3Dsk_test_1", "sk%5Ftest%5F1",
		base64.StdEncoding.EncodeToString([]byte("sk_test_1234:")), fmt.Sprintf("%x", "rk_live_1"),
	} {
		require.True(t, HasKey(key), key)
	}
	for _, id := range []string{"", "sk_test_", "ebook_test_1", "task_live_1", "desk_test_1", "park_live_2", "pk_test_1", "cus_NffrFeUfNV2Hib"} {
		require.False(t, HasKey(id), id)
	}
	require.Equal(t, "No such product: 'ebook_test_1'", Mask("No such product: 'ebook_test_1'"))
}

func TestQuoteHidesLogins(t *testing.T) {
	login := base64.StdEncoding.EncodeToString([]byte("user:password"))
	for text, want := range map[string]string{
		"407 for Basic " + login + " from here":        "407 for Basic **** from here",
		"basic%20" + login:                             "basic%20****",
		`proxy "http://user:p@ss:word@proxy:3128": no`: `proxy "http://****@proxy:3128": no`,
		"nats://token@host":                            "nats://****@host",
		"http://****@proxy":                            "http://****@proxy",
		"basic authentication is required":             "basic authentication is required",
		"https://x.example/?to=jenny@example.com":      "https://x.example/?to=jenny@example.com",
	} {
		require.Equal(t, want, Quote(text))
		require.Equal(t, text, Mask(text), "as data, it may be the name of a product")
	}
}

func BenchmarkMask(b *testing.B) {
	page := strings.Repeat(`{"id":"ch_3NqXa2eZvKYlo2C1","amount":2000,"client_secret":null,"url":"https://x.example/v1"},`, 5000)
	b.SetBytes(int64(len(page)))
	for b.Loop() {
		Mask(page)
	}
}

func TestQuoteIsShort(t *testing.T) {
	got := Quote(strings.Repeat("é", 5000) + "sk_test_1234")
	require.Less(t, len(got), 5<<10)
	require.True(t, utf8.ValidString(got))
	require.NotContains(t, Quote(strings.Repeat("x", maxQuote-10)+"sk_test_1234"), "12")
}
