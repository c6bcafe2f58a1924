package stripekit_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
)

// trouble is a failure that a request gets in place of its response.
type trouble func(*http.Request) (*http.Response, error)

func status(status int, body string, headers ...string) trouble {
	return func(r *http.Request) (*http.Response, error) {
		resp := response(r, status, body)
		for i := 0; i < len(headers); i += 2 {
			resp.Header.Set(headers[i], headers[i+1])
		}
		return resp, nil
	}
}

// passingTroubles are the temporary failures.
var passingTroubles = map[string]trouble{
	"429":                    status(429, `{"error":{"type":"rate_limit_error","code":"rate_limit"}}`, "Stripe-Rate-Limited-Reason", "endpoint-rate"),
	"429 without a reason":   status(429, `{"error":{"type":"rate_limit_error","code":"rate_limit"}}`),
	"429 with Retry-After":   status(429, `{"error":{"type":"rate_limit_error","code":"rate_limit"}}`, "Stripe-Rate-Limited-Reason", "global-rate", "Retry-After", "7"),
	"lock_timeout":           status(429, `{"error":{"type":"invalid_request_error","code":"lock_timeout"}}`),
	"500":                    status(500, `{"error":{"type":"api_error"}}`),
	"503 of a proxy":         status(503, `<html>busy</html>`),
	"409":                    status(409, `{"error":{"type":"invalid_request_error"}}`),
	"400 that may be tried":  status(400, `{"error":{"type":"invalid_request_error"}}`, "Stripe-Should-Retry", "true"),
	"404 of a proxy":         status(404, `not here`),
	"garbage":                status(200, `{"data":[{"id":`),
	"no JSON":                status(200, `<html>welcome</html>`),
	"another JSON":           status(200, `{"object":"balance"}`),
	"nothing":                status(200, ``),
	"a redirect":             status(302, ``, "Location", "https://elsewhere.test"),
	"no network":             func(*http.Request) (*http.Response, error) { return nil, errors.New("no route to host") },
	"a reset":                func(*http.Request) (*http.Response, error) { return nil, syscall.ECONNRESET },
	"a body that breaks off": brokenBody,
	"a timeout": func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	},
}

func brokenBody(r *http.Request) (*http.Response, error) {
	resp := response(r, 200, "")
	resp.ContentLength = -1
	resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"data":[`), brokenReader{}))
	return resp, nil
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestBackfillGetsOverWhatPasses(t *testing.T) {
	for name, trouble := range passingTroubles {
		for way, strikes := range map[string]func() func(n int64) bool{
			"every third": func() func(n int64) bool { return func(n int64) bool { return n%3 == 1 } },
			"for a minute": func() func(n int64) bool {
				start := time.Now()
				return func(n int64) bool { return n > 5 && time.Since(start) < time.Minute }
			},
			"from the start": func() func(n int64) bool {
				start := time.Now()
				return func(n int64) bool { return time.Since(start) < 4*time.Minute }
			},
		} {
			for _, checkpoints := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, %s, checkpoints %t", name, way, checkpoints), func(t *testing.T) {
					bubble(t, func(t *testing.T) {
						cfg := stripekit.BackfillConfig{Concurrency: 3}
						if checkpoints {
							cfg.Checkpoints = new(stripekit.MemoryStore)
						}
						l := newFakeList(t, steady(1200, 60)...)
						l.latency = 100 * time.Millisecond
						var n atomic.Int64
						struck := strikes()
						l.interfere(func(r *http.Request) (*http.Response, error) {
							if struck(n.Add(1)) && (name != "another JSON" || r.URL.Path != "/v1/account") {
								return trouble(r)
							}
							return nil, nil
						})
						got, err := taken(stripekit.Backfill(t.Context(), l.source(stripekit.WithTimeout(10*time.Second)), cfg))
						require.NoError(t, err)
						l.requireAll(l.ids(), got)
					})
				})
			}
		}
	}
}

func TestBackfillWaitsAsLongAsItIsTold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newFakeList(t, 1, 2, 3)
		var turn atomic.Bool
		refuse := status(503, `{"error":{"type":"api_error"}}`, "Retry-After", "250")
		l.interfere(func(r *http.Request) (*http.Response, error) {
			if turn.Swap(true) {
				return nil, nil
			}
			return refuse(r)
		})
		start := time.Now()
		got, err := taken(l.backfill(stripekit.BackfillConfig{}))
		require.NoError(t, err)
		require.Len(t, got, 3)
		require.GreaterOrEqual(t, time.Since(start), 250*time.Second)
	})
}

func TestBackfillGivesUpAfterFiveMinutesWithoutAPage(t *testing.T) {
	for name, trouble := range passingTroubles {
		for _, after := range []int{0, 500} {
			t.Run(fmt.Sprintf("%s after %d", name, after), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					l := newFakeList(t, steady(3000, 60)...)
					var failing atomic.Bool
					failing.Store(after == 0)
					l.interfere(func(r *http.Request) (*http.Response, error) {
						if failing.Load() {
							return trouble(r)
						}
						return nil, nil
					})
					var got []string
					var last error
					start := time.Now()
					cfg := stripekit.BackfillConfig{MaxBuffered: 1}
					for object, err := range stripekit.Backfill(t.Context(), l.source(stripekit.WithTimeout(10*time.Second)), cfg) {
						require.NoError(t, last, "an error is the last")
						if last = err; err != nil {
							continue
						}
						if got = append(got, object.ID); len(got) == after {
							pass(time.Hour)
							failing.Store(true)
							start = time.Now()
						}
					}
					require.Error(t, last)
					l.requireOldestFirst(got)
					require.GreaterOrEqual(t, time.Since(start), 5*time.Minute)
					require.Less(t, time.Since(start), 7*time.Minute)
				})
			})
		}
	}
}

func TestBackfillEndsAtOnceWithWhatDoesNotPass(t *testing.T) {
	for name, tt := range map[string]struct {
		trouble trouble
		want    error
	}{
		"401":            {status(401, `{"error":{"type":"invalid_request_error"}}`), stripekit.ErrAuthentication},
		"403":            {status(403, `{"error":{"type":"invalid_request_error"}}`), stripekit.ErrPermission},
		"400":            {status(400, `{"error":{"type":"invalid_request_error","code":"parameter_unknown"}}`), nil},
		"404":            {status(404, `{"error":{"type":"invalid_request_error"}}`), stripekit.ErrNotFound},
		"not to retry":   {status(400, `{"error":{}}`, "Stripe-Should-Retry", "false"), nil},
		"an old account": {status(403, `{"error":{"type":"invalid_request_error","code":"account_invalid"}}`), nil},
	} {
		for _, after := range []int{0, 450} {
			t.Run(fmt.Sprintf("%s after %d", name, after), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					l := newFakeList(t, steady(3000, 60)...)
					l.latency = 100 * time.Millisecond
					var failing atomic.Bool
					failing.Store(after == 0)
					l.interfere(func(r *http.Request) (*http.Response, error) {
						if failing.Load() {
							return tt.trouble(r)
						}
						return nil, nil
					})
					var got []string
					var last error
					start := time.Now()
					for object, err := range l.backfill(stripekit.BackfillConfig{MaxBuffered: 1}) {
						require.NoError(t, last, "an error is the last")
						if last = err; err != nil {
							continue
						}
						if got = append(got, object.ID); len(got) == after {
							failing.Store(true)
							start = time.Now()
						}
					}
					require.Error(t, last)
					if tt.want != nil {
						require.ErrorIs(t, last, tt.want)
					}
					_, ok := errors.AsType[*stripekit.Error](last)
					require.True(t, ok)
					require.ErrorContains(t, last, "/v1/payouts")
					require.Less(t, time.Since(start), time.Second)
					require.Equal(t, append([]string(nil), l.ids()[:len(got)]...), got)
				})
			})
		}
	}
}

// A connection with a refused key may get another key.
func TestBackfillOfAConnectionWaitsForItsKey(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*fakeList, *stripekit.Connection)
		want   error
	}{
		"a key of the account": {func(_ *fakeList, c *stripekit.Connection) { c.APIKey = stripekit.NewSecret("sk_test_new") }, nil},
		"no key":               {func(*fakeList, *stripekit.Connection) {}, stripekit.ErrAuthentication},
		"a key of another account": {func(l *fakeList, c *stripekit.Connection) {
			l.account, c.APIKey = "acct_other", stripekit.NewSecret("sk_test_new")
		}, stripekit.ErrCheckpointInvalid},
		"a key of another mode": {func(l *fakeList, c *stripekit.Connection) {
			c.APIKey = stripekit.NewSecret("sk_live_new")
		}, stripekit.ErrCheckpointInvalid},
		"it is disabled": {func(_ *fakeList, c *stripekit.Connection) { c.Disabled = true }, stripekit.ErrDisabled},
	} {
		for _, checkpoints := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, checkpoints %t", name, checkpoints), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					cfg := stripekit.BackfillConfig{MaxBuffered: 1}
					if checkpoints {
						cfg.Checkpoints = new(stripekit.MemoryStore)
					}
					l := newFakeList(t, steady(5000, 60)...)
					l.latency = 100 * time.Millisecond
					connections := stripekit.NewConnections(stripekit.WithHTTPClient(&http.Client{Transport: l}), stripekit.WithMaxRetries(0))
					connection := stripekit.Connection{Name: "shop", APIKey: stripekit.NewSecret("sk_test_old"), BaseURL: "https://stripe.test"}
					require.NoError(t, connections.Add(connection))
					client, err := connections.Open("shop")
					require.NoError(t, err)
					var got []string
					var last error
					for object, err := range stripekit.Backfill(t.Context(), payoutsOf[payoutObject](t, client), cfg) {
						require.NoError(t, last, "an error is the last")
						if last = err; err != nil {
							continue
						}
						if got = append(got, object.ID); len(got) == 1000 {
							l.interfere(func(r *http.Request) (*http.Response, error) {
								if key, _, _ := r.BasicAuth(); key == "sk_test_old" {
									return status(401, `{"error":{"type":"invalid_request_error"}}`)(r)
								}
								return nil, nil
							})
							time.AfterFunc(2*time.Minute, func() {
								tt.change(l, &connection)
								require.NoError(t, connections.Update(connection))
							})
						}
					}
					require.ErrorIs(t, last, tt.want)
					if tt.want == nil {
						l.requireAll(l.ids(), got)
					} else {
						require.Equal(t, l.ids()[:len(got)], got)
					}
				})
			})
		}
	}
}

// An object that cannot be decoded is an error in its place.
func TestBackfillGoesOnBehindAnObjectThatTCannotHold(t *testing.T) {
	for _, anyOrder := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			l := newFakeList(t, steady(1000, 60)...)
			l.latency = 100 * time.Millisecond
			cfg := stripekit.BackfillConfig{AnyOrder: anyOrder, Checkpoints: new(stripekit.MemoryStore)}
			var got []string
			for life := range 2 { // the second continues where the first was left
				for object, err := range stripekit.Backfill(t.Context(), payoutsOf[fussy](t, l.client()), cfg) {
					if err == nil {
						got = append(got, object.ID)
						continue
					}
					require.Nil(t, object)
					id := ""
					_, scanErr := fmt.Sscanf(err.Error()[strings.Index(err.Error(), "object po_"):], "object %9s", &id)
					require.NoError(t, scanErr, "%v", err)
					switch id[8] {
					case '3':
						require.ErrorIs(t, err, errFussy)
					case '7':
						p, ok := errors.AsType[*stripekit.PanicError](err)
						require.True(t, ok, "%v", err)
						require.Equal(t, errFussy, p.Value)
					default:
						t.Fatal(err)
					}
					if life == 0 && len(got) >= 503 {
						break // it is yielded again
					}
					got = append(got, id)
				}
			}
			times := map[string]int{}
			for _, id := range got {
				times[id]++
			}
			require.Len(t, times, 1000)
			if !anyOrder {
				l.requireAll(l.ids(), got)
			}
		})
	}
}
