package stores_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/internal/stores/servers"
)

// BenchmarkSQLEngine has 100,000 connections of 300 bytes. It measures how long a Watch
// takes until it has observed all, how long a change takes until a Watch observes it,
// and how long a worker takes to claim 512 shards at once.
func BenchmarkSQLEngine(b *testing.B) {
	const connections, shards = 100_000, 512
	engine, db := openEngineDB(b, servers.PostgreSQL(b))
	execSQL(b, db, "INSERT INTO "+engineTable+` SELECT 'connection/' || md5(n::text), 1, convert_to(repeat('v', 300), 'UTF8'), NULL, 0, pg_current_xact_id()
		FROM generate_series(1, $1) AS n`, connections)
	b.Run("first reading", func(b *testing.B) {
		for b.Loop() {
			ctx, cancel := context.WithCancel(b.Context())
			records := 0
			err := engine.Watch(ctx, func(key string, _ []byte, _ uint64) {
				if records++; key == "" {
					records--
					cancel()
				}
			})
			require.ErrorIs(b, err, context.Canceled)
			require.GreaterOrEqual(b, records, connections)
		}
	})
	b.Run("change", func(b *testing.B) {
		ctx, cancel := context.WithCancel(b.Context())
		observed := make(chan uint64, 16)
		done := make(chan error, 1)
		go func() {
			done <- engine.Watch(ctx, func(key string, _ []byte, revision uint64) {
				if key == "" || key == "change" {
					observed <- revision
				}
			})
		}()
		_, revision, err := engine.Get(ctx, "change")
		require.NoError(b, err)
		for range 1 + min(revision, 1) { // the record, and what stands for all
			<-observed
		}
		for b.Loop() {
			revision, err = engine.Put(ctx, "change", []byte("value"), revision, 0)
			require.NoError(b, err)
			require.Equal(b, revision, <-observed)
		}
		cancel()
		require.ErrorIs(b, <-done, context.Canceled)
	})
	b.Run("512 claims", func(b *testing.B) {
		var all sync.WaitGroup
		run := time.Now().UnixNano()
		for i := 0; b.Loop(); i++ {
			for shard := range shards {
				all.Go(func() {
					_, err := engine.Put(b.Context(), fmt.Sprintf("claim/%d.%d.%d", run, i, shard), []byte("worker"), 0, time.Hour)
					if err != nil {
						b.Error(err)
					}
				})
			}
			all.Wait()
		}
	})
}
