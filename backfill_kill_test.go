package stripekit_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripetest"
)

// backfillUntilKilled is the child process: it prints which objects were yielded,
// and when the checkpoint was saved.
func backfillUntilKilled(url, dir string) error {
	store, err := stripekit.NewFileStore(dir)
	if err != nil {
		return err
	}
	client, err := stripekit.New("sk_test_child", stripekit.WithBaseURL(url))
	if err != nil {
		return err
	}
	told := &heardStore{store, func() { fmt.Println("saved") }}
	for customer, err := range stripekit.Backfill(context.Background(), client.Customers, stripekit.BackfillConfig{
		Checkpoints: told, MaxBuffered: 1000,
	}) {
		if err != nil {
			return err
		}
		fmt.Println("got", customer.ID)
		<-time.After(500 * time.Microsecond)
	}
	fmt.Println("end")
	return nil
}

// TestBackfillSurvivesKills kills a child that reads a list, at random moments,
// starts another in its place, and compares what they printed with the objects of
// the server.
func TestBackfillSurvivesKills(t *testing.T) {
	if url := os.Getenv("STRIPEKIT_TEST_BACKFILL_OF"); url != "" {
		require.NoError(t, backfillUntilKilled(url, os.Getenv("STRIPEKIT_TEST_DIR")))
		return
	}
	server := stripetest.New(stripetest.WithRequestLog(1))
	defer server.Close()
	kills, dir := backfillKills(), t.TempDir()
	created := map[string]int64{}
	for burst := range 10 + kills {
		first := time.Unix(1_700_000_000+int64(burst)*100_000, 0)
		for _, every := range []time.Duration{0, time.Second, 20 * time.Second} {
			for i, id := range server.Seed("/v1/customers", stripetest.Seeding{Count: 60, First: first, Every: every}) {
				created[id] = first.Add(time.Duration(i) * every).Unix()
			}
		}
	}
	h := &backfillHistory{t: t, created: created, had: map[string]bool{}, saved: map[string]bool{}}
	for n := 0; ; n++ {
		child := exec.Command(os.Args[0], "-test.run=^TestBackfillSurvivesKills$")
		child.Env = append(os.Environ(), "STRIPEKIT_TEST_BACKFILL_OF="+server.URL, "STRIPEKIT_TEST_DIR="+dir)
		child.Stderr = os.Stderr
		out, err := child.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, child.Start())
		lines := bufio.NewScanner(out)
		if n < kills {
			// Wait for the first object, because the start of a process takes long.
			kill := time.AfterFunc(time.Hour, func() { _ = child.Process.Kill() })
			for lines.Scan() {
				h.hear(lines.Text())
				if !h.begun {
					h.begun = true
					kill.Reset(rand.N(1400 * time.Millisecond))
				}
			}
			kill.Stop()
		} else {
			for lines.Scan() {
				h.hear(lines.Text())
			}
		}
		err = child.Wait()
		if n >= kills {
			require.NoError(t, err)
		}
		if n >= kills || h.ended { // at the end already, whether or not it was killed after it
			break
		}
		h.begun = false
	}
	require.True(t, h.ended)
	lost := 0
	for id := range created {
		if !h.had[id] {
			lost++
		}
	}
	require.Zero(t, lost, "lost of %d", len(created))
	t.Logf("%d kills, %d objects, %d handed out, %d saves, lost 0", kills, len(created), h.deliveries, h.saves)
}

// backfillHistory is the output of the processes.
type backfillHistory struct {
	t       *testing.T
	created map[string]int64

	had        map[string]bool
	saved      map[string]bool
	unsaved    []string // since the last save, by all processes since then
	last       string   // yielded last
	again      int64    // the second from which on objects may be yielded again
	begun      bool     // the running process has printed something
	ended      bool
	deliveries int
	saves      int
}

func (h *backfillHistory) hear(line string) {
	words := strings.Fields(line)
	switch {
	case len(words) == 2 && words[0] == "got" && h.created[words[1]] != 0: // else cut off by the kill
		id := words[1]
		h.deliveries++
		h.had[id] = true
		if h.saved[id] {
			require.GreaterOrEqual(h.t, h.created[id], h.again, "%s came again after it was saved", id)
		}
		h.last = id
		h.unsaved = append(h.unsaved, id)
	case len(words) == 1 && words[0] == "saved":
		h.saves++
		for _, id := range h.unsaved {
			h.saved[id] = true
		}
		h.unsaved, h.again = nil, h.created[h.last]
	case len(words) == 1 && words[0] == "end":
		h.ended = true
	}
}

// backfillKills is how many processes the test kills. It takes about a second
// each, since a Backfill saves once a second.
func backfillKills() int {
	if n, err := strconv.Atoi(os.Getenv("STRIPEKIT_KILLS")); err == nil {
		return n
	}
	return 3
}
