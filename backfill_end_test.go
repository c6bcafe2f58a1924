package stripekit_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
)

// When a loop is left, no request is in flight and no goroutine is left.
func TestBackfillEndsWithItsLoop(t *testing.T) {
	for way, leave := range map[string]func(l *fakeList, n int){
		"break": func(l *fakeList, n int) { _, _ = firstOf(n, l.backfill(stripekit.BackfillConfig{})) },
		"panic": func(l *fakeList, n int) {
			defer func() { require.Equal(l.t, "enough", recover()) }()
			for range l.backfill(stripekit.BackfillConfig{}) {
				if n--; n < 0 {
					panic("enough")
				}
			}
		},
		"the end of the goroutine": func(l *fakeList, n int) {
			done := make(chan struct{})
			go func() {
				defer close(done)
				for range l.backfill(stripekit.BackfillConfig{}) {
					if n--; n < 0 {
						runtime.Goexit()
					}
				}
			}()
			<-done
		},
		"a panic of Progress": func(l *fakeList, n int) {
			defer func() { require.Equal(l.t, "enough", recover()) }()
			for range l.backfill(stripekit.BackfillConfig{Progress: func(p stripekit.BackfillProgress) {
				if p.Done >= n {
					panic("enough")
				}
			}}) {
				pass(10 * time.Millisecond)
			}
		},
	} {
		for _, n := range []int{0, 1, 99, 100, 1050} {
			t.Run(fmt.Sprintf("%s after %d", way, n), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					l := newFakeList(t, steady(5000, 60)...)
					l.latency = 100 * time.Millisecond
					leave(l, n)
					require.Zero(t, l.requestsUnderWay())
					requests := l.listRequests()
					pass(time.Minute)
					require.Equal(t, requests, l.listRequests())
				})
			})
		}
	}
}

func TestBackfillIsCancelledAtOnce(t *testing.T) {
	hang := func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	down := func(r *http.Request) (*http.Response, error) {
		return response(r, 500, `{"error":{"type":"api_error"}}`), nil
	}
	refused := func(r *http.Request) (*http.Response, error) {
		resp := response(r, 429, `{"error":{"type":"rate_limit_error"}}`)
		resp.Header.Set("Retry-After", "3000")
		return resp, nil
	}
	for name, then := range map[string]func(*http.Request) (*http.Response, error){
		"a service that hangs": hang, "one that fails": down, "one that refuses": refused, "one that answers": nil,
	} {
		for _, after := range []int{0, 250} {
			t.Run(fmt.Sprintf("%s after %d objects", name, after), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					l := newFakeList(t, steady(20_000, 60)...)
					l.latency = time.Millisecond
					if after == 0 {
						l.interfere(then)
					}
					cause := errors.New("enough")
					ctx, cancel := context.WithCancelCause(t.Context())
					defer cancel(nil)
					// Between two objects: the loop could check its context at the same moment.
					timer := time.AfterFunc(5*time.Second+333*time.Microsecond, func() { cancel(cause) })
					defer timer.Stop()
					cancelled, n := 0, 0
					var last error
					for _, err := range stripekit.Backfill(ctx, l.source(), stripekit.BackfillConfig{}) {
						require.NoError(t, last, "an error is the last")
						if last = err; err == nil {
							if n++; n == after {
								l.interfere(then)
							}
							if ctx.Err() != nil {
								cancelled++
							}
							pass(time.Millisecond)
						}
					}
					require.ErrorIs(t, last, context.Canceled)
					require.Zero(t, cancelled, "objects after the end of the context")
					require.Zero(t, l.requestsUnderWay())
				})
			})
		}
	}
}

func TestBackfillEndsWithItsContextAtTheVeryMoment(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newFakeList(t, steady(20_000, 60)...)
		l.interfere(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := taken(stripekit.Backfill(ctx, l.source(), stripekit.BackfillConfig{}))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(start))
	})
}

// A loop that does nothing for hours causes no requests in that time, and continues.
func TestBackfillWaitsForItsLoop(t *testing.T) {
	for _, buffered := range []int{400, 1000, 3000} {
		t.Run(fmt.Sprint(buffered), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := newFakeList(t, steady(6000, 60)...)
				l.latency = 100 * time.Millisecond
				var got []string
				for object, err := range l.backfill(stripekit.BackfillConfig{MaxBuffered: buffered, Checkpoints: new(stripekit.MemoryStore)}) {
					require.NoError(t, err)
					if got = append(got, object.ID); len(got)%1500 == 50 {
						pass(time.Minute)
						requests := l.listRequests()
						require.Zero(t, l.requestsUnderWay())
						pass(5 * time.Hour)
						require.Equal(t, requests, l.listRequests())
						l.interfere(failing(2)) // the next requests fail
					}
				}
				l.requireAll(l.ids(), got)
			})
		})
	}
}

// failing fails the next n requests.
func failing(n int) func(*http.Request) (*http.Response, error) {
	turns := make(chan struct{}, n)
	return func(r *http.Request) (*http.Response, error) {
		select {
		case turns <- struct{}{}:
			return response(r, 500, `{"error":{"type":"api_error"}}`), nil
		default:
			return nil, nil
		}
	}
}

// The objects held are those of the responses that were not yielded yet.
func TestBackfillHoldsNoMoreThanMaxBuffered(t *testing.T) {
	for name, seconds := range backfillLists() {
		for _, buffered := range []int{1, 500, 2000} {
			for _, anyOrder := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, %d, any order %t", name, buffered, anyOrder), func(t *testing.T) {
					bubble(t, func(t *testing.T) {
						l := newFakeList(t, seconds...)
						l.latency = 100 * time.Millisecond
						held := newWeighed()
						source := payoutsOf[weighed](t, l.client())
						n, most := 0, int64(0)
						for object, err := range stripekit.Backfill(t.Context(), source, stripekit.BackfillConfig{MaxBuffered: buffered, AnyOrder: anyOrder}) {
							require.NoError(t, err)
							require.NotNil(t, object)
							n++
							if n%7 == 0 {
								pass(40 * time.Millisecond)
								synctest.Wait()
							}
							most = max(most, held.decoded()-int64(n))
						}
						require.Len(t, seconds, n)
						require.LessOrEqual(t, most, int64(max(buffered, 500)), "objects were decoded and not handed out")
					})
				})
			}
		}
	}
}
