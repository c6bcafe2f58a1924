package main

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
)

// endpoint is where a side finds its feed.
type endpoint struct {
	url       string
	transport http.RoundTripper
}

// wiring connects the sides of a row to their feeds.
type wiring struct {
	ours, theirs, floor endpoint
	close               func()
}

func inMemory(k feedKind) (wiring, error) {
	var ends [3]endpoint
	for i := range ends {
		f, err := newFeed(k)
		if err != nil {
			return wiring{}, err
		}
		ends[i] = endpoint{noNetwork, service(f.response)}
	}
	return wiring{ends[0], ends[1], ends[2], func() {}}, nil
}

// byHTTPS serves the feeds in a child process, so that the CPU time of this process
// is the client's.
func byHTTPS(k feedKind) (wiring, error) {
	binary, err := os.Executable()
	if err != nil {
		return wiring{}, err
	}
	args, err := json.Marshal(k)
	if err != nil {
		return wiring{}, err
	}
	child := exec.Command(binary, "-child", "serve:"+string(args))
	child.Stderr = os.Stderr
	stdin, err := child.StdinPipe()
	if err != nil {
		return wiring{}, err
	}
	stdout, err := child.StdoutPipe()
	if err != nil {
		return wiring{}, err
	}
	if err := child.Start(); err != nil {
		return wiring{}, err
	}
	w := wiring{close: func() {
		stdin.Close()
		child.Wait() // its failure was an error of a request
	}}
	var urls [3]string
	if err := json.NewDecoder(bufio.NewReader(stdout)).Decode(&urls); err != nil {
		w.close()
		return wiring{}, fmt.Errorf("the server has not started: %w", err)
	}
	config := trusting()
	for i, end := range []*endpoint{&w.ours, &w.theirs, &w.floor} {
		*end = endpoint{urls[i], likeOurs(config)}
	}
	return w, nil
}

// serveFeeds is the child process of byHTTPS. It serves until its input ends.
func serveFeeds(args string, stdin io.Reader, stdout io.Writer) error {
	var k feedKind
	if err := json.Unmarshal([]byte(args), &k); err != nil {
		return err
	}
	var urls [3]string
	for i := range urls {
		f, err := newFeed(k)
		if err != nil {
			return err
		}
		server := httptest.NewTLSServer(service(f.response))
		defer server.Close()
		urls[i] = server.URL
	}
	if err := json.NewEncoder(stdout).Encode(urls); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, stdin)
	return err
}

// trusting returns the TLS settings of a client that trusts the certificate of
// httptest, which is the same in all processes.
func trusting() *tls.Config {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	return server.Client().Transport.(*http.Transport).TLSClientConfig
}
