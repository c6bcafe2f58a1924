package stripetest

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Server is a fake Stripe. Make it with [New]; it is safe for concurrent use.
type Server struct {
	// URL is the base URL, without a trailing slash: "http://127.0.0.1:port",
	// or "https://stripe.test" with [InMemory].
	URL string

	inMemory   bool
	now        func() time.Time
	keys       map[string]bool // nil: any well-formed key
	routes     []route
	accountID  string                            // of the account that the keys belong to
	visibility func(object string) time.Duration // nil: objects are in lists at once
	started    time.Time

	expiredKeys      map[string]bool
	permissions      map[string]map[string]bool // of restricted keys, by key
	logSize          int
	searchDelay      time.Duration
	storeBadRequests bool
	cursorAndCreated CursorAndCreated

	transport http.RoundTripper
	stop      func() // what Close does, beyond marking the server closed
	closed    atomic.Bool

	mu       sync.Mutex // guards what follows
	accounts map[tenant]*account
	requests []Request
	counts   counts
	faults   []*Fault
}

// New starts a server. It panics if it cannot listen on 127.0.0.1, which
// [InMemory] does not need.
func New(opts ...Option) *Server {
	s := &Server{
		now:       time.Now,
		routes:    routes(),
		accountID: newID("acct_1", 15),
		logSize:   defaultLog,
		accounts:  make(map[tenant]*account),
	}
	for _, opt := range opts {
		opt(s)
	}
	s.started = s.now()
	if s.inMemory {
		s.URL, s.transport, s.stop = "https://stripe.test", s, func() {}
	} else {
		s.listen()
	}
	return s
}

// listen serves on a free port until stop is called.
func (s *Server) listen() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(fmt.Sprintf("stripetest: %v", err))
	}
	server := &http.Server{Handler: s}
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			panic(fmt.Sprintf("stripetest: %v", err))
		}
	}()

	address := listener.Addr().String()
	transport := &http.Transport{DialContext: s.dialer(address)}
	s.URL, s.transport = "http://"+address, transport
	s.stop = sync.OnceFunc(func() {
		transport.CloseIdleConnections()
		_ = server.Close() // the error is the listener's, which is gone either way
		<-served
	})
}

// Client returns a client that reaches this server, and nothing else, whatever
// host is asked for. It has no timeout, and fails once the server is closed.
func (s *Server) Client() *http.Client {
	return &http.Client{Transport: s.transport}
}

// Close stops the server; requests still under way may fail. What was
// recorded stays readable. Closing twice is the same as closing once.
func (s *Server) Close() {
	s.closed.Store(true)
	s.stop()
}
