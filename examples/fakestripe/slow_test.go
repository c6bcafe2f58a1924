package main

import (
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/stripetest"
)

// onePipe is a listener with one connection, which is a pipe, so that time can be fake.
type onePipe chan net.Conn

func (p onePipe) Accept() (net.Conn, error) {
	conn, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}

func (p onePipe) Close() error   { close(p); return nil }
func (p onePipe) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

// TestTheLogKeepsTheDeadlinesOfTheFake sends half of a body: the fake reaches the
// connection through the handler that logs.
func TestTheLogKeepsTheDeadlinesOfTheFake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &http.Server{Handler: logged(stripetest.New(stripetest.InMemory()), io.Discard), ReadHeaderTimeout: time.Second}
		listener := make(onePipe)
		go func() { _ = server.Serve(listener) }() // until it is closed
		defer server.Close()
		conn, accepted := net.Pipe()
		defer conn.Close()
		listener <- accepted
		_, err := io.WriteString(conn, "POST /v1/charges HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\namount")
		require.NoError(t, err)
		_, err = io.ReadAll(conn)
		require.NoError(t, err, "the connection is closed")
	})
}
