package stripetest

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
)

const (
	controlPrefix  = "/_stripetest/"
	maxControlBody = 1 << 20 // bytes, of all requests but those with a dump
	maxStateBody   = 1 << 30
)

// controlAccess says who may use the control plane.
type controlAccess int

const (
	noControl controlAccess = iota
	controlFromLoopback
	controlFromAnywhere
)

// WithControl adds a control plane for programs in other languages, under
// /_stripetest/ beside the API. It does what the methods of Server do: seed,
// faults, clock, recorded requests, default version, accounts, authentications, dump
// and load, and reset. The document docs/fakestripe.md describes it.
//
// Only programs on this machine are served: requests of another address, of a
// proxy, or for a host other than localhost get status 403. Requests of web pages
// of other origins get it too. Requests of the control plane need no API key, are
// not recorded, and meet no fault.
func WithControl() Option {
	return func(s *Server) { s.control = controlFromLoopback }
}

// WithControlFromAnywhere is [WithControl] for every address that can reach the
// server, such as from another container. Whoever reaches it can read, change and
// remove all data of the server.
func WithControlFromAnywhere() Option {
	return func(s *Server) { s.control = controlFromAnywhere }
}

// controls reports whether a request is one of the control plane.
func (s *Server) controls(r *http.Request) bool {
	return s.control != noControl && strings.HasPrefix(r.URL.Path, controlPrefix)
}

// serveControl handles a request of the control plane.
func (s *Server) serveControl(w http.ResponseWriter, r *http.Request) {
	if err := s.admitControl(r); err != nil {
		refuseControl(w, http.StatusForbidden, err)
		return
	}
	limit := int64(maxControlBody)
	if r.URL.Path == controlPrefix+"state" {
		limit = maxStateBody
	}
	if r.Body != nil {
		r.Body = http.MaxBytesReader(w, r.Body, limit)
	}
	s.controlMux.ServeHTTP(w, r)
}

// admitControl refuses requests that do not come from a program on this machine.
// A request in memory has no address.
func (s *Server) admitControl(r *http.Request) error {
	if err := new(http.CrossOriginProtection).Check(r); err != nil {
		return err
	}
	if s.control == controlFromAnywhere || r.RemoteAddr == "" {
		return nil
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !peer.Addr().Unmap().IsLoopback() || r.Header.Get("X-Forwarded-For") != "" || r.Header.Get("Forwarded") != "" {
		return errors.New("the control plane is for programs on this machine only")
	}
	if !isLoopbackHost(r.Host) {
		return errors.New("the control plane is for requests to localhost only")
	}
	return nil
}

// isLoopbackHost prevents that a web page reaches the server by a name of its own.
func isLoopbackHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && addr.IsLoopback() || host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// controlHandler does a request of the control plane and returns what to respond
// with as JSON, or an error for a request that is not possible.
type controlHandler func(r *http.Request) (any, error)

func (h controlHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	result, err := h(r)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		refuseControl(w, http.StatusRequestEntityTooLarge, err)
	case errors.Is(err, errNotThere):
		refuseControl(w, http.StatusNotFound, err)
	case err != nil:
		refuseControl(w, http.StatusBadRequest, err)
	default:
		respondControl(w, http.StatusOK, result)
	}
}

var errNotThere = errors.New("it does not exist")

func refuseControl(w http.ResponseWriter, status int, err error) {
	message := strings.TrimPrefix(err.Error(), "stripetest: ")
	respondControl(w, status, map[string]any{"error": map[string]string{"message": message}})
}

func respondControl(w http.ResponseWriter, status int, result any) {
	body := render(result)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // if the client is gone, only its response is lost
}

// readControl decodes the body of a request into a struct. An empty body is one
// without fields.
func readControl(r *http.Request, target any) error {
	if r.Body == nil {
		return nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	return readStrict(body, target)
}

// newControlMux returns the handler of all endpoints.
func (s *Server) newControlMux() *http.ServeMux {
	mux := http.NewServeMux()
	for pattern, handle := range map[string]controlHandler{
		"POST reset":         s.controlReset,
		"POST seed":          s.controlSeed,
		"GET faults":         s.controlFaults,
		"POST faults":        s.controlAddFault,
		"DELETE faults":      s.controlRemoveFaults,
		"DELETE faults/{id}": s.controlRemoveFault,
		"GET clock":          s.controlClock,
		"POST clock":         s.controlMoveClock,
		"GET requests":       s.controlRequests,
		"DELETE requests":    s.controlForgetRequests,
		"GET counts":         s.controlCounts,
		"GET version":        s.controlVersion,
		"POST version":       s.controlSetVersion,
		"GET accounts":       s.controlAccounts,
		"GET webhooks":       s.controlWebhooks,
		"POST authenticate":  s.controlAuthenticate,
		"POST state":         s.controlLoad,
	} {
		method, path, _ := strings.Cut(pattern, " ")
		mux.Handle(method+" "+controlPrefix+path, handle)
	}
	mux.HandleFunc("GET "+controlPrefix+"state", s.controlDump)
	mux.HandleFunc(controlPrefix, func(w http.ResponseWriter, r *http.Request) {
		refuseControl(w, http.StatusNotFound, errors.New("there is no "+cmp.Or(r.Method, http.MethodGet)+" "+r.URL.Path+"; docs/fakestripe.md has the list"))
	})
	return mux
}

// controlDump writes the dump while it is made. An error after the first bytes
// breaks the connection off.
func (s *Server) controlDump(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if err := s.Dump(w); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// memoryWriter is the response of a request in memory.
type memoryWriter struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *memoryWriter) Header() http.Header                { return w.header }
func (w *memoryWriter) WriteHeader(status int)             { w.status = status }
func (w *memoryWriter) Write(part []byte) (n int, e error) { return w.body.Write(part) }

// controlInMemory handles a request of the control plane without a socket.
func (s *Server) controlInMemory(r *http.Request) (*http.Response, error) {
	w := &memoryWriter{header: http.Header{}, status: http.StatusOK}
	s.serveControl(w, r)
	resp := &response{status: w.status, header: w.header, body: w.body.Bytes()}
	return resp.httpResponse(r)
}
