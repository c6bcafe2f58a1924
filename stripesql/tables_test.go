package stripesql

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTablesHaveTheFieldsOfTheObjects(t *testing.T) {
	tables := newTables()
	for name, columns := range map[string]string{
		"charges":              "id created created_unix amount customer billing_details_email payment_method_details_card_brand outcome_risk_level metadata order shipping_address_city",
		"customers":            "id created email name balance metadata delinquent discount_coupon shipping_name",
		"products":             "id created updated updated_unix name active images package_dimensions_height default_price",
		"refunds":              "id created amount charge customer status reason",
		"invoice_items":        "id created created_unix date date_unix amount customer invoice price subscription period_start unit_amount",
		"balance_transactions": "id created amount fee net source type currency status available_on available_on_unix fee_details raw",
		"disputes":             "id created amount charge status reason evidence_details_due_by evidence_details_due_by_unix evidence",
		"events":               "id created type object_id object_type data_object data_previous_attributes request_id",
		"invoices":             "id created customer status subscription total due_date due_date_unix status_transitions_paid_at lines",
		"payment_intents":      "id created customer amount status latest_charge last_payment_error_code canceled_at",
		"payouts":              "id created amount status arrival_date arrival_date_unix destination metadata",
		"prices":               "id created product unit_amount active recurring_interval recurring_interval_count",
		"subscriptions":        "id created customer status items cancel_at_period_end ended_at",
		"orders":               "id created amount items customer charge status upstream_id status_transitions_paid status_transitions_fulfiled_unix",
	} {
		for column := range strings.FieldsSeq(columns) {
			require.Contains(t, tables[name].index, column, name)
		}
		require.NotContains(t, tables[name].index, "deleted")
		require.Equal(t, 0, tables[name].index[idColumn])
	}
	require.Len(t, tables, 6+8)
}

// SQLite reports individually which of the first 63 columns a statement reads.
func TestColumnsThatMatterAreAmongTheFirst(t *testing.T) {
	for _, r := range references() {
		table := newTables()[r.from]
		require.Contains(t, table.index, r.field)
		require.Less(t, table.index[r.field], 63, "%s.%s", r.from, r.field)
		require.Contains(t, newTables(), r.to)
	}
	for name, table := range newTables() {
		for column := range table.filters {
			require.Contains(t, table.index, column, name)
		}
		for _, column := range table.searches {
			require.Contains(t, table.index, column, name)
		}
	}
}

func TestObjectOfAnyVersion(t *testing.T) {
	tables := newTables()
	for _, test := range []struct {
		table, raw string
		want       map[string]any
	}{
		{"customers", `{"id":"cus_1","account_balance":-5,"created":7,"email":null,"livemode":false,"metadata":{ "a" : "b" }}`, map[string]any{
			"id": "cus_1", "balance": int64(-5), "created": "1970-01-01T00:00:07Z", "created_unix": int64(7), "email": nil, "livemode": int64(0), "metadata": `{"a":"b"}`, "shipping_name": nil,
		}},
		{"customers", `{"id":"cus_1","balance":3,"account_balance":4,"shipping":{"name":"Ä\u0041\"","address":{"city":"\ud83d\ude00"}},"discount":{"source":{"coupon":{"id":"co_1"}}}}`, map[string]any{
			"balance": int64(3), "shipping_name": `ÄA"`, "shipping_address_city": "😀", "discount_coupon": "co_1", "discount_source_coupon": "co_1",
		}},
		{"charges", `{"id":"ch_1","customer":{"id":"cus_9","created":5},"amount":9007199254740993,"paid":true,"order":null,"dispute":"dp_1","shipping":null}`, map[string]any{
			"customer": "cus_9", "amount": int64(9007199254740993), "paid": int64(1), "order": nil, "dispute": "dp_1", "shipping_name": nil,
		}},
		{"invoice_items", `{"id":"ii_1","date":9,"pricing":{"price_details":{"price":"price_1"},"unit_amount_decimal":"150"},"parent":{"subscription_details":{"subscription":"sub_1"}}}`, map[string]any{
			"created": "1970-01-01T00:00:09Z", "date_unix": int64(9), "price": "price_1", "unit_amount": int64(150), "unit_amount_decimal": "150", "subscription": "sub_1",
		}},
		{"invoice_items", `{"id":"ii_1","date":9,"price":{"id":"price_2"},"pricing":{"price_details":{"price":"price_1"}},"unit_amount":7,"unit_amount_decimal":"7.5"}`, map[string]any{
			"price": "price_2", "unit_amount": int64(7), "unit_amount_decimal": "7.5",
		}},
		{"products", `{"id":"p","package_dimensions":{"height":1,"width":2.5},"images":["a"],"features":[{"name":"x"}],"tax_code":"txcd"}`, map[string]any{
			"package_dimensions_height": 1.0, "package_dimensions_width": 2.5, "images": `["a"]`, "marketing_features": `[{"name":"x"}]`, "tax_code": "txcd",
		}},
	} {
		table := tables[test.table]
		o, err := table.newObject(oneAccount[0], []byte(test.raw))
		require.NoError(t, err)
		values, err := table.read(o, allOf(len(table.columns)), nil)
		require.NoError(t, err)
		for column, want := range test.want {
			require.Equal(t, want, values[table.index[column]], "%s.%s", test.table, column)
			// The column is also found when it alone is needed.
			alone, err := table.read(o, table.project(func(i int) bool { return table.columns[i].name == column }), nil)
			require.NoError(t, err)
			require.Equal(t, []any{want}, alone)
		}
	}
}

// A field under its own name counts, wherever it stands and whatever else is read.
func TestFormerNameOfAFieldGivesWay(t *testing.T) {
	table := newTables()["invoice_items"]
	o, err := table.newObject(oneAccount[0], []byte(`{"id":"ii_1","pricing":{"unit_amount_decimal":"500"},"unit_amount":400,"parent":{"subscription_details":{"subscription":"sub_2"}},"subscription":"sub_1"}`))
	require.NoError(t, err)
	for column, want := range map[string]any{"unit_amount": int64(400), "subscription": "sub_1"} {
		alone, err := table.read(o, table.project(func(i int) bool { return table.columns[i].name == column }), nil)
		require.NoError(t, err)
		require.Equal(t, []any{want}, alone)
	}
}

func TestHeadOfAnObject(t *testing.T) {
	table := newTables()["customers"]
	o, err := table.newObject(oneAccount[0], []byte(`{"id":"cus_1","object":"customer","deleted":true}`))
	require.NoError(t, err)
	require.True(t, o.deleted)
	require.False(t, o.dated)
	o, err = table.newObject(oneAccount[0], []byte(`{"created":5,"deleted":false,"id":"cus_1"}`))
	require.NoError(t, err)
	require.Equal(t, int64(5), o.created)
	require.False(t, o.deleted)
	for _, raw := range []string{`{}`, `[]`, `"x"`, `{"id":null}`} {
		_, err := table.newObject(oneAccount[0], []byte(raw))
		require.ErrorContains(t, err, "/v1/customers", raw)
	}
}

func FuzzObject(f *testing.F) {
	f.Add([]byte(`{"id":"ch_1","created":5,"customer":{"id":"x"},"outcome":{"type":null},"metadata":{"a":[1]}}`))
	f.Add([]byte(`{"id":"\ud800","amount":1e400,"created":-1,"shipping":7,"billing_details":[{}]}`))
	table := newTables()["charges"]
	f.Fuzz(func(t *testing.T, raw []byte) {
		o, err := table.newObject(oneAccount[0], raw)
		if err != nil {
			return
		}
		values, err := table.read(o, allOf(len(table.columns)), nil)
		if err != nil {
			return
		}
		for _, value := range values {
			switch value.(type) {
			case nil, int64, float64, string:
			default:
				t.Fatalf("%T", value)
			}
		}
	})
}
