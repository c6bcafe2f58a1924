package stripemcp

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/connector/mcp/internal/bound"
	"github.com/stripekit/stripekit/internal/transport"
	"github.com/stripekit/stripekit/stripesql"
)

const sqlDescription = `Runs one statement that reads, in SQLite's dialect, on tables such as charges, customers, refunds, invoices, payouts and balance_transactions. sql_tables lists all of them with their columns.

The tables are not stored: the statement reads them from Stripe's API while it runs, 100 objects a call. Few calls are needed for conditions on id, customer, charge, email and created, and for ORDER BY created DESC with a LIMIT. Other conditions are checked here, on all objects that are read. EXPLAIN QUERY PLAN before a SELECT shows the requests that it would make, and estimates their number.

created is text such as '2026-01-31T15:04:05Z', and created_unix is in seconds. Amounts are in the smallest unit of the currency. Metadata and lists are JSON: metadata->>'order_id'.`

type sqlInput struct {
	Query    string
	MaxCalls *int // nil: as many as the server allows
}

var errSQLInput = errors.New(`stripe: the arguments must be {"query": a text, "max_calls": a number}, and max_calls may be left out`)

// readSQLInput reads the arguments of the tool.
func readSQLInput(arguments json.RawMessage, maxCalls int) (in sqlInput, err error) {
	fields := map[string]any{"query": &in.Query, "max_calls": &in.MaxCalls}
	decoder := json.NewDecoder(bytes.NewReader(arguments))
	if start, _ := decoder.Token(); start != json.Delim('{') {
		return in, errSQLInput
	}
	for decoder.More() {
		name, _ := decoder.Token()
		field := fields[fmt.Sprint(name)]
		if field == nil || decoder.Decode(field) != nil {
			return in, errSQLInput
		}
		delete(fields, fmt.Sprint(name)) // a second one is refused: what was approved may be the first
	}
	in.MaxCalls = cmp.Or(in.MaxCalls, &maxCalls)
	switch {
	case in.Query == "":
		return in, errors.New("stripe: query: is required")
	case *in.MaxCalls < 1 || *in.MaxCalls > maxCalls:
		return in, fmt.Errorf("stripe: max_calls: must be 1 to %d", maxCalls)
	}
	return in, nil
}

func sqlTool(maxCalls int) *mcp.Tool {
	return &mcp.Tool{
		Name: "sql", Title: "Query in SQL", Description: sqlDescription, Annotations: reads(),
		InputSchema: &jsonschema.Schema{
			Type: "object",
			Properties: map[string]*jsonschema.Schema{
				"query": {Type: "string", MinLength: new(1), Description: "one statement: SELECT, WITH, VALUES or EXPLAIN QUERY PLAN"},
				"max_calls": {
					Type: "integer", Minimum: new(1.0), Maximum: new(float64(maxCalls)), Default: json.RawMessage(fmt.Sprint(maxCalls)),
					Description: "the most API calls that the statement may make; if it needs more, it fails",
				},
			},
			PropertyOrder:        []string{"query", "max_calls"},
			Required:             []string{"query"},
			AdditionalProperties: &jsonschema.Schema{Not: &jsonschema.Schema{}},
		},
	}
}

// sqlResult is the result of a statement.
type sqlResult struct {
	Columns   []string          `json:"columns"`
	Rows      []json.RawMessage `json:"rows"`
	Calls     int               `json:"calls"` // API calls that were made
	Truncated string            `json:"truncated,omitempty"`
}

const truncatedRows = "There are more rows. Aggregate, select fewer columns, or continue with a condition on created, or with LIMIT and OFFSET."

// handleSQL runs a statement. SQLite cannot end a single call of a function in the middle,
// such as instr on megabytes. So the statement has a goroutine of its own, which may
// outlive the call, and then still counts among those that run.
func (a *account) handleSQL(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	return a.call(ctx, "sql", func(ctx context.Context) ([]byte, error) {
		in, err := readSQLInput(req.Params.Arguments, a.options.MaxCalls)
		if err != nil {
			return nil, err
		}
		select {
		case a.statements <- struct{}{}:
		case <-ctx.Done():
			return nil, fmt.Errorf("stripe: %w while other statements run", context.Cause(ctx))
		}
		type outcome struct {
			output []byte
			err    error
		}
		done := make(chan outcome, 1)
		go func() {
			defer func() { <-a.statements }()
			output, err := a.query(ctx, in)
			done <- outcome{output, err}
		}()
		select {
		case o := <-done:
			return o.output, o.err
		case <-ctx.Done():
			return nil, fmt.Errorf("stripe: the statement: %w: make it read or compute less", context.Cause(ctx))
		}
	}), nil
}

// query runs a statement, and returns its result as JSON.
func (a *account) query(ctx context.Context, in sqlInput) ([]byte, error) {
	db, err := openDB(a.client, *in.MaxCalls)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	var stats stripesql.Stats
	rows, err := db.QueryContext(stripesql.WithStats(ctx, &stats), in.Query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	result, err := a.readRows(rows)
	if err != nil {
		return nil, err
	}
	if err := rows.Close(); err != nil {
		return nil, err
	}
	result.Calls = stats.Calls
	return bound.Encode(result)
}

// openDB opens a database of an account. It makes no API call.
func openDB(client *stripekit.Client, maxCalls int) (*sql.DB, error) {
	connector, err := stripesql.Connector(client, stripesql.WithMaxCalls(maxCalls), stripesql.WithMaxMemory(maxMemory))
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

// readRows reads rows until there are no more, or no more have room.
func (a *account) readRows(rows *sql.Rows) (*sqlResult, error) {
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	result := &sqlResult{Columns: columns, Rows: []json.RawMessage{}, Calls: a.options.MaxCalls, Truncated: truncatedRows}
	frame, err := bound.Encode(result)
	if err != nil {
		return nil, err
	}
	room := a.options.MaxBytes - len(frame)
	if room < 0 {
		return nil, errTooWide
	}
	for rows.Next() {
		row, err := scan(rows, len(columns), a.options.MaxBytes)
		if err != nil {
			return nil, err
		}
		room -= len(row) + 1
		switch {
		case room < 0 && len(result.Rows) == 0:
			return nil, errTooWide
		case room < 0 || len(result.Rows) == a.options.MaxRows:
			return result, nil
		}
		result.Rows = append(result.Rows, row)
	}
	result.Truncated = ""
	return result, rows.Err()
}

// errTooWide is returned for a row that has more bytes than a result may have.
var errTooWide = errors.New("stripe: a row has more bytes than a result may have: select fewer columns, or parts by substr")

// scan returns the row as a JSON array. A blob is in Base64.
func scan(rows *sql.Rows, columns, limit int) (json.RawMessage, error) {
	values, targets := make([]any, columns), make([]any, columns)
	for i := range values {
		targets[i] = &values[i]
	}
	if err := rows.Scan(targets...); err != nil {
		return nil, err
	}
	size := 0
	for i, value := range values {
		switch value := value.(type) {
		case float64:
			if math.IsInf(value, 0) {
				values[i] = fmt.Sprint(value) // JSON has no infinity
			}
		case string:
			size += len(value)
		case []byte:
			size += len(value)
		}
	}
	if size > limit {
		return nil, errTooWide
	}
	row, err := bound.Encode(values)
	return json.RawMessage(transport.Mask(string(row))), err
}

func sqlTablesTool() *mcp.Tool {
	return &mcp.Tool{
		Name: "sql_tables", Title: "List SQL tables",
		Description: "Lists the tables of the tool sql with the names and types of their columns. It makes no API call.",
		InputSchema: &jsonschema.Schema{Type: "object", AdditionalProperties: &jsonschema.Schema{Not: &jsonschema.Schema{}}},
		Annotations: &mcp.ToolAnnotations{ReadOnlyHint: true, IdempotentHint: true, OpenWorldHint: new(false)},
	}
}

// handleSQLTables lists the columns by statements without rows, which make no API call.
func (a *account) handleSQLTables(ctx context.Context, _ *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	return a.call(ctx, "sql_tables", func(ctx context.Context) ([]byte, error) {
		db, err := openDB(a.client, a.options.MaxCalls)
		if err != nil {
			return nil, err
		}
		defer db.Close()
		columns := map[string][]string{}
		for _, table := range stripesql.Tables() {
			if columns[table], err = columnsOf(ctx, db, table); err != nil {
				return nil, err
			}
		}
		text, err := bound.Encode(columns)
		if err != nil {
			return nil, err
		}
		return bound.Response(text, a.options.MaxBytes, false)
	}), nil
}

// columnsOf returns the names of the columns of a table, each followed by its type.
func columnsOf(ctx context.Context, db *sql.DB, table string) ([]string, error) {
	rows, err := db.QueryContext(ctx, "SELECT * FROM "+table+" LIMIT 0")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	types, err := rows.ColumnTypes()
	if err != nil {
		return nil, err
	}
	var columns []string
	for _, column := range types {
		columns = append(columns, column.Name()+" "+column.DatabaseTypeName())
	}
	return columns, nil
}
