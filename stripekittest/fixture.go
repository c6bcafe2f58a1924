package stripekittest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// fixture is a request and the response to it, as a file has them.
type fixture struct {
	file   string
	method string
	path   string     // unescaped
	params url.Values // that the request must have
	status int
	header http.Header
	body   string
	used   bool // guarded by the mutex of the replayer
}

// readFixtures returns the fixtures of the .http files, in the order of their
// names.
func readFixtures(fsys fs.FS) ([]*fixture, error) {
	var fixtures []*fixture
	err := fs.WalkDir(fsys, ".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || path.Ext(file) != ".http" {
			return err
		}
		text, err := fs.ReadFile(fsys, file)
		if err != nil {
			return err
		}
		f, err := parseFixture(string(text))
		if err != nil {
			return fmt.Errorf("fixture %s: %w", file, err)
		}
		f.file = file
		fixtures = append(fixtures, f)
		return nil
	})
	if err == nil && len(fixtures) == 0 {
		err = errors.New("no file of the file system has the extension .http")
	}
	return fixtures, err
}

var (
	requestLine = regexp.MustCompile(`^(GET|POST|DELETE) +(/.*?)(?: +HTTP/[\d.]+)? *$`)
	statusLine  = regexp.MustCompile(`^(?:HTTP/[\d.]+ +)?([2-5]\d\d)(?: .*)?$`)
	headerLine  = regexp.MustCompile(`^([A-Za-z0-9-]+):(.*)$`)
)

func parseFixture(text string) (*fixture, error) {
	line, rest := cutLine(text)
	f, err := parseRequestLine(line)
	if err != nil {
		return nil, err
	}
	f.status, f.header = http.StatusOK, http.Header{}
	line, rest = cutLine(rest)
	if match := statusLine.FindStringSubmatch(line); match != nil {
		f.status, _ = strconv.Atoi(match[1]) // three digits
		line, rest = cutLine(rest)
	}
	for line != "" {
		match := headerLine.FindStringSubmatch(line)
		if match == nil {
			return nil, fmt.Errorf("%q is neither a status line nor a header: an empty line comes before the body", line)
		}
		f.header.Add(match[1], strings.TrimSpace(match[2]))
		line, rest = cutLine(rest)
	}
	// They are about the bytes on the wire that were recorded. The body may have
	// been edited since.
	f.header.Del("Content-Length")
	f.header.Del("Transfer-Encoding")
	if f.header.Get("Content-Type") == "" {
		f.header.Set("Content-Type", "application/json")
	}
	f.body = rest
	return f, nil
}

func parseRequestLine(line string) (*fixture, error) {
	match := requestLine.FindStringSubmatch(line)
	if match == nil {
		return nil, fmt.Errorf("the first line is %q: want a request, such as GET /v1/charges/ch_1", line)
	}
	target, err := url.Parse(match[2])
	if err != nil {
		return nil, err
	}
	if strings.Contains(match[2], "#") {
		return nil, fmt.Errorf("the request %q has a #: write %%23", match[2])
	}
	if target.Path == "" || target.Host != "" || strings.HasPrefix(target.Path, "//") {
		return nil, fmt.Errorf("the request %q has no path, such as /v1/charges", match[2])
	}
	params, err := url.ParseQuery(target.RawQuery)
	if err != nil {
		return nil, err
	}
	return &fixture{method: match[1], path: target.Path, params: params}, nil
}

// cutLine splits text after its first line, and takes off the end of the line.
func cutLine(text string) (line, rest string) {
	line, rest, _ = strings.Cut(text, "\n")
	return strings.TrimSuffix(line, "\r"), rest
}

// matches reports whether f has the response to a request.
func (f *fixture) matches(r *request) bool {
	if f.method != r.method || f.path != r.path {
		return false
	}
	for name, values := range f.params {
		if !slices.Equal(r.params[name], values) {
			return false
		}
	}
	return true
}

func (f *fixture) response(r *http.Request) *http.Response {
	header := f.header.Clone()
	if header.Get("Date") == "" {
		header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	}
	return &http.Response{
		Status:     fmt.Sprintf("%d %s", f.status, http.StatusText(f.status)),
		StatusCode: f.status,
		Proto:      "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        header,
		Body:          io.NopCloser(strings.NewReader(f.body)),
		ContentLength: int64(len(f.body)),
		Request:       r,
	}
}

func (f *fixture) String() string { return f.file + ": " + describe(f.method, f.path, f.params) }

// describe returns a request as the first line of a fixture has it.
func describe(method, path string, params url.Values) string {
	line := method + " " + (&url.URL{Path: path}).EscapedPath()
	if len(params) > 0 {
		line += "?" + strings.NewReplacer("%5B", "[", "%5D", "]").Replace(params.Encode())
	}
	return line
}
