package fleet

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the page
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageStyle string
	//go:embed page.js
	pageScript string

	pageTemplate = template.Must(template.New("page").Funcs(viewFuncs).Parse(pageHTML))

	// contentSecurityPolicy allows the style and the script of the page, and requests to
	// where it comes from.
	contentSecurityPolicy = "default-src 'none'; style-src " + sourceHash(pageStyle) + "; script-src " + sourceHash(pageScript) +
		"; connect-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

const (
	// pageRows is how many connections the page and api/connections have by default.
	pageRows = 50
	// maxRows is the largest limit of api/connections.
	maxRows = 500
	// maxQuery is how many bytes a parameter may have.
	maxQuery = 400
	// maxLists is how many lists are made at a time. Each looks at all connections.
	maxLists = 2
)

func sourceHash(text string) string {
	hash := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) + "'"
}

// Handler returns the status page of the fleet, as this process has observed it. It only
// reads: it responds to GET and HEAD. It has no login of its own, so it should be served
// on a loopback address, or behind something that has one. It shows the names of the
// connections and their errors, but no key and no reference to one.
//
// A process that calls Run observes the whole fleet. In any other, and before and after
// Run, the status is 503, and the page and the JSON ("running": false) say so.
//
// The Handler may be served below a prefix, with http.StripPrefix:
//
//	http.Handle("/fleet/", http.StripPrefix("/fleet", f.Handler()))
//
// Its URLs are:
//
//   - "/", the page. It needs no network beside this Handler.
//   - "/api/overview": the totals; the flows by lag; "workers", those that are gone
//     included; and "history", the last hour in parts of 30 s as far as this process
//     has observed it. Each flow is counted in one state. Counts are those of the
//     workers' last samples, which are up to 12 s old.
//   - "/api/connections": the connections sorted by name, with their flows. Its
//     parameters are q (a part of the name, in any case of letters), state, limit (50
//     by default, up to 500) and after: the value of "next" of the response before, if
//     there is one. A connection that exists all the time is on exactly one page,
//     unless it is selected by a state that changes. With sort=worst it has those in
//     trouble first, and no "next".
//   - "/metrics": Collector in the text format of Prometheus.
//
// The state of a connection is that of its worst flow: "parked" (it waits for a Put),
// "failing", "lagging" (by a minute or more), "gave_up" (it polls, but events were given
// up), "unowned" (no worker holds its shard), "unknown", "starting" or "polling". The
// parameter state also takes "trouble" for the first five. The flows of this process are
// looked at when they are listed ("exact": true). Those of other workers are as of their
// last report, up to 12 s old. A report has up to 500 flows, the worst first. If a
// worker has more that are not all right, or has not reported yet, the state of those
// that are not in the report is "unknown".
//
// The lag is the age of the oldest event that is not acknowledged, or how long a poll is
// overdue. A flow that has no Poller, because it is parked or about to start, has none.
func (f *Fleet) Handler() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(f.Collector())
	return &page{
		fleet: f, lists: make(chan struct{}, maxLists),
		metrics: promhttp.HandlerFor(registry, promhttp.HandlerOpts{DisableCompression: true}),
	}
}

type page struct {
	fleet   *Fleet
	metrics http.Handler
	lists   chan struct{} // one for each list in progress
}

// runningWorker returns the worker of this process, or nil if it does not run.
func (f *Fleet) runningWorker() *worker {
	if w := f.worker.Load(); w != nil && w.ctx.Err() == nil {
		return w
	}
	return nil
}

// ServeHTTP responds to a request.
func (p *page) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	setSecurityHeaders(rw.Header())
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		rw.Header().Set("Allow", "GET, HEAD")
		respondText(rw, r, http.StatusMethodNotAllowed, "only GET and HEAD are allowed")
		return
	}
	switch strings.TrimPrefix(r.URL.Path, "/") {
	case "":
		p.servePage(rw, r)
	case "api/overview":
		p.serveOverview(rw, r)
	case "api/connections":
		p.serveConnections(rw, r)
	case "metrics":
		if r.Method == http.MethodHead {
			rw = headWriter{rw}
		}
		p.metrics.ServeHTTP(rw, r)
	default:
		respondText(rw, r, http.StatusNotFound, "not found")
	}
}

func setSecurityHeaders(h http.Header) {
	h.Set("Content-Security-Policy", contentSecurityPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

func (p *page) servePage(rw http.ResponseWriter, r *http.Request) {
	// Below a prefix, "/fleet" must become "/fleet/", or the relative URLs are wrong.
	if original := originalPath(r); r.URL.Path == "" && !strings.HasSuffix(original, "/") {
		target := url.URL{Path: "./" + path.Base(original) + "/", RawQuery: r.URL.RawQuery}
		rw.Header().Set("Location", target.String())
		respondText(rw, r, http.StatusMovedPermanently, "moved")
		return
	}
	q, err := parseListQuery(r.URL.Query())
	if err != nil {
		respondText(rw, r, http.StatusBadRequest, err.Error())
		return
	}
	q.Worst = q.Q == "" && q.State == "" && q.After == "" && r.URL.Query().Get("sort") != "name"
	v, status := newView(q), http.StatusServiceUnavailable
	if w := p.fleet.runningWorker(); w != nil {
		l, ok := p.list(w, r, q)
		if !ok {
			return
		}
		v.fill(w.overview(time.Now()), l)
		status = http.StatusOK
	}
	var out bytes.Buffer
	if err := pageTemplate.Execute(&out, v); err != nil {
		respondText(rw, r, http.StatusInternalServerError, "the page cannot be made")
		p.fleet.cfg.Logger.Error("stripe fleet page", "error", err)
		return
	}
	respond(rw, r, status, "text/html; charset=utf-8", out.Bytes())
}

// originalPath returns the path before http.StripPrefix.
func originalPath(r *http.Request) string {
	if u, err := url.ParseRequestURI(r.RequestURI); err == nil {
		return u.Path
	}
	return "/"
}

// list makes a list, when there are not too many in progress. It reports false if the
// client has gone.
func (p *page) list(w *worker, r *http.Request, q listQuery) (*listing, bool) {
	select {
	case p.lists <- struct{}{}:
		defer func() { <-p.lists }()
		return w.list(q, time.Now()), true
	case <-r.Context().Done():
		return nil, false
	}
}

func (p *page) serveOverview(rw http.ResponseWriter, r *http.Request) {
	w := p.fleet.runningWorker()
	if w == nil {
		respondNotRunning(rw, r)
		return
	}
	respondJSON(rw, r, http.StatusOK, w.overview(time.Now()))
}

func (p *page) serveConnections(rw http.ResponseWriter, r *http.Request) {
	q, err := parseListQuery(r.URL.Query())
	if err != nil {
		respondJSON(rw, r, http.StatusBadRequest, map[string]any{"error": err.Error()})
		return
	}
	w := p.fleet.runningWorker()
	if w == nil {
		respondNotRunning(rw, r)
		return
	}
	if l, ok := p.list(w, r, q); ok {
		respondJSON(rw, r, http.StatusOK, l)
	}
}

// parseListQuery reads the parameters of the page and of api/connections.
func parseListQuery(params url.Values) (listQuery, error) {
	q := listQuery{
		Q: strings.TrimSpace(params.Get("q")), State: State(params.Get("state")), After: params.Get("after"),
		Limit: pageRows, Worst: params.Get("sort") == "worst",
	}
	if limit := params.Get("limit"); limit != "" {
		n, err := strconv.Atoi(limit)
		if err != nil || n < 1 || n > maxRows {
			return q, fmt.Errorf("limit must be 1 to %d", maxRows)
		}
		q.Limit = n
	}
	switch {
	case len(q.Q) > maxQuery || len(q.After) > maxQuery:
		return q, fmt.Errorf("q and after must have up to %d bytes", maxQuery)
	case !utf8.ValidString(q.Q) || !utf8.ValidString(q.After):
		return q, errors.New("q and after must be valid UTF-8")
	case q.State != "" && q.State != inTrouble && !slices.Contains(conditions, q.State):
		return q, fmt.Errorf("state must be %s or one of %s", inTrouble, conditions)
	case !slices.Contains([]string{"", "name", "worst"}, params.Get("sort")):
		return q, errors.New("sort must be name or worst")
	case q.Worst && q.After != "":
		return q, errors.New("sort=worst cannot have after")
	}
	return q, nil
}

// notRunning is why there is nothing to show.
const notRunning = "This process does not run the fleet: it has not called Run, or Run has not reached the engine yet, or has returned."

func respondNotRunning(rw http.ResponseWriter, r *http.Request) {
	respondJSON(rw, r, http.StatusServiceUnavailable, map[string]any{"running": false, "error": notRunning})
}

func respondJSON(rw http.ResponseWriter, r *http.Request, status int, value any) {
	body, _ := json.Marshal(value) // it never fails
	respond(rw, r, status, "application/json", append(body, '\n'))
}

func respondText(rw http.ResponseWriter, r *http.Request, status int, text string) {
	respond(rw, r, status, "text/plain; charset=utf-8", []byte(text+"\n"))
}

func respond(rw http.ResponseWriter, r *http.Request, status int, contentType string, body []byte) {
	rw.Header().Set("Content-Type", contentType)
	rw.Header().Set("Content-Length", strconv.Itoa(len(body)))
	rw.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = rw.Write(body) // the client may have gone
	}
}

// headWriter drops the body of a response to HEAD.
type headWriter struct{ http.ResponseWriter }

// Write drops the bytes.
func (w headWriter) Write(b []byte) (int, error) { return len(b), nil }
