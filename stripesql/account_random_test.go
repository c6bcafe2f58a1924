package stripesql_test

import (
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripesql"
)

// TestConnectionHistories runs queries while connections are added, updated, disabled and
// removed. A result has all rows of each connection that was there all the time, and none of
// another account; or the error names a connection that has changed.
func TestConnectionHistories(t *testing.T) {
	n := 40
	if raceDetector {
		n = 10
	}
	histories(t, n, func(t *testing.T, seed uint64) {
		synctest.Test(t, func(t *testing.T) { newChangingMall(seed).run(t) })
	})
}

// changingMall is connections that change, and a service with an account for each key. Two
// connections may have the same key.
type changingMall struct {
	connections *stripekit.Connections

	mu     sync.Mutex
	random *rand.Rand
	keys   map[string]string              // of the connections that are enabled, by name
	had    map[string]map[string]struct{} // keys that each connection has had since the query began, "" for none
}

var (
	mallNames = []string{"a", "b", "c", "d"}
	mallKeys  = []string{"sk_test_1", "sk_test_2", "sk_test_3"}
)

// chargesOf returns the ids of the charges of a key, 150 or more.
func chargesOf(key string) []string {
	ids := make([]string, 150+50*int(key[len(key)-1]-'0'))
	for i := range ids {
		ids[i] = fmt.Sprintf("ch_%s_%d", strings.TrimPrefix(key, "sk_test_"), i)
	}
	return ids
}

func newChangingMall(seed uint64) *changingMall {
	m := &changingMall{random: rand.New(rand.NewPCG(seed, 0)), keys: map[string]string{}, had: map[string]map[string]struct{}{}}
	m.connections = stripekit.NewConnections(stripekit.WithHTTPClient(&http.Client{Transport: roundTrip(m.respond)}),
		stripekit.WithMaxRetries(0), stripekit.WithRateLimit(stripekit.RateLimit{}))
	return m
}

// respond returns a page of the charges of the key, after up to 100 ms.
func (m *changingMall) respond(r *http.Request) (*http.Response, error) {
	m.mu.Lock()
	delay := time.Duration(m.random.IntN(100)) * time.Millisecond
	m.mu.Unlock()
	<-time.After(delay)
	key, _, _ := r.BasicAuth()
	ids, from := chargesOf(key), 0
	if after := r.URL.Query().Get("starting_after"); after != "" {
		from = slices.Index(ids, after) + 1
	}
	to := min(from+100, len(ids))
	page := make([]string, 0, 100)
	for i, id := range ids[from:to] {
		page = append(page, fmt.Sprintf(`{"id":%q,"created":%d}`, id, newYear.Unix()-int64(from+i)))
	}
	body := fmt.Sprintf(`{"data":[%s],"has_more":%v}`, strings.Join(page, ","), to < len(ids))
	return &http.Response{StatusCode: 200, Header: http.Header{}, Request: r, Body: io.NopCloser(strings.NewReader(body)), ContentLength: -1}, nil
}

// change changes a connection at random.
func (m *changingMall) change(t *testing.T) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := stripekit.Connection{
		Name:     mallNames[m.random.IntN(len(mallNames))],
		APIKey:   stripekit.NewSecret(mallKeys[m.random.IntN(len(mallKeys))]),
		Disabled: m.random.IntN(5) == 0,
		Timeout:  time.Duration(1+m.random.IntN(2)) * time.Minute,
	}
	before, err := m.connections.Get(c.Name)
	switch {
	case err != nil:
		require.NoError(t, m.connections.Add(c))
	case m.random.IntN(4) == 0:
		require.NoError(t, m.connections.Remove(c.Name))
		c.Disabled = true
	default:
		if m.random.IntN(3) == 0 {
			c.APIKey = before.APIKey
		}
		require.NoError(t, m.connections.Update(c))
	}
	delete(m.keys, c.Name)
	for _, key := range mallKeys {
		if !c.Disabled && c.APIKey.Equal(stripekit.NewSecret(key)) {
			m.keys[c.Name] = key
		}
	}
	if m.had[c.Name] == nil {
		m.had[c.Name] = map[string]struct{}{}
	}
	m.had[c.Name][m.keys[c.Name]] = struct{}{}
	if err == nil { // an Update, even to the same key, or a Remove may have been noticed
		m.had[c.Name]["changed"] = struct{}{}
	}
}

// begin forgets what was before a query.
func (m *changingMall) begin() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range mallNames {
		m.had[name] = map[string]struct{}{m.keys[name]: {}}
	}
}

func (m *changingMall) run(t *testing.T) {
	db, err := stripesql.OpenAll(m.connections, stripesql.WithConcurrency(1+m.random.IntN(4)))
	require.NoError(t, err)
	defer db.Close()
	for range 4 {
		m.change(t)
	}
	stop, pause := make(chan struct{}), time.Duration(1+m.random.IntN(500))*time.Millisecond
	var changes sync.WaitGroup
	defer changes.Wait()
	defer close(stop)
	changes.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(pause):
				m.change(t)
			}
		}
	})
	for i := range 20 {
		m.begin()
		got, err := run(t.Context(), db, [...]string{
			"SELECT connection, id FROM charges",
			"SELECT connection, id FROM charges ORDER BY created DESC",
			"SELECT connection, id FROM charges WHERE connection IN ('a', 'b', 'c', 'd')",
		}[i%3])
		m.requireResult(t, got.rows, err)
	}
}

// requireResult checks the rows of a query, or its error.
func (m *changingMall) requireResult(t *testing.T, rows []string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil {
		named := regexp.MustCompile(`connection "(\w)"`).FindStringSubmatch(err.Error())
		require.NotNil(t, named, err)
		require.Contains(t, m.had[named[1]], "changed", err)
		return
	}
	ids := map[string][]string{}
	for _, row := range rows {
		name, id, _ := strings.Cut(row, "|")
		ids[name] = append(ids[name], id)
	}
	for _, name := range mallNames {
		delete(m.had[name], "changed")
		whole := slices.ContainsFunc(slices.Collect(maps.Keys(m.had[name])), func(key string) bool {
			return key == "" && ids[name] == nil || key != "" && slices.Equal(chargesOf(key), ids[name])
		})
		require.True(t, whole, "%d rows of %s, which had the keys %v", len(ids[name]), name, m.had[name])
	}
}
