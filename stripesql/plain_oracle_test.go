package stripesql_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3"
	plaindriver "github.com/ncruces/go-sqlite3/driver"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
)

// The oracle is an ordinary SQLite database with the same objects in ordinary
// tables. It shares no code with the package: its columns are listed here,
// their values come from the JSON of the API, and it has its own collation of
// timestamps.

// plainTable is one table of the oracle.
type plainTable struct {
	name, path string
	columns    []plainColumn
}

type plainColumn struct{ name, kind string }

// declared returns the column definition for CREATE TABLE.
func (c plainColumn) declared() string {
	switch c.kind {
	case "int", "bool", "unix":
		return `"` + c.name + `" INTEGER`
	case "real":
		return `"` + c.name + `" REAL`
	case "time":
		return `"` + c.name + `" TEXT COLLATE plain_time`
	default:
		return `"` + c.name + `" TEXT`
	}
}

// columnsOf parses lines with a kind and the names of its columns.
func columnsOf(lines string) []plainColumn {
	var columns []plainColumn
	for line := range strings.Lines(lines) {
		kind, names, _ := strings.Cut(strings.TrimSpace(line), ":")
		for name := range strings.FieldsSeq(names) {
			columns = append(columns, plainColumn{name, kind})
		}
	}
	return columns
}

// openPlain opens an empty oracle with an SQLite data source name, and closes
// it when the test ends.
func openPlain(t testing.TB, place string) *sql.DB {
	db, err := plaindriver.Open(place, func(c *sqlite3.Conn) error {
		return c.CreateCollation("plain_time", comparePlainTimes)
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	db.SetMaxOpenConns(1) // the database belongs to the connection
	return db
}

// newPlain returns the oracle of all objects that a client can list in some
// tables.
func newPlain(t testing.TB, client *stripekit.Client, tables []plainTable) *sql.DB {
	db := openPlain(t, ":memory:")
	for _, table := range tables {
		var declared []string
		for _, c := range table.columns {
			declared = append(declared, c.declared())
		}
		_, err := db.Exec("CREATE TABLE " + table.name + " (" + strings.Join(declared, ", ") + ")")
		require.NoError(t, err)
		insert := "INSERT INTO " + table.name + " VALUES (?" + strings.Repeat(", ?", len(table.columns)-1) + ")"
		for _, object := range everyObject(t, client, table.path) {
			_, err := db.Exec(insert, plainRow(table, object)...)
			require.NoError(t, err)
		}
		for _, column := range []string{"id", "created"} {
			_, err := db.Exec(fmt.Sprintf("CREATE INDEX %s_%s ON %[1]s (%[2]s)", table.name, column))
			require.NoError(t, err)
		}
	}
	return db
}

// everyObject returns all objects of a resource as raw JSON.
func everyObject(t testing.TB, client *stripekit.Client, path string) []map[string]any {
	var all []map[string]any
	params := map[string]any{"limit": 100}
	for more := true; more; {
		var raw json.RawMessage
		require.NoError(t, client.Call(t.Context(), "GET", path, params, &raw))
		var page struct {
			Data    []map[string]any `json:"data"`
			HasMore bool             `json:"has_more"`
		}
		decoder := json.NewDecoder(bytes.NewReader(raw))
		decoder.UseNumber()
		require.NoError(t, decoder.Decode(&page))
		all = append(all, page.Data...)
		if more = page.HasMore; more {
			params["starting_after"] = page.Data[len(page.Data)-1]["id"]
		}
	}
	return all
}

// plainRow returns the values of an object in the order of the table's columns.
func plainRow(table plainTable, object map[string]any) []any {
	flat := map[string]any{}
	flatten(flat, "", object)
	row := make([]any, len(table.columns))
	for i, c := range table.columns {
		row[i] = c.value(table.name, flat)
	}
	return row
}

// flatten adds every value of an object, including nested objects, under its
// path joined by underscores.
func flatten(flat map[string]any, path string, value any) {
	if path != "" {
		flat[path] = value
		path += "_"
	}
	if object, ok := value.(map[string]any); ok {
		for name, below := range object {
			flatten(flat, path+name, below)
		}
	}
}

// value returns the value of the column for an object.
func (c plainColumn) value(table string, flat map[string]any) any {
	for _, name := range append([]string{strings.TrimSuffix(c.name, "_unix")}, elsewhere[table+"."+c.name]...) {
		if value := c.read(flat[name]); value != nil {
			return value
		}
	}
	return nil
}

// elsewhere has the current names of fields, by the name of the column, if they
// have changed between API versions.
var elsewhere = map[string][]string{
	"invoice_items.created":             {"date"},
	"invoice_items.created_unix":        {"date"},
	"invoice_items.price":               {"pricing_price_details_price"},
	"invoice_items.unit_amount":         {"pricing_unit_amount_decimal"},
	"invoice_items.unit_amount_decimal": {"pricing_unit_amount_decimal"},
}

// read converts a JSON value to an SQL value. Null is NULL.
func (c plainColumn) read(value any) any {
	switch value := value.(type) {
	case nil:
		return nil
	case bool:
		if value {
			return 1
		}
		return 0
	case json.Number:
		return c.number(value)
	case string:
		if c.kind == "int" { // a decimal
			return c.number(json.Number(value))
		}
		return value
	case map[string]any:
		if c.kind != "json" {
			return value["id"]
		}
	}
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func (c plainColumn) number(n json.Number) any {
	if whole, err := n.Int64(); err == nil && c.kind == "time" {
		return time.Unix(whole, 0).UTC().Format("2006-01-02T15:04:05Z")
	} else if err == nil {
		return whole
	}
	fraction, err := n.Float64()
	if err != nil || c.kind == "int" {
		return nil
	}
	return fraction
}

// comparePlainTimes compares two texts as timestamps. If one is not a
// timestamp, it is compared as text with the time in UTC.
func comparePlainTimes(a, b []byte) int {
	return strings.Compare(plainTime(string(a)), plainTime(string(b)))
}

func plainTime(text string) string {
	for _, layout := range []string{
		time.RFC3339, "2006-01-02", "2006-01-02 15:04", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02T15:04:05",
		"2006-01-02 15:04Z07:00", "2006-01-02T15:04Z07:00", "2006-01-02 15:04:05Z07:00",
	} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC().Format("2006-01-02T15:04:05.999999999")
		}
	}
	return text
}

// response is the result of a query: rows of values, written with their types.
type response struct {
	columns []string
	rows    [][]string
}

func ask(ctx context.Context, db *sql.DB, query string, args ...any) (response, error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return response{}, err
	}
	defer rows.Close()
	var a response
	if a.columns, err = rows.Columns(); err != nil {
		return response{}, err
	}
	values := make([]any, len(a.columns))
	into := make([]any, len(a.columns))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return response{}, err
		}
		row := make([]string, len(values))
		for i, value := range values {
			row[i] = written(value)
		}
		a.rows = append(a.rows, row)
	}
	return a, rows.Err()
}

// written writes a value so that 1, 1.0, '1' and NULL differ, as in SQL. The
// keys of a document are sorted.
func written(value any) string {
	switch value := value.(type) {
	case nil:
		return "NULL"
	case string:
		return "'" + ordered(value) + "'"
	case time.Time: // the driver may scan a time as a time.Time
		return value.UTC().Format("'2006-01-02T15:04:05Z'")
	case []byte:
		return "x'" + string(value) + "'"
	case float64:
		return strconv.FormatFloat(value, 'e', -1, 64)
	default:
		return fmt.Sprint(value)
	}
}

// ordered returns a text with sorted keys, if it is a JSON object or array.
func ordered(text string) string {
	var document any
	if !strings.HasPrefix(text, "{") && !strings.HasPrefix(text, "[") || json.Unmarshal([]byte(text), &document) != nil {
		return text
	}
	written, err := json.Marshal(document)
	if err != nil {
		panic(err)
	}
	return string(written)
}

// sorted returns the response with sorted rows, for queries without an order.
func (a response) sorted() response {
	a.rows = slices.SortedFunc(slices.Values(a.rows), slices.Compare)
	return a
}
