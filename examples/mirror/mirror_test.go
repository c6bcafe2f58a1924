package main

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripetest"
)

const day = 24 * time.Hour

func TestMirrorFollowsEveryChangeAndContinuesAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		old := w.server.Seed("/v1/customers", stripetest.Seeding{Count: 250, First: time.Now().Add(-100 * day), Every: time.Hour})
		w.server.Seed("/v1/charges", stripetest.Seeding{Count: 130, First: time.Now().Add(-50 * day), Every: time.Hour})
		w.run(time.Minute)
		w.requireMirrored(250, 130)

		stop := w.start()
		first, second := w.createCustomer(), w.createCustomer()
		charge := w.authorize()
		w.rename(old[17], "renamed")
		time.Sleep(time.Minute)
		w.requireMirrored(252, 131)
		w.capture(charge)
		w.deleteCustomer(first)
		w.deleteCustomer(old[3])
		time.Sleep(time.Minute)
		w.requireMirrored(250, 131)
		require.NoError(t, stop())

		// While the mirror does not run.
		w.refund(charge, 500)
		w.deleteCustomer(second)
		w.deleteCustomer(old[4])
		w.rename(old[17], "renamed again")
		w.deleteCustomer(w.createCustomer())
		time.Sleep(20 * day)
		w.run(time.Minute)
		w.requireMirrored(248, 131)
		w.requireRound(1)
		w.inspect(func(db *database) {
			var refunded int
			require.NoError(t, db.QueryRow(`SELECT amount_refunded FROM charges WHERE id = ?`, charge).Scan(&refunded))
			require.Equal(t, 500, refunded)
		})
	})
}

// The older event of two in the same second is delivered last, and must not undo the
// newer one.
func TestEventsThatComeInAnotherOrderDoNoHarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		id := w.createCustomer()
		stop := w.start()
		time.Sleep(time.Minute)
		w.delay.Store(int64(40 * time.Second))
		w.rename(id, "older")
		w.delay.Store(0)
		w.rename(id, "newer")
		w.inspect(func(db *database) {
			for range 3 {
				time.Sleep(20 * time.Second)
				var name string
				require.NoError(t, db.QueryRow(`SELECT name FROM customers WHERE id = ?`, id).Scan(&name))
				require.Equal(t, "newer", name)
			}
		})
		w.requireMirrored(1, 0)
		require.NoError(t, stop())
	})
}

// The Backfill has read a page when its customers are changed and deleted. It stores them
// after the changes were applied.
func TestBackfillDoesNotUndoChangesThatWereAppliedWhileItRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		ids := w.server.Seed("/v1/customers", stripetest.Seeding{Count: 20, First: time.Now().Add(-20 * day), Every: day})
		var held atomic.Bool
		w.between = func(r *http.Request) error {
			if r.URL.Path != "/v1/customers" || held.Swap(true) {
				return nil
			}
			w.deleteCustomer(ids[5])
			w.rename(ids[6], "renamed")
			w.deleteCustomer(w.createCustomer())
			time.Sleep(time.Minute)
			w.inspect(func(db *database) {
				rows, err := db.rows(t.Context(), "customers")
				require.NoError(t, err)
				require.Len(t, rows, 1, "the change was applied, and no page was stored")
				require.Contains(t, rows[ids[6]], "renamed")
			})
			return nil
		}
		w.run(2 * time.Minute)
		require.True(t, held.Load())
		w.requireMirrored(19, 0)
		w.requireRound(1)
	})
}

// A customer that was created a moment before the mirror began is not in the list yet
// when the Backfill reads it.
func TestObjectsThatBecomeVisibleAfterTheBackfillAreMirrored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.delay.Store(int64(5 * time.Minute))
		w.createCustomer()
		w.authorize()
		w.delay.Store(0)
		time.Sleep(2 * time.Second)
		w.run(10 * time.Minute)
		w.requireMirrored(1, 1)
	})
}

func TestMirrorThatWasAwayForTooLongIsReconciled(t *testing.T) {
	for name, away := range map[string]func(w *world, changes func()){
		"it did not run": func(w *world, changes func()) {
			changes()
			time.Sleep(31 * day)
			w.run(10 * time.Minute)
		},
		// Its clock has stood still for a month, and that of Stripe has not.
		"it was suspended": func(w *world, changes func()) {
			var suspended atomic.Bool
			w.between = func(*http.Request) error {
				if suspended.Load() {
					return errNoNetwork
				}
				return nil
			}
			stop := w.start()
			time.Sleep(time.Hour)
			suspended.Store(true)
			time.Sleep(time.Minute)
			changes()
			w.server.Advance(31 * day)
			suspended.Store(false)
			time.Sleep(time.Hour)
			require.NoError(w.t, stop())
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				ids := w.server.Seed("/v1/customers", stripetest.Seeding{Count: 120, First: time.Now().Add(-300 * day), Every: day})
				charge := w.authorize()
				w.run(time.Hour)
				w.requireMirrored(120, 1)
				away(w, func() {
					w.deleteCustomer(ids[0])
					w.deleteCustomer(ids[119])
					w.rename(ids[7], "renamed")
					w.createCustomer()
					w.capture(charge)
				})
				w.requireMirrored(119, 1)
				w.requireRound(2)

				// It goes on with the changes, and without another Backfill.
				w.deleteCustomer(ids[8])
				w.run(time.Hour)
				w.requireMirrored(118, 1)
				w.requireRound(2)
			})
		})
	}
}

// What changes while the mirror is reconciled is not undone, and not removed.
func TestReconcilingKeepsWhatChangesMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		ids := w.server.Seed("/v1/customers", stripetest.Seeding{Count: 20, First: time.Now().Add(-20 * day), Every: day})
		w.run(time.Hour)
		w.deleteCustomer(ids[1])
		time.Sleep(31 * day)
		var held atomic.Bool
		w.between = func(r *http.Request) error {
			if r.URL.Path != "/v1/customers" || held.Swap(true) {
				return nil
			}
			w.rename(ids[2], "renamed")
			w.deleteCustomer(ids[3])
			w.createCustomer()
			time.Sleep(time.Minute)
			return nil
		}
		w.run(time.Hour)
		require.True(t, held.Load())
		w.requireMirrored(19, 0)
		w.requireRound(2)
	})
}

// A process may be killed at any moment of what follows a gap. The database refuses one
// of the two steps, as if the process had ended there.
func TestGapIsNotForgottenIfTheProcessEndsWhileItIsNoted(t *testing.T) {
	for name, refused := range map[string]string{
		"before the round begins":          `UPDATE ON rounds WHEN new.list = 'customers'`,
		"before the checkpoint is deleted": `DELETE ON stripekit_checkpoints WHEN old.checkpoint_key LIKE '%customers%'`,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				gone := w.createCustomer()
				w.createCustomer()
				w.run(time.Hour)
				w.deleteCustomer(gone)
				time.Sleep(31 * day)
				w.inspect(func(db *database) {
					_, err := db.Exec(`CREATE TRIGGER ended BEFORE ` + refused + ` BEGIN SELECT raise(ABORT, 'ended'); END`)
					require.NoError(t, err)
				})
				stop := w.start()
				time.Sleep(time.Minute)
				require.ErrorContains(t, stop(), "ended")
				w.inspect(func(db *database) {
					_, err := db.Exec(`DROP TRIGGER ended`)
					require.NoError(t, err)
				})
				w.run(time.Hour)
				w.requireMirrored(1, 0)
			})
		})
	}
}

func TestObjectThatCannotBeReadIsReadLaterAndHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		broken, other := w.createCustomer(), w.createCustomer()
		stop := w.start()
		time.Sleep(time.Minute)
		fault := w.server.Fault("GET /v1/customers/"+broken, stripetest.Every(), stripetest.Respond(500, "broken"))
		w.rename(broken, "one")
		w.rename(other, "two")
		time.Sleep(5 * time.Minute)
		w.inspect(func(db *database) {
			c, err := compare(t.Context(), w.client, db)
			require.NoError(t, err)
			require.Len(t, c.differences, 1)
			require.Contains(t, c.differences[0], broken+" differs: name is one")
		})
		require.NotZero(t, fault.Struck())
		fault.Remove()
		time.Sleep(10 * time.Minute)
		w.requireMirrored(2, 0)
		require.NoError(t, stop())
	})
}

// A proxy responds with a page of its own, and then works again.
func TestNotFoundOfAProxyIsNoDeletion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		id := w.createCustomer()
		stop := w.start()
		time.Sleep(time.Minute)
		fault := w.server.Fault("GET /v1/customers/"+id, stripetest.First(1), stripetest.Respond(404, "<html>no such page</html>"))
		w.rename(id, "renamed")
		time.Sleep(10 * time.Minute)
		require.Equal(t, 1, fault.Struck())
		w.requireMirrored(1, 0)
		require.NoError(t, stop())
	})
}

func TestMirrorWithoutItsCheckpointReadsEverythingAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		gone, changed := w.createCustomer(), w.createCustomer()
		w.run(time.Hour)
		w.deleteCustomer(gone)
		w.rename(changed, "renamed")
		time.Sleep(time.Hour)
		w.inspect(func(db *database) {
			_, err := db.Exec(`DELETE FROM stripekit_checkpoints`)
			require.NoError(t, err)
		})
		w.run(time.Hour)
		w.requireMirrored(1, 0)
		w.requireRound(2)
	})
}

func TestMirrorOfTestModeIsNotContinuedInLiveMode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.server.Seed("/v1/customers", stripetest.Seeding{Count: 3, First: time.Now(), Live: true})
		w.createCustomer()
		w.run(time.Minute)
		live, err := stripekit.New("sk_live_1", stripekit.WithHTTPClient(&http.Client{Transport: w.server}))
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		w.inspect(func(db *database) {
			require.ErrorContains(t, keep(ctx, live, db, stripekit.PollConfig{}), "the mirror is of test mode, and the key of live mode")
		})
		w.requireMirrored(1, 0)
	})
}

func TestObjectWithSeveralChangesIsReadOnceAndADeletedOneNotAtAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		changed, deleted := w.createCustomer(), w.createCustomer()
		w.run(time.Minute)
		for i := range 20 {
			w.rename(changed, fmt.Sprint(i))
			w.rename(deleted, fmt.Sprint(i))
		}
		w.deleteCustomer(deleted)
		time.Sleep(time.Minute)
		before := len(w.reads())
		w.run(time.Minute)
		require.Equal(t, []string{"/v1/customers/" + changed}, w.reads()[before:])
		w.requireMirrored(1, 0)
	})
}

// reads returns the paths of the requests that have read a single customer or charge.
func (w *world) reads() (paths []string) {
	for _, r := range w.server.Requests() {
		if r.Method == http.MethodGet && strings.Count(r.Path, "/") == 3 {
			paths = append(paths, r.Path)
		}
	}
	return paths
}

func TestBackfillContinuesWhereItWasInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.server.Seed("/v1/charges", stripetest.Seeding{Count: 20_000, First: time.Now().Add(-day), Every: time.Second})
		w.between = func(*http.Request) error {
			time.Sleep(100 * time.Millisecond)
			return nil
		}
		w.run(1500 * time.Millisecond)
		w.inspect(func(db *database) {
			n, err := db.count(t.Context(), "charges")
			require.NoError(t, err)
			require.Greater(t, n, 10_000, "the rows of an interrupted Backfill are kept")
			require.Less(t, n, 20_000)
		})
		before := w.server.Counts()["GET /v1/charges"]
		w.run(time.Minute)
		pages := w.server.Counts()["GET /v1/charges"] - before
		require.Less(t, pages, 120, "it has read all of the 200 pages again")
		w.requireMirrored(0, 20_000)
		w.requireRound(1)
	})
}

func TestMirrorEndsWithTheErrorOfTheKey(t *testing.T) {
	for name, path := range map[string]string{"events": "/v1/events", "the list": "/v1/charges"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.authorize()
				w.server.Fault("GET "+path, stripetest.Every(), stripetest.Respond(403, "not allowed"))
				stop := w.start()
				time.Sleep(10 * time.Minute) // a Backfill is patient for five
				require.ErrorIs(t, stop(), stripekit.ErrPermission)
			})
		})
	}
}

func TestRowsOfABackfillAreStoredWithTheirCheckpointOrNotAtAll(t *testing.T) {
	w := &world{t: t, path: t.TempDir() + "/mirror.db"}
	w.inspect(func(db *database) {
		table := &table{db, "customers"}
		round, complete, err := table.round(t.Context(), stripekit.ModeTest)
		require.NoError(t, err)
		require.False(t, complete)
		require.Equal(t, 1, round)
		f := &filler{CheckpointStore: db.checkpoints, table: table, round: round}
		require.NoError(t, f.add(t.Context(), row{"cus_1", `{"name": "one"}`}))

		_, err = f.Save(t.Context(), "key", []byte("data"), 7) // a revision that is not stored
		require.ErrorIs(t, err, stripekit.ErrCheckpointConflict)
		requireRows(t, db)

		revision, err := f.Save(t.Context(), "key", []byte("data"), 0)
		require.NoError(t, err)
		requireRows(t, db, "cus_1")
		data, stored, err := f.Load(t.Context(), "key")
		require.NoError(t, err)
		require.Equal(t, "data", string(data))
		require.Equal(t, revision, stored)

		// Another process has begun another round.
		require.NoError(t, table.beginRound(t.Context()))
		require.NoError(t, f.add(t.Context(), row{"cus_2", `{}`}))
		_, err = f.Save(t.Context(), "key", []byte("more"), revision)
		require.ErrorIs(t, err, errOtherRound)
		require.ErrorIs(t, table.completeRound(t.Context(), round), errOtherRound)
		requireRows(t, db, "cus_1")
	})
}

func TestChangesAreNotStoredOnceAnotherProcessHasTheirCheckpoint(t *testing.T) {
	w := &world{t: t, path: t.TempDir() + "/mirror.db"}
	w.inspect(func(db *database) {
		table := &table{db, "customers"}
		apply := func(revision uint64, name string) (uint64, error) {
			c := stripekit.Checkpoint{Key: "key", Data: []byte(name), Revision: revision}
			return table.apply(t.Context(), c, 1, []row{{"cus_1", `{"name": "` + name + `"}`}})
		}
		first, err := apply(0, "one")
		require.NoError(t, err)
		_, err = apply(first, "two")
		require.NoError(t, err)
		_, err = apply(first, "one again")
		require.ErrorIs(t, err, stripekit.ErrCheckpointConflict)
		var name string
		require.NoError(t, db.QueryRow(`SELECT name FROM customers`).Scan(&name))
		require.Equal(t, "two", name)
	})
}

func requireRows(t *testing.T, db *database, ids ...string) {
	t.Helper()
	rows, err := db.rows(t.Context(), "customers")
	require.NoError(t, err)
	require.Len(t, rows, len(ids))
	for _, id := range ids {
		require.Contains(t, rows, id)
	}
}

func TestTransactionIsRolledBackAfterAnError(t *testing.T) {
	w := &world{t: t, path: t.TempDir() + "/mirror.db"}
	w.inspect(func(db *database) {
		err := db.transact(t.Context(), func(tx *sql.Tx) error {
			_, err := tx.Exec(`INSERT INTO gone VALUES ('cus_1')`)
			require.NoError(t, err)
			return errNoNetwork
		})
		require.ErrorIs(t, err, errNoNetwork)
		n, err := db.count(t.Context(), "gone")
		require.NoError(t, err)
		require.Zero(t, n)
	})
}
