package stripesql_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/stripesql"
)

// crashes materializes, and returns files as the crashes of it would have left them: one
// for each transaction, and some that end within one. In the log of SQLite, the
// transactions are one behind the other.
func (c *copying) crashes(cfg stripesql.MaterializeConfig) (files []string) {
	const header, frameHeader, page = 32, 24, 4096
	before, err := os.ReadFile(c.file)
	if !os.IsNotExist(err) {
		require.NoError(c.t, err)
	}
	var log []byte
	cfg.Progress = func(p stripesql.MaterializeProgress) {
		if p.Table == "" {
			log, err = os.ReadFile(c.file + "-wal")
			require.NoError(c.t, err)
			if before == nil { // what is in the log is not in the file yet
				before, err = os.ReadFile(c.file)
				require.NoError(c.t, err)
			}
			now, err := os.ReadFile(c.file)
			require.NoError(c.t, err)
			require.Equal(c.t, before, now)
		}
	}
	c.mustRun(cfg)
	for end := header + frameHeader + page; end <= len(log); end += frameHeader + page {
		commits := binary.BigEndian.Uint32(log[end-frameHeader-page+4:]) != 0
		if !commits && end%5 > 0 {
			continue
		}
		name := fmt.Sprint(c.file, ".", end)
		require.NoError(c.t, os.WriteFile(name, before, 0o600))
		require.NoError(c.t, os.WriteFile(name+"-wal", log[:end], 0o600))
		files = append(files, name)
	}
	return files
}

// A crash between any two writes.
func TestMaterializeContinuesAfterEachTransaction(t *testing.T) {
	cfg := stripesql.MaterializeConfig{Tables: []string{"customers", "charges", "refunds", "invoice_items"}}
	for name, prepare := range map[string]func(c *copying, customers []string){
		"of the first reading": func(*copying, []string) {},
		"of new objects and changes": func(c *copying, customers []string) {
			c.mustRun(cfg)
			c.refund(c.charge(customers[0]))
			c.rename(customers[1], "Ann")
			c.remove(customers[2])
			c.server.Advance(time.Hour)
			c.charge(customers[3])
		},
		"of a second reading": func(c *copying, customers []string) {
			c.mustRun(cfg)
			c.remove(customers[2])
			c.server.Advance(40 * 24 * time.Hour)
			c.rename(customers[1], "Ann")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCopying(t)
			customers := c.seed(30)
			prepare(c, customers)
			files := c.crashes(cfg)
			c.requireEqual()
			c.rename(customers[1], "Anna")
			c.remove(customers[4])
			c.refund(c.charge(customers[5]))
			for i, file := range files {
				if raceDetector && i%7 > 0 {
					continue // slow, and no other code runs
				}
				c.file = file
				c.mustRun(cfg)
				require.Empty(t, c.difference(), "%d of %d", i, len(files))
			}
			t.Log(len(files), "crashes")
			require.GreaterOrEqual(t, len(files), 12)
		})
	}
}
