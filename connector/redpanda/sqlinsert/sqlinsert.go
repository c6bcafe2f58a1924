// Package sqlinsert has the output sql_insert, which inserts messages into a table of
// SQLite, PostgreSQL or MySQL. Importing the package registers it. A program that has
// an output of that name already must not import the package.
package sqlinsert

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/redpanda-data/benthos/v4/public/bloblang"
	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/stripekit/stripekit/connector/redpanda/internal/database"
)

func init() {
	if err := Register(service.GlobalEnvironment()); err != nil {
		panic("sqlinsert: " + err.Error()) // another package has registered the name
	}
}

// Register adds the output to an environment. The global one has it already, and so has
// every environment that is made from it. Register returns an error if the name is taken.
func Register(env *service.Environment) error {
	return env.RegisterBatchOutput("sql_insert", spec(), newOutput)
}

func spec() *service.ConfigSpec {
	return service.NewConfigSpec().
		Categories("Services").
		Summary("Inserts a row into a table for each message.").
		Description("A batch is one transaction. If it fails, its messages are inserted one by one, so that only those are rejected that the database refuses.\n\n"+
			"A message may be delivered again, after a crash for example. With a unique column and a `suffix` it is still one row: see the example.").
		Fields(database.Fields()...).
		Fields(
			service.NewStringField("table").Description("The table.").Example("charges"),
			service.NewStringListField("columns").Description("The columns of a row.").Example([]string{"id", "amount", "created"}),
			service.NewBloblangField("args_mapping").Example(`root = [ this.id, this.amount, this.created.ts_format() ]`).
				Description("A mapping to an array: the values of the columns. An object or an array in it is stored as JSON text."),
			service.NewStringField("suffix").Default("").Advanced().Example("ON CONFLICT (id) DO NOTHING").
				Description("What follows the values in the statement."),
			service.NewOutputMaxInFlightField(),
			service.NewBatchPolicyField("batching"),
		).
		Example("Charges in PostgreSQL", "A charge that is delivered again is left out.", example)
}

const example = `
output:
  sql_insert:
    driver: postgres
    dsn: postgres://user:${PASSWORD}@db.example.com:5432/shop
    table: charges
    columns: [ id, amount, currency, created ]
    args_mapping: root = [ this.id, this.amount, this.currency, this.created.ts_format() ]
    suffix: ON CONFLICT (id) DO NOTHING
    batching:
      count: 100
      period: 1s
`

// output inserts rows.
type output struct {
	db      *database.DB
	args    *bloblang.Executor
	columns int
	insert  string // the statement
}

func newOutput(conf *service.ParsedConfig, _ *service.Resources) (_ service.BatchOutput, batching service.BatchPolicy, inFlight int, err error) {
	o := new(output)
	if inFlight, err = conf.FieldMaxInFlight(); err != nil {
		return nil, batching, 0, err
	}
	if batching, err = conf.FieldBatchPolicy("batching"); err != nil {
		return nil, batching, 0, err
	}
	if o.args, err = conf.FieldBloblang("args_mapping"); err != nil {
		return nil, batching, 0, err
	}
	table, err := conf.FieldString("table")
	if err != nil {
		return nil, batching, 0, err
	}
	columns, err := conf.FieldStringList("columns")
	if err != nil {
		return nil, batching, 0, err
	}
	suffix, err := conf.FieldString("suffix")
	if err != nil {
		return nil, batching, 0, err
	}
	if o.db, err = database.Open(conf); err != nil {
		return nil, batching, 0, err
	}
	o.columns, o.insert = len(columns), o.statement(table, columns, suffix)
	return o, batching, inFlight, nil
}

func (o *output) statement(table string, columns []string, suffix string) string {
	values := make([]string, len(columns))
	for i := range columns {
		values[i] = o.db.Placeholder(i + 1)
	}
	return strings.TrimSpace(fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s) %s",
		table, strings.Join(columns, ", "), strings.Join(values, ", "), suffix))
}

// Connect returns an error if the database cannot be reached.
func (o *output) Connect(ctx context.Context) error { return o.db.Ping(ctx) }

// Close closes the connections to the database.
func (o *output) Close(context.Context) error { return o.db.Close() }

// WriteBatch inserts the messages in one transaction, or one by one if that fails.
func (o *output) WriteBatch(ctx context.Context, batch service.MessageBatch) error {
	mapping := batch.BloblangExecutor(o.args)
	rows := make([][]any, len(batch))
	err := batch.WalkWithBatchedErrors(func(i int, _ *service.Message) (err error) {
		rows[i], err = o.row(mapping.Query(i))
		return err
	})
	if err == nil {
		err = o.store(ctx, rows)
	}
	switch {
	case err == nil:
		return nil
	case o.db.Ping(ctx) != nil:
		return service.ErrNotConnected
	case len(batch) == 1:
		return err
	}
	return batch.WalkWithBatchedErrors(func(i int, _ *service.Message) error {
		row, err := o.row(mapping.Query(i))
		if err != nil {
			return err
		}
		return o.store(ctx, [][]any{row})
	})
}

// row returns the values in the result of a mapping.
func (o *output) row(result *service.Message, err error) ([]any, error) {
	if err != nil {
		return nil, fmt.Errorf("args_mapping: %w", err)
	}
	var values any
	if result != nil {
		if values, err = result.AsStructured(); err != nil {
			return nil, fmt.Errorf("args_mapping: %w", err)
		}
	}
	list, ok := values.([]any)
	if !ok || len(list) != o.columns {
		return nil, fmt.Errorf("args_mapping: the result must be an array of %d values", o.columns)
	}
	row := make([]any, len(list))
	for i, value := range list {
		if row[i], err = argument(value); err != nil {
			return nil, fmt.Errorf("args_mapping: value %d: %w", i, err)
		}
	}
	return row, nil
}

// argument returns a value as one that drivers accept.
func argument(value any) (any, error) {
	switch v := value.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n, nil
		}
		return v.Float64()
	case map[string]any, []any:
		text, err := json.Marshal(v)
		return string(text), err
	}
	return value, nil
}

// store inserts rows in one transaction.
func (o *output) store(ctx context.Context, rows [][]any) error {
	tx, err := o.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	statement, err := tx.PrepareContext(ctx, o.insert)
	if err != nil {
		return err
	}
	defer statement.Close()
	for _, row := range rows {
		if _, err := statement.ExecContext(ctx, row...); err != nil {
			return err
		}
	}
	return tx.Commit()
}
