package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/stripekit/stripekit/stripesql"
)

// box executes SQL statements and commands.
type box struct {
	db        *sql.DB
	out, err  io.Writer
	prompt    bool        // input comes from a terminal
	progress  *progress   // nil if the progress of a query is not shown
	mode      string      // how results are written; "" is modeTable
	file      *outputFile // where results are written to, nil for out
	completer *completer  // for completion, nil without a prompt
}

const help = `SELECT …;         a query, over as many lines as you like
.tables           the tables
.schema charges   the columns of one
.explain SELECT … the requests that a query would make
.mode csv         how results are written: table, csv, json or line
.output FILE      write results to a file; without FILE, to the screen again
.quit             ends, as Ctrl-D does; Ctrl-C cancels a query`

// commands are the commands, for completion.
var commands = []string{".explain", ".help", ".mode", ".output", ".quit", ".schema", ".tables"}

var errFailed = errors.New("a statement failed")

// serve executes statements until the input ends or .quit. Without a prompt it
// returns an error if a statement failed.
func (b *box) serve(ctx context.Context, in input, interrupts <-chan os.Signal) error {
	failed := b.serveLines(ctx, in, interrupts)
	if err := b.closeOutput(); err != nil {
		b.fail(err)
		failed = true
	}
	if failed && !b.prompt {
		return errFailed
	}
	return nil
}

func (b *box) fail(err error) { fmt.Fprintln(b.err, "error:", err) }

// serveLines reports whether anything failed.
func (b *box) serveLines(ctx context.Context, in input, interrupts <-chan os.Signal) (failed bool) {
	pending, more := "", true
	for more {
		b.completer.begun(pending)
		line, err := in.line(pending == "")
		switch {
		case errors.Is(err, errDiscarded):
			pending = ""
			continue
		case err == io.EOF:
			more = false
			pending += ";" // the last statement may lack it
		case err != nil: // what has begun may be a part of a statement
			b.fail(err)
			return true
		default:
			pending += line + "\n"
		}
		for {
			statement, rest, ended := cut(pending)
			pending = rest
			if !ended {
				break
			}
			if statement == ".quit" {
				return failed
			}
			in.remember(statement)
			if err := b.executeCancellable(ctx, statement, interrupts); err != nil {
				failed = true
				b.fail(err)
			}
		}
	}
	if pending != "" {
		b.fail(errors.New("the last statement has no end"))
		failed = true
	}
	return failed
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

func (b *box) execute(ctx context.Context, statement string) error {
	command, rest, _ := strings.Cut(strings.TrimRight(statement, "; "), " ")
	rest = strings.TrimSpace(rest)
	switch {
	case command == ".help":
		fmt.Fprintln(b.out, help)
	case command == ".tables":
		_, err := fmt.Fprintln(b.results(), strings.Join(stripesql.Tables(), " "))
		return err
	case command == ".schema":
		return b.schema(ctx, rest)
	case command == ".explain":
		return b.explain(ctx, rest)
	case command == ".mode":
		if !slices.Contains(modes, rest) {
			return fmt.Errorf("%q is no mode; there are %s", rest, strings.Join(modes, ", "))
		}
		b.mode = rest
	case command == ".output":
		return b.output(rest)
	case strings.HasPrefix(command, "."):
		return fmt.Errorf("%s is no command; .help lists them", command)
	default:
		return b.query(ctx, statement)
	}
	return nil
}

// schema prints the columns of a table. The hidden one is the last.
func (b *box) schema(ctx context.Context, table string) error {
	rows := 0
	_, err := b.read(ctx, "SELECT name, type FROM pragma_table_xinfo(?)", []any{table}, func(_ []string, values []any) error {
		rows++
		kind, _, _ := strings.Cut(fmt.Sprint(values[1]), " ")
		_, err := fmt.Fprintf(b.results(), "%-45s %s\n", values[0], kind)
		return err
	})
	if err == nil && rows == 0 {
		return fmt.Errorf("there is no table %q; .tables lists them", table)
	}
	return err
}

// explain prints the details of a query's plan, one a line.
func (b *box) explain(ctx context.Context, query string) error {
	_, err := b.read(ctx, "EXPLAIN QUERY PLAN "+query, nil, func(_ []string, values []any) error {
		_, err := fmt.Fprintln(b.results(), values[len(values)-1])
		return err
	})
	return err
}

// query prints the rows of a query, as they come, and its cost.
func (b *box) query(ctx context.Context, query string) error {
	var stats stripesql.Stats
	var to printer
	count := 0
	header, err := b.read(stripesql.WithStats(ctx, &stats), query, nil, func(header []string, values []any) error {
		if to == nil {
			to = newPrinter(b.mode, b.results(), header)
		}
		count++
		return to.row(values)
	})
	if to == nil && err == nil {
		to = newPrinter(b.mode, b.results(), header)
	}
	if to != nil {
		err = errors.Join(err, to.end(err == nil))
	}
	if err != nil && count > 0 {
		return fmt.Errorf("the result is not complete, after %s: %w", counted(count, "row"), err)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(b.remarks(), "%s, %s, %s read, %v\n\n", counted(count, "row"), counted(stats.Calls, "call"),
		counted(stats.Rows, "object"), stats.Duration.Round(time.Millisecond))
	return err
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprint(n, " ", what, "s")
}

// read calls row with the columns and the values of each row of a query. While it runs,
// read shows the progress.
func (b *box) read(ctx context.Context, query string, args []any, row func(header []string, values []any) error) (header []string, err error) {
	if b.progress != nil {
		defer b.progress.erase()
		ctx = stripesql.WithProgress(ctx, b.progress.show)
	}
	rows, err := b.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close() // after a success this is a second call, which does nothing
	if header, err = rows.Columns(); err != nil {
		return nil, err
	}
	for rows.Next() {
		values, into := make([]any, len(header)), make([]any, len(header))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		b.progress.erase()
		if err := row(header, values); err != nil {
			return nil, err
		}
	}
	return header, errors.Join(rows.Err(), rows.Close())
}
