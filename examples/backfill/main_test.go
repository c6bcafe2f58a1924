package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
)

// site is an account that counts its requests.
type site struct {
	account
	requests atomic.Int32
	arrived  func(request int) // called with the number of each request; if nil, it is not called
}

// newSite returns an account with a few charges in each second.
func newSite(count int) *site {
	return &site{account: account{count: count, opened: opened, open: 90 * time.Minute, latency: 100 * time.Millisecond}}
}

func (s *site) RoundTrip(r *http.Request) (*http.Response, error) {
	if request := s.requests.Add(1); s.arrived != nil {
		s.arrived(int(request))
	}
	return s.account.RoundTrip(r)
}

func (s *site) job(t *testing.T, path string) (*job, *bytes.Buffer) {
	client, err := stripekit.New("sk_test_1", stripekit.WithHTTPClient(&http.Client{Transport: s}))
	require.NoError(t, err)
	out := new(bytes.Buffer)
	return &job{client: client, path: path, progress: newMeter(out, false)}, out
}

// requireWhole checks that a file has one row for each charge from low to
// high-1, in order of created if ordered is true.
func requireWhole(t *testing.T, a account, path string, ordered bool, low, high int) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	var rows []row
	if filepath.Ext(path) == ".csv" {
		rows = csvTable(t, text)
	} else {
		rows = jsonTable(t, text)
	}
	times := map[string]time.Time{}
	for number := low; number < high; number++ {
		times[a.id(number)] = time.Unix(a.created(number), 0).UTC()
	}
	last := time.Time{}
	for _, row := range rows {
		require.Equal(t, times[row.id], row.created, row.id)
		require.False(t, ordered && row.created.Before(last), row.id)
		last = row.created
		delete(times, row.id)
	}
	require.Empty(t, times)
	require.Len(t, rows, high-low)
}

// row is a row of a file.
type row struct {
	id      string
	created time.Time
}

func csvTable(t *testing.T, text []byte) (rows []row) {
	lines, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	require.NoError(t, err)
	require.Equal(t, columns, lines[0])
	for _, line := range lines[1:] {
		created, err := time.Parse(time.RFC3339, line[1])
		require.NoError(t, err)
		rows = append(rows, row{line[0], created})
	}
	return rows
}

func jsonTable(t *testing.T, text []byte) (rows []row) {
	for line := range strings.Lines(string(text)) {
		var charge struct {
			ID      string
			Created int64
			Object  string
		}
		require.NoError(t, json.Unmarshal([]byte(line), &charge))
		require.Equal(t, "charge", charge.Object)
		rows = append(rows, row{charge.ID, time.Unix(charge.Created, 0).UTC()})
	}
	return rows
}

// TestFileIsWholeAfterCrashes crashes a job repeatedly. A crash is simulated by
// a copy of the files during a request. The checkpoint is copied first, so the
// file may be ahead of its checkpoint, but not behind it.
func TestFileIsWholeAfterCrashes(t *testing.T) {
	for name, c := range map[string]struct {
		file     string
		anyOrder bool
	}{
		"JSON, the oldest first": {"charges.jsonl", false},
		"CSV, any order":         {"charges.csv", true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(20_000)
				path, crashes := filepath.Join(t.TempDir(), c.file), 0
				for {
					ctx, stop := context.WithCancel(t.Context())
					left := filepath.Join(t.TempDir(), c.file)
					s.requests.Store(0)
					s.arrived = func(request int) {
						if request == 120 {
							copyCrashed(t, path, left)
							stop() // the rest of the run does not count
						}
					}
					j, _ := s.job(t, path)
					j.anyOrder = c.anyOrder
					if err := j.run(ctx); err == nil {
						break
					}
					require.Error(t, ctx.Err())
					path = left
					crashes++
					require.Less(t, crashes, 10, "nothing is kept")
				}
				require.NotZero(t, crashes)
				requireWhole(t, s.account, path, !c.anyOrder, 0, s.count)
			})
		})
	}
}

// copyCrashed copies a file and its checkpoint, and appends half a row.
func copyCrashed(t *testing.T, from, to string) {
	if err := os.CopyFS(to+".checkpoint", os.DirFS(from+".checkpoint")); err != nil {
		t.Error(err)
	}
	text, err := os.ReadFile(from)
	if err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(to, append(text, half...), 0o600); err != nil {
		t.Error(err)
	}
}

const half = `{"id":"ch_0000`

func TestInterruptedJobGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(20_000)
		path := filepath.Join(t.TempDir(), "charges.csv")
		ctx, interrupt := context.WithCancel(t.Context())
		s.arrived = func(request int) {
			if request == 150 {
				interrupt()
			}
		}
		j, _ := s.job(t, path)
		require.ErrorIs(t, j.run(ctx), context.Canceled)

		s.requests.Store(0)
		s.arrived = nil
		j, out := s.job(t, path)
		require.NoError(t, j.run(t.Context()))
		require.Less(t, s.requests.Load(), int32(200), "some of the 200 pages were kept")
		require.NotContains(t, out.String(), "20,000 of them new")
		requireWhole(t, s.account, path, true, 0, s.count)
	})
}

func TestJobAddsWhatIsNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(3_000)
		path := filepath.Join(t.TempDir(), "charges.jsonl")
		second := s.created(2_000)
		j, _ := s.job(t, path)
		j.from, j.to = time.Unix(s.created(500), 0), time.Unix(second, 0)
		require.NoError(t, j.run(t.Context()))
		requireWhole(t, s.account, path, true, s.account.from(s.created(500)), s.account.from(second))

		for range 2 {
			j, _ = s.job(t, path)
			require.NoError(t, j.run(t.Context()))
			requireWhole(t, s.account, path, true, s.account.from(s.created(500)), s.count)

			text, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path, append(text, half...), 0o600))
		}
	})
}

func TestJobBeginsAnewWhereTheFileIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(1_000)
		path := filepath.Join(t.TempDir(), "charges.csv")
		for range 2 {
			j, out := s.job(t, path)
			require.NoError(t, j.run(t.Context()))
			require.Contains(t, out.String(), "1,000 charges in "+path+", 1,000 of them new")
			requireWhole(t, s.account, path, true, 0, s.count)
			require.NoError(t, os.Remove(path))
		}
	})
}

func TestFilesOfOtherProgramsAreLeftAlone(t *testing.T) {
	for name, text := range map[string]string{
		"charges.csv": "Date,Amount\n2026-01-31,5\n", "charges.jsonl": "{\"amount\":5}\n", "charges.txt": "five\n",
	} {
		path := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		j, _ := newSite(1).job(t, path)
		require.Error(t, j.run(t.Context()))
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, text, string(got))
	}
}

func TestProgressIsABarOrLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := stripekit.BackfillProgress{Done: 420_000, Total: 1_000_000, Rate: 2431.7, Remaining: 238_600 * time.Millisecond, Requests: 4_321}
		const text = "420,000 of about 1,000,000 charges, 2,431/s, 4,321 requests, 3m59s left"
		var lines bytes.Buffer
		m := newMeter(&lines, false)
		for range 25 {
			m.update(p)
			<-time.After(time.Second)
		}
		m.end(true)
		require.Equal(t, strings.Repeat(text+"\n", 3), lines.String())

		var bar bytes.Buffer
		m = newMeter(&bar, true)
		m.update(stripekit.BackfillProgress{Done: 100})
		m.update(p)
		require.Contains(t, bar.String(), "42%")
		require.Contains(t, bar.String(), text)
		m.end(true)
		require.Contains(t, bar.String(), "100%")
	})
}
