// Backfill writes all charges of an account to a file, the oldest first, as fast
// as the rate limit allows:
//
//	go run ./examples/backfill -o charges.csv
//
// Without a key it reads a simulated account in this process, of a million
// charges and 100 ms away. With STRIPE_API_KEY set it reads that account. A file
// that ends in .jsonl gets whole charges, as the service has them; one in .csv
// the columns that most reports need.
//
// After Ctrl-C or a crash the same command goes on where it was, and after the end
// it adds what was created since then; -from and -order stay those of the first
// time. The folder charges.csv.checkpoint tells how far it has come. The file
// agrees with it whatever happens: the rows that a checkpoint stands for are
// flushed to the disk before it is saved, so that none is missing; and rows that
// a crash left behind the last checkpoint are recognised by their ids when the
// charges come again, and stay as they are. Half a row at the end is cut off.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"time"

	"golang.org/x/term"

	"github.com/stripekit/stripekit"
)

func main() {
	var j job
	flag.StringVar(&j.path, "o", "charges.jsonl", "`file` to write, .jsonl or .csv")
	flag.Func("from", "`time` of the first charges, 2026-01-31 or 2026-01-31T15:04:05Z (default: all)", moment(&j.from))
	flag.Func("to", "`time` of the first charges that are left out (default: none)", moment(&j.to))
	order := flag.String("order", "oldest", "oldest first, or any, which takes less memory")
	rate := flag.Float64("rate", 0, "requests a second; 0 is Stripe's own limit of 25, raise it if Stripe has raised yours")
	count := flag.Int("count", 1_000_000, "charges of the simulated account")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	j.progress = newMeter(os.Stderr, term.IsTerminal(int(os.Stderr.Fd())))
	err := j.setOrder(*order)
	if err == nil {
		j.client, err = open(os.Getenv("STRIPE_API_KEY"), *rate, *count)
	}
	if err == nil {
		err = j.run(ctx)
	}
	switch {
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(os.Stderr, "backfill: stopped; the same command goes on from here")
		os.Exit(1)
	case err != nil:
		fmt.Fprintln(os.Stderr, "backfill:", err)
		os.Exit(1)
	}
}

// moment parses a flag that is a day or a time.
func moment(into *time.Time) func(string) error {
	return func(text string) (err error) {
		if *into, err = time.Parse(time.DateOnly, text); err != nil {
			*into, err = time.Parse(time.RFC3339, text)
		}
		return err
	}
}

// open is a client of the account of a key, or of a simulated one.
func open(key string, rate float64, count int) (*stripekit.Client, error) {
	var opts []stripekit.Option
	if rate != 0 {
		opts = append(opts, stripekit.WithRateLimit(stripekit.RateLimit{Total: rate, Endpoint: rate}))
	}
	if key == "" {
		fmt.Fprintln(os.Stderr, "No STRIPE_API_KEY: a simulated account in this process.")
		a := account{count: count, opened: opened, open: openFor, latency: 100 * time.Millisecond}
		key, opts = "sk_test_simulated", append(opts, stripekit.WithHTTPClient(&http.Client{Transport: a}))
	}
	return stripekit.New(key, opts...)
}

// job is what is to be written where.
type job struct {
	client   *stripekit.Client
	path     string
	from, to time.Time
	anyOrder bool
	progress *meter
}

func (j *job) setOrder(name string) error {
	switch name {
	case "oldest":
	case "any":
		j.anyOrder = true
	default:
		return fmt.Errorf("-order is oldest or any, not %q", name)
	}
	return nil
}

// run writes the file until everything is there or ctx ends.
func (j *job) run(ctx context.Context) (err error) {
	began := time.Now()
	t, err := openTable(j.path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	files, err := stripekit.NewFileStore(j.path + ".checkpoint")
	if err != nil {
		return err
	}
	cfg := stripekit.BackfillConfig{
		From: j.from, To: j.to, AnyOrder: j.anyOrder,
		Checkpoints: store{files, t}, Progress: j.progress.update,
	}
	if t.format == csvRows {
		err = export(ctx, j.client.Charges, cfg, t, csvRow)
	} else {
		// Of a struct, the fields that it lacks would be lost.
		var whole stripekit.Source[json.RawMessage]
		if whole, err = stripekit.NewSource[json.RawMessage](j.client, "/v1/charges", ""); err == nil {
			err = export(ctx, whole, cfg, t, jsonRow)
		}
	}
	j.progress.end(err == nil)
	if err != nil {
		return err
	}
	fmt.Fprintf(j.progress.out, "%s charges in %s, %s of them new, after %v\n",
		thousands(t.rows()), j.path, thousands(t.added), time.Since(began).Round(time.Second))
	return nil
}

// export writes the rows of all objects.
func export[T any](ctx context.Context, source stripekit.Source[T], cfg stripekit.BackfillConfig, t *table, row func(io.Writer, *T) error) error {
	for object, err := range stripekit.Backfill(ctx, source, cfg) {
		if err == nil {
			err = t.add(func(w io.Writer) error { return row(w, object) })
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// store keeps checkpoints that never stand for more than a table has.
type store struct {
	stripekit.CheckpointStore
	table *table
}

// Load returns nothing if the table has no rows: it is not the one that the
// checkpoint was saved for.
func (s store) Load(ctx context.Context, key string) ([]byte, uint64, error) {
	if s.table.rows() == 0 {
		if err := s.Delete(ctx, key); err != nil {
			return nil, 0, err
		}
	}
	return s.CheckpointStore.Load(ctx, key)
}

// Save saves the checkpoint once the rows that it stands for are on the disk.
func (s store) Save(ctx context.Context, key string, data []byte, revision uint64) (uint64, error) {
	if err := s.table.flush(); err != nil {
		return 0, err
	}
	return s.CheckpointStore.Save(ctx, key, data, revision)
}
