package stores_test

import (
	"bufio"
	"database/sql"
	"encoding/json"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/internal/stores/servers"
	"github.com/stripekit/stripekit/sqlstore"
	"github.com/stripekit/stripekit/stripetest"
)

// kills is how many processes a test kills.
func kills() int {
	if n, err := strconv.Atoi(os.Getenv("STRIPEKIT_KILLS")); err == nil {
		return n
	}
	return 12
}

// rounds returns n if STRIPEKIT_KILLS is set, and otherwise 1.
func rounds(n int) int {
	if os.Getenv("STRIPEKIT_KILLS") == "" {
		return 1
	}
	return n
}

// patience is how long a child process gets to begin before it is killed. Beside a
// process that takes over all the time it may have nothing to do.
const patience = 2 * time.Second

// killBatches are the sizes of batches of the child processes.
var killBatches = []int{1, 10, 100}

// killParent is the parent of the child processes. It hosts the fake Stripe.
type killParent struct {
	t      *testing.T
	db     *sql.DB
	stripe *stripetest.Server

	// prepare completes the job of the next child process.
	prepare func(job *killJob)
	job     killJob
	// poison is how many customers there are for each one that the handler refuses;
	// 0 is none.
	poison int

	good, bad map[string]bool // the ids of the customers that the handler accepts and refuses
	kills     int
	open      chan struct{} // a process has a transaction that it will not commit at once

	mu     sync.Mutex
	said   map[string]int  // lines of the child processes
	gaveUp map[string]bool // the ids of the events that they gave up
}

func newKillParent(t *testing.T, dialect sqlstore.Dialect, database servers.Database) *killParent {
	k := &killParent{
		t: t, db: database.Open(t), stripe: stripetest.New(stripetest.WithRequestLog(0)),
		good: map[string]bool{}, bad: map[string]bool{}, open: make(chan struct{}),
		said: map[string]int{}, gaveUp: map[string]bool{},
		prepare: func(job *killJob) { job.Batch = killBatches[rand.N(len(killBatches))] },
	}
	t.Cleanup(k.stripe.Close)
	k.job = killJob{URL: k.stripe.URL, Database: database, Dialect: dialect}
	store, err := sqlstore.New(k.db, dialect)
	require.NoError(t, err)
	require.NoError(t, store.Migrate(t.Context()))
	for _, table := range []string{"written", "dead_letters"} {
		// Without a unique key, what is written twice can be seen.
		_, err = k.db.ExecContext(t.Context(), "CREATE TABLE "+table+" (id VARCHAR(64) NOT NULL, pid INTEGER NOT NULL)")
		require.NoError(t, err)
	}
	return k
}

// sqliteFile returns a new SQLite database.
func sqliteFile(tb testing.TB) servers.Database {
	path := url.PathEscape(filepath.ToSlash(filepath.Join(tb.TempDir(), "kill.db")))
	return servers.Database{
		Driver: "sqlite3", DSN: "file:" + path + "?_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)",
	}
}

// create creates customers now, or some time ago.
func (k *killParent) create(n int, ago time.Duration) {
	for range n {
		ids, params := k.good, url.Values{}
		if count := len(k.good) + len(k.bad); k.poison != 0 && count%k.poison == 0 {
			ids = k.bad
			params.Set("description", []string{failsByError, failsByConstraint}[count/k.poison%2])
		}
		ids[k.stripe.Seed("/v1/customers", stripetest.Seeding{First: time.Now().Add(-ago), Params: params})[0]] = true
	}
}

// createUntil creates customers all the time, until the event, but not longer than
// most.
func (k *killParent) createUntil(event <-chan struct{}, most time.Duration) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(most); ; {
		select {
		case <-tick.C:
			k.create(1, 0)
		case <-event:
			return
		case <-end:
			return
		}
	}
}

// createFor creates customers for a while.
func (k *killParent) createFor(d time.Duration) { k.createUntil(nil, d) }

// run kills one of two child processes at a time, and starts another in its place.
// It calls beside before each kill.
func (k *killParent) run(kills int, beside func(i int)) {
	k.create(200, time.Hour)
	children := []*killedChild{k.start(), k.start()}
	for i := range kills {
		beside(i)
		victim := rand.N(len(children))
		if i%4 == 0 {
			k.createUntil(children[victim].running, patience)
		} else {
			k.createUntil(children[victim].working, patience)
		}
		k.createFor(rand.N(150 * time.Millisecond))
		k.kill(children[victim])
		children[victim] = k.start()
	}
	for _, c := range children {
		k.kill(c)
	}
}

// finish lets a child process write what is left, in batches of this size. A second
// one shows that nothing is written again.
func (k *killParent) finish(batch int) {
	k.prepare = func(job *killJob) { job.Batch = batch }
	for range 2 {
		k.create(5, 0)
		c := k.start()
		k.awaitComplete()
		k.kill(c)
	}
}

// awaitComplete waits until each customer has a row in one of the tables.
func (k *killParent) awaitComplete() {
	k.t.Helper()
	end := time.Now().Add(soon)
	for {
		missing := 0
		written, dead := k.rows("written"), k.rows("dead_letters")
		for _, ids := range []map[string]bool{k.good, k.bad} {
			for id := range ids {
				if written[id]+dead[id] == 0 {
					missing++
				}
			}
		}
		if missing == 0 {
			return
		}
		require.True(k.t, time.Now().Before(end), "%d customers have no row", missing)
		<-time.After(50 * time.Millisecond)
	}
}

// rows returns how many rows of a table each id has.
func (k *killParent) rows(table string) map[string]int {
	k.t.Helper()
	rows, err := k.db.QueryContext(k.t.Context(), "SELECT id, count(*) FROM "+table+" GROUP BY id")
	require.NoError(k.t, err)
	defer rows.Close()
	counts := map[string]int{}
	for rows.Next() {
		var id string
		var n int
		require.NoError(k.t, rows.Scan(&id, &n))
		counts[id] = n
	}
	require.NoError(k.t, rows.Err())
	return counts
}

// writers returns how many child processes have written rows that are in the table.
func (k *killParent) writers() (n int) {
	k.t.Helper()
	require.NoError(k.t, k.db.QueryRowContext(k.t.Context(), "SELECT count(DISTINCT pid) FROM written").Scan(&n))
	return n
}

// check requires that no customer is lost, that none is written which the handler
// refuses, and that exactly those are given up. It returns how many customers were
// written more than once, and how many rows they have beyond the first.
func (k *killParent) check() (twice, beyond int) {
	k.t.Helper()
	written, dead := k.rows("written"), k.rows("dead_letters")
	lost := 0
	for id := range k.good {
		if written[id] == 0 {
			lost++
		}
	}
	for id, n := range written {
		require.True(k.t, k.good[id], "%s is written, although the handler has failed", id)
		if n > 1 {
			twice++
			beyond += n - 1
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.t.Logf("%d kills, %d processes wrote, %d takeovers, %d outages; %d customers: lost %d, twice %d (%d rows); given up %d",
		k.kills, k.writers(), k.said[saysConflict], k.said[saysOutage], len(k.good), lost, twice, beyond, len(dead))
	require.Zero(k.t, lost)
	for id := range k.bad {
		require.Positive(k.t, dead[id], "%s is neither written nor a dead letter", id)
	}
	require.Len(k.t, dead, len(k.bad))
	for id := range k.gaveUp {
		require.True(k.t, k.bad[id], "%s was given up without a reason", id)
	}
	return twice, beyond
}

// killedChild is a child process, as the parent sees it.
type killedChild struct {
	cmd              *exec.Cmd
	running, working chan struct{} // closed when it says so
	ended            chan struct{} // closed when it has ended
}

// start starts a child process.
func (k *killParent) start() *killedChild {
	k.t.Helper()
	job := k.job
	k.prepare(&job)
	encoded, err := json.Marshal(job)
	require.NoError(k.t, err)
	c := &killedChild{
		cmd:     exec.Command(os.Args[0]),
		running: make(chan struct{}), working: make(chan struct{}), ended: make(chan struct{}),
	}
	c.cmd.Env = append(os.Environ(), killJobVariable+"="+string(encoded))
	c.cmd.Stderr = os.Stderr
	_, err = c.cmd.StdinPipe() // it ends when this process ends
	require.NoError(k.t, err)
	out, err := c.cmd.StdoutPipe()
	require.NoError(k.t, err)
	require.NoError(k.t, c.cmd.Start())
	go func() {
		defer close(c.ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			k.hear(c, lines.Text())
		}
		_ = c.cmd.Wait() // ended reads the exit code
	}()
	k.t.Cleanup(func() {
		_ = c.cmd.Process.Kill() // it fails if the process has ended
		<-c.ended
	})
	return c
}

func (k *killParent) hear(c *killedChild, line string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	id, givesUp := strings.CutPrefix(line, saysGivesUp+" ")
	switch {
	case line == saysRunning:
		close(c.running)
	case line == saysWorking:
		close(c.working)
	case line == saysOpen:
		select {
		case k.open <- struct{}{}:
		default: // nobody waits for it
		}
	case givesUp:
		k.gaveUp[id] = true
	default:
		k.said[line]++
	}
}

// kill ends a process by SIGKILL. The process must not have ended before.
func (k *killParent) kill(c *killedChild) {
	k.t.Helper()
	_ = c.cmd.Process.Kill() // if it fails, the exit code says why
	<-c.ended
	code := c.cmd.ProcessState.ExitCode()
	require.True(k.t, code == -1 || code == 1, // 1 on Windows
		"the child process has ended by itself: %v", c.cmd.ProcessState)
	k.kills++
}
