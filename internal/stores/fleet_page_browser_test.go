package stores_test

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// screen is how a page is looked at.
type screen struct {
	name          string
	width, height int64
	scheme        string
}

var screens = []screen{
	{"desktop-light", 1280, 900, "light"},
	{"phone-dark", 400, 800, "dark"},
	{"desktop-dark", 1280, 900, "dark"},
	{"phone-light", 400, 800, "light"},
}

// someScreens returns two of the screens, and all if STRIPEKIT_KILLS is set.
func someScreens() []screen { return screens[:1+rounds(3)] }

// browser is a headless Chromium. The test is skipped, or fails, without one.
func browser(t *testing.T) context.Context {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if found, err := exec.LookPath(name); err == nil && path == "" {
			path = found
		}
	}
	if path == "" {
		const why = "Chromium is not installed (Debian: chromium; Ubuntu: chromium-browser)"
		if os.Getenv("STRIPEKIT_REQUIRE_SERVERS") == "1" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(path), chromedp.Flag("hide-scrollbars", true), chromedp.NoDefaultBrowserCheck,
		chromedp.WSURLReadTimeout(time.Minute),
		// Without a network: a name cannot be resolved.
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"), chromedp.Flag("no-proxy-server", true))
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	limit, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	t.Cleanup(cancel)
	for try := 1; ; try++ { // Chromium itself fails at its start now and then
		allocator, cancel := chromedp.NewExecAllocator(limit, options...)
		t.Cleanup(cancel)
		ctx, cancel := chromedp.NewContext(allocator)
		t.Cleanup(cancel)
		err := chromedp.Run(ctx)
		if err == nil {
			return ctx
		}
		require.Less(t, try, 3, "the browser does not start: %v", err)
		t.Logf("the browser has not started, another try: %v", err)
	}
}

// tab is a page in a browser.
type tab struct {
	t   *testing.T
	ctx context.Context
	url string

	mu       sync.Mutex
	problems []string
	requests []string
}

// newTab makes a tab that is visible to the pages in it.
func newTab(t *testing.T, in context.Context, server *httptest.Server, s screen) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(in)
	t.Cleanup(cancel)
	b := &tab{t: t, ctx: ctx, url: server.URL + "/fleet/"}
	chromedp.ListenTarget(ctx, b.observe)
	b.run(network.Enable(), log.Enable(), runtime.Enable(), emulation.SetFocusEmulationEnabled(true),
		emulation.SetDeviceMetricsOverride(s.width, s.height, 1, s.width < 600),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: s.scheme}}))
	return b
}

// open opens the page of a server in a new tab.
func open(t *testing.T, in context.Context, server *httptest.Server, s screen, actions ...chromedp.Action) *tab {
	t.Helper()
	b := newTab(t, in, server, s)
	b.run(actions...)
	b.run(chromedp.Navigate(b.url), chromedp.WaitVisible("#list"))
	return b
}

func (b *tab) observe(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		b.problems = append(b.problems, fmt.Sprintf("console: %s %v", e.Type, e.Args))
	case *runtime.EventExceptionThrown:
		b.problems = append(b.problems, "exception: "+e.ExceptionDetails.Error())
	case *log.EventEntryAdded:
		b.problems = append(b.problems, fmt.Sprintf("log: %s %s %s", e.Entry.Level, e.Entry.Text, e.Entry.URL))
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, e.Request.URL)
	}
}

func (b *tab) run(actions ...chromedp.Action) {
	b.t.Helper()
	require.NoError(b.t, chromedp.Run(b.ctx, actions...))
}

// eval returns the value of an expression.
func eval[T any](b *tab, expression string) (value T) {
	b.t.Helper()
	b.run(chromedp.Evaluate(expression, &value))
	return value
}

// wait waits until an expression is true. It fails while the page is loaded anew.
func (b *tab) wait(expression string) {
	b.t.Helper()
	require.Eventually(b.t, func() (ok bool) {
		return chromedp.Run(b.ctx, chromedp.Evaluate(expression, &ok)) == nil && ok
	}, soon, 20*time.Millisecond, expression)
}

func (b *tab) text(selector string) string {
	b.t.Helper()
	return eval[string](b, fmt.Sprintf(`document.querySelector(%q).innerText`, selector))
}

// requireNoProblem requires that the page has written nothing to the console, has made
// requests to its own server alone, and is not wider than the window.
func (b *tab) requireNoProblem() {
	b.t.Helper()
	b.mu.Lock()
	require.Empty(b.t, b.problems)
	require.NotEmpty(b.t, b.requests)
	for _, url := range b.requests {
		require.True(b.t, strings.HasPrefix(url, b.url) || strings.HasPrefix(url, "data:,"), url)
	}
	b.mu.Unlock()
	require.LessOrEqual(b.t, eval[int](b, `document.documentElement.scrollWidth - document.documentElement.clientWidth`), 0, "scrolls sideways")
}

// requireScheme requires the background of a colour scheme.
func (b *tab) requireScheme(scheme string) {
	b.t.Helper()
	want := map[string]string{"light": "rgb(255, 255, 255)", "dark": "rgb(18, 21, 26)"}[scheme]
	require.Equal(b.t, want, eval[string](b, `getComputedStyle(document.body).backgroundColor`))
}

// picture writes a picture of the page, if STRIPEKIT_SCREENSHOTS is a folder for them.
func (b *tab) picture(name string, whole bool) {
	b.t.Helper()
	folder := os.Getenv("STRIPEKIT_SCREENSHOTS")
	if folder == "" {
		return
	}
	var content []byte
	action := chromedp.CaptureScreenshot(&content)
	if whole {
		action = chromedp.FullScreenshot(&content, 100)
	}
	b.run(action)
	require.NoError(b.t, os.WriteFile(filepath.Join(folder, name+".png"), smallPNG(b.t, content), 0o644)) //nolint:gosec // it is for everybody
}

// smallPNG returns a picture with up to 256 colours: those that it has most of, without
// those that resemble another one.
func smallPNG(t *testing.T, content []byte) []byte {
	t.Helper()
	picture, err := png.Decode(bytes.NewReader(content))
	require.NoError(t, err)
	bounds, count := picture.Bounds(), map[color.RGBA]int{}
	for y := range bounds.Dy() {
		for x := range bounds.Dx() {
			count[color.RGBAModel.Convert(picture.At(x, y)).(color.RGBA)]++
		}
	}
	var palette color.Palette
	for _, c := range slices.SortedFunc(maps.Keys(count), func(a, b color.RGBA) int { return count[b] - count[a] }) {
		if len(palette) == 0 || len(palette) < 256 && distance(c, palette.Convert(c).(color.RGBA)) > 24 {
			palette = append(palette, c)
		}
	}
	small := image.NewPaletted(bounds, palette)
	draw.Draw(small, bounds, picture, image.Point{}, draw.Src)
	var out bytes.Buffer
	require.NoError(t, (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, small))
	return out.Bytes()
}

func distance(a, b color.RGBA) int {
	sum := 0
	for _, d := range []int{int(a.R) - int(b.R), int(a.G) - int(b.G), int(a.B) - int(b.B)} {
		sum += max(d, -d)
	}
	return sum
}
