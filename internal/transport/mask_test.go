package transport

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMaskHidesKeysAndNothingElse(t *testing.T) {
	basic := func(key string) string { return base64.StdEncoding.EncodeToString([]byte(key + ":")) }
	for _, prefix := range []string{"sk_test_", "sk_live_", "rk_test_", "rk_live_"} {
		key := prefix + "51Hxyz0123456789"
		require.Equal(t, "key: "+prefix+"****.", Mask("key: "+key+"."))
		require.Equal(t, prefix+"****", Mask(prefix+"5"), "a key that was cut off")
		require.Equal(t, strings.ToUpper(prefix)+"****", Mask(strings.ToUpper(key)))
		got := Mask("<p>Authorization: Basic " + basic(key) + "</p>")
		require.Regexp(t, `^<p>Authorization: Basic \w{9,10}\*\*\*\*</p>$`, got)
	}
	for _, text := range []string{
		"", "No such customer: 'cus_NffrFeUfNV2Hib'", "Invalid API Key provided: sk_test_****1234",
		"The provided key 'rk_test_***' does not have the required permissions", "use a key that starts with sk_live_",
	} {
		require.Equal(t, text, Mask(text))
	}
}
