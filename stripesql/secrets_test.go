package stripesql_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/stripesql"
	"github.com/stripekit/stripekit/stripetest"
)

const markedKey = "sk_test_MARKEDSECRET0123456789"

// TestErrorsAndPlansShowNoKey has keys in statements and in what the service returns.
func TestErrorsAndPlansShowNoKey(t *testing.T) {
	server := newServer(t)
	db := openDB(t, server, stripesql.WithMaxCalls(1))
	failing := []string{
		"SELECT KEY FROM charges", "SELECT 'KEY", "KEY", "SELECT * FROM KEY", "SELECT KEY(1)",
		"SELECT * FROM charges WHERE id = 'KEY'", "SELECT * FROM charges WHERE customer IN ('cus_1', 'KEY')",
		"EXPLAIN QUERY PLAN SELECT KEY FROM charges",
	}
	for _, statement := range failing {
		_, err := run(t.Context(), db, strings.ReplaceAll(statement, "KEY", markedKey))
		require.Error(t, err, statement)
		require.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), "MARKED", statement)
	}
	var budget *stripesql.BudgetError
	_, err := run(t.Context(), db, "SELECT * FROM charges WHERE customer IN ('cus_1', '"+markedKey+"')")
	require.ErrorAs(t, err, &budget)
	require.Equal(t, "GET /v1/charges?customer=sk_test_****&limit=100", budget.Next)
	for _, condition := range []string{"customer = 'KEY'", "description = 'KEY'", "id = 'KEY'", "id IN ('KEY', 'ch_1')", "description LIKE 'KEY'"} {
		for _, options := range [][]stripesql.Option{nil, {stripesql.WithSearch()}} {
			got, err := run(t.Context(), openDB(t, server, options...), "EXPLAIN QUERY PLAN SELECT * FROM charges WHERE "+strings.ReplaceAll(condition, "KEY", markedKey))
			require.NoError(t, err)
			require.NotContains(t, strings.Join(got.rows, "\n"), "MARKED", condition)
		}
	}
	for _, object := range []string{
		`{"id": "KEY", "created": "KEY"}`, `{"id": "KEY", "created": 1, "amount": "KEY"}`,
		`{"id": "KEY", "created": 1}, {"id": "KEY2", "created": 2}`, `{"id": "KEY"}`,
	} {
		page := `{"object": "list", "has_more": true, "data": [` + strings.ReplaceAll(object, "KEY", markedKey) + `]}`
		fault := server.Fault("GET /v1/charges", stripetest.Every(), stripetest.Respond(200, page))
		for _, statement := range []string{
			"SELECT sum(amount) FROM charges", "SELECT amount FROM charges ORDER BY created DESC LIMIT 2",
			"SELECT amount FROM charges WHERE created > '2026-01-01'",
		} {
			if _, err := run(t.Context(), openDB(t, server), statement); err != nil {
				require.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), "MARKED", statement)
			}
		}
		fault.Remove()
	}
}

func TestErrorsOfMaterializeShowNoKey(t *testing.T) {
	c := newCopying(t)
	for _, object := range []string{
		`{"id": "KEY"}`, `{"id": "KEY", "created": 1}, {"id": "KEY2", "created": 2}`,
	} {
		page := `{"object": "list", "has_more": false, "data": [` + strings.ReplaceAll(object, "KEY", markedKey) + `]}`
		fault := c.server.Fault("GET /v1/charges", stripetest.Every(), stripetest.Respond(200, page))
		err := c.run(t.Context(), stripesql.MaterializeConfig{Tables: []string{"charges"}})
		fault.Remove()
		require.ErrorContains(t, err, "sk_test_****")
		require.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), "MARKED", object)
	}
}
