package main

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/stripekit/stripekit"
)

// format is how rows are written. Each row is one line.
type format string

const (
	jsonRows format = ".jsonl"
	csvRows  format = ".csv"
)

// columns are those of a CSV file. None of them can hold a line break.
var columns = []string{"id", "created", "amount", "amount_refunded", "currency", "status", "customer", "payment_intent", "failure_code"}

func csvRow(w io.Writer, c *stripekit.Charge) error {
	return csvLine(w, []string{
		c.ID, c.Created.String(), strconv.FormatInt(c.Amount, 10), strconv.FormatInt(c.AmountRefunded, 10),
		c.Currency, string(c.Status), c.Customer.ID, c.PaymentIntent.ID, c.FailureCode,
	})
}

func csvLine(w io.Writer, cells []string) error {
	line := csv.NewWriter(w)
	err := line.Write(cells)
	line.Flush()
	return errors.Join(err, line.Error())
}

func jsonRow(w io.Writer, charge *json.RawMessage) error {
	var line bytes.Buffer
	if err := json.Compact(&line, *charge); err != nil {
		return err
	}
	line.WriteByte('\n')
	_, err := line.WriteTo(w)
	return err
}

// id is the id in a line, without its end.
func (f format) id(line []byte) (string, error) {
	if f == csvRows {
		id, _, _ := bytes.Cut(line, []byte(","))
		return string(id), nil
	}
	if rest, ok := bytes.CutPrefix(line, []byte(`{"id":"`)); ok {
		id, _, _ := bytes.Cut(rest, []byte(`"`))
		return string(id), nil
	}
	var head struct{ ID string }
	err := json.Unmarshal(line, &head)
	return head.ID, err
}

// table is a file with a row for each charge. To open one of a million rows takes
// some seconds and 150 MB, for the ids.
type table struct {
	format format
	file   *os.File
	out    *bufio.Writer
	before map[string]bool // ids of the rows that it had when it was opened
	added  int             // rows since then
	row    bytes.Buffer
}

// openTable opens a file behind its last whole row, or makes it.
func openTable(path string) (*table, error) {
	t := &table{format: format(filepath.Ext(path)), before: map[string]bool{}}
	if t.format != jsonRows && t.format != csvRows {
		return nil, fmt.Errorf("%s ends in neither %s nor %s", path, jsonRows, csvRows)
	}
	var err error
	if t.file, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, err
	}
	t.out = bufio.NewWriterSize(t.file, 1<<16)
	if err := t.resume(); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), t.file.Close())
	}
	return t, nil
}

// resume reads the rows and cuts off what a crash left behind the last one.
func (t *table) resume() error {
	var header bytes.Buffer
	if t.format == csvRows {
		if err := csvLine(&header, columns); err != nil {
			return err
		}
	}
	whole := int64(0)
	in := bufio.NewReaderSize(t.file, 1<<16)
	for first := header.Len() > 0; ; first = false {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if first {
			if !bytes.Equal(line, header.Bytes()) {
				return errors.New("the file has other columns")
			}
		} else if err := t.note(line); err != nil {
			return err
		}
		whole += int64(len(line))
	}
	if err := t.file.Truncate(whole); err != nil {
		return err
	}
	if _, err := t.file.Seek(whole, io.SeekStart); err != nil {
		return err
	}
	if whole == 0 {
		_, err := header.WriteTo(t.out)
		return err
	}
	return nil
}

// note takes notice of a row that is there.
func (t *table) note(line []byte) error {
	id, err := t.format.id(bytes.TrimSuffix(line, []byte("\n")))
	if err != nil || id == "" || t.before[id] {
		return fmt.Errorf("row %d is not one of this program", len(t.before)+1)
	}
	t.before[id] = true
	return nil
}

// rows is how many there are.
func (t *table) rows() int { return len(t.before) + t.added }

// add adds the row that write writes, unless it was there before.
func (t *table) add(write func(io.Writer) error) error {
	t.row.Reset()
	if err := write(&t.row); err != nil {
		return err
	}
	id, err := t.format.id(t.row.Bytes())
	if err != nil || t.before[id] {
		return err
	}
	t.added++
	_, err = t.row.WriteTo(t.out)
	return err
}

// flush has everything on the disk when it returns nil.
func (t *table) flush() error {
	if err := t.out.Flush(); err != nil {
		return err
	}
	return t.file.Sync()
}

func (t *table) close() error { return errors.Join(t.flush(), t.file.Close()) }
