package stripetest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// pipes is a listener for connections that are pipes, so that time can be fake.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	conn, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}

func (p pipes) Close() error   { close(p); return nil }
func (p pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

// dialPipe serves s and returns a connection to it.
func dialPipe(t *testing.T, s *Server) net.Conn {
	listener, server := make(pipes), s.httpServer()
	go func() { _ = server.Serve(listener) }() // until it is closed
	client, accepted := net.Pipe()
	listener <- accepted
	t.Cleanup(func() {
		_ = client.Close()
		require.NoError(t, server.Close())
	})
	return client
}

const postHead = "POST /v1/charges HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk_test_1\r\nContent-Type: application/x-www-form-urlencoded\r\n"

func TestSlowClientsAreDisconnected(t *testing.T) {
	for name, slow := range map[string]struct {
		sent string
		want time.Duration
	}{
		"nothing is sent":    {"", headerTimeout},
		"half of the header": {postHead, headerTimeout},
		"no body":            {postHead + "Content-Length: 10\r\n\r\n", bodyTimeout},
		"half of the body":   {postHead + "Content-Length: 10\r\n\r\namount", bodyTimeout},
		"half of the chunks": {postHead + "Transfer-Encoding: chunked\r\n\r\n6\r\namount\r\n", bodyTimeout},
		"half of a dump":     {"POST /_stripetest/state HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{", bodyTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := New(InMemory(), WithControlFromAnywhere())
				start := time.Now()
				conn := dialPipe(t, s)
				_, err := io.WriteString(conn, slow.sent)
				require.NoError(t, err)
				_, err = io.ReadAll(conn)
				require.NoError(t, err, "the connection is closed")
				require.Equal(t, slow.want, time.Since(start).Truncate(time.Second))
				require.Empty(t, s.accountFor("", false).charges.byID)
			})
		})
	}
}

func TestClientsThatReadSlowlyAreDisconnected(t *testing.T) {
	for _, path := range []string{"/v1/charges?limit=100", "/_stripetest/state"} {
		t.Run(path, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := New(InMemory(), WithControlFromAnywhere())
				s.Seed("/v1/charges", Seeding{Count: 100})
				start := time.Now()
				conn := dialPipe(t, s)
				_, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer sk_test_1\r\n\r\n", path)
				require.NoError(t, err)
				for err == nil {
					<-time.After(time.Second)
					_, err = conn.Read(make([]byte, 1))
				}
				require.ErrorIs(t, err, io.EOF)
				require.Equal(t, responseTimeout, time.Since(start).Truncate(2*time.Second))
			})
		})
	}
}

// TestDelaysAreNotSlowClients lets responses be later than the deadlines, on one
// connection.
func TestDelaysAreNotSlowClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(InMemory())
		s.Fault("", Every(), Delay(3*time.Minute))
		conn := dialPipe(t, s)
		responses := bufio.NewReader(conn)
		const form = "amount=1000&currency=usd&source=tok_visa"
		post := fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", postHead, len(form), form)
		get := "GET /v1/charges HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk_test_1\r\n\r\n"
		for _, request := range []string{post, get, post} {
			_, err := io.WriteString(conn, request)
			require.NoError(t, err)
			resp, err := http.ReadResponse(responses, nil)
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, resp.StatusCode)
			_, err = io.Copy(io.Discard, resp.Body)
			require.NoError(t, err)
			<-time.After(3 * time.Minute)
		}
	})
}
