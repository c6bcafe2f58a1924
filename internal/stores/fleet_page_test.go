package stores_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/fleet"
	"github.com/stripekit/stripekit/internal/shops"
)

// pageWorker makes a worker whose handler fails for some connections.
func pageWorker(t *testing.T, name string, engine fleet.Engine, stripe http.RoundTripper) *fleet.Fleet {
	t.Helper()
	f, err := fleet.New(fleet.Config{
		Worker: name, Engine: engine, Checkpoints: new(stripekit.MemoryStore), HTTP: &http.Client{Transport: stripe},
		Keys: func(_ context.Context, ref string) (stripekit.Secret, error) {
			return stripekit.NewSecret("sk_test_" + ref), nil
		},
		Options: []stripekit.Option{stripekit.WithMaxRetries(0)},
	})
	require.NoError(t, err)
	handle := func(ctx context.Context) error {
		switch fleet.FlowFromContext(ctx).Connection {
		case failingShop:
			return errors.New(`ledger: <script>alert(1)</script> refused the charge`)
		case closedShop:
			return errors.New("ledger: the period 2026-10 is closed")
		}
		return nil
	}
	require.NoError(t, fleet.Watch(f, "charges.new", func(c *stripekit.Client) stripekit.Source[stripekit.Charge] { return c.Charges },
		func(ctx context.Context, _ stripekit.Event[stripekit.Charge]) error { return handle(ctx) }))
	require.NoError(t, fleet.Watch(f, "customers.new", func(c *stripekit.Client) stripekit.Source[stripekit.Customer] { return c.Customers },
		func(ctx context.Context, _ stripekit.Event[stripekit.Customer]) error { return handle(ctx) }))
	return f
}

const (
	failingShop = `Cinema <img src=x onerror=alert(2)>`
	closedShop  = "cinema-112.example"
	parkedShop  = `Bakery "Ünter & Sons"`
)

// putShop puts a connection to account n of shops.
func putShop(t *testing.T, f *fleet.Fleet, name string, n int, triggers ...string) {
	t.Helper()
	s := fleet.Spec{Name: name, Key: fmt.Sprintf("shop%d", n)}
	for _, trigger := range triggers {
		s.Triggers = append(s.Triggers, fleet.Trigger{Name: trigger, Every: time.Second})
	}
	require.NoError(t, f.Put(t.Context(), s))
}

// start runs a worker until the end of the test.
func start(t *testing.T, f *fleet.Fleet) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	t.Cleanup(func() { cancel(); require.NoError(t, <-done) })
}

// servePage serves the page below a prefix. While broken is true, it responds 502 as a
// proxy does.
func servePage(t *testing.T, h http.Handler, broken *atomic.Bool) *httptest.Server {
	mux := http.NewServeMux()
	mux.Handle("/fleet/", http.StripPrefix("/fleet", h))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if broken.Load() {
			http.Error(w, "bad gateway", http.StatusBadGateway)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server
}

func TestFleetPageOfThreeConnections(t *testing.T) {
	t.Parallel()
	in := browser(t)
	stripe, err := shops.New(shops.Config{Start: time.Now().Add(-time.Hour), Period: 2 * time.Second})
	require.NoError(t, err)
	f := pageWorker(t, "alone", new(fleet.MemoryEngine), stripe)
	var broken atomic.Bool
	server := servePage(t, f.Handler(), &broken)

	first := newTab(t, in, server, screens[0])
	first.run(chromedp.Navigate(first.url), chromedp.WaitVisible("#off"))
	require.Contains(t, first.text("#off"), "This process does not run the fleet")
	start(t, f)
	first.wait(`document.getElementById('workers')?.innerText.includes('alive')`) // it refreshes by itself

	putShop(t, f, "Atelier", 1, "charges.new", "customers.new")
	putShop(t, f, parkedShop, 2, "charges.new", "orders.new")
	putShop(t, f, failingShop, 3, "charges.new")
	first.wait(`document.getElementById('connections')?.innerText === '3' && document.getElementById('parked').innerText === '1' && document.getElementById('failing').innerText === '1'`)

	for _, s := range someScreens() {
		t.Run(s.name, func(t *testing.T) {
			b := open(t, in, server, s)
			require.Equal(t, "3", b.text("#connections"))
			require.Equal(t, "5", b.text("#flows"))
			require.Equal(t, "1", b.text("#parked"))
			require.Equal(t, "512", b.text("#shards"))
			require.Equal(t, []string{parkedShop, failingShop, "Atelier"}, eval[[]string](b, names))
			require.Contains(t, b.text("#list"), "<script>alert(1)</script> refused the charge")
			require.Contains(t, b.text("footer"), "no login of its own")
			b.requireScheme(s.scheme)
			b.picture("three-"+s.name, true)

			b.run(chromedp.SendKeys("input[name=q]", "ATEL"))
			b.wait(`document.querySelectorAll('.connections td.name').length === 1`)
			require.Equal(t, []string{"Atelier"}, eval[[]string](b, names))
			// A refresh keeps the search.
			b.run(chromedp.Evaluate(`document.dispatchEvent(new Event('visibilitychange')); window.old = document.getElementById('list')`, nil))
			b.wait(`window.old !== document.getElementById('list')`)
			require.Equal(t, []string{"Atelier"}, eval[[]string](b, names))
			require.Equal(t, "ATEL", eval[string](b, `document.querySelector('input[name=q]').value`))
			b.requireNoProblem()
		})
	}
	t.Run("a refresh that fails is seen", func(t *testing.T) {
		b := open(t, in, server, screens[0])
		broken.Store(true)
		b.run(chromedp.Evaluate(`document.dispatchEvent(new Event('visibilitychange'))`, nil))
		b.wait(`!document.getElementById('stale').hidden`)
		require.Regexp(t, `^Not refreshed since \d\d:\d\d:\d\d UTC: bad gateway`, b.text("#stale"))
		broken.Store(false)
		b.run(chromedp.Evaluate(`document.dispatchEvent(new Event('visibilitychange'))`, nil))
		b.wait(`document.getElementById('stale').hidden`)
	})
	t.Run("without JavaScript", func(t *testing.T) {
		b := open(t, in, server, screens[0], emulation.SetScriptExecutionDisabled(true))
		b.run(chromedp.SetValue("input[name=q]", "atel"), chromedp.Click("#search button"),
			chromedp.WaitNotPresent(".connections tbody tr:nth-child(2)"))
		require.Equal(t, []string{"Atelier"}, eval[[]string](b, names))
		require.Contains(t, eval[string](b, `location.href`), "/fleet/?q=atel")
		b.requireNoProblem()
	})
}

// names is an expression: the names of the listed connections.
const names = `[...document.querySelectorAll('.connections td.name')].map((cell) => cell.innerText)`

// recordedWorkers are workers that are records only.
type recordedWorkers struct {
	engine               *fleet.MemoryEngine
	connections, workers int
}

func (r *recordedWorkers) put(t *testing.T, key string, value any) {
	text, ok := value.(string)
	if !ok {
		encoded, err := json.Marshal(value)
		require.NoError(t, err)
		text = string(encoded)
	}
	_, revision, err := r.engine.Get(context.Background(), key)
	require.NoError(t, err)
	_, err = r.engine.Put(context.Background(), key, []byte(text), revision, 0)
	require.NoError(t, err)
}

func shopName(n int) string { return fmt.Sprintf("shop-%06d.example", n) }

// beat stores the sessions and reports of the workers: one connection in 1000 fails.
func (r *recordedWorkers) beat(t *testing.T) {
	reports := make([][]map[string]any, r.workers)
	for n := 0; n < r.connections; n += 1000 {
		hash := sha256.Sum256([]byte(shopName(n)))
		worker := int(binary.BigEndian.Uint64(hash[:])%512) % r.workers
		reports[worker] = append(reports[worker], map[string]any{
			"connection": shopName(n), "trigger": "charges.new", "state": "failing", "lag_seconds": 100 + n/1000, "unacknowledged": 3,
			"error": "stripe: GET /v1/charges: 500 api_error: an unknown error occurred (request req_9Kx2mPq)",
		})
	}
	for n, report := range reports {
		now, name, flows := time.Now().UTC(), fmt.Sprintf("worker-%d", n), r.connections/r.workers
		r.put(t, "session/"+name+".session", map[string]any{"started": now.Add(-50 * time.Hour), "sample": map[string]any{
			"at": now, "shards": 512 / r.workers, "connections": flows, "flows": flows, "failing": len(report), "noticed": len(report),
			"seconds": 10, "max_lag": 199_000, "lags": []int{flows - len(report) - 70, 40, 20, 10, len(report), 0, 0},
			"new": map[string]int{"events": 400, "requests": 16_700}, "unacknowledged": 75,
		}})
		r.put(t, "report/"+name, map[string]any{"at": now, "flows": report})
	}
}

func (r *recordedWorkers) run(t *testing.T) {
	r.beat(t)
	for shard := range 512 {
		r.put(t, fmt.Sprintf("claim/%d", shard), fmt.Sprintf("worker-%d.session", shard%r.workers))
	}
	done := make(chan struct{})
	var wait sync.WaitGroup
	t.Cleanup(func() { close(done); wait.Wait() })
	wait.Go(func() {
		ticker := time.NewTicker(2 * time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				r.beat(t)
			case <-done:
				return
			}
		}
	})
}

func TestFleetPageOf100000Connections(t *testing.T) {
	t.Parallel()
	in := browser(t)
	r := &recordedWorkers{new(fleet.MemoryEngine), 100_000, 4}
	f := pageWorker(t, "page", r.engine, http.DefaultTransport)
	for n := range r.connections {
		putShop(t, f, shopName(n), n, "charges.new")
	}
	r.run(t)
	start(t, f)
	server := servePage(t, f.Handler(), new(atomic.Bool))
	require.Eventually(t, func() bool {
		rec := httptest.NewRecorder()
		f.Handler().ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/connections", nil))
		var l struct{ Matches int }
		return json.Unmarshal(rec.Body.Bytes(), &l) == nil && l.Matches == r.connections
	}, time.Minute, 50*time.Millisecond)
	for _, s := range someScreens() {
		t.Run(s.name, func(t *testing.T) {
			b := open(t, in, server, s)
			require.Equal(t, "100,000", b.text("#connections"))
			require.Equal(t, "100,000", b.text("#flows"))
			require.Equal(t, "100", b.text("#failing"))
			require.Equal(t, 50, eval[int](b, names+".length"))
			require.Equal(t, shopName(99_000), eval[string](b, names+"[0]"), "the worst first")
			require.Less(t, eval[int](b, `new XMLSerializer().serializeToString(document).length`), 100_000)
			b.requireScheme(s.scheme)
			b.picture("large-"+s.name, false)

			b.run(chromedp.SendKeys("input[name=q]", "Shop-0123"))
			b.wait(`document.querySelector('.pager').innerText.includes('50 of 100, by name')`)
			require.Equal(t, shopName(12_300), eval[string](b, names+"[0]"))
			b.run(chromedp.Click(`.pager a[rel=next]`))
			b.wait(names + `[0] === '` + shopName(12_350) + `'`)
			require.Equal(t, shopName(12_399), eval[string](b, names+"[49]"))
			require.Empty(t, eval[[]string](b, `[...document.querySelectorAll('.pager a[rel=next]')].map((a) => a.href)`))
			b.run(chromedp.NavigateBack())
			b.wait(names + `[0] === '` + shopName(12_300) + `'`)

			b.run(chromedp.Evaluate(`const s = document.querySelector('select'); s.value = 'failing'; s.dispatchEvent(new Event('change'))`, nil))
			b.wait(`document.querySelector('.connections').innerText.includes('No connection matches')`)
			b.run(chromedp.Evaluate(`const q = document.querySelector('input'); q.value = ''; q.dispatchEvent(new Event('input'))`, nil))
			b.wait(`document.querySelector('.pager').innerText.includes('50 of 100, by name')`)
			require.Equal(t, shopName(0), eval[string](b, names+"[0]"))
			b.requireNoProblem()
		})
	}
}

// TestFleetPageScreenshot makes docs/fleet-page.png:
//
//	STRIPEKIT_SCREENSHOTS=$PWD/docs go test -run FleetPageScreenshot ./internal/stores
//
// The page is that of three workers after an hour, which passes in a moment.
func TestFleetPageScreenshot(t *testing.T) {
	if os.Getenv("STRIPEKIT_SCREENSHOTS") == "" {
		t.Skip("STRIPEKIT_SCREENSHOTS is not set: no picture is wanted")
	}
	in := browser(t)
	var page *httptest.ResponseRecorder
	synctest.Test(t, func(t *testing.T) { page = pageAfterAnHour(t) })
	require.Equal(t, http.StatusOK, page.Code)
	server := servePage(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		maps.Copy(w.Header(), page.Header())
		_, _ = w.Write(page.Body.Bytes())
	}), new(atomic.Bool))
	b := open(t, in, server, screen{"desktop", 1280, 900, "light"})
	b.picture("fleet-page", false)
	b.requireNoProblem()
}

func pageAfterAnHour(t *testing.T) *httptest.ResponseRecorder {
	time.Sleep(time.Until(time.Date(2026, 11, 27, 2, 4, 0, 0, time.UTC)))
	began := time.Now()
	stripe, err := shops.New(shops.Config{
		Start: began.Add(-time.Hour), Period: 5 * time.Minute, Burst: 30, BurstShare: 0.3, LateShare: 0.05, LateMax: 5 * time.Second,
		Fail: func(account int, at time.Time) int {
			if minute := at.Sub(began).Minutes(); account%7 == 0 && minute > 22 && minute < 29 || account == 17 && minute > 55 {
				return http.StatusInternalServerError
			}
			return 0
		},
	})
	require.NoError(t, err)
	engine := new(fleet.MemoryEngine)
	ctx, cancel := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	var first *fleet.Fleet
	for _, name := range []string{"eu-1", "eu-2", "eu-3"} {
		f := pageWorker(t, name, engine, stripe)
		if first == nil {
			first = f
		}
		wait.Go(func() { require.NoError(t, f.Run(ctx)) })
	}
	words := []string{"bakery", "books", "cycles", "flowers", "garden", "music", "shoes", "tea", "toys", "wine"}
	for n := range 240 {
		s := fleet.Spec{Name: fmt.Sprintf("%s-%03d.example", words[n%len(words)], n), Key: fmt.Sprintf("shop%d", n)}
		for _, trigger := range []string{"charges.new", "customers.new"} {
			s.Triggers = append(s.Triggers, fleet.Trigger{Name: trigger})
		}
		switch n {
		case 41:
			s.Triggers[1].Name = "orders.new"
		case 112:
			s.Name = closedShop
		}
		require.NoError(t, first.Put(ctx, s))
	}
	time.Sleep(61 * time.Minute)
	page := httptest.NewRecorder()
	first.Handler().ServeHTTP(page, httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
	cancel()
	wait.Wait()
	return page
}
