package stripekit_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/internal/checkpoint"
	"github.com/stripekit/stripekit/stripetest"
)

// Cases that used to spin, to grow without a limit or to stop the flow.

// restingBubble runs f in a synctest bubble. In a bubble with a goroutine that
// never rests, or that waits for a mutex for ever, fake time stands still: then
// the test program ends after a limit of real time.
func restingBubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	name := t.Name()
	watchdog := time.AfterFunc(5*time.Minute, func() { panic(name + ": fake time stands still: a goroutine spins or is blocked") })
	defer watchdog.Stop()
	synctest.Test(t, f)
}

func TestPollerRestsWhileARedeliveryIsDueAndItsReaderIsBusy(t *testing.T) {
	restingBubble(t, func(t *testing.T) {
		s := newShop(t)
		events, stop := s.watch(s.poller(stripekit.PollConfig{}))
		defer stop()
		sold := s.sell(3)
		first := <-events
		first.Nack(time.Second)
		requests := s.listRequests()
		pass(time.Hour) // the redelivery is due, the second event is offered, nobody reads
		require.InDelta(t, 240, s.listRequests()-requests, 2, "a request each 15 s")

		require.ElementsMatch(t, sold, collect(events, time.Second))
	})
}

func TestPollerRestsWhileResponsesHaveNoDate(t *testing.T) {
	restingBubble(t, func(t *testing.T) {
		s := newShop(t)
		fault := s.server.Fault("GET /v1/customers", stripetest.Every(), stripetest.SetHeader("Date", ""))
		p := s.poller(stripekit.PollConfig{Checkpoints: new(stripekit.MemoryStore)})
		events, stop := s.watch(p)
		defer stop()
		pass(time.Second)
		sold := s.sell(3)
		require.Empty(t, collect(events, time.Hour))
		require.InDelta(t, 75, s.listRequests(), 25, "1, 2, 4 … 60 seconds apart")
		require.ErrorContains(t, p.Status().LastError, "Date")

		fault.Remove()
		require.Equal(t, sold, collect(events, 2*time.Minute), "what was created after Start is new")
	})
}

func TestPollerRestsAfterAFirstResponseWithoutADate(t *testing.T) {
	restingBubble(t, func(t *testing.T) {
		s := newShop(t)
		s.server.Fault("GET /v1/customers", stripetest.First(1), stripetest.SetHeader("Date", ""))
		events, stop := s.watch(s.poller(stripekit.PollConfig{Checkpoints: new(stripekit.MemoryStore)}))
		defer stop()
		pass(time.Second)
		sold := s.sell(2)
		require.Equal(t, sold, collect(events, 30*time.Second))
		require.Less(t, s.listRequests(), 12)
	})
}

func TestPollerBehindASlowReaderKeepsItsCheckpointSmall(t *testing.T) {
	restingBubble(t, func(t *testing.T) {
		const hours, rate = 2, 20
		s := newShop(t, stripetest.WithRequestLog(1))
		store := new(stripekit.MemoryStore)
		p := s.poller(stripekit.PollConfig{Checkpoints: store})
		events, stop := s.watch(p)
		defer stop()
		start := time.Now()
		floor := func() time.Duration {
			data, _, err := store.Load(t.Context(), customersKey)
			require.NoError(t, err)
			state, err := checkpoint.Decode(data, customersKey)
			require.NoError(t, err)
			return time.Duration(state.Floor-start.Unix()) * time.Second
		}

		var want, got []string
		tick := time.NewTicker(time.Second / (rate / 2))
		defer tick.Stop()
		most := 0
		for second := range hours * 3600 {
			want = append(want, s.server.Seed("/v1/customers", stripetest.Seeding{Count: rate})...)
			for range rate / 2 {
				<-tick.C
				select {
				case e := <-events:
					e.Ack()
					got = append(got, e.ID)
				default:
				}
			}
			if second%60 != 0 || second < 1800 {
				continue
			}
			most = max(most, p.Status().CheckpointBytes)
			read := time.Duration(len(got)/rate) * time.Second // what was created until then is delivered
			require.Greater(t, floor(), read-17*time.Minute, "the floor after %d s, with all delivered up to %s", second, read)
		}
		require.True(t, slices.Equal(want[:len(got)], got), "nothing lost, in order")
		require.Greater(t, len(got), hours*3600*rate/2*9/10, "the reader is kept busy")
		require.Less(t, most, 200<<10, "the bytes of a checkpoint")
		t.Logf("%d of %d delivered, the floor at %s, checkpoints of %d bytes at most, %d requests",
			len(got), len(want), floor(), most, s.listRequests())
	})
}

// A reader that empties the channel once a minute makes the Poller pause within each
// poll, for longer than Every.
func TestPollerThatItsReaderPausesKeepsItsCheckpointSmall(t *testing.T) {
	restingBubble(t, func(t *testing.T) {
		s := newShop(t, stripetest.WithRequestLog(1))
		p := s.poller(stripekit.PollConfig{MaxUnacked: 10, Checkpoints: new(stripekit.MemoryStore)})
		events, stop := s.watch(p)
		defer stop()
		var want, got []string
		sizes := map[int]int{}
		for minute := range 240 {
			for range 60 {
				pass(time.Second)
				want = append(want, s.server.Seed("/v1/customers", stripetest.Seeding{Count: 2})...)
			}
			got = append(got, collect(events, 50*time.Millisecond)...)
			sizes[minute] = p.Status().CheckpointBytes
		}
		require.Greater(t, len(got), len(want)*3/4)
		require.True(t, slices.Equal(want[:len(got)], got), "nothing lost, in order")
		t.Logf("checkpoints of %d, %d and %d bytes after 1, 2 and 4 hours", sizes[59], sizes[119], sizes[239])
		require.Less(t, sizes[239], 40<<10)
	})
}

// customersKey is the key of a checkpoint of the shop's customers.
const customersKey = "test///customers//"

// slowStore hangs in Save while hangs is set. If deaf is set, it ignores the context.
type slowStore struct {
	stripekit.MemoryStore
	hangs atomic.Bool
	deaf  bool
	awake chan struct{} // closed when it goes on
	saves atomic.Int64
}

func (s *slowStore) Save(ctx context.Context, key string, data []byte, revision uint64) (uint64, error) {
	s.saves.Add(1)
	if s.hangs.Load() {
		ended := ctx.Done()
		if s.deaf {
			ended = nil
		}
		select {
		case <-s.awake:
		case <-ended:
			return 0, ctx.Err()
		}
	}
	return s.MemoryStore.Save(ctx, key, data, revision)
}

func TestPollerDeliversWhileASaveHangs(t *testing.T) {
	for _, deaf := range []bool{false, true} {
		t.Run(fmt.Sprintf("deaf to the context %t", deaf), func(t *testing.T) {
			restingBubble(t, func(t *testing.T) {
				s := newShop(t)
				store := &slowStore{deaf: deaf, awake: make(chan struct{})}
				p := s.poller(stripekit.PollConfig{Checkpoints: store})
				events, stop := s.watch(p)
				pass(10 * time.Second)
				store.hangs.Store(true)
				var sold []string
				for range 100 {
					sold = append(sold, s.sell(1)...)
					pass(time.Second)
				}
				require.Equal(t, sold, collect(events, 30*time.Second))
				require.Error(t, p.Status().SaveErr)
				require.NoError(t, p.Status().LastError, "the polls go well")

				store.hangs.Store(false)
				close(store.awake)
				pass(2 * time.Minute)
				require.NoError(t, p.Status().SaveErr)
				require.Less(t, store.saves.Load(), int64(20))
				stop()

				events, stop = s.watch(s.poller(stripekit.PollConfig{Checkpoints: store}))
				defer stop()
				require.Empty(t, collect(events, time.Minute), "all is saved")
			})
		})
	}
}

func TestPollerIsAsQuickWithTenThousandNacksWaiting(t *testing.T) {
	const n = 10_000
	run := func(nack bool) time.Duration {
		start := time.Now() // of real time
		restingBubble(t, func(t *testing.T) {
			s := newShop(t)
			events, stop := s.watch(s.poller(stripekit.PollConfig{MaxUnacked: 3 * n}))
			defer stop()
			s.server.Seed("/v1/customers", stripetest.Seeding{Count: 2 * n})
			for i := range 2 * n {
				e := <-events
				if nack && i < n {
					e.Nack(time.Hour + time.Duration(i*7919%n)*time.Second)
				} else {
					e.Ack()
				}
			}
		})
		return time.Since(start)
	}
	tooLong := func(with, without time.Duration) bool { return with >= 3*without+100*time.Millisecond }
	without, with := run(false), run(true)
	for tries := 0; tries < 10 && tooLong(with, without); tries++ { // others use the machine too
		without, with = min(without, run(false)), min(with, run(true))
	}
	t.Logf("%d events: %v; behind %d nacks: %v", 2*n, without, n, with)
	require.False(t, tooLong(with, without))
}
