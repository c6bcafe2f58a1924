package stripekit_test

import (
	"bufio"
	"context"
	"encoding/json"
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

// tellingStore says on stdout what a checkpoint holds once it is saved: its
// floor, and the ids that are new in it.
type tellingStore struct {
	stripekit.CheckpointStore
	told map[string]bool
}

func (s *tellingStore) Save(ctx context.Context, key string, data []byte, revision uint64) (uint64, error) {
	next, err := s.CheckpointStore.Save(ctx, key, data, revision)
	var c struct {
		Floor int64
		Seen  map[string]int64
	}
	if err != nil || json.Unmarshal(data, &c) != nil {
		return next, err
	}
	line := fmt.Sprint("saved ", c.Floor)
	for id := range c.Seen {
		if !s.told[id] {
			s.told[id] = true
			line += " " + id
		}
	}
	fmt.Println(line)
	return next, nil
}

// watchUntilKilled is the child process: it takes what comes, and says so.
func watchUntilKilled(url, dir string) error {
	store, err := stripekit.NewFileStore(dir)
	if err != nil {
		return err
	}
	client, err := stripekit.New("sk_test_child", stripekit.WithBaseURL(url))
	if err != nil {
		return err
	}
	p, err := stripekit.NewPoller(client.Customers, stripekit.PollConfig{
		Every: 5 * time.Millisecond, From: stripekit.FromBeginning, Checkpoints: &tellingStore{store, map[string]bool{}},
	})
	if err != nil {
		return err
	}
	return p.Run(context.Background(), func(_ context.Context, e stripekit.Event[stripekit.Customer]) error {
		fmt.Println("got", e.ID)
		return nil
	})
}

// TestPollerSurvivesKills kills a child that polls, at random moments, and
// holds what it said against what the server has.
func TestPollerSurvivesKills(t *testing.T) {
	if url := os.Getenv("STRIPEKIT_TEST_CHILD_OF"); url != "" {
		require.NoError(t, watchUntilKilled(url, os.Getenv("STRIPEKIT_TEST_DIR")))
		return
	}
	kills := 200
	if n, err := strconv.Atoi(os.Getenv("STRIPEKIT_KILLS")); err == nil {
		kills = n
	}
	server := stripetest.New(stripetest.WithRequestLog(1))
	defer server.Close()
	parent := &killer{t: t, dir: t.TempDir(), server: server, got: map[string]int{}, saved: map[string]bool{}, created: map[string]int64{}}
	parent.sell(1000, time.Now().Add(-3*time.Hour))
	for range kills {
		parent.life(20*time.Millisecond + rand.N(200*time.Millisecond))
		parent.sell(5, time.Now())
	}
	for len(parent.got) < len(parent.created) {
		parent.life(2 * time.Second)
	}
	t.Logf("%d kills, %d objects, %d delivered, lost 0, repeated after they were saved 0", parent.kills, len(parent.created), parent.deliveries)
	require.Greater(t, parent.saves, 0)
}

type killer struct {
	t       *testing.T
	dir     string
	server  *stripetest.Server
	created map[string]int64

	got   map[string]int
	saved map[string]bool // told by a save
	floor int64

	kills, deliveries, saves int
}

func (k *killer) sell(n int, first time.Time) {
	for i := range n {
		at := first.Add(time.Duration(i) * 10 * time.Second)
		if n < 10 {
			at = first
		}
		for _, id := range k.server.Seed("/v1/customers", stripetest.Seeding{First: at}) {
			k.created[id] = at.Unix()
		}
	}
}

// life is a child from its start to its end by SIGKILL, for a while.
func (k *killer) life(d time.Duration) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestPollerSurvivesKills$")
	cmd.Env = append(os.Environ(), "STRIPEKIT_TEST_CHILD_OF="+k.server.URL, "STRIPEKIT_TEST_DIR="+k.dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(k.t, err)
	require.NoError(k.t, cmd.Start())
	kill := time.AfterFunc(d, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		k.hear(lines.Text())
	}
	require.NoError(k.t, lines.Err())
	require.ErrorContains(k.t, cmd.Wait(), "killed")
	k.kills++
}

func (k *killer) hear(line string) {
	words := strings.Fields(line)
	switch {
	case len(words) == 2 && words[0] == "got" && k.created[words[1]] != 0: // else cut off by the kill
		id := words[1]
		k.got[id]++
		k.deliveries++
		require.False(k.t, k.saved[id], "%s came again after it was saved", id)
		require.GreaterOrEqual(k.t, k.created[id], k.floor, "%s came again from below the floor", id)
	case len(words) >= 2 && words[0] == "saved":
		floor, err := strconv.ParseInt(words[1], 10, 64)
		require.NoError(k.t, err)
		k.floor, k.saves = floor, k.saves+1
		for _, id := range words[2:] {
			k.saved[id] = true
		}
	}
}
