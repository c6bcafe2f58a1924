package stripetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// defaultShown is the default number of recorded requests in a response.
const defaultShown = 100

// done is what an endpoint without a result responds with.
func done() any { return struct{}{} }

// controlReset makes the server like a new one, or removes the data of some
// accounts.
func (s *Server) controlReset(r *http.Request) (any, error) {
	var sent struct {
		Accounts []string `json:"accounts"`
		Keys     []string `json:"keys"`
	}
	if err := readControl(r, &sent); err != nil {
		return nil, err
	}
	for _, key := range sent.Keys {
		sent.Accounts = append(sent.Accounts, s.AccountOf(key))
	}
	s.Clear(sent.Accounts...)
	if len(sent.Accounts) == 0 {
		s.Reset()
		s.RemoveFaults()
		s.clock.restore()
	}
	return done(), nil
}

// clockState is the JSON of the clock.
type clockState struct {
	Time    time.Time `json:"time"`
	Unix    int64     `json:"unix"`
	Stopped bool      `json:"stopped"`
}

func (s *Server) controlClock(*http.Request) (any, error) {
	now := s.Now()
	return clockState{now.UTC(), now.Unix(), s.clock.isStopped()}, nil
}

// controlMoveClock sets the clock, then advances it.
func (s *Server) controlMoveClock(r *http.Request) (any, error) {
	var sent struct {
		Set     *moment  `json:"set"`
		Advance duration `json:"advance"`
		Stopped *bool    `json:"stopped"`
	}
	if err := readControl(r, &sent); err != nil {
		return nil, err
	}
	var failure error
	stopped := s.clock.isStopped()
	if sent.Stopped != nil {
		stopped = *sent.Stopped
	}
	s.clock.move(func(now time.Time) time.Time {
		to := now
		if sent.Set != nil {
			to = time.Time(*sent.Set)
		}
		to = to.Add(time.Duration(sent.Advance))
		if failure = checkTime(to); failure != nil {
			return now
		}
		return to
	}, stopped)
	if failure != nil {
		return nil, failure
	}
	s.wakeWebhooks()
	return s.controlClock(r)
}

// requestState is the JSON of a recorded request.
type requestState struct {
	Method    string              `json:"method"`
	Path      string              `json:"path"`
	Query     map[string][]string `json:"query"`
	Form      map[string][]string `json:"form"`
	Header    map[string][]string `json:"header"`
	Status    int                 `json:"status"` // 0 if no response was sent
	RequestID string              `json:"request_id"`
	Time      time.Time           `json:"time"`
}

// controlRequests shows the newest recorded requests, in the order in which they
// were handled.
func (s *Server) controlRequests(r *http.Request) (any, error) {
	query := r.URL.Query()
	limit := defaultShown
	if text := query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("limit: %q is no number of requests", text)
		}
		limit = n
	}
	shown := []requestState{}
	for _, recorded := range s.Requests() {
		if method := query.Get("method"); method != "" && method != recorded.Method {
			continue
		}
		if path := query.Get("path"); path != "" && path != recorded.Path {
			continue
		}
		shown = append(shown, requestState{
			recorded.Method, recorded.Path, recorded.Query, recorded.Form, recorded.Header,
			recorded.Status, recorded.RequestID, recorded.Time.UTC(),
		})
	}
	return map[string]any{"requests": shown[max(len(shown)-limit, 0):]}, nil
}

func (s *Server) controlForgetRequests(*http.Request) (any, error) {
	s.Reset()
	return done(), nil
}

func (s *Server) controlCounts(*http.Request) (any, error) {
	counts := s.Counts()
	total := 0
	for _, n := range counts {
		total += n
	}
	return map[string]any{"total": total, "routes": counts}, nil
}

func (s *Server) controlVersion(*http.Request) (any, error) {
	return map[string]any{"default_version": s.versionWithoutHeader()}, nil
}

func (s *Server) controlSetVersion(r *http.Request) (any, error) {
	var sent struct {
		Version string `json:"default_version"`
	}
	if err := readControl(r, &sent); err != nil {
		return nil, err
	}
	if failure := s.setDefaultVersion(sent.Version); failure != nil {
		return nil, errors.New("default_version: " + failure.Message)
	}
	return s.controlVersion(r)
}

// controlAccounts shows the accounts that requests have named, or the account of
// the key in the query.
func (s *Server) controlAccounts(r *http.Request) (any, error) {
	type shown struct {
		ID   string `json:"id"`
		Live bool   `json:"live"`
	}
	if key := r.URL.Query().Get("key"); key != "" {
		return shown{s.AccountOf(key), isLive(key)}, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []shown{}
	for key := range s.accounts {
		all = append(all, shown{key.account, key.live})
	}
	slices.SortFunc(all, func(a, b shown) int { return tenant{a.ID, a.Live}.compare(tenant{b.ID, b.Live}) })
	return map[string]any{"accounts": all}, nil
}

func isLive(key string) bool { return strings.Contains(key, "_live_") }

func (s *Server) controlLoad(r *http.Request) (any, error) {
	if r.Body == nil {
		return nil, errors.New("a dump is expected in the body")
	}
	if err := s.Load(r.Body); err != nil {
		return nil, err
	}
	return done(), nil
}

// duration is a number of seconds, or a text such as "36h".
type duration time.Duration

// UnmarshalJSON reads a duration.
func (d *duration) UnmarshalJSON(raw []byte) error {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		parsed, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("%q is no duration such as \"90s\" or \"36h\"", text)
		}
		*d = duration(parsed)
		return nil
	}
	var seconds float64
	const most = float64(1<<63-1) / float64(time.Second)
	if err := json.Unmarshal(raw, &seconds); err != nil || seconds >= most || seconds <= -most {
		return fmt.Errorf("%s is no number of seconds", raw)
	}
	*d = duration(seconds * float64(time.Second))
	return nil
}

// moment is a time as RFC 3339 text, or in seconds since 1970.
type moment time.Time

// UnmarshalJSON reads a moment and refuses times that responses cannot show.
func (m *moment) UnmarshalJSON(raw []byte) error {
	var at time.Time
	var seconds int64
	if json.Unmarshal(raw, &seconds) == nil {
		at = time.Unix(seconds, 0)
	} else if err := json.Unmarshal(raw, &at); err != nil {
		return fmt.Errorf("%.40s is no time such as \"2026-01-31T12:00:00Z\", and no number of seconds", raw)
	}
	*m = moment(at)
	return checkTime(at)
}
