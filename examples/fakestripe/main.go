// Fakestripe serves the fake Stripe of package stripetest on a port, for
// programs in any language:
//
//	go run ./examples/fakestripe -addr 127.0.0.1:12111
//
// It keeps all data in memory, so the data is lost when it ends. It logs each
// request on one line, without the API key. Ctrl-C ends it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/stripekit/stripekit/stripetest"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:12111", "where to listen; anybody who reaches it can use it")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *addr, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "fakestripe:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends and the requests in progress are done.
func run(ctx context.Context, addr string, out io.Writer) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, `A fake Stripe listens on http://%[1]s. Ctrl-C ends it. Try:

  curl http://%[1]s/v1/charges -u sk_test_123: -d amount=2000 -d currency=usd -d source=tok_visa
  curl http://%[1]s/v1/charges -u sk_test_123:

`, listener.Addr())

	fake := stripetest.New(stripetest.InMemory())
	defer fake.Close()
	server := &http.Server{Handler: logged(fake, out), ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		_ = server.Close() // the error of Shutdown is the useful one
		return err
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// logged writes a line for each request: time, method, URL, status and
// duration. It does not log headers, which have the API key.
func logged(next http.Handler, out io.Writer) http.Handler {
	var mu sync.Mutex // one line at a time
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		recorder := &statusRecorder{ResponseWriter: w}
		next.ServeHTTP(recorder, r)
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(out, "%s %s %q %d %s\n", start.Format(time.TimeOnly), r.Method, r.URL.RequestURI(), recorder.status, time.Since(start).Round(time.Microsecond))
	})
}

// statusRecorder remembers the status of a response.
type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (r *statusRecorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// Unwrap lets [http.ResponseController] reach the connection.
func (r *statusRecorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
