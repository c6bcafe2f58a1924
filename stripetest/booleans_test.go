package stripetest_test

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

// Python's spelling of booleans is that of stripe-python 5.
func TestBooleansAreAcceptedInPythonsSpelling(t *testing.T) {
	a := memory(t)
	for text, want := range map[string]bool{"true": true, "True": true, "false": false, "False": false} {
		charge := a.post("/v1/charges", visa+"&capture="+text)
		require.Equal(t, want, charge["captured"], text)
		product := a.post("/v1/products", "name=P&active="+text)
		require.Equal(t, want, product["active"], text)
		listed, _ := a.page("/v1/products", url.Values{"active": {text}, "limit": {"1"}})
		require.Equal(t, []string{product["id"].(string)}, listed, text)
		a.post("/v1/products/"+product["id"].(string), "name=Q&shippable="+text)
		require.Equal(t, want, a.get("/v1/products/" + product["id"].(string))["shippable"], text)
	}
	for _, text := range []string{"1", "yes", "None", "t"} {
		refusal{"POST", "/v1/charges", visa + "&capture=" + text, 400, "", "capture", "Invalid boolean: " + text}.refuse(t, a, "")
	}
}
