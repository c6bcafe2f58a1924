package stripesql_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripesql"
)

// measuredRate is the rate limit of the measured Materialize, in requests a second.
const measuredRate = 100

// materializeMeasured is the child process. It says how many rows it has, and at the end
// how much memory it has taken.
func materializeMeasured(url, file string) error {
	client, err := stripekit.New("sk_test_big", stripekit.WithBaseURL(url), stripekit.WithRateLimit(stripekit.RateLimit{Total: measuredRate}))
	if err != nil {
		return err
	}
	err = stripesql.Materialize(context.Background(), client, file, stripesql.MaterializeConfig{
		Tables: []string{"charges", "customers", "refunds", "products"},
		Progress: func(p stripesql.MaterializeProgress) {
			fmt.Printf("%s: %d of about %d, %.0f/s, %v to go; %s\n", p.Table, p.Done, p.Total, p.Rate, p.Remaining.Round(time.Second), memory())
		},
	})
	fmt.Println("end:", memory())
	return err
}

// memory returns the most memory that the process has had, where the system tells it.
func memory() string {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return ""
	}
	return string(regexp.MustCompile(`VmHWM:.*`).Find(status))
}

// TestMaterializeMeasured materializes a shop in a child process at a rate limit, kills it
// once, and compares queries on the file with a plain SQLite. STRIPEKIT_MATERIALIZE is the
// number of charges, a multiple of 4,000:
//
//	STRIPEKIT_MATERIALIZE=1000000 go test -run MaterializeMeasured -v -timeout 30m .
func TestMaterializeMeasured(t *testing.T) {
	if url := os.Getenv("STRIPEKIT_TEST_MEASURED_OF"); url != "" {
		require.NoError(t, materializeMeasured(url, os.Getenv("STRIPEKIT_TEST_FILE")))
		return
	}
	charges := 4000
	if text, set := os.LookupEnv("STRIPEKIT_MATERIALIZE"); set {
		var err error
		charges, err = strconv.Atoi(text)
		require.NoError(t, err, "STRIPEKIT_MATERIALIZE")
	}
	shop := newBigShop(t, charges)
	var requests, killAt atomic.Int64
	child := make(chan *exec.Cmd, 1)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1) == killAt.Load() {
			_ = (<-child).Process.Kill()
		}
		shop.server.ServeHTTP(w, r)
	}))
	defer front.Close()
	file := filepath.Join(t.TempDir(), "big.db")
	objects := len(shop.charges) + len(shop.customers) + len(shop.refunds) + len(shop.products)

	began := time.Now()
	killAt.Store(int64(objects / 300))
	require.Error(t, runMeasured(t, front.URL, file, child))
	t.Logf("killed after %v and %d requests", time.Since(began).Round(time.Millisecond), requests.Load())
	require.NoError(t, runMeasured(t, front.URL, file, child))
	took := time.Since(began)
	info, err := os.Stat(file)
	require.NoError(t, err)
	t.Logf("%d objects in %v: %.0f rows/s, %d requests, %.0f %% of the limit; the file has %d MB",
		objects, took.Round(time.Millisecond), float64(objects)/took.Seconds(), requests.Load(),
		100*float64(requests.Load())/took.Seconds()/measuredRate, info.Size()>>20)

	// The time of the shop was that of its objects, which the machine's clock contradicts.
	shop.server.SetTime(time.Now())
	require.NoError(t, runMeasured(t, front.URL, file, child))
	shop.server.SetTime(time.Now())
	began = time.Now()
	before := requests.Load()
	require.NoError(t, runMeasured(t, front.URL, file, child))
	t.Logf("up to date again after %v and %d requests", time.Since(began).Round(time.Millisecond), requests.Load()-before)
	db, err := stripesql.OpenMaterialized(file)
	require.NoError(t, err)
	defer db.Close()
	plain := shop.plain(t)
	for _, query := range []string{
		`SELECT count(*), sum(amount) FROM charges`,
		`SELECT c.email, count(*), sum(amount) FROM charges JOIN customers c ON c.id = charges.customer GROUP BY c.email ORDER BY c.email`,
		`SELECT id FROM customers WHERE id NOT IN (SELECT customer FROM charges WHERE customer IS NOT NULL) ORDER BY id`,
		`SELECT max(created), min(created) FROM charges`,
		`SELECT id, created FROM charges ORDER BY created DESC LIMIT 10`,
		`SELECT sum(amount), count(*) FROM charges WHERE created >= '2024-03-01' AND created < '2024-03-04' AND status = 'succeeded'`,
		`SELECT date(created) AS day, sum(amount) FROM charges GROUP BY day ORDER BY day`,
	} {
		want, err := ask(t.Context(), plain, query)
		require.NoError(t, err)
		began := time.Now()
		got, err := ask(t.Context(), db, query)
		require.NoError(t, err)
		t.Logf("%8v  %s", time.Since(began).Round(100*time.Microsecond), query)
		require.Equal(t, want, got, query)
	}
}

// runMeasured runs a child to its end.
func runMeasured(t *testing.T, url, file string, started chan<- *exec.Cmd) error {
	child := exec.Command(os.Args[0], "-test.run=^TestMaterializeMeasured$")
	child.Env = append(os.Environ(), "STRIPEKIT_TEST_MEASURED_OF="+url, "STRIPEKIT_TEST_FILE="+file)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	select {
	case started <- child:
	default: // nobody kills it
	}
	charges, end := "", ""
	for lines := bufio.NewScanner(out); lines.Scan(); {
		switch text := lines.Text(); {
		case strings.HasPrefix(text, "charges:"):
			charges = text
		case strings.HasPrefix(text, "end:"):
			end = text
		}
	}
	err = child.Wait()
	t.Logf("the child: %s; %s; %v of CPU", charges, end, (child.ProcessState.UserTime() + child.ProcessState.SystemTime()).Round(time.Millisecond))
	return err
}
