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

// format is the format of the rows. Each row is one line.
type format string

const (
	jsonRows format = ".jsonl"
	csvRows  format = ".csv"
)

// columns are the columns of a CSV file. Their values cannot contain a line
// break.
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

// id returns the charge id in a line.
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

// table is a file with one row for each charge. It keeps the ids of existing
// rows: opening a file of a million rows takes a few seconds and 150 MB.
type table struct {
	format   format
	file     *os.File
	out      *bufio.Writer
	existing map[string]bool // ids of the rows that existed when the file was opened
	added    int             // rows added since then
	row      bytes.Buffer
}

// openTable opens or creates a file. New rows go after the last complete row.
func openTable(path string) (*table, error) {
	t := &table{format: format(filepath.Ext(path)), existing: map[string]bool{}}
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

// resume reads the existing rows and cuts off an incomplete one at the end.
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
		} else if err := t.register(line); err != nil {
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

// register records the id of an existing row.
func (t *table) register(line []byte) error {
	id, err := t.format.id(bytes.TrimSuffix(line, []byte("\n")))
	if err != nil || id == "" || t.existing[id] {
		return fmt.Errorf("row %d is not one of this program", len(t.existing)+1)
	}
	t.existing[id] = true
	return nil
}

// rows returns the number of rows.
func (t *table) rows() int { return len(t.existing) + t.added }

// add appends the row that write writes, unless the file has it already.
func (t *table) add(write func(io.Writer) error) error {
	t.row.Reset()
	if err := write(&t.row); err != nil {
		return err
	}
	id, err := t.format.id(t.row.Bytes())
	if err != nil || t.existing[id] {
		return err
	}
	t.added++
	_, err = t.row.WriteTo(t.out)
	return err
}

// flush writes all rows to the disk.
func (t *table) flush() error {
	if err := t.out.Flush(); err != nil {
		return err
	}
	return t.file.Sync()
}

func (t *table) close() error { return errors.Join(t.flush(), t.file.Close()) }
