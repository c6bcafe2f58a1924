package stripesql

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/ncruces/go-sqlite3"

	"github.com/stripekit/stripekit"
)

// unixTime is the type of the second column of a Time, in seconds since 1970.
const unixTime = JSON + 1

// declaration returns the type of a column in SQL.
func (k ColumnType) declaration() string {
	switch k {
	case Integer, Boolean, unixTime:
		return "INTEGER"
	case Real:
		return "REAL"
	case Time:
		// TEXT sets the affinity, TIMESTAMP identifies the column for the
		// driver.
		return stampType + " COLLATE " + stampCollation
	default:
		return "TEXT"
	}
}

const stampType = "TIMESTAMP TEXT"

// column is one field of an object, or of a nested object.
type column struct {
	name string
	kind ColumnType
	// paths are the places of the field: its own name, and the names that it
	// has in other API versions. The first path that has a value counts.
	paths [][]string
	// expand is the field that refers to an object and has to be expanded for the
	// column, "" for a column of the object itself.
	expand string
}

// hidden reports whether SELECT * leaves the column out.
func (c column) hidden() bool { return c.name == rawColumn || c.expand != "" }

// table is one resource.
type table struct {
	name    string
	path    string // of the list
	rows    int64  // expected number of objects if the table was not measured
	columns []column
	index   map[string]int // index in columns, by name

	always   map[string]string // parameters of each request for the list, unless a filter has them
	filters  map[string]filter // the filters of lists, by column
	searches []string          // the columns that searches can filter by, nil if there are no searches
	byIDs    bool              // the list has a parameter for ids
	// prefixed is set if Stripe makes all ids, with a prefix such as ch_.
	prefixed bool
	// timeField is the field that created is read from.
	timeField string
	// disordered is set if objects are not listed in the order of their
	// created.
	disordered bool

	extract *branch // where the columns are in an object
	head    *branch // where the id and the time are in an object
}

// filter is a parameter of a list.
type filter struct {
	param string
	// rows is the expected number of objects with a given value. It is 0 if all
	// objects share a few values, so that a filtered list is long.
	rows float64
	// many is set if the parameter takes a list of values.
	many bool
	// span is set if the parameter takes bounds of a time.
	span bool
}

// quoted returns the name of the table as SQL has it.
func (t *table) quoted() string { return sqlite3.QuoteIdentifier(t.name) }

// kind returns the type of a column.
func (t *table) kind(column string) ColumnType { return t.columns[t.index[column]].kind }

// filter returns the filter of a column. Both columns of a time have the same.
func (t *table) filter(column string) filter {
	return t.filters[strings.TrimSuffix(column, unixSuffix)]
}

const unixSuffix = "_unix"

const createdColumn, unixColumn, idColumn = "created", "created_unix", "id"

// rawColumn is the hidden column with the whole object: SELECT * does not have it.
const rawColumn = "raw"

// newTables returns the tables, with columns from the types of the client.
func newTables() map[string]*table {
	byCustomer := filter{param: "customer", rows: 20}
	all := []*table{
		{
			name: "charges", prefixed: true, path: "/v1/charges", rows: 100_000, columns: columnsOf[stripekit.Charge](),
			filters: map[string]filter{
				"customer": byCustomer, "payment_intent": {param: "payment_intent", rows: 2}, "transfer_group": {param: "transfer_group", rows: 10},
			},
			searches: []string{"amount", "created", "currency", "customer", "disputed", "refunded", "status"},
		},
		{
			name: "customers", path: "/v1/customers", rows: 20_000, columns: columnsOf[stripekit.Customer](),
			filters:  map[string]filter{"email": {param: "email", rows: 1}},
			searches: []string{"created", "email", "name", "phone"},
		},
		{
			name: "products", path: "/v1/products", rows: 500, columns: columnsOf[stripekit.Product](), byIDs: true,
			filters: map[string]filter{
				"active": {param: "active"}, "shippable": {param: "shippable"}, "url": {param: "url", rows: 2},
			},
			searches: []string{"active", "description", "name", "shippable", "url"},
		},
		{
			name: "refunds", prefixed: true, path: "/v1/refunds", rows: 5_000, columns: columnsOf[stripekit.Refund](),
			filters: map[string]filter{"charge": {param: "charge", rows: 2}, "payment_intent": {param: "payment_intent", rows: 2}},
		},
		{
			name: "invoice_items", prefixed: true, path: "/v1/invoiceitems", rows: 10_000, columns: columnsOf[stripekit.InvoiceItem](), disordered: true,
			filters: map[string]filter{
				"customer": byCustomer, "customer_account": {param: "customer_account", rows: 20}, "invoice": {param: "invoice", rows: 10},
			},
		},
		{
			name: "orders", prefixed: true, path: "/v1/orders", rows: 5_000, columns: columnsOf[stripekit.Order](), byIDs: true,
			filters: map[string]filter{
				"customer": byCustomer, "status": {param: "status"}, "upstream_id": {param: "upstream_ids", many: true, rows: 2},
				"status_transitions_canceled": {param: "status_transitions[canceled]", span: true},
				"status_transitions_fulfiled": {param: "status_transitions[fulfilled]", span: true},
				"status_transitions_paid":     {param: "status_transitions[paid]", span: true},
				"status_transitions_returned": {param: "status_transitions[returned]", span: true},
			},
		},
	}
	tables := furtherTables()
	for _, t := range all {
		if t.name == "charges" || t.name == "refunds" {
			for _, c := range ofBalance() {
				if err := t.add(c); err != nil {
					panic("stripesql: " + t.name + ": " + err.Error()) // the columns above are wrong
				}
			}
		}
		t.prepare()
		tables[t.name] = t
	}
	return tables
}

// moved returns the paths of a column in other API versions.
func moved(table, column string) [][]string {
	switch table + "." + column {
	case "customers.balance":
		return [][]string{{"account_balance"}}
	case "customers.discount_coupon":
		return [][]string{{"discount", "source", "coupon"}}
	case "products.marketing_features":
		return [][]string{{"features"}}
	case "invoices.subscription":
		return [][]string{{"subscription"}}
	case "invoice_items.subscription":
		return [][]string{{"parent", "subscription_details", "subscription"}}
	case "invoice_items.subscription_item":
		return [][]string{{"parent", "subscription_details", "subscription_item"}}
	case "invoice_items.price":
		return [][]string{{"pricing", "price_details", "price"}}
	case "invoice_items.unit_amount":
		return [][]string{{"unit_amount_decimal"}, {"pricing", "unit_amount_decimal"}}
	case "invoice_items.unit_amount_decimal":
		return [][]string{{"pricing", "unit_amount_decimal"}}
	}
	return nil
}

// connectionIndex is the place of the column connection, after the id.
const connectionIndex = 1

// addConnection adds the column connection to a table that is prepared.
func (t *table) addConnection() error {
	if _, taken := t.index[connectionColumn]; taken {
		return fmt.Errorf("table %s: OpenAll adds the column %s", t.name, connectionColumn)
	}
	t.columns = slices.Insert(t.columns, connectionIndex, column{name: connectionColumn, kind: Text})
	t.readColumns()
	return nil
}

// connection returns the place of the column connection, -1 if the table has none.
func (t *table) connection() int {
	if c := t.columns[connectionIndex]; c.name == connectionColumn && c.paths == nil {
		return connectionIndex
	}
	return -1
}

// prepare completes a table that has all its columns.
func (t *table) prepare() {
	t.columns = append(t.columns, column{name: rawColumn, kind: JSON})
	t.readColumns()
}

// readColumns finds out where the columns are in an object.
func (t *table) readColumns() {
	t.index = map[string]int{}
	t.extract, t.head = newBranch(), newBranch()
	for i, c := range t.columns {
		if _, twice := t.index[c.name]; twice {
			panic("stripesql: two columns are named " + t.name + "." + c.name)
		}
		t.index[c.name] = i
		for rank, path := range append(c.paths, moved(t.name, c.name)...) {
			t.extract.add(path, leaf{column: i, kind: c.kind, rank: rank})
		}
	}
	t.head.add([]string{"id"}, leaf{column: headID, kind: Text})
	t.head.add([]string{"deleted"}, leaf{column: headDeleted, kind: Boolean})
	created := t.columns[t.index[createdColumn]].paths[0]
	t.head.add(created, leaf{column: headCreated, kind: Integer})
	t.timeField = created[0]
}

// declaration returns the CREATE TABLE statement of the table.
func (t *table) declaration() string {
	var b strings.Builder
	b.WriteString("CREATE TABLE x(")
	for i, c := range t.columns {
		if i > 0 {
			b.WriteString(", ")
		}
		kind, collation, _ := strings.Cut(c.kind.declaration(), " COLLATE ")
		switch {
		case c.hidden():
			kind += " HIDDEN"
		case c.name == idColumn:
			kind += " NOT NULL"
		}
		if collation != "" {
			kind += " COLLATE " + collation
		}
		fmt.Fprintf(&b, "%q %s", c.name, kind)
	}
	b.WriteString(")")
	return b.String()
}

// columnsOf returns the columns of a resource: id, created, created_unix, and
// then its fields in the order of their declaration. The fields of a nested
// object take its place, prefixed with its name.
func columnsOf[T any]() []column {
	fields := appendColumns(nil, reflect.TypeFor[T](), nil)
	named := func(names ...string) func(column) bool {
		return func(c column) bool { return slices.Contains(names, c.name) }
	}
	if i := slices.IndexFunc(fields, named("date")); i >= 0 {
		// The created of an invoice item is its date: the table has both
		// columns.
		for _, c := range fields[i : i+2] {
			c.name = strings.Replace(c.name, "date", createdColumn, 1)
			fields = append(fields, c)
		}
	}
	first := []string{idColumn, createdColumn, unixColumn}
	var columns []column
	for _, name := range first {
		columns = append(columns, fields[slices.IndexFunc(fields, named(name))])
	}
	return append(columns, slices.DeleteFunc(fields, named(append(first, "deleted")...))...)
}

func appendColumns(columns []column, object reflect.Type, path []string) []column {
	for _, field := range reflect.VisibleFields(object) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		columns = appendColumn(columns, field.Type, append(slices.Clip(path), name))
	}
	return columns
}

func appendColumn(columns []column, field reflect.Type, path []string) []column {
	add := func(suffix string, k ColumnType) {
		columns = append(columns, column{name: strings.Join(path, "_") + suffix, kind: k, paths: [][]string{path}})
	}
	if field.Kind() == reflect.Pointer {
		field = field.Elem()
	}
	switch {
	case field == reflect.TypeFor[stripekit.UnixTime]():
		add("", Time)
		add(unixSuffix, unixTime)
	case strings.HasPrefix(field.Name(), "Ref["):
		add("", Text)
	case strings.HasPrefix(field.Name(), "Page["):
		add("", JSON)
	case field.Kind() == reflect.Struct:
		return appendColumns(columns, field, path)
	case field.Kind() == reflect.String:
		add("", Text)
	case field.Kind() == reflect.Bool:
		add("", Boolean)
	case field.Kind() == reflect.Int || field.Kind() == reflect.Int64:
		add("", Integer)
	case field.Kind() == reflect.Float64:
		add("", Real)
	default:
		add("", JSON)
	}
	return columns
}
