package main

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// destination is where the pipelines deliver to.
type destination struct {
	dir   string  // has the files
	db    *sql.DB // has the refunds
	calls *httptest.Server

	mu       sync.Mutex
	requests int
	charges  []string // of the calls that were accepted
}

func newDestination(ctx context.Context) (*destination, error) {
	dir, err := os.MkdirTemp("", "flow")
	if err != nil {
		return nil, err
	}
	d := &destination{dir: dir}
	d.calls = httptest.NewServer(d)
	d.db, err = sql.Open("sqlite3", "file:"+filepath.ToSlash(dir)+"/refunds.db?_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)")
	if err == nil {
		_, err = d.db.ExecContext(ctx, "CREATE TABLE refunds (id TEXT PRIMARY KEY, charge TEXT, amount INTEGER, currency TEXT, reason TEXT, created TEXT)")
	}
	if err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

func (d *destination) close() {
	d.calls.Close()
	if d.db != nil {
		d.db.Close()
	}
	os.RemoveAll(d.dir)
}

// ServeHTTP receives a call. Every third fails.
func (d *destination) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var call struct{ Charge, Text string }
	err := json.NewDecoder(r.Body).Decode(&call)
	d.mu.Lock()
	defer d.mu.Unlock()
	switch d.requests++; {
	case err != nil || call.Charge == "" || call.Text == "":
		http.Error(w, "not the call that is expected", http.StatusBadRequest)
	case d.requests%3 == 0:
		http.Error(w, "try again", http.StatusServiceUnavailable)
	default:
		d.charges = append(d.charges, call.Charge)
	}
}

// received returns the ids of what has arrived, by the pipeline.
func (d *destination) received(ctx context.Context) (refunds, charges, customers []string, err error) {
	rows, err := d.db.QueryContext(ctx, "SELECT id FROM refunds")
	if err != nil {
		return nil, nil, nil, err
	}
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, nil, nil, errors.Join(err, rows.Close())
		}
		refunds = append(refunds, id)
	}
	if err := rows.Err(); err != nil {
		return nil, nil, nil, err
	}
	d.mu.Lock()
	charges = slices.Clone(d.charges)
	d.mu.Unlock()
	customers, err = d.lines()
	return refunds, charges, customers, err
}

// lines returns the ids of the customers in the files.
func (d *destination) lines() (ids []string, err error) {
	paths, err := filepath.Glob(filepath.Join(d.dir, "customers-*.jsonl"))
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		for lines := bufio.NewScanner(file); lines.Scan(); {
			var customer struct{ ID string }
			if err := json.Unmarshal(lines.Bytes(), &customer); err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			ids = append(ids, customer.ID)
		}
	}
	return ids, nil
}

// patience is how long to wait for what the shop has sold.
const patience = 30 * time.Second

// compare waits until everything has arrived, and prints how much.
func (d *destination) compare(ctx context.Context, s *shop, out io.Writer) error {
	for end := time.Now().Add(patience); ; {
		refunds, charges, customers, err := d.received(ctx)
		if err != nil {
			return err
		}
		missing := missing(s.refunds, refunds) + missing(s.failed, charges) + missing(s.customers, customers)
		switch {
		case missing == 0:
			fmt.Fprintf(out, "refunds in the database: %d of %d\nfailed charges called in: %d of %d, with %d requests\ncustomers in the file: %d of %d\nnothing is missing\n",
				len(refunds), len(s.refunds), len(charges), len(s.failed), d.requests, len(customers), len(s.customers))
			return nil
		case time.Now().After(end):
			return fmt.Errorf("%d objects have not arrived", missing)
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

// missing returns how many of the ids have not arrived.
func missing(ids, arrived []string) (n int) {
	for _, id := range ids {
		if !slices.Contains(arrived, id) {
			n++
		}
	}
	return n
}
