package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/stripekit/stripekit/stripesql"
)

// box executes SQL statements and commands.
type box struct {
	db       *sql.DB
	out, err io.Writer
	prompt   bool // input comes from a terminal
	progress bool // show the progress of a query
}

const help = `SELECT …;         a query, over as many lines as you like
.tables           the tables
.schema charges   the columns of one
.explain SELECT … the requests that a query would make
.quit             ends, as Ctrl-D does; Ctrl-C cancels a query`

// showPrompt prints the prompt. In the middle of a statement it is a different
// one.
func (b *box) showPrompt(pending string) {
	switch {
	case !b.prompt:
	case pending == "":
		fmt.Fprint(b.out, "sql> ")
	default:
		fmt.Fprint(b.out, "...> ")
	}
}

// cut splits the first complete statement off a text. A statement ends at a
// semicolon outside quotes and comments, and a command at the end of its line.
func cut(text string) (statement, rest string, ended bool) {
	text = strings.TrimLeft(text, "; \t\r\n")
	for i := 0; i < len(text); i++ {
		command := text[0] == '.'
		opening, closing := 1, ""
		switch {
		case command && text[i] == '\n', !command && text[i] == ';':
			return strings.TrimSpace(text[:i]), text[i+1:], true
		case command:
			continue
		case strings.ContainsRune("'\"`", rune(text[i])):
			closing = text[i : i+1]
		case text[i] == '[':
			closing = "]"
		case strings.HasPrefix(text[i:], "--"):
			opening, closing = 2, "\n"
		case strings.HasPrefix(text[i:], "/*"):
			opening, closing = 2, "*/"
		default:
			continue
		}
		length := strings.Index(text[i+opening:], closing)
		if length < 0 {
			return "", text, false
		}
		i += opening + length + len(closing) - 1
	}
	return "", text, false
}

func (b *box) execute(ctx context.Context, statement string) error {
	command, rest, _ := strings.Cut(strings.TrimRight(statement, "; "), " ")
	rest = strings.TrimSpace(rest)
	switch {
	case command == ".help":
		fmt.Fprintln(b.out, help)
	case command == ".tables":
		fmt.Fprintln(b.out, strings.Join(stripesql.Tables(), " "))
	case command == ".schema":
		return b.schema(ctx, rest)
	case command == ".explain":
		return b.explain(ctx, rest)
	case strings.HasPrefix(command, "."):
		return fmt.Errorf("%s is no command; .help lists them", command)
	default:
		return b.query(ctx, statement)
	}
	return nil
}

func (b *box) schema(ctx context.Context, table string) error {
	rows, err := b.db.QueryContext(ctx, fmt.Sprintf("SELECT * FROM %q LIMIT 0", table))
	if err != nil {
		return err
	}
	columns, err := rows.ColumnTypes()
	for _, c := range columns {
		fmt.Fprintf(b.out, "%-45s %s\n", c.Name(), c.DatabaseTypeName())
	}
	return errors.Join(err, rows.Close())
}

// explain prints the details of a query's plan, one a line.
func (b *box) explain(ctx context.Context, query string) error {
	_, plan, err := b.read(ctx, "EXPLAIN QUERY PLAN "+query)
	for _, step := range plan {
		fmt.Fprintln(b.out, step[len(step)-1])
	}
	return err
}

// query prints the rows of a query and its cost.
func (b *box) query(ctx context.Context, query string) error {
	var stats stripesql.Stats
	header, table, err := b.read(stripesql.WithStats(ctx, &stats), query)
	if err != nil {
		return err
	}
	writeTable(b.out, header, table)
	fmt.Fprintf(b.out, "%s, %s, %s read, %v\n\n", counted(len(table), "row"), counted(stats.Calls, "call"),
		counted(stats.Rows, "object"), stats.Duration.Round(time.Millisecond))
	return nil
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprint(n, " ", what, "s")
}

// read returns the columns and rows of a query. While it runs, read shows the
// progress at most ten times a second.
func (b *box) read(ctx context.Context, query string) (header []string, table [][]any, err error) {
	if b.progress {
		const clear = "\r\x1b[K"
		var shown time.Time
		defer fmt.Fprint(b.err, clear)
		ctx = stripesql.WithProgress(ctx, func(p stripesql.Progress) {
			if time.Since(shown) > 100*time.Millisecond {
				shown = time.Now()
				share := ""
				if p.Share > 0 {
					share = fmt.Sprintf("%.0f %% read, ", 100*p.Share)
				}
				fmt.Fprintf(b.err, "%s%s%s, %d left", clear, share, counted(p.Calls, "call"), p.MaxCalls-p.Calls)
			}
		})
	}
	rows, err := b.db.QueryContext(ctx, query)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close() // after a success this is a second call, which does nothing
	if header, err = rows.Columns(); err != nil {
		return nil, nil, err
	}
	for rows.Next() {
		row, into := make([]any, len(header)), make([]any, len(header))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, nil, err
		}
		table = append(table, row)
	}
	return header, table, errors.Join(rows.Err(), rows.Close())
}

// writeTable aligns the columns. Numbers are aligned to the right.
func writeTable(out io.Writer, header []string, table [][]any) {
	widths, right := make([]int, len(header)), make([]bool, len(header))
	for i, name := range header {
		widths[i] = utf8.RuneCountInString(name)
	}
	for _, row := range table {
		for i, value := range row {
			switch v := value.(type) {
			case nil:
				row[i] = "NULL"
			case int64, float64:
				right[i] = true
				row[i] = fmt.Sprint(v)
			case time.Time:
				row[i] = v.UTC().Format(time.RFC3339)
			default:
				row[i] = strings.Join(strings.Fields(fmt.Sprint(v)), " ")
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i].(string)))
		}
	}
	line := func(cell func(i int) string) {
		var text strings.Builder
		for i, width := range widths {
			if !right[i] {
				width = -width
			}
			fmt.Fprintf(&text, "%*s  ", width, cell(i))
		}
		fmt.Fprintln(out, strings.TrimRight(text.String(), " "))
	}
	line(func(i int) string { return header[i] })
	line(func(i int) string { return strings.Repeat("-", widths[i]) })
	for _, row := range table {
		line(func(i int) string { return row[i].(string) })
	}
}
