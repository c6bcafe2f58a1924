package stripesql

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Column is a column of a table that WithTable adds.
type Column struct {
	// Name is the name of the column: lower-case letters, digits and underscores. For
	// the type Time there is a second column, with the suffix _unix.
	Name string
	// Type is the type of the field. The zero value is Text.
	Type ColumnType
	// Path is the place of the field in an object, with dots: "evidence_details.due_by".
	// "" is Name.
	Path string
	// Filter is the parameter by which the list can be filtered for an exact value of a
	// Text or Boolean, or for bounds of a Time, such as "customer". "" is none. What the
	// service filters by must be equal in the column, or rows are missing.
	Filter string
	// Expand is the field that has to be expanded for the column, such as
	// "balance_transaction" for the path "balance_transaction.fee". A statement that reads
	// the column requests it with expand[], and SELECT * leaves the column out. "" is none.
	Expand string
}

// ColumnType is the type of a field of an object.
type ColumnType int

// The types of fields.
const (
	Text    ColumnType = iota // a string, or a reference to an object, which may be expanded
	Integer                   // an amount or a count
	Real                      // a number with a fraction
	Boolean                   // 0 or 1
	Time                      // seconds since 1970, as text in the column
	JSON                      // an object or an array, as JSON text
)

// WithTable adds a table for another list of the API. Its columns are id, created,
// created_unix, the given ones, and raw, like those of all tables. The list must have
// the newest objects first, as Stripe's lists have; path is such as "/v1/topups". If the
// list has no parameter created, it is read by one request at a time, and a condition must
// not be sent: WHERE +created >= '2026-01-01'. The name must not be that of another table.
//
//	stripesql.WithTable("topups", "/v1/topups",
//		stripesql.Column{Name: "amount", Type: stripesql.Integer},
//		stripesql.Column{Name: "status", Filter: "status"})
func WithTable(name, path string, columns ...Column) Option {
	return func(o *options) error {
		t, err := newTable(name, path, columns)
		if err != nil {
			return fmt.Errorf("WithTable: %s: %w", name, err)
		}
		t.prepare()
		o.added = append(slices.Clip(o.added), t)
		return nil
	}
}

var (
	validName   = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	validExpand = regexp.MustCompile(`^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*){0,3}$`)
	validPath   = regexp.MustCompile(`^/v1(/[A-Za-z0-9_]+)+$`)
)

// newTable returns a table for a list.
func newTable(name, path string, columns []Column) (*table, error) {
	switch {
	case !validName.MatchString(name) || strings.HasPrefix(name, "sqlite_"):
		return nil, errors.New("the name of a table has lower-case letters, digits and underscores")
	case !validPath.MatchString(path):
		return nil, errors.New(`the path of a list is such as "/v1/topups"`)
	}
	t := &table{name: name, path: path, rows: 5_000, filters: map[string]filter{}, columns: []column{
		{name: idColumn, kind: Text, paths: [][]string{{idColumn}}},
		{name: createdColumn, kind: Time, paths: [][]string{{createdColumn}}},
		{name: unixColumn, kind: unixTime, paths: [][]string{{createdColumn}}},
	}}
	for _, c := range columns {
		if err := t.add(c); err != nil {
			return nil, fmt.Errorf("column %q: %w", c.Name, err)
		}
	}
	return t, nil
}

// add adds a column to a table that is not prepared yet.
func (t *table) add(c Column) error {
	path := strings.Split(c.Path, ".")
	if c.Path == "" {
		path = []string{c.Name}
	}
	switch {
	case !validName.MatchString(c.Name):
		return errors.New("its name must have lower-case letters, digits and underscores")
	case c.Type < Text || c.Type > JSON:
		return fmt.Errorf("there is no type %d", c.Type)
	case slices.Contains(path, ""):
		return errors.New("a part of its path is empty")
	case c.Expand != "" && !validExpand.MatchString(c.Expand):
		return errors.New(`the field to expand is such as "balance_transaction"`)
	case c.Filter != "" && c.Type != Text && c.Type != Boolean && c.Type != Time:
		return errors.New("only a Text, a Boolean and a Time can have a filter")
	}
	made := []column{{name: c.Name, kind: c.Type, paths: [][]string{path}, expand: c.Expand}}
	if c.Type == Time {
		made = append(made, column{name: c.Name + unixSuffix, kind: unixTime, paths: [][]string{path}, expand: c.Expand})
	}
	for _, one := range made {
		if one.name == rawColumn || slices.ContainsFunc(t.columns, func(other column) bool { return other.name == one.name }) {
			return errors.New("the table has a column of that name")
		}
		t.columns = append(t.columns, one)
	}
	if c.Filter != "" {
		t.filters[c.Name] = filter{param: c.Filter, span: c.Type == Time}
	}
	return nil
}

// Tables returns the names of the tables, sorted. Those of WithTable are not among them.
func Tables() []string { return slices.Sorted(maps.Keys(newTables())) }

// withAdded returns the tables of this package and those that are added.
func withAdded(added []*table) (map[string]*table, error) {
	tables := newTables()
	for _, t := range added {
		if tables[t.name] != nil {
			return nil, fmt.Errorf("WithTable: there is a table %s", t.name)
		}
		tables[t.name] = t
	}
	return tables, nil
}

// fields returns columns of one type. A dot in a name is a path.
func fields(of ColumnType, names ...string) []Column {
	columns := make([]Column, len(names))
	for i, name := range names {
		columns[i] = Column{Name: strings.ReplaceAll(name, ".", "_"), Type: of, Path: name}
	}
	return columns
}

// filtered returns columns that a list can be filtered by, by their own names.
func filtered(of ColumnType, names ...string) []Column {
	columns := fields(of, names...)
	for i := range columns {
		columns[i].Filter = columns[i].Name
	}
	return columns
}

// ofBalance returns the columns of an object's balance transaction, which is expanded for
// them.
func ofBalance() []Column {
	columns := slices.Concat(fields(Integer, "amount", "fee", "net"), fields(Text, "currency"), fields(Real, "exchange_rate"))
	for i, c := range columns {
		const field = "balance_transaction"
		columns[i].Name, columns[i].Path, columns[i].Expand = field+"_"+c.Name, field+"."+c.Path, field
	}
	return columns
}

// furtherTables are lists of which the client has no service. Their fields and filters
// are those of Stripe's description of the API, version 2026-08-26.dahlia; a field that an API
// version lacks is NULL.
func furtherTables() map[string]*table {
	tables := map[string]*table{}
	for name, columns := range map[string][][]Column{
		"balance_transactions": {
			filtered(Text, "source", "type", "currency"), fields(Integer, "amount", "fee", "net"), fields(Real, "exchange_rate"),
			fields(Text, "status", "reporting_category", "description"), fields(Time, "available_on"), fields(JSON, "fee_details"),
		},
		"disputes": {
			filtered(Text, "charge", "payment_intent"), fields(Integer, "amount"), fields(Text, "currency", "status", "reason"),
			fields(Boolean, "is_charge_refundable", "livemode"),
			fields(Time, "evidence_details.due_by"), fields(Integer, "evidence_details.submission_count"),
			fields(Boolean, "evidence_details.has_evidence", "evidence_details.past_due"), fields(JSON, "evidence", "balance_transactions", "metadata"),
		},
		"events": {
			filtered(Text, "type"), fields(Text, "account", "api_version", "request.id", "request.idempotency_key"), fields(Integer, "pending_webhooks"),
			fields(Boolean, "livemode"),
			{{Name: "object_id", Path: "data.object.id"}, {Name: "object_type", Path: "data.object.object"}},
			fields(JSON, "data.object", "data.previous_attributes"),
		},
		"invoices": {
			filtered(Text, "customer", "customer_account", "status", "collection_method"), filtered(Time, "due_date"),
			{{Name: "subscription", Path: "parent.subscription_details.subscription", Filter: "subscription"}},
			fields(Integer, "amount_due", "amount_paid", "amount_remaining", "subtotal", "total", "starting_balance", "ending_balance", "attempt_count"),
			fields(Text, "currency", "number", "billing_reason", "customer_email", "customer_name", "description", "receipt_number", "hosted_invoice_url", "invoice_pdf"),
			fields(Boolean, "attempted", "auto_advance", "livemode"),
			fields(Time, "period_start", "period_end", "next_payment_attempt", "status_transitions.finalized_at", "status_transitions.paid_at", "status_transitions.voided_at"),
			fields(JSON, "lines", "discounts", "total_taxes", "metadata"),
		},
		"payment_intents": {
			filtered(Text, "customer", "customer_account"), fields(Integer, "amount", "amount_capturable", "amount_received", "application_fee_amount"),
			fields(Text, "currency", "status", "latest_charge", "payment_method", "capture_method", "description", "receipt_email", "cancellation_reason", "statement_descriptor", "transfer_group"),
			fields(Text, "last_payment_error.code", "last_payment_error.decline_code", "last_payment_error.message"),
			fields(Boolean, "livemode"), fields(Time, "canceled_at"), fields(JSON, "payment_method_types", "metadata"),
		},
		"payouts": {
			filtered(Text, "status", "destination"), filtered(Time, "arrival_date"), fields(Integer, "amount", "application_fee_amount"),
			fields(Text, "currency", "type", "method", "source_type", "description", "balance_transaction", "failure_code", "failure_message", "statement_descriptor", "reconciliation_status"),
			fields(Boolean, "automatic", "livemode"), fields(JSON, "metadata"), ofBalance(),
		},
		"prices": {
			filtered(Text, "product", "currency", "type"), filtered(Boolean, "active"), fields(Integer, "unit_amount"),
			fields(Text, "unit_amount_decimal", "nickname", "lookup_key", "billing_scheme", "tax_behavior", "tiers_mode", "recurring.interval", "recurring.usage_type"),
			fields(Integer, "recurring.interval_count"), fields(Boolean, "livemode"), fields(JSON, "metadata"),
		},
		"subscriptions": {
			filtered(Text, "customer", "customer_account", "status", "collection_method"),
			fields(Text, "currency", "latest_invoice", "default_payment_method", "description", "schedule", "cancellation_details.reason"), fields(Boolean, "cancel_at_period_end", "livemode"),
			fields(Time, "start_date", "ended_at", "cancel_at", "canceled_at", "billing_cycle_anchor", "trial_start", "trial_end"), fields(Integer, "days_until_due"),
			fields(JSON, "items", "discounts", "metadata"),
		},
	} {
		t, err := newTable(name, "/v1/"+name, slices.Concat(columns...))
		if err != nil {
			panic("stripesql: " + name + ": " + err.Error()) // what stands above is wrong
		}
		t.prepare()
		tables[name] = t
	}
	// Without a status, the list leaves out what was canceled.
	tables["subscriptions"].always = map[string]string{"status": "all"}
	return tables
}

// constant returns the parameters that all requests for the list have.
func (t *table) constant() map[string]string {
	params := map[string]string{}
	maps.Copy(params, t.always)
	return params
}
