// Sqlbox is an SQL prompt for the data of a Stripe account.
//
// Without STRIPE_API_KEY it queries a fake Stripe in its own process, with the
// data of a shop that has been selling for three months:
//
//	go run ./examples/sqlbox
//	echo "SELECT status, count(*) FROM charges GROUP BY status;" | go run ./examples/sqlbox
//
// With STRIPE_API_KEY it queries that account, and only reads. A statement ends
// with a semicolon. Ctrl-C cancels the running query. The command .help lists
// the commands.
package main

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripesql"
)

func main() {
	b := box{out: os.Stdout, err: os.Stderr, prompt: terminal(os.Stdin)}
	maxCalls := flag.Int("max-calls", 1000, "how many API calls a query may make")
	search := flag.Bool("search", false, "let the search API find what lists cannot filter by; it lags by up to a minute")
	flag.BoolVar(&b.progress, "progress", terminal(os.Stderr), "show the progress of a query; the default is true at a terminal")
	flag.Parse()
	opts := []stripesql.Option{stripesql.WithMaxCalls(*maxCalls)}
	if *search {
		opts = append(opts, stripesql.WithSearch())
	}
	if err := b.run(os.Stdin, opts); err != nil {
		fmt.Fprintln(os.Stderr, "sqlbox:", err)
		os.Exit(1)
	}
}

// terminal reports whether f is a terminal.
func terminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// run executes the statements of in on the account of STRIPE_API_KEY, or on the
// simulated shop.
func (b *box) run(in io.Reader, opts []stripesql.Option) error {
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
	if b.prompt {
		fmt.Fprintln(b.out, ".help helps, .quit ends.")
	}
	return b.serve(context.Background(), lines(in), interrupts)
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

// lines sends the lines of in, and closes the channel at the end.
func lines(in io.Reader) <-chan string {
	out := make(chan string)
	go func() {
		defer close(out)
		scanner := bufio.NewScanner(in)
		scanner.Buffer(nil, 1<<20)
		for scanner.Scan() {
			out <- scanner.Text()
		}
	}()
	return out
}

var errFailed = errors.New("a statement failed")

// serve executes statements until the input ends or .quit. Without a prompt it
// returns an error if a statement failed.
func (b *box) serve(ctx context.Context, lines <-chan string, interrupts <-chan os.Signal) error {
	pending, failed, more := "", false, true
	for more {
		b.showPrompt(pending)
		var line string
		select {
		case <-interrupts: // discard what was typed
			pending = ""
			fmt.Fprintln(b.out)
			continue
		case line, more = <-lines:
			pending += line + "\n"
		}
		if !more {
			pending += ";" // the last statement may lack it
		}
		for statement := ""; ; {
			var ended bool
			if statement, pending, ended = cut(pending); !ended {
				break
			}
			if statement == ".quit" {
				return nil
			}
			if err := b.executeCancellable(ctx, statement, interrupts); err != nil {
				failed = true
				fmt.Fprintln(b.err, "error:", err)
			}
		}
	}
	if pending != "" {
		failed = true
		fmt.Fprintln(b.err, "error: the last statement has no end")
	}
	if failed && !b.prompt {
		return errFailed
	}
	return nil
}

// executeCancellable executes a statement or command. An interrupt cancels it.
func (b *box) executeCancellable(ctx context.Context, statement string, interrupts <-chan os.Signal) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error)
	go func() { done <- b.execute(ctx, statement) }()
	select {
	case err := <-done:
		return err
	case <-interrupts:
		cancel()
		<-done
		return errors.New("cancelled")
	}
}
