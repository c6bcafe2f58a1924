// Backfill writes all charges of an account to a file, oldest first, as fast as
// the rate limit allows:
//
//	go run ./examples/backfill -o charges.csv
//
// Without STRIPE_API_KEY it reads a simulated account in its own process, with
// a million charges and a latency of 100 ms. With STRIPE_API_KEY it reads that
// account. A .jsonl file gets whole charges, as the service sends them. A .csv
// file gets the columns that most reports need.
//
// After Ctrl-C or a crash the same command continues where it was. After it has
// finished, the same command adds the charges created since then. The flags
// -from and -order keep the values of the first run. The progress is saved in
// the folder charges.csv.checkpoint.
//
// The file agrees with its checkpoint after a crash at any moment. Rows are
// flushed to the disk before a checkpoint that covers them is saved, so none is
// missing. Rows that were written after the last checkpoint are recognised by
// their ids when their charges are read again, so none comes twice. An
// incomplete row at the end is cut off.
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
	flag.Func("from", "`time` from which charges are read, 2026-01-31 or 2026-01-31T15:04:05Z (default: all)", moment(&j.from))
	flag.Func("to", "`time` before which charges must be created (default: none)", moment(&j.to))
	order := flag.String("order", "oldest", "oldest first, or any, which takes less memory")
	rate := flag.Float64("rate", 0, "requests a second; 0 means Stripe's default limit of 25; use more if Stripe has raised yours")
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
		fmt.Fprintln(os.Stderr, "backfill: stopped; the same command continues from here")
		os.Exit(1)
	case err != nil:
		fmt.Fprintln(os.Stderr, "backfill:", err)
		os.Exit(1)
	}
}

// moment parses the value of a flag, which is a day or a time.
func moment(into *time.Time) func(string) error {
	return func(text string) (err error) {
		if *into, err = time.Parse(time.DateOnly, text); err != nil {
			*into, err = time.Parse(time.RFC3339, text)
		}
		if err != nil {
			return errors.New("it is neither a day such as 2026-01-31 nor a time such as 2026-01-31T15:04:05Z")
		}
		return nil
	}
}

// open returns a client for the account of a key, or for a simulated account if
// the key is empty.
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

// job says which charges are written to which file.
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

// run writes the file until all charges are in it or ctx ends.
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
		BeforeSave: func(context.Context) error { return t.flush() },
	}
	if t.format == csvRows {
		err = export(ctx, j.client.Charges, cfg, t, csvRow)
	} else {
		// A stripekit.Charge would lose the fields that it does not declare.
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

// export writes a row for each object.
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

// store is a CheckpointStore that has no checkpoint of rows that are not in the table.
type store struct {
	stripekit.CheckpointStore
	table *table
}

// Load deletes the checkpoint if the table has no rows, since the table is then
// not the one that the checkpoint was saved for.
func (s store) Load(ctx context.Context, key string) ([]byte, uint64, error) {
	if s.table.rows() == 0 {
		if err := s.Delete(ctx, key); err != nil {
			return nil, 0, err
		}
	}
	return s.CheckpointStore.Load(ctx, key)
}
