//go:build unix

package fleet_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/internal/shops"
)

// atOnce is how many fleets run at a time.
const atOnce = 6

// TestFleet does to fleets what happens to them. Each has a server of its own or a
// database of its own. More of them run at a time than there are processors, because
// they mostly wait.
func TestFleet(t *testing.T) {
	tests := []struct {
		name     string
		engines  []string
		replicas int  // of the servers; 0 if others may use them
		more     bool // it is run with STRIPEKIT_KILLS alone
		run      func(w *world)
	}{
		{"workers are killed", both, 0, false, workersAreKilled},
		{"a worker is stopped and wakes", both, 0, false, aWorkerIsStopped},
		{"a worker is cut off", both, 0, false, aWorkerIsCutOff(toServer, toClient)},
		{"a worker hears nothing", both, 0, true, aWorkerIsCutOff(toClient)},
		{"a worker is not heard", both, 0, true, aWorkerIsCutOff(toServer)},
		{"the server is killed", both, 1, false, theServerIsKilled(0)},
		{"the server is killed for long", both, 1, true, theServerIsKilled(2 * ttl)},
		{"the leader of three servers is killed", []string{"nats"}, 3, false, theServerIsKilled(0)},
		{"all workers start at once", both, 0, false, allStartAtOnce},
		{"a rolling upgrade", both, 0, false, rollingUpgrade},
		{"a worker is renamed", both, 0, true, aWorkerIsRenamed},
		{"a poisonous connection", both, 0, false, aConnectionIsPoisonous},
		{"a key is revoked", both, 0, false, aKeyIsRevoked},
		{"connections are put and removed", both, 0, false, connectionsChange},
		{"two workers have one name", both, 0, true, twoWorkersHaveOneName},
	}
	slots := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for _, test := range tests {
		if test.more && kills() == 0 {
			continue
		}
		for _, engine := range test.engines {
			all.Go(func() {
				slots <- struct{}{}
				defer func() { <-slots }()
				t.Run(test.name+" on "+engine, func(t *testing.T) {
					w := newWorld(t, engine, test.replicas)
					test.run(w)
					w.finish()
				})
			})
		}
	}
	all.Wait()
}

var both = []string{"nats", "postgresql"}

// pickOne returns one of the workers, and the others.
func pickOne(workers []*fleetWorker) (one *fleetWorker, others []*fleetWorker) {
	i := rand.N(len(workers))
	return workers[i], append(append(others, workers[:i]...), workers[i+1:]...)
}

func workersAreKilled(w *world) {
	workers := w.begin("a", "b", "c")
	for range rounds() {
		w.awaitPolling(workers...)
		victim, others := pickOne(workers)
		w.kill(victim)
		w.awaitOwners(others...)
		w.t.Logf("all claimed after %v", time.Since(victim.killed).Round(time.Millisecond))
		w.awaitPolled(victim.killed)
		w.t.Logf("all polled after %v", time.Since(victim.killed).Round(time.Millisecond))
		workers = append(others, w.start(victim.name))
	}
	w.awaitOwners(workers...)
}

func aWorkerIsStopped(w *world) {
	workers := w.begin("a", "b", "c")
	for range rounds() {
		zombie, others := pickOne(workers)
		w.awaitPolling(workers...)
		w.zombies += 4
		w.stop(zombie)
		w.awaitOwners(others...)
		w.awaitPolled(time.Now())
		w.wake(zombie)
		w.awaitOwners(workers...)
		w.awaitPolled(time.Now())
	}
}

func aWorkerIsCutOff(directions ...direction) func(w *world) {
	return func(w *world) {
		p, proxy := w.site.behindProxy(w.t)
		others := w.begin("a", "b")
		workers := append(others, w.startAt("c", p))
		for range rounds() {
			w.awaitPolling(workers...)
			proxy.hold(directions...)
			w.awaitOwners(others...)
			w.awaitPolled(time.Now())
			proxy.hold()
			w.awaitOwners(workers...)
			w.awaitPolled(time.Now())
		}
	}
}

func theServerIsKilled(pause time.Duration) func(w *world) {
	return func(w *world) {
		workers := w.begin("a", "b", "c")
		for range rounds() {
			w.awaitPolling(workers...)
			w.site.kill(w.t)
			killed := time.Now()
			<-time.After(pause)
			w.site.start(w.t)
			w.awaitPolled(time.Now())
			w.t.Logf("all polled %v after a kill", time.Since(killed).Round(time.Millisecond))
			w.awaitOwners(workers...)
		}
	}
}

func allStartAtOnce(w *world) {
	names := make([]string, 6*rounds())
	for i := range names {
		names[i] = fmt.Sprint("worker", i)
	}
	w.awaitOwners(w.begin(names...)...)
}

func rollingUpgrade(w *world) {
	workers := w.begin("a", "b", "c")
	for range rounds() {
		w.awaitPolling(workers...)
		for i, old := range workers {
			w.end(old)
			workers[i] = w.start(old.name)
		}
	}
	w.awaitOwners(workers...)
}

func aWorkerIsRenamed(w *world) {
	workers := w.begin("a", "b", "c")
	for i := range rounds() {
		w.awaitPolling(workers...)
		victim, others := pickOne(workers)
		w.kill(victim)
		workers = append(others, w.start(fmt.Sprint("renamed", i)))
		w.awaitOwners(workers...)
	}
}

func aConnectionIsPoisonous(w *world) {
	w.job.Poison = 7
	workers := w.begin("a", "b", "c")
	for range rounds() {
		w.await("the poison works", func() bool { return w.poisoned > 2 })
		w.poisoned = 0
		w.awaitDelivered(time.Now())
	}
	require.Len(w.t, w.live(), len(workers))
}

// aKeyIsRevoked revokes a key. When it is valid again, its connection is put again.
func aKeyIsRevoked(w *world) {
	s := &w.job.Stripe
	s.Revoked, s.RevokedFrom = 3, time.Now().Add(4*time.Second)
	s.RevokedBefore = s.RevokedFrom.Add(6 * time.Second)
	workers := w.begin("a", "b", "c")
	<-time.After(time.Until(s.RevokedFrom.Add(time.Second)))
	victim, others := pickOne(workers)
	w.kill(victim)
	w.awaitOwners(others...)
	w.awaitPolled(victim.killed)
	<-time.After(time.Until(s.RevokedBefore))
	w.put(s.Revoked)
}

// connectionsChange puts, removes and puts again while workers are killed.
func connectionsChange(w *world) {
	workers := w.begin("a", "b", "c")
	next := size()
	for range rounds() {
		victim, others := pickOne(workers)
		w.kill(victim)
		first := next
		for range 20 {
			w.put(next)
			next++
		}
		for account := first - 20; account < first-10; account++ {
			w.remove(account)
		}
		for account := first - 15; account < first-10; account++ {
			w.put(account)
		}
		w.awaitPolled(time.Time{})
		workers = append(others, w.start(victim.name))
	}
	w.awaitOwners(workers...)
	w.awaitRemoved()
}

// awaitRemoved waits until connections that were removed are not polled any more, while
// each of the others is polled five times.
func (w *world) awaitRemoved() {
	w.t.Helper()
	w.await("removed connections are not polled", func() bool {
		last, polls := int64(0), map[int]int{}
		for _, l := range w.requests {
			if !w.connections[l.account].removed.IsZero() {
				last = max(last, l.at)
			}
		}
		for _, l := range w.requests {
			if l.list == shops.Charges && l.at > last {
				polls[l.account]++
			}
		}
		for account, c := range w.connections {
			if c.removed.IsZero() && polls[account] < 5 {
				return false
			}
		}
		return true
	})
}

// twoWorkersHaveOneName has one of them take over from the other.
func twoWorkersHaveOneName(w *world) {
	workers := w.begin("a", "b", "b")
	for range rounds() {
		victim := workers[1]
		w.kill(victim)
		w.awaitOwners(workers[0], workers[2])
		w.awaitPolled(victim.killed)
		workers = []*fleetWorker{workers[0], workers[2], w.start("b")}
		w.awaitPolled(time.Now())
	}
}
