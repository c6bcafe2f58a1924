package stripekit_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/internal/checkpoint"
	"github.com/stripekit/stripekit/internal/tail"
	"github.com/stripekit/stripekit/stripetest"
)

// tellingStore prints on stdout which of the handled objects a checkpoint has
// acknowledged, after it was saved.
type tellingStore struct {
	stripekit.CheckpointStore
	mu   sync.Mutex
	got  map[string]int64 // the created seconds of the objects handled
	told map[string]bool
}

func (s *tellingStore) Save(ctx context.Context, key string, data []byte, revision uint64) (uint64, error) {
	next, err := s.CheckpointStore.Save(ctx, key, data, revision)
	if err != nil {
		return next, err
	}
	c, err := checkpoint.Decode(data, key)
	if err != nil {
		return next, err
	}
	line := "saved"
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, created := range s.got {
		if !s.told[id] && holds(c, id, created) {
			s.told[id] = true
			line += " " + id
		}
	}
	fmt.Println(line)
	return next, nil
}

// holds reports whether a checkpoint has acknowledged an object: it is seen, or
// below the floor and in no hole.
func holds(c *checkpoint.State, id string, created int64) bool {
	sum := sha256.Sum256(binary.LittleEndian.AppendUint64(append(slices.Clone(c.Seed[:]), id...), uint64(created)))
	hash := binary.LittleEndian.Uint64(sum[:])
	if slices.ContainsFunc(c.Seen, func(k tail.Key) bool { return k.Hash == hash }) {
		return true
	}
	inHole := slices.ContainsFunc(c.Holes, func(h tail.Span) bool { return h.From <= created && created <= h.To })
	return created < c.Floor && !inHole
}

// watchUntilKilled is the child process: it acknowledges each event and prints it.
func watchUntilKilled(url, dir string) error {
	store, err := stripekit.NewFileStore(dir)
	if err != nil {
		return err
	}
	client, err := stripekit.New("sk_test_child", stripekit.WithBaseURL(url))
	if err != nil {
		return err
	}
	telling := &tellingStore{CheckpointStore: store, got: map[string]int64{}, told: map[string]bool{}}
	p, err := stripekit.NewPoller(client.Customers, stripekit.PollConfig{
		Every: 5 * time.Millisecond, From: stripekit.FromBeginning, Checkpoints: telling,
	})
	if err != nil {
		return err
	}
	err = p.Run(context.Background(), func(_ context.Context, e stripekit.Event[stripekit.Customer]) error {
		telling.mu.Lock()
		defer telling.mu.Unlock()
		telling.got[e.ID] = e.Created.Unix()
		fmt.Println("got", e.ID)
		return nil
	})
	if errors.Is(err, stripekit.ErrCheckpointConflict) {
		return nil // another process has taken over
	}
	return err
}

// TestPollerSurvivesKills kills a child that polls, at random moments, and compares
// what it printed with the objects of the server.
func TestPollerSurvivesKills(t *testing.T) {
	if url := os.Getenv("STRIPEKIT_TEST_CHILD_OF"); url != "" {
		require.NoError(t, watchUntilKilled(url, os.Getenv("STRIPEKIT_TEST_DIR")))
		return
	}
	parent := newKiller(t)
	for range kills() {
		child := parent.start()
		parent.kill(child, 20*time.Millisecond+rand.N(200*time.Millisecond))
		parent.sell(5, time.Now())
	}
	parent.finish()
}

// TestPollerIsTakenOverAtAnyMoment starts a second process on the checkpoint of
// one that polls, at random moments, and kills the first one some time later,
// unless it has ended by then.
func TestPollerIsTakenOverAtAnyMoment(t *testing.T) {
	parent := newKiller(t)
	old := parent.start()
	for i := range kills() {
		// Of two processes that start at the same time, the last to claim is the newer.
		// Their output could be read in the wrong order.
		<-old.claimed
		<-time.After(rand.N(150 * time.Millisecond))
		next, grace := parent.start(), rand.N(100*time.Millisecond)
		if i%20 == 0 {
			<-next.claimed
			parent.sell(1, time.Now()) // for a save, which fails with a conflict and ends it
			grace = 5 * time.Minute
		}
		parent.kill(old, grace)
		parent.sell(5, time.Now())
		old = next
	}
	parent.kill(old, 0)
	parent.finish()
	require.Positive(t, parent.takeovers)
}

// kills is how many processes a test kills.
func kills() int {
	if n, err := strconv.Atoi(os.Getenv("STRIPEKIT_KILLS")); err == nil {
		return n
	}
	return 50
}

// killer is the parent of the processes.
type killer struct {
	t       *testing.T
	dir     string
	server  *stripetest.Server
	created map[string]int64

	got   map[string]int
	saved map[string]bool // acknowledged in a saved checkpoint

	kills, takeovers, deliveries, saves int
}

func newKiller(t *testing.T) *killer {
	k := &killer{
		t: t, dir: t.TempDir(), server: stripetest.New(stripetest.WithRequestLog(1)),
		got: map[string]int{}, saved: map[string]bool{}, created: map[string]int64{},
	}
	t.Cleanup(k.server.Close)
	k.sell(1000, time.Now().Add(-3*time.Hour))
	return k
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

// finish lets a last process deliver what is left.
func (k *killer) finish() {
	for len(k.got) < len(k.created) {
		last := k.start()
		<-last.claimed
		k.kill(last, 2*time.Second)
	}
	k.t.Logf("%d kills, %d takeovers, %d objects, %d delivered, lost 0, repeated after they were saved 0",
		k.kills, k.takeovers, len(k.created), k.deliveries)
	require.Greater(k.t, k.saves, 0)
}

// child is a process that polls.
type child struct {
	cmd     *exec.Cmd
	claimed chan struct{} // closed at the first output: the process has claimed the checkpoint
	lines   chan []string // the output, sent when the process has ended
}

func (k *killer) start() *child {
	c := &child{cmd: exec.Command(os.Args[0], "-test.run=^TestPollerSurvivesKills$"), claimed: make(chan struct{}), lines: make(chan []string, 1)}
	c.cmd.Env = append(os.Environ(), "STRIPEKIT_TEST_CHILD_OF="+k.server.URL, "STRIPEKIT_TEST_DIR="+k.dir)
	c.cmd.Stderr = os.Stderr
	out, err := c.cmd.StdoutPipe()
	require.NoError(k.t, err)
	require.NoError(k.t, c.cmd.Start())
	go func() {
		var said []string
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			if said = append(said, lines.Text()); len(said) == 1 {
				close(c.claimed)
			}
		}
		if len(said) == 0 {
			close(c.claimed)
		}
		c.lines <- said
	}()
	return c
}

// kill ends a process by SIGKILL after a wait, and reads its output. The process may
// have ended before, if another one has taken over.
func (k *killer) kill(c *child, after time.Duration) {
	kill := time.AfterFunc(after, func() { _ = c.cmd.Process.Kill() })
	defer kill.Stop()
	said := <-c.lines
	switch err := c.cmd.Wait(); {
	case err == nil:
		k.takeovers++
	default:
		require.ErrorContains(k.t, err, "killed")
		k.kills++
	}
	for _, line := range said {
		k.hear(line)
	}
}

// hear reads a line of a process. An event that one process has saved must not be
// delivered to a later one. The output of a process is read when it has ended, and
// so before that of its successor.
func (k *killer) hear(line string) {
	words := strings.Fields(line)
	switch {
	case len(words) == 2 && words[0] == "got" && k.created[words[1]] != 0: // else cut off by the kill
		id := words[1]
		k.got[id]++
		k.deliveries++
		require.False(k.t, k.saved[id], "%s came again after it was saved", id)
	case len(words) >= 1 && words[0] == "saved":
		k.saves++
		for _, id := range words[1:] {
			k.saved[id] = true
		}
	}
}
