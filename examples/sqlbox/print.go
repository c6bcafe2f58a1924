package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// printer writes the rows of a result.
type printer interface {
	// row writes a row, or holds it until there are more.
	row(values []any) error
	// end writes what is left. If the query failed, the result is not complete.
	end(complete bool) error
}

// The modes in which a result is written.
const (
	modeTable = "table"
	modeCSV   = "csv"
	modeJSON  = "json"
	modeLine  = "line"
)

var modes = []string{modeCSV, modeJSON, modeLine, modeTable}

// newPrinter returns a printer that writes each row at once, in one Write.
func newPrinter(mode string, out io.Writer, header []string) printer {
	switch mode {
	case modeCSV:
		return &csvPrinter{out: csv.NewWriter(out), header: header}
	case modeJSON:
		return &jsonPrinter{out: out, header: header}
	case modeLine:
		return &linePrinter{out: out, header: header}
	default:
		return &tablePrinter{out: out, header: header}
	}
}

// textOf returns a value as text, and NULL as "".
func textOf(value any) string {
	switch value := value.(type) {
	case nil:
		return ""
	case []byte:
		return string(value)
	case time.Time:
		return value.UTC().Format(time.RFC3339)
	default:
		return fmt.Sprint(value)
	}
}

// shown returns a value for people. Without control characters, what a customer has
// typed does nothing to the terminal.
func shown(value any) string {
	if value == nil {
		return "NULL"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return unicode.ReplacementChar
		}
		return r
	}, strings.Join(strings.Fields(textOf(value)), " "))
}

// csvPrinter writes CSV with a header. NULL is an empty field.
type csvPrinter struct {
	out    *csv.Writer
	header []string // nil once it is written
}

func (p *csvPrinter) row(values []any) error {
	if p.header != nil {
		if err := p.out.Write(p.header); err != nil {
			return err
		}
		p.header = nil
	}
	fields := make([]string, len(values))
	for i, value := range values {
		fields[i] = textOf(value)
	}
	if err := p.out.Write(fields); err != nil {
		return err
	}
	p.out.Flush()
	return p.out.Error()
}

func (p *csvPrinter) end(bool) error {
	if p.header != nil {
		if err := p.out.Write(p.header); err != nil {
			return err
		}
	}
	p.out.Flush()
	return p.out.Error()
}

// jsonPrinter writes one array with an object for each row. The array of a result that
// is not complete has no end.
type jsonPrinter struct {
	out    io.Writer
	header []string
	begun  bool
}

func (p *jsonPrinter) row(values []any) error {
	var object bytes.Buffer
	before := ",\n{"
	if !p.begun {
		before = "[{"
	}
	for i, name := range p.header {
		value := values[i]
		if at, ok := value.(time.Time); ok {
			value = textOf(at)
		}
		object.WriteString(before)
		for _, part := range []any{name, value} {
			encoder := json.NewEncoder(&object)
			encoder.SetEscapeHTML(false)
			if err := encoder.Encode(part); err != nil {
				return fmt.Errorf("column %s: %w", name, err)
			}
			object.Truncate(object.Len() - 1) // the line break
			object.WriteByte(':')
		}
		object.Truncate(object.Len() - 1) // the colon
		before = ","
	}
	object.WriteByte('}')
	p.begun = true
	_, err := p.out.Write(object.Bytes())
	return err
}

func (p *jsonPrinter) end(complete bool) error {
	last := "\n"
	switch {
	case complete && p.begun:
		last = "]\n"
	case complete:
		last = "[]\n"
	}
	_, err := io.WriteString(p.out, last)
	return err
}

// linePrinter writes each value on a line, and an empty line between rows.
type linePrinter struct {
	out    io.Writer
	header []string
	begun  bool
}

func (p *linePrinter) row(values []any) error {
	width := 0
	for _, name := range p.header {
		width = max(width, utf8.RuneCountInString(name))
	}
	var text strings.Builder
	if p.begun {
		text.WriteByte('\n')
	}
	p.begun = true
	for i, name := range p.header {
		fmt.Fprintf(&text, "%*s = %s\n", width, name, shown(values[i]))
	}
	_, err := io.WriteString(p.out, text.String())
	return err
}

func (p *linePrinter) end(bool) error { return nil }

// tableRows is how many rows a table is laid out by. Later rows keep the widths of the
// columns, unless a value is longer.
const tableRows = 100

// tablePrinter aligns the columns. Numbers are aligned to the right.
type tablePrinter struct {
	out    io.Writer
	header []string
	held   [][]string // the rows until the widths are known
	widths []int      // nil as long as rows are held
	right  []bool     // the columns with numbers
}

func (p *tablePrinter) row(values []any) error {
	if p.right == nil {
		p.right = make([]bool, len(values))
	}
	cells := make([]string, len(values))
	for i, value := range values {
		cells[i] = shown(value)
		switch value.(type) {
		case int64, float64:
			p.right[i] = p.right[i] || p.widths == nil
		}
	}
	if p.widths != nil {
		return p.line(cells)
	}
	p.held = append(p.held, cells)
	if len(p.held) < tableRows {
		return nil
	}
	return p.layOut()
}

// layOut sets the widths by the rows that are held, and writes these.
func (p *tablePrinter) layOut() error {
	p.widths = make([]int, len(p.header))
	for _, cells := range append(slices.Clip(p.held), p.header) {
		for i, cell := range cells {
			p.widths[i] = max(p.widths[i], utf8.RuneCountInString(cell))
		}
	}
	rule := make([]string, len(p.header))
	for i, width := range p.widths {
		rule[i] = strings.Repeat("-", width)
	}
	for _, cells := range append([][]string{p.header, rule}, p.held...) {
		if err := p.line(cells); err != nil {
			return err
		}
	}
	p.held = nil
	return nil
}

func (p *tablePrinter) line(cells []string) error {
	var text strings.Builder
	for i, width := range p.widths {
		if p.right == nil || !p.right[i] {
			width = -width
		}
		fmt.Fprintf(&text, "%*s  ", width, cells[i])
	}
	_, err := fmt.Fprintln(p.out, strings.TrimRight(text.String(), " "))
	return err
}

func (p *tablePrinter) end(bool) error {
	if p.widths != nil {
		return nil
	}
	return p.layOut()
}
