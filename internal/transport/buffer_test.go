package transport

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

func TestReadBodyReadsAllThatIsThere(t *testing.T) {
	for _, length := range []int{0, 1, least - 1, least, least + 1, 100_000, 1 << 20} {
		body := bytes.Repeat([]byte("0123456789abcdef"), length/16+1)[:length]
		for _, size := range []int64{-1, 0, int64(length), int64(length) + 10} {
			for name, reader := range map[string]func(io.Reader) io.Reader{
				"plain": func(r io.Reader) io.Reader { return r }, "half": iotest.HalfReader, "data with EOF": iotest.DataErrReader,
			} {
				buf, err := readBody(reader(bytes.NewReader(body)), size, 2<<20)
				require.NoError(t, err, name)
				require.True(t, bytes.Equal(body, buf.b), "%d bytes announced as %d, %s", length, size, name)
				buf.release()
			}
		}
	}
}

func TestReadBodyStopsAtTheBound(t *testing.T) {
	for _, test := range []struct {
		length int
		size   int64
		ok     bool
	}{{99, -1, true}, {100, -1, true}, {101, -1, false}, {100, 100, true}, {101, 50, false}, {1, 101, false}} {
		_, err := readBody(strings.NewReader(strings.Repeat("x", test.length)), test.size, 100)
		if test.ok {
			require.NoError(t, err)
		} else {
			require.ErrorIs(t, err, ErrTooLarge)
		}
	}
}

// counter is an endless body that counts how much of it was read.
type counter struct{ read int64 }

func (c *counter) Read(p []byte) (int, error) {
	c.read += int64(len(p))
	return len(p), nil
}

func TestReadBodyReadsLittleBeyondTheBound(t *testing.T) {
	const limit = 1 << 20
	var body counter
	_, err := readBody(&body, -1, limit)
	require.ErrorIs(t, err, ErrTooLarge)
	require.Less(t, body.read, int64(2*limit))
}

func TestAnnouncedSizeAllocatesNoMoreThanIsKept(t *testing.T) {
	buf, err := readBody(strings.NewReader("{}"), 1<<40, 1<<41)
	require.NoError(t, err)
	require.LessOrEqual(t, cap(buf.b), keep+(1<<20))
}

func TestWrappedEndOfFileIsNoEnd(t *testing.T) {
	broken := fmt.Errorf("connection lost: %w", io.EOF)
	_, err := readBody(io.MultiReader(strings.NewReader("{}"), failing{broken}), -1, 100)
	require.Equal(t, broken, err)
}

func TestReadBodyPassesErrorsOn(t *testing.T) {
	gone := errors.New("gone")
	_, err := readBody(io.MultiReader(strings.NewReader("{}"), failing{gone}), 10, 100)
	require.ErrorIs(t, err, gone)
}

// TestReusedBuffersDoNotMixResponses keeps some responses unreleased while
// others are received and released.
func TestReusedBuffersDoNotMixResponses(t *testing.T) {
	network := roundTrip(func(r *http.Request) (*http.Response, error) {
		return reply(200, strings.Repeat(r.URL.Path+" ", 200)), nil
	})
	tr := chain(network)
	var callers sync.WaitGroup
	for i := range 8 {
		callers.Go(func() {
			var held []*Response
			for j := range 100 {
				resp, err := tr.Do(t.Context(), get(fmt.Sprintf("/v1/charges/ch_%d_%d", i, j)))
				if err != nil {
					t.Error(err)
					return
				}
				held = append(held, resp)
				if len(held) < 3 {
					continue
				}
				if want := strings.Repeat(fmt.Sprintf("/v1/charges/ch_%d_%d ", i, j-2), 200); string(held[0].Body) != want {
					t.Errorf("the response to %s is %.60q", want[:24], held[0].Body)
					return
				}
				held[0].Release()
				held = held[1:]
			}
		})
	}
	callers.Wait()
}

func TestReleasingTwiceGivesTheBufferBackOnce(t *testing.T) {
	resp, err := chain(response(200)).Do(t.Context(), get("/v1/charges"))
	require.NoError(t, err)
	resp.Release()
	resp.Release()
	require.Nil(t, resp.Body)
	a, err := readBody(strings.NewReader("a"), 1, 10)
	require.NoError(t, err)
	b, err := readBody(strings.NewReader("b"), 1, 10)
	require.NoError(t, err)
	require.NotSame(t, a, b)
}
