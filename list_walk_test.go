package stripekit

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// slowList returns page n for request n, after a wait. A cancelled request takes a
// moment to end.
type slowList struct {
	pages   []string
	latency time.Duration

	mu        sync.Mutex
	began     time.Time       // the first request
	sent      []time.Duration // when the requests came
	stack     string          // of the last
	underway  int
	cancelled int
}

func (l *slowList) RoundTrip(r *http.Request) (*http.Response, error) {
	l.mu.Lock()
	n := len(l.sent)
	if n == 0 {
		l.began = time.Now()
	}
	l.sent = append(l.sent, time.Since(l.began))
	l.stack = string(debug.Stack())
	l.underway++
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		l.underway--
		l.mu.Unlock()
	}()
	select {
	case <-time.After(l.latency):
	case <-r.Context().Done():
		pass(10 * time.Millisecond)
		l.mu.Lock()
		l.cancelled++
		l.mu.Unlock()
		return nil, r.Context().Err()
	}
	status, body := http.StatusOK, l.pages[n]
	switch body {
	case "forbidden":
		status, body = http.StatusForbidden, `{"error":{"type":"invalid_request_error"}}`
	case "panic":
		panic(body)
	case "goexit":
		runtime.Goexit()
	}
	header := http.Header{"Request-Id": {fmt.Sprintf("req_%d", n)}}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body))}, nil
}

// newSlowList returns a list with pages of ten things, t0 to t9, t10 to t19 and so
// on, created one per second. Each page takes 100 ms.
func newSlowList(pages int) *slowList {
	l := &slowList{latency: 100 * time.Millisecond}
	for i := range pages {
		l.pages = append(l.pages, pageOf(i*10, 10, i+1 < pages))
	}
	return l
}

func pageOf(first, n int, more bool) string {
	objects := make([]string, n)
	for i := range objects {
		objects[i] = fmt.Sprintf(`{"id":"t%d","created":%d}`, first+i, 1000-first-i)
	}
	return fmt.Sprintf(`{"data":[%s],"has_more":%t,"next_page":"after-%d"}`, strings.Join(objects, ","), more, first)
}

// replace replaces a text in page n.
func (l *slowList) replace(n int, old, text string) {
	l.pages[n] = strings.ReplaceAll(l.pages[n], old, text)
}

// slowly makes the decoding of each object of page n take 5 ms.
func (l *slowList) slowly(n int) { l.replace(n, `{"id"`, `{"decode":"slowly","id"`) }

// thing is an object that may take 5 ms to decode, or panic.
type thing struct {
	ID      string   `json:"id"`
	Created UnixTime `json:"created"`
	Decode  string   `json:"decode"`
}

func (th *thing) at() UnixTime { return th.Created }

func (th *thing) UnmarshalJSON(b []byte) error {
	type plain thing
	if err := json.Unmarshal(b, (*plain)(th)); err != nil {
		return err
	}
	switch th.Decode {
	case "slowly":
		pass(5 * time.Millisecond)
	case "panic":
		panic("decoding " + th.ID)
	}
	return nil
}

func (l *slowList) client(t *testing.T) *Client {
	c, err := New("sk_test_walk", WithHTTPClient(&http.Client{Transport: l}), WithRateLimit(RateLimit{}), WithMaxRetries(0))
	require.NoError(t, err)
	return c
}

func (l *slowList) things(ctx context.Context, t *testing.T, opts ...CallOption) iter.Seq2[*thing, error] {
	return list[thing](ctx, l.client(t), "/v1/things", ListParams{}, nil, opts)
}

// read reads to the end or to an error, and spends a time on each object.
func read(things iter.Seq2[*thing, error], each time.Duration) (n int, err error) {
	for th, err := range things {
		if err != nil {
			return n, err
		}
		if th.ID != fmt.Sprintf("t%d", n) {
			return n, fmt.Errorf("%s in place of t%d", th.ID, n)
		}
		n++
		pass(each)
	}
	return n, nil
}

func milliseconds(times []time.Duration) (ms []int64) {
	for _, d := range times {
		ms = append(ms, d.Milliseconds())
	}
	return ms
}

func TestListRequestsTheNextPageWhileOneIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, things := range map[string]func(*slowList) iter.Seq2[*thing, error]{
			"list": func(l *slowList) iter.Seq2[*thing, error] { return l.things(t.Context(), t) },
			"search": func(l *slowList) iter.Seq2[*thing, error] {
				return search[thing](t.Context(), l.client(t), "/v1/things", "a:1", nil)
			},
		} {
			l, start := newSlowList(8), time.Now()
			n, err := read(things(l), 10*time.Millisecond)
			require.NoError(t, err)
			require.Equal(t, 80, n)
			// Half of the first page has been yielded at 150.
			require.Equal(t, []int64{0, 150, 250, 350, 450, 550, 650, 750}, milliseconds(l.sent), name)
			require.Equal(t, 950*time.Millisecond, time.Since(start), name)
			require.Zero(t, l.cancelled)
		}
	})
}

func TestListIsOnePageAheadAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newSlowList(4)
		n, err := read(l.things(t.Context(), t), 100*time.Millisecond)
		require.NoError(t, err)
		require.Equal(t, 40, n)
		require.Equal(t, []int64{0, 600, 1100, 2100}, milliseconds(l.sent))
	})
}

func TestListRequestsTheNextPageWhileOneIsDecoded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, start := newSlowList(4), time.Now()
		for n := range l.pages {
			l.slowly(n)
		}
		n, err := read(l.things(t.Context(), t), 0)
		require.NoError(t, err)
		require.Equal(t, 40, n)
		require.Equal(t, []int64{0, 150, 250, 350}, milliseconds(l.sent))
		require.Equal(t, 500*time.Millisecond, time.Since(start))
	})
}

func TestListOfOnePageStartsNoGoroutine(t *testing.T) {
	l := newSlowList(1)
	l.latency = 0
	n, err := read(l.things(t.Context(), t), 0)
	require.NoError(t, err)
	require.Equal(t, 10, n)
	require.Len(t, l.sent, 1)
	require.Contains(t, l.stack, "stripekit.TestListOfOnePageStartsNoGoroutine(")
}

func TestListThatIsLeftSoonCostsOneRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, first := range []string{pageOf(0, 10, true), pageOf(0, 2, true), pageOf(0, 1, true)} {
			l := newSlowList(2)
			l.pages[0] = first
			for _, err := range l.things(t.Context(), t) {
				require.NoError(t, err)
				pass(time.Second)
				break
			}
			require.Len(t, l.sent, 1)
		}
	})
}

// When a loop is left in any way, the request in flight is cancelled, and has ended
// before the loop ends.
func TestListThatIsLeftEndsItsRequest(t *testing.T) {
	for name, leave := range map[string]func(cancel func()){
		"break":  func(func()) {},
		"panic":  func(func()) { panic("enough") },
		"goexit": func(func()) { runtime.Goexit() },
		"cancel": func(cancel func()) { cancel() },
	} {
		for _, at := range []int{6, 15} {
			t.Run(fmt.Sprintf("%s at %d", name, at), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					l, left := newSlowList(3), make(chan struct{})
					var n int
					var failure error
					go func() {
						defer close(left)
						defer func() { _ = recover() }()
						defer func() { // before anything else can end
							l.mu.Lock()
							defer l.mu.Unlock()
							if l.underway != 0 {
								t.Errorf("%d requests are under way", l.underway)
							}
						}()
						for _, err := range l.things(ctx, t) {
							if failure = err; err != nil {
								break
							}
							pass(time.Millisecond)
							if n++; n == at {
								leave(cancel)
								if name == "break" {
									break
								}
							}
						}
					}()
					<-left
					require.Equal(t, 1, l.cancelled)
					require.Len(t, l.sent, at/10+2)
					if name == "cancel" {
						require.ErrorIs(t, failure, context.Canceled)
						require.Equal(t, (at/10+1)*10, n, "the page is read to its end")
					} else {
						require.NoError(t, failure)
					}
				})
			})
		}
	}
}

func TestListThatIsCapturedRequestsNothingAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, n := newSlowList(3), 0
		var response Response
		for _, err := range l.things(t.Context(), t, CaptureResponse(&response)) {
			require.NoError(t, err)
			pass(10 * time.Millisecond)
			require.Equal(t, fmt.Sprintf("req_%d", n/10), response.RequestID)
			n++
		}
		require.Equal(t, 30, n)
		require.Equal(t, []int64{0, 200, 400}, milliseconds(l.sent))
	})
}

func TestListErrorsComeInTheirPlace(t *testing.T) {
	for name, test := range map[string]struct {
		spoil    func(*slowList)
		message  string
		requests int
	}{
		"status":          {func(l *slowList) { l.pages[2] = "forbidden" }, "403", 3},
		"no page":         {func(l *slowList) { l.pages[2] = `[]` }, "reading the response", 3},
		"no data":         {func(l *slowList) { l.pages[2] = `{}` }, "the response has no data", 3},
		"data twice":      {func(l *slowList) { l.pages[2] = `{"data":null,` + l.pages[2][1:] }, "the response has no data", 3},
		"wrong id":        {func(l *slowList) { l.replace(2, `"t25"`, `5`) }, `"/data/5`, 3},
		"without id":      {func(l *slowList) { l.replace(2, `"t25"`, `""`) }, "an object without an id", 3},
		"more of nothing": {func(l *slowList) { l.pages[2] = pageOf(20, 0, true) }, "has_more on a page without objects", 3},
		"repeated":        {func(l *slowList) { l.pages[2] = l.pages[1] }, "a page repeats an earlier one", 3},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newSlowList(4)
				test.spoil(l)
				n, err := read(l.things(t.Context(), t), 50*time.Millisecond)
				require.Equal(t, 20, n, "all before is handed out")
				require.ErrorContains(t, err, test.message)
				require.Len(t, l.sent, test.requests)
			})
		})
	}
}

func TestListCancelsTheRequestBehindAPageThatCannotBeDecoded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newSlowList(4)
		l.replace(2, `975`, `"x"`)
		l.slowly(2)
		n, err := read(l.things(t.Context(), t), 0)
		require.Equal(t, 20, n)
		require.ErrorContains(t, err, "created")
		require.Len(t, l.sent, 4)
		require.Equal(t, 1, l.cancelled)
		require.Zero(t, l.underway)
	})
}

// A panic or a Goexit of the goroutine that reads ahead becomes one of the goroutine
// that ranges, as if that made the requests.
func TestListPanicsInTheGoroutineThatRanges(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(*slowList)
		want  any
	}{
		"of decoding":   {func(l *slowList) { l.replace(2, `"id":"t25"`, `"id":"t25","decode":"panic"`) }, "decoding t25"},
		"of the client": {func(l *slowList) { l.pages[2] = "panic" }, "panic"},
		"goexit":        {func(l *slowList) { l.pages[2] = "goexit" }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newSlowList(4)
				test.spoil(l)
				n, returned, ended := 0, false, make(chan any)
				go func() {
					defer func() { ended <- recover() }()
					for range l.things(t.Context(), t) {
						n++
						pass(50 * time.Millisecond)
					}
					returned = true
				}()
				require.Equal(t, test.want, <-ended)
				require.False(t, returned)
				require.Equal(t, 20, n, "all before is handed out")
				require.Zero(t, l.underway)
			})
		})
	}
}

// After a cursor, only the objects show whether a range continues.
func TestListOfARangeRequestsNoPageBehindIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newSlowList(4)
		l.pages[1] = strings.Replace(l.pages[1], `}],`, `},{"id":"x","created":1}],`, 1)
		l.slowly(2)
		things := list[thing](t.Context(), l.client(t), "/v1/things", ListParams{Created: &CreatedRange{GTE: 981}}, nil, nil)
		n, err := read(things, 10*time.Millisecond)
		require.NoError(t, err)
		require.Equal(t, 20, n)
		require.Equal(t, []int64{0, 150, 250}, milliseconds(l.sent), "the third is all beyond it")
	})
}

// pass lets time pass, in a bubble.
func pass(d time.Duration) { <-time.After(d) }
