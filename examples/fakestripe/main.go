// Fakestripe serves the fake Stripe of package stripetest on a port, for
// programs in any language:
//
//	go run ./examples/fakestripe -addr 127.0.0.1:12111
//
// It keeps all data in memory, so the data is lost when it ends, unless it is
// dumped before. It logs each request on one line, without the API key. Ctrl-C
// ends it. Its flags, its control plane and programs in Node and Python are
// described in docs/fakestripe.md.
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
	"syscall"
	"time"

	"github.com/stripekit/stripekit/stripetest"
)

func main() {
	cfg, err := parseFlags(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err == nil {
		err = run(ctx, cfg, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "fakestripe:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends and the requests in progress are done.
func run(ctx context.Context, cfg config, out io.Writer) error {
	fake, err := cfg.newServer()
	if err != nil {
		return err
	}
	defer fake.Close()
	tlsConfig, err := cfg.newTLS()
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", cfg.addr)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: logged(fake, out), ReadHeaderTimeout: 10 * time.Second, TLSConfig: tlsConfig}
	serve, scheme, options := server.Serve, "http", ""
	if tlsConfig != nil {
		serve = func(l net.Listener) error { return server.ServeTLS(l, "", "") }
		scheme, options = "https", "-k "
	}
	fmt.Fprintf(out, `A fake Stripe listens on %[1]s://%[2]s. Ctrl-C ends it. Try:

  curl %[3]s%[1]s://%[2]s/v1/charges -u sk_test_123: -d amount=2000 -d currency=usd -d source=tok_visa
  curl %[3]s%[1]s://%[2]s/v1/charges -u sk_test_123:

`, scheme, listener.Addr(), options)

	ended := make(chan error, 1)
	go func() { ended <- serve(listener) }()
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

// newServer makes the fake, with what the flags load and seed.
func (cfg config) newServer() (*stripetest.Server, error) {
	fake := stripetest.New(cfg.options...)
	if cfg.load != "" {
		if err := fromFile(cfg.load, fake.Load); err != nil {
			return nil, err
		}
	}
	if !cfg.time.IsZero() {
		fake.SetTime(cfg.time)
	}
	if cfg.seed != "" {
		if err := fromFile(cfg.seed, fake.SeedJSON); err != nil {
			return nil, err
		}
	}
	return fake, nil
}

func fromFile(path string, read func(io.Reader) error) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := read(file); err != nil {
		return fmt.Errorf("%s: %w", path, err)
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
