package fleet_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

// ask sends a request to the status page.
func ask(t testing.TB, h http.Handler, method, target string) *httptest.ResponseRecorder {
	t.Helper()
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), method, target, nil))
	return rec
}

// pageText returns the page of a process.
func (p *process) pageText(t testing.TB, target string) string {
	t.Helper()
	rec := ask(t, p.Handler(), http.MethodGet, target)
	require.Equal(t, http.StatusOK, rec.Code, rec.Body)
	return rec.Body.String()
}

// overviewJSON is what the tests read of api/overview.
type overviewJSON struct {
	Running     bool
	Complete    bool
	Stale       bool
	Shards      struct{ Total, Unowned int }
	Connections struct{ Total, Run, Unowned int }
	Flows       struct {
		Total, Starting, Polling, Failing, Parked, Lagging int
		GaveUp                                             int `json:"gave_up"`
	}
	Lags []struct {
		UpTo  *float64 `json:"up_to_seconds"`
		Flows int
	}
	MaxLag   float64 `json:"max_lag_seconds"`
	Unacked  int     `json:"unacknowledged"`
	Events   float64 `json:"events_per_second"`
	Requests float64 `json:"requests_per_second"`
	LastHour struct {
		Events, Requests, Late float64
		GivenUp                float64 `json:"given_up"`
	} `json:"last_hour"`
	Workers []struct {
		Name, State                string
		Heartbeat                  float64 `json:"heartbeat_seconds_ago"`
		Shards, Connections, Flows int
		Unreported                 int
	}
	History []struct {
		Events                   float64 `json:"events_per_second"`
		Failing, Parked, Lagging int
	}
}

func (p *process) overview(t testing.TB) (o overviewJSON) {
	t.Helper()
	rec := ask(t, p.Handler(), http.MethodGet, "/api/overview")
	require.Equal(t, http.StatusOK, rec.Code, rec.Body)
	require.NoError(t, json.Unmarshal(rec.Body.Bytes(), &o))
	return o
}

// connectionJSON is what the tests read of a connection in api/connections.
type connectionJSON struct {
	Name, State, Worker, Error string
	Lag                        *float64 `json:"lag_seconds"`
	GivenUp                    int      `json:"given_up"`
	Unacked                    int      `json:"unacknowledged"`
	Exact                      bool
	Flows                      []struct{ Trigger, State, Error string }
}

type listingJSON struct {
	Connections []connectionJSON
	Matches     int
	States      map[string]int
	Next        string
}

func (p *process) list(t testing.TB, params ...string) (l listingJSON) {
	t.Helper()
	query := url.Values{}
	for i := 0; i < len(params); i += 2 {
		query.Set(params[i], params[i+1])
	}
	rec := ask(t, p.Handler(), http.MethodGet, "/api/connections?"+query.Encode())
	require.Equal(t, http.StatusOK, rec.Code, rec.Body)
	require.NoError(t, json.Unmarshal(rec.Body.Bytes(), &l))
	return l
}

// find returns a connection as a process shows it.
func (p *process) find(t testing.TB, name string) connectionJSON {
	t.Helper()
	for _, c := range p.list(t, "q", name).Connections {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("%s does not show the connection %q", p.name, name)
	return connectionJSON{}
}
