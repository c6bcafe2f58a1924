package redpanda

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/redpanda-data/benthos/v4/public/bloblang"
	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/stripekit/stripekit/stripesql"
)

func sqlSpec() *service.ConfigSpec {
	return service.NewConfigSpec().
		Summary("Queries a Stripe account in SQL, delivers each row as a message, and ends.").
		Description(sqlDescription).
		Fields(clientFields()...).
		Fields(
			service.NewStringField("query").Description("The statement, in the SQL of SQLite. It can only read.").
				Example("SELECT currency, sum(amount) AS total FROM charges WHERE created >= '2026-01-01' GROUP BY currency"),
			service.NewBloblangField("args_mapping").Optional().Example(`root = [ now().ts_sub_iso8601("P1D") ]`).
				Description("A mapping to an array: the values of the parameters `?` of the query. It is evaluated when the query begins."),
			service.NewIntField("max_calls").Default(1000).
				Description("The most requests to Stripe that the query may make. One that needs more fails."),
			service.NewBoolField("search").Default(false).Advanced().
				Description("Allow Stripe's search if that saves requests. Its results lag behind by up to a minute, or an hour at worst."),
		).
		Example("Yesterday's revenue", "A report of one line for each currency.", sqlExample)
}

// sqlInput delivers the rows of a query.
type sqlInput struct {
	db    *sql.DB
	query string
	args  *bloblang.Executor // nil: the query has no parameters

	rows    *sql.Rows // nil before Connect
	columns []string
	cancel  context.CancelFunc // ends the query; nil before Connect
	failed  error              // by which reading the rows has ended
}

func newSQLInput(conf *service.ParsedConfig, res *service.Resources) (service.Input, error) {
	in := new(sqlInput)
	var err error
	if in.query, err = conf.FieldString("query"); err != nil {
		return nil, err
	}
	if conf.Contains("args_mapping") {
		if in.args, err = conf.FieldBloblang("args_mapping"); err != nil {
			return nil, err
		}
	}
	if in.db, err = openSQL(conf, res); err != nil {
		return nil, err
	}
	// To compile the query makes no request.
	statement, err := in.db.Prepare(in.query)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("query: %w", err), in.db.Close())
	}
	if err := statement.Close(); err != nil {
		return nil, err
	}
	return service.AutoRetryNacks(in), nil
}

// openSQL opens the account as a database.
func openSQL(conf *service.ParsedConfig, res *service.Resources) (*sql.DB, error) {
	client, err := newClient(conf, res)
	if err != nil {
		return nil, err
	}
	calls, err := conf.FieldInt("max_calls")
	if err != nil {
		return nil, err
	}
	search, err := conf.FieldBool("search")
	if err != nil {
		return nil, err
	}
	opts := []stripesql.Option{stripesql.WithMaxCalls(calls)}
	if search {
		opts = append(opts, stripesql.WithSearch())
	}
	connector, err := stripesql.Connector(client, opts...)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

// Connect begins the query. A query of which rows may have been delivered is not begun
// again: the input would deliver them twice.
func (in *sqlInput) Connect(context.Context) error {
	if in.failed != nil {
		return service.NewErrBackOff(in.failed, maxPause)
	}
	args, err := in.arguments()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	in.cancel = cancel
	if in.rows, err = in.db.QueryContext(ctx, in.query, args...); err != nil {
		cancel()
		return err
	}
	if in.columns, err = in.rows.Columns(); err != nil {
		return err
	}
	for i, column := range in.columns {
		if slices.Contains(in.columns[:i], column) {
			in.failed = fmt.Errorf("query: two columns are named %s: name them by AS", column)
			return service.NewErrBackOff(in.failed, maxPause)
		}
	}
	return nil
}

func (in *sqlInput) arguments() ([]any, error) {
	if in.args == nil {
		return nil, nil
	}
	result, err := in.args.Query(nil)
	if err != nil {
		return nil, fmt.Errorf("args_mapping: %w", err)
	}
	args, ok := result.([]any)
	if !ok {
		return nil, errors.New("args_mapping: the result must be an array")
	}
	return args, nil
}

// Read returns the next row. Close ends a call that waits for Stripe.
func (in *sqlInput) Read(context.Context) (*service.Message, service.AckFunc, error) {
	row, err := in.next()
	switch {
	case err == nil:
		return service.NewMessage(row), func(context.Context, error) error { return nil }, nil
	case errors.Is(err, service.ErrEndOfInput):
		return nil, nil, err
	default:
		in.failed = err
		return nil, nil, service.ErrNotConnected
	}
}

// next returns the next row as a JSON object with the columns in their order.
func (in *sqlInput) next() ([]byte, error) {
	if !in.rows.Next() {
		if err := in.rows.Err(); err != nil {
			return nil, err
		}
		return nil, service.ErrEndOfInput
	}
	values, targets := make([]any, len(in.columns)), make([]any, len(in.columns))
	for i := range values {
		targets[i] = &values[i]
	}
	if err := in.rows.Scan(targets...); err != nil {
		return nil, err
	}
	row := bytes.NewBufferString("{")
	for i, column := range in.columns {
		name, err := json.Marshal(column)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(values[i])
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", column, err)
		}
		if i > 0 {
			row.WriteByte(',')
		}
		fmt.Fprintf(row, "%s:%s", name, value)
	}
	row.WriteByte('}')
	return row.Bytes(), nil
}

// Close ends the query.
func (in *sqlInput) Close(context.Context) error {
	if in.cancel != nil {
		in.cancel()
	}
	return in.db.Close()
}
