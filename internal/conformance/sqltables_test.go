package conformance_test

import (
	"database/sql"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/internal/conformance/mock"
	"github.com/stripekit/stripekit/stripesql"
)

// sqlTables are the tables of stripesql for which the client has no service, with the
// columns that are sent to the service, and a condition on each.
var sqlTables = map[string][]string{
	"balance_transactions": {"source = 'ch_1'", "type = 'charge'", "currency = 'usd'"},
	"disputes":             {"charge = 'ch_1'", "payment_intent = 'pi_1'"},
	"events":               {"type = 'charge.failed'"},
	"invoices": {
		"customer = 'cus_1'", "customer_account = 'acct_1'", "status = 'open'", "collection_method = 'send_invoice'", "due_date >= '2026-01-01'", "subscription = 'sub_1'",
	},
	"payment_intents": {"customer = 'cus_1'", "customer_account = 'acct_1'"},
	"payouts":         {"status = 'paid'", "destination = 'ba_1'", "arrival_date < '2026-01-01'"},
	"prices":          {"product = 'prod_1'", "currency = 'usd'", "type = 'recurring'", "active = 1"},
	"subscriptions":   {"customer = 'cus_1'", "customer_account = 'acct_1'", "status = 'active'", "collection_method = 'send_invoice'"},
}

// elsewhere are the columns that an example of stripe-mock does not have at the place of
// their names: those named otherwise, and those below a field that is null there.
var elsewhere = map[string]string{
	"events":          "account object_id object_type data_previous_attributes request_id request_idempotency_key",
	"invoices":        "subscription",
	"payment_intents": "last_payment_error_code last_payment_error_decline_code last_payment_error_message",
}

// TestStripeMockHasTheTablesOfSQL reads each table, and each with the filters of its
// list. stripe-mock refuses parameters that Stripe's description lacks. The columns are
// fields of its example of the object.
func TestStripeMockHasTheTablesOfSQL(t *testing.T) {
	server := startMock(t, mock.Description{})
	client, _ := newClient(t, mock.Key, server.URL)
	connector, err := stripesql.Connector(client)
	require.NoError(t, err)
	db := sql.OpenDB(connector)
	defer db.Close()
	for table, conditions := range sqlTables {
		t.Run(table, func(t *testing.T) {
			requireFields(t, db, table)
			for _, condition := range append(conditions, "created >= '2020-01-01'") {
				var stats stripesql.Stats
				rows, err := db.QueryContext(stripesql.WithStats(t.Context(), &stats), "SELECT id FROM "+table+" WHERE "+condition)
				require.NoError(t, err)
				for rows.Next() {
				}
				require.NoError(t, rows.Err(), condition)
				require.NoError(t, rows.Close())
				require.Equal(t, 1, stats.Calls)
			}
		})
	}
}

// requireFields requires that the columns of a table are fields of its first object.
func requireFields(t *testing.T, db *sql.DB, table string) {
	t.Helper()
	var raw string
	require.NoError(t, db.QueryRowContext(t.Context(), "SELECT raw FROM "+table+" LIMIT 1").Scan(&raw))
	var object map[string]any
	require.NoError(t, json.Unmarshal([]byte(raw), &object))
	known := map[string]bool{"created_unix": true}
	for name := range strings.FieldsSeq(elsewhere[table]) {
		known[name] = true
	}
	addFields(known, "", object)
	rows, err := db.QueryContext(t.Context(), "SELECT * FROM "+table+" LIMIT 0")
	require.NoError(t, err)
	defer rows.Close()
	columns, err := rows.Columns()
	require.NoError(t, err)
	require.NoError(t, rows.Err())
	for _, column := range columns {
		if !known[column] && !known[strings.TrimSuffix(column, "_unix")] {
			t.Errorf("%s has no field %s: %s", table, column, raw)
		}
	}
}

// addFields adds the names of the fields of an object, with the names of nested ones
// behind those of the objects that they are in.
func addFields(to map[string]bool, prefix string, object map[string]any) {
	for name, value := range object {
		to[prefix+name] = true
		if inner, ok := value.(map[string]any); ok {
			addFields(to, prefix+name+"_", inner)
		}
	}
}
