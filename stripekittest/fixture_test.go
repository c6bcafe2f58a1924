package stripekittest

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzFixtureIsTheRequestThatItDescribes checks that no file makes the parser
// panic, and that the line in which a fixture is reported is the line to write.
func FuzzFixtureIsTheRequestThatItDescribes(f *testing.F) {
	f.Add("GET /v1/charges/ch_1\n\n{}")
	f.Add("POST /v1/charges?metadata[a b]=1+2%26&expand[0]=x HTTP/1.1\r\nHTTP/2 402\r\nRequest-Id: req_1\r\n\r\n{}")
	f.Add("GET /v1/products/A%2Fred shirt?a=ä&a=\n503")
	f.Add("POST //")
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := parseFixture(text)
		if err != nil {
			return
		}
		require.True(t, parsed.status >= 200 && parsed.status <= 599)
		again, err := parseFixture(describe(parsed.method, parsed.path, parsed.params))
		require.NoError(t, err)
		require.Equal(t, parsed.path, again.path)
		require.Equal(t, parsed.params, again.params)
		require.True(t, again.matches(&request{method: parsed.method, path: parsed.path, params: parsed.params}))
	})
}
