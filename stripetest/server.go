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

// Server is a fake Stripe API. Create it with [New]. It is safe for concurrent
// use.
type Server struct {
	// URL is the base URL, without a trailing slash: "http://127.0.0.1:port",
	// or "https://stripe.test" with [InMemory].
	URL string

	inMemory   bool
	now        func() time.Time // of the clock below
	clock      *clock
	keys       map[string]bool // nil: any well-formed key
	routes     []route
	visibility func(object string) time.Duration // nil: objects appear in lists at once
	started    time.Time

	expiredKeys      sync.Map                   // the keys
	permissions      map[string]map[string]bool // by restricted key; a key without an entry may do everything
	logSize          int
	searchDelay      time.Duration
	storeBadRequests bool
	cursorAndCreated CursorAndCreated
	accountPerKey    bool
	connected        map[string]bool   // accounts; nil: any well-formed id
	keyAccounts      map[string]string // the account of a key that was named
	accountVersion   atomic.Value      // a version; see WithDefaultVersion
	control          controlAccess
	controlMux       *http.ServeMux
	webhooks         *sender // nil: nothing is sent

	transport http.RoundTripper
	stop      func() // closes the listener, if there is one
	closed    atomic.Bool

	mu        sync.Mutex // guards the fields below
	accountID string     // the account that keys belong to, without WithAccountPerKey
	accounts  map[tenant]*account
	shapes    *shapes // of the objects of all accounts
	requests  []Request
	counts    counts
	faults    []*Fault

	madeFaults int // how many faults there have been
}

// New starts a server. It panics if it cannot listen on 127.0.0.1. With
// [InMemory] it does not listen. It closes a connection on which the header of a
// request takes longer than 10 seconds.
func New(opts ...Option) *Server {
	s := &Server{
		now:       time.Now,
		routes:    routes(),
		accountID: newID("acct_1", 15),
		logSize:   defaultLog,
		accounts:  make(map[tenant]*account),
		shapes:    newShapes(),
	}
	for _, opt := range opts {
		opt(s)
	}
	s.clock = &clock{base: s.now}
	s.now = s.clock.now
	s.started = s.now()
	if s.control != noControl {
		s.controlMux = s.newControlMux()
	}
	if s.webhooks != nil {
		s.webhooks.start()
	}
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
	server := s.httpServer()
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			panic(fmt.Sprintf("stripetest: %v", err))
		}
	}()

	address := listener.Addr().String()
	// DialTLSContext makes no TLS connection: a request for https is one for another host,
	// such as api.stripe.com.
	dial := s.dialer(address)
	transport := &http.Transport{DialContext: dial, DialTLSContext: dial}
	s.URL, s.transport = "http://"+address, transport
	s.stop = sync.OnceFunc(func() {
		transport.CloseIdleConnections()
		_ = server.Close() // an error of closing the listener does not matter here
		<-served
	})
}

func (s *Server) httpServer() *http.Server {
	return &http.Server{Handler: s, ReadHeaderTimeout: headerTimeout}
}

// Client returns a client that reaches this server only, whatever host the
// request names. It has no timeout. Its requests fail with
// [http.ErrServerClosed] once the server is closed.
func (s *Server) Client() *http.Client {
	return &http.Client{Transport: s.transport}
}

// Close stops the server. Requests in progress may fail, and so may webhooks. The recorded requests
// and counts stay available. Closing a closed server does nothing.
func (s *Server) Close() {
	s.closed.Store(true)
	s.stop()
	if s.webhooks != nil {
		s.webhooks.close()
	}
}
