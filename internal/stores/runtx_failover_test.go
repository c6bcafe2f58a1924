package stores_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
)

// replicate keeps a copy of the checkpoints and of the customers, as a replica that
// falls behind from now on.
func (s *shop) replicate() {
	s.t.Helper()
	for _, statement := range []string{
		"CREATE TABLE replica_checkpoints AS SELECT * FROM stripekit_checkpoints",
		"CREATE TABLE replica_customers AS SELECT * FROM customers",
	} {
		_, err := s.db.Exec(statement)
		require.NoError(s.t, err)
	}
}

// failOver goes back to the replica.
func (s *shop) failOver() {
	s.t.Helper()
	tx, err := s.db.Begin()
	require.NoError(s.t, err)
	for _, statement := range []string{
		"DELETE FROM stripekit_checkpoints", "INSERT INTO stripekit_checkpoints SELECT * FROM replica_checkpoints",
		"DELETE FROM customers", "INSERT INTO customers SELECT * FROM replica_customers",
	} {
		_, err = tx.Exec(statement)
		require.NoError(s.t, err)
	}
	require.NoError(s.t, tx.Commit())
}

// TestRunTxEndsWhenTheDatabaseGoesBack loses transactions that were committed. The
// Poller must not go on from its memory: their rows would never be written again.
func TestRunTxEndsWhenTheDatabaseGoesBack(t *testing.T) {
	inShop(t, func(t *testing.T, s *shop) {
		r := s.run(s.poller(stripekit.PollConfig{}), 10, insert)
		joined := s.join(1)
		pass(time.Minute)
		s.replicate()
		joined = append(joined, s.join(3)...)
		pass(time.Minute)
		require.Equal(t, joined, s.written())

		s.failOver()
		joined = append(joined, s.join(1)...)
		pass(time.Minute)
		err := <-r.done
		require.ErrorIs(t, err, stripekit.ErrCheckpointConflict)
		require.ErrorContains(t, err, "has gone back")

		r = s.run(s.poller(stripekit.PollConfig{}), 10, insert)
		pass(time.Minute)
		require.NoError(t, r.stop())
		require.ElementsMatch(t, joined, s.written())
	})
}

// TestRunTxRefusesAZombieAfterTheDatabaseHasGoneBack has a successor that saves as
// often as its predecessor did since the replica fell behind.
func TestRunTxRefusesAZombieAfterTheDatabaseHasGoneBack(t *testing.T) {
	inShop(t, func(t *testing.T, s *shop) {
		zombie := s.run(s.poller(stripekit.PollConfig{Every: time.Hour}), 10, insert)
		pass(2 * time.Hour)
		joined := s.join(1)
		pass(2 * time.Hour)
		s.replicate()
		for range 2 {
			joined = append(joined, s.join(1)...)
			pass(2 * time.Hour)
		}
		require.Equal(t, joined, s.written())

		s.failOver()
		joined = append(joined, s.join(1)...)
		successor := s.run(s.poller(stripekit.PollConfig{}), 10, insert)
		pass(3 * time.Hour)
		require.ErrorIs(t, zombie.stop(), stripekit.ErrCheckpointConflict)
		require.NoError(t, successor.stop())
		require.ElementsMatch(t, joined, s.written())
	})
}
