package stripesql_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3"
	plaindriver "github.com/ncruces/go-sqlite3/driver"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripesql"
	"github.com/stripekit/stripekit/stripetest"
)

// materializeUntilKilled is the child process. It says when the file is up to date.
func materializeUntilKilled(url, file string) error {
	client, err := stripekit.New("sk_test_123", stripekit.WithBaseURL(url), stripekit.WithRateLimit(stripekit.RateLimit{}))
	if err != nil {
		return err
	}
	return stripesql.Materialize(context.Background(), client, file, stripesql.MaterializeConfig{
		Tables: []string{"customers", "charges", "refunds"}, Every: 50 * time.Millisecond,
		Progress: func(p stripesql.MaterializeProgress) {
			if p.Table == "" {
				fmt.Println("up to date")
			}
		},
	})
}

// materializeKills is how many processes the test kills.
func materializeKills(t *testing.T) int {
	text, set := os.LookupEnv("STRIPEKIT_KILLS")
	switch {
	case !set && raceDetector:
		return 1
	case !set:
		return 6
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err, "STRIPEKIT_KILLS")
	return n
}

// TestMaterializeSurvivesKills kills a child that materializes, at random moments, while
// objects are created, changed and deleted, and starts another in its place. After each
// kill the file is sound, and in the end it equals the account.
func TestMaterializeSurvivesKills(t *testing.T) {
	if url := os.Getenv("STRIPEKIT_TEST_MATERIALIZE_OF"); url != "" {
		require.NoError(t, materializeUntilKilled(url, os.Getenv("STRIPEKIT_TEST_FILE")))
		return
	}
	c := newCopying(t, stripetest.WithRequestLog(1))
	var left atomic.Int64 // requests until the kill
	reached := make(chan struct{}, 1)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if left.Add(-1) == 0 {
			reached <- struct{}{}
		}
		c.server.ServeHTTP(w, r)
	}))
	defer front.Close()
	objects := 2000
	if raceDetector {
		objects = 200
	}
	customers := c.seed(objects)
	ctx, stop := context.WithCancel(t.Context())
	changed := make(chan int)
	go func() { changed <- c.change(ctx, customers) }()
	upToDate := 0
	for range materializeKills(t) {
		left.Store(1 + rand.Int64N(300))
		upToDate += c.killChild(front.URL, reached)
		c.requireSound()
	}
	stop()
	changes := <-changed
	c.mustRun(stripesql.MaterializeConfig{})
	c.requireEqual()
	t.Logf("%d kills, %d changes, %d times up to date", materializeKills(t), changes, upToDate)
}

// change changes the account until the context ends, and returns how often.
func (c *copying) change(ctx context.Context, customers []string) (changes int) {
	for ; ctx.Err() == nil; changes++ {
		i := rand.IntN(len(customers))
		switch rand.IntN(6) {
		case 0:
			c.remove(customers[i])
			customers[i] = customers[len(customers)-1]
			customers = customers[:len(customers)-1]
		case 1:
			made, err := c.client.Customers.Create(c.t.Context(), stripekit.CustomerCreateParams{Source: new("tok_visa")})
			if err != nil {
				c.t.Error(err)
				return changes
			}
			customers = append(customers, made.ID)
		case 2:
			c.refund(c.charge(customers[i]))
		default:
			c.rename(customers[i], strconv.Itoa(changes))
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	return changes
}

// killChild starts a child, kills it soon after it has reached a request, and returns how
// often its file was up to date.
func (c *copying) killChild(url string, reached <-chan struct{}) (upToDate int) {
	child := exec.Command(os.Args[0], "-test.run=^TestMaterializeSurvivesKills$")
	child.Env = append(os.Environ(), "STRIPEKIT_TEST_MATERIALIZE_OF="+url, "STRIPEKIT_TEST_FILE="+c.file)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	require.NoError(c.t, err)
	require.NoError(c.t, child.Start())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			upToDate++
		}
	}()
	select {
	case <-reached:
	case <-ended:
		require.Fail(c.t, "the child has ended by itself", "%v", child.Wait())
	}
	<-time.After(rand.N(20 * time.Millisecond))
	require.NoError(c.t, child.Process.Kill())
	<-ended
	require.Error(c.t, child.Wait())
	return upToDate
}

// requireSound requires that SQLite finds no fault in the file.
func (c *copying) requireSound() {
	c.t.Helper()
	db, err := plaindriver.Open("file:"+strings.NewReplacer("?", "%3F", "#", "%23").Replace(c.file), func(conn *sqlite3.Conn) error {
		return conn.CreateCollation("timestamp", comparePlainTimes)
	})
	require.NoError(c.t, err)
	defer db.Close()
	var verdict string
	require.NoError(c.t, db.QueryRow("PRAGMA integrity_check").Scan(&verdict))
	require.Equal(c.t, "ok", verdict)
}
