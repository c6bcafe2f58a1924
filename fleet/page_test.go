package fleet_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/internal/shops"
)

const hostile = `<script>alert("1")</script><img src=x onerror=alert`

func TestThePageEscapesNamesAndErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, shops.Config{})
		w.handle = func(context.Context, string) error {
			return errors.New(`</td></table><script>alert(2)</script> sk_live_51abc rk_test_x whsec_abc` + "\x00\xff")
		}
		a := w.run(w.process("a"))
		name := strings.ReplaceAll(hostile, "/", "")
		s := spec(1)
		s.Name = name
		require.NoError(t, a.Put(t.Context(), s))
		for _, q := range []string{"ünï ¢ödé", `back\slash "quote"`, "{{.}}", "${x}`"} {
			s.Name = q
			require.NoError(t, a.Put(t.Context(), s))
		}
		pass(2 * time.Minute)
		for _, target := range []string{
			"/", "/?q=" + "%3C%2Finput%3E%3Cscript%3Ealert(3)%3C%2Fscript%3E", "/?sort=name&limit=1&after=%22%3E%3Cscript%3Ealert(3)%3C%2Fscript%3E",
		} {
			page := a.pageText(t, target)
			require.Equal(t, 1, strings.Count(page, "<script"), target)
			require.NotContains(t, page, "<img")
			require.NotContains(t, page, "</input>")
			for _, secret := range []string{"sk_live_51abc", "rk_test_x", "whsec_abc", "shop1"} {
				require.NotContains(t, page, secret)
			}
		}
		page := a.pageText(t, "/")
		require.Contains(t, page, "&lt;script&gt;alert(&#34;1&#34;)")
		require.Contains(t, page, "sk_live_****")
		for _, name := range []string{"ünï ¢ödé", `back\slash "quote"`, "{{.}}", "${x}`", name} {
			require.Equal(t, name, a.find(t, name).Name)
		}
		require.Equal(t, 1, a.list(t, "q", "ÜNÏ").Matches)
		record := ask(t, a.Handler(), http.MethodGet, "/api/connections").Body.String()
		require.NotContains(t, record, "<script")
		require.NotContains(t, record, "shop1", "the reference to the key")
		w.end(a)
	})
}

// runAlone runs a fleet of one process with three connections for a minute.
func runAlone(t *testing.T, f func(t *testing.T, p *process)) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, shops.Config{})
		a := w.run(w.process("a"))
		w.put(a, 3)
		pass(time.Minute)
		f(t, a)
		w.end(a)
	})
}

func TestResponsesHaveSecurityHeaders(t *testing.T) {
	runAlone(t, func(t *testing.T, p *process) {
		for target, status := range map[string]int{
			"/": 200, "/api/overview": 200, "/api/connections": 200, "/metrics": 200, "/nothing": 404, "/?state=x": 400,
			"/api/connections?limit=0": 400,
		} {
			rec := ask(t, p.Handler(), http.MethodGet, target)
			require.Equal(t, status, rec.Code, target)
			h := rec.Header()
			require.Equal(t, "nosniff", h.Get("X-Content-Type-Options"), target)
			require.Equal(t, "no-referrer", h.Get("Referrer-Policy"), target)
			require.Equal(t, "DENY", h.Get("X-Frame-Options"), target)
			require.Equal(t, "no-store", h.Get("Cache-Control"), target)
			policy := h.Get("Content-Security-Policy")
			require.Contains(t, policy, "default-src 'none'", target)
			require.Contains(t, policy, "frame-ancestors 'none'", target)
			require.NotRegexp(t, `unsafe|https?:|\*`, policy, target)
		}
	})
}

func TestThePolicyAllowsTheScriptAndTheStyleOfThePage(t *testing.T) {
	runAlone(t, func(t *testing.T, p *process) {
		rec := ask(t, p.Handler(), http.MethodGet, "/")
		for _, element := range []string{"script", "style"} {
			content := regexp.MustCompile(`(?s)<` + element + `>(.*)</` + element + `>`).FindStringSubmatch(rec.Body.String())
			require.Len(t, content, 2, element)
			hash := sha256.Sum256([]byte(content[1]))
			require.Contains(t, rec.Header().Get("Content-Security-Policy"), element+"-src 'sha256-"+base64.StdEncoding.EncodeToString(hash[:])+"'")
		}
		require.NotRegexp(t, ` style=| on[a-z]+=|(src|href)="(https?:)?//`, rec.Body.String())
		require.Contains(t, rec.Body.String(), "This page has no login of its own")
	})
}

func TestOnlyGETAndHEADAreAllowed(t *testing.T) {
	runAlone(t, func(t *testing.T, p *process) {
		for _, target := range []string{"/", "/api/overview", "/api/connections", "/metrics", "/nothing"} {
			for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT"} {
				rec := ask(t, p.Handler(), method, target)
				require.Equal(t, http.StatusMethodNotAllowed, rec.Code)
				require.Equal(t, "GET, HEAD", rec.Header().Get("Allow"))
			}
			head, get := ask(t, p.Handler(), http.MethodHead, target), ask(t, p.Handler(), http.MethodGet, target)
			require.Equal(t, get.Code, head.Code, target)
			require.Equal(t, get.Header().Get("Content-Type"), head.Header().Get("Content-Type"), target)
			require.Empty(t, head.Body.String(), target)
			require.NotEmpty(t, get.Body.String(), target)
		}
	})
}

func TestThePageWorksBelowAPrefix(t *testing.T) {
	runAlone(t, func(t *testing.T, p *process) {
		mux := http.NewServeMux()
		mux.Handle("/ops/fleet/", http.StripPrefix("/ops/fleet", p.Handler()))
		mux.Handle("/other/", http.StripPrefix("/other/", p.Handler()))
		for _, prefix := range []string{"/ops/fleet/", "/other/"} {
			rec := ask(t, mux, http.MethodGet, prefix)
			require.Equal(t, http.StatusOK, rec.Code, prefix)
			for _, link := range regexp.MustCompile(`(?:href|src|action)="([^"]*)"`).FindAllStringSubmatch(rec.Body.String(), -1) {
				require.NotRegexp(t, `^/|^[a-z]+://`, link[1])
			}
			require.Equal(t, http.StatusOK, ask(t, mux, http.MethodGet, prefix+"api/overview").Code)
			require.Equal(t, http.StatusOK, ask(t, mux, http.MethodGet, prefix+"metrics").Code)
		}
		rec := ask(t, http.StripPrefix("/ops/fleet", p.Handler()), http.MethodGet, "/ops/fleet?q=a")
		require.Equal(t, http.StatusMovedPermanently, rec.Code)
		require.Equal(t, "./fleet/?q=a", rec.Header().Get("Location"))
	})
}

func TestParametersThatAreWrongAreRefused(t *testing.T) {
	runAlone(t, func(t *testing.T, p *process) {
		for query, want := range map[string]string{
			"limit=501": "limit must be 1 to 500", "limit=x": "limit", "state=broken": "state must be", "q=%ff": "UTF-8",
			"sort=lag": "sort must be", "sort=worst&after=x": "after", "q=" + strings.Repeat("x", 401): "400 bytes",
		} {
			rec := ask(t, p.Handler(), http.MethodGet, "/api/connections?"+query)
			require.Equal(t, http.StatusBadRequest, rec.Code, query)
			var body struct{ Error string }
			require.NoError(t, json.Unmarshal(rec.Body.Bytes(), &body))
			require.Contains(t, body.Error, want)
			require.Equal(t, http.StatusBadRequest, ask(t, p.Handler(), http.MethodGet, "/?"+query).Code, query)
		}
	})
}

func TestAProcessThatDoesNotRunTheFleetSaysSo(t *testing.T) {
	requireOff := func(t *testing.T, p *process) {
		for _, target := range []string{"/", "/api/overview", "/api/connections"} {
			rec := ask(t, p.Handler(), http.MethodGet, target)
			require.Equal(t, http.StatusServiceUnavailable, rec.Code, target)
			require.Contains(t, rec.Body.String(), "This process does not run the fleet", target)
		}
		require.Contains(t, ask(t, p.Handler(), http.MethodGet, "/metrics").Body.String(), "stripekit_fleet_worker_running 0")
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, shops.Config{})
		a := w.process("a")
		requireOff(t, a)
		w.run(a)
		pass(time.Second)
		require.Equal(t, http.StatusOK, ask(t, a.Handler(), http.MethodGet, "/").Code)
		w.end(a)
		requireOff(t, a)
	})
}

func TestAListWaitsForOthersAndForItsClientAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, shops.Config{})
		a := w.run(w.process("a"))
		w.put(a, 3)
		pass(time.Minute)
		h, codes := a.Handler(), make(chan int)
		for range 20 {
			go func() {
				rec := httptest.NewRecorder()
				h.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/connections", nil))
				codes <- rec.Code
			}()
		}
		for range 20 {
			require.Equal(t, http.StatusOK, <-codes)
		}
		w.end(a)
	})
}
