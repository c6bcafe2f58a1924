// Sqlbox is an SQL prompt for the data of a Stripe account.
//
// Without STRIPE_API_KEY it queries a fake Stripe in its own process, with the
// data of a shop that has been selling for three months:
//
//	go run ./examples/sqlbox
//	echo "SELECT status, count(*) FROM charges GROUP BY status;" | go run ./examples/sqlbox
//
// With STRIPE_API_KEY it queries that account, and only reads. A statement ends
// with a semicolon. Ctrl-C cancels the running query; at the prompt it discards what was
// typed. Tab completes words. The command .help lists the commands: they write results
// as a table, as CSV or as JSON, to the screen or to a file.
//
// At a terminal, statements are kept in a history, which only you may read: the file
// sqlbox/history in the folder of os.UserConfigDir, or that of -history. A statement that
// looks like it holds an API key or another secret is not kept.
package main

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripesql"
)

func main() {
	b := box{out: os.Stdout, err: os.Stderr, prompt: isTerminal(os.Stdin) && isTerminal(os.Stdout)}
	maxCalls := flag.Int("max-calls", 1000, "how many API calls a query may make")
	search := flag.Bool("search", false, "let the search API find what lists cannot filter by; it lags by up to a minute")
	shows := flag.Bool("progress", isTerminal(os.Stderr), "show the progress of a query; the default is true at a terminal")
	history := flag.String("history", historyFile(), "the file that keeps what was typed at a terminal; empty for none")
	flag.Parse()
	opts := []stripesql.Option{stripesql.WithMaxCalls(*maxCalls)}
	if *search {
		opts = append(opts, stripesql.WithSearch())
	}
	if *shows {
		b.progress = &progress{out: os.Stderr}
	}
	if err := b.run(os.Stdin, *history, opts); err != nil {
		fmt.Fprintln(os.Stderr, "sqlbox:", err)
		os.Exit(1)
	}
}

// isTerminal reports whether f is a terminal.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// historyFile returns the usual file of the history, "" if there is no place for it.
func historyFile() string {
	dir, err := os.UserConfigDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "sqlbox", "history")
}

// run executes the statements of in on the account of STRIPE_API_KEY, or on the
// simulated shop. If in is a terminal, they are kept in the history.
func (b *box) run(in io.Reader, history string, opts []stripesql.Option) error {
	client, err := b.open(os.Getenv("STRIPE_API_KEY"))
	if err != nil {
		return err
	}
	connector, err := stripesql.Connector(client, opts...)
	if err != nil {
		return err
	}
	b.db = sql.OpenDB(connector)
	defer b.db.Close()
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt)
	defer signal.Stop(interrupts)
	if !b.prompt {
		return b.serve(context.Background(), newScript(in, interrupts), interrupts)
	}
	return b.serveTerminal(context.Background(), history, interrupts)
}

// serveTerminal executes what is typed at the terminal.
func (b *box) serveTerminal(ctx context.Context, history string, interrupts <-chan os.Signal) error {
	var err error
	if b.completer, err = readCompleter(ctx, b.db); err != nil {
		return err
	}
	fmt.Fprintln(b.out, ".help helps, .quit ends.")
	in := openTerminal(b.completer.complete, interrupts)
	defer in.Close()
	if err := in.keepHistory(history); err != nil {
		b.fail(err)
	}
	return b.serve(ctx, in, interrupts)
}

// open returns a client for the account of a key, or for the simulated shop if
// the key is empty.
func (b *box) open(key string) (*stripekit.Client, error) {
	if key != "" {
		return stripekit.New(key)
	}
	if b.prompt {
		fmt.Fprintln(b.out, "No STRIPE_API_KEY: a simulated shop in this process.")
	}
	return openShop()
}
