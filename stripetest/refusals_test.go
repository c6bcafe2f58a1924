package stripetest_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// refusal is a request and the error that it must get.
type refusal struct {
	method, path, form string
	status             int
	code, param        string
	message            string // the beginning of the message
}

// refuse sends the request and checks the error. OBJ in the request and the
// message stands for id.
func (want refusal) refuse(t *testing.T, a *api, id string) {
	t.Helper()
	with := func(text string) string { return strings.ReplaceAll(text, "OBJ", id) }
	r := a.do(want.method, with(want.path), with(want.form))
	require.Equal(t, want.status, r.status, r.raw)
	got := r.failure()
	for name, value := range map[string]string{"code": want.code, "param": want.param} {
		if value == "" {
			require.NotContains(t, got, name)
		} else {
			require.Equal(t, value, got[name])
		}
	}
	message, _ := got["message"].(string)
	require.True(t, strings.HasPrefix(message, with(want.message)), "message is %q", message)
	if want.status != http.StatusPaymentRequired {
		require.Equal(t, "invalid_request_error", got["type"])
	}
}

// create posts a form and returns the id of the new object.
func (a *api) create(path, form string) string {
	a.t.Helper()
	return a.post(path, form)["id"].(string)
}

// del deletes an object and returns the response body.
func (a *api) del(path string) map[string]any {
	a.t.Helper()
	r := a.do("DELETE", path, "")
	require.Equal(a.t, http.StatusOK, r.status, r.raw)
	return r.body
}

// whole returns an integer of a decoded object.
func whole(object map[string]any, field string) int64 {
	n, _ := object[field].(float64)
	return int64(n)
}
