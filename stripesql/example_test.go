package stripesql_test

import (
	"context"
	"database/sql"
	"fmt"
	"log"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripesql"
	"github.com/stripekit/stripekit/stripetest"
)

// shop returns a client of a server with some charges of two customers.
func shop() (*stripekit.Client, func()) {
	server := stripetest.New(stripetest.InMemory())
	start := time.Date(2026, 1, 1, 9, 0, 0, 0, time.UTC)
	for i, name := range []string{"ann", "bob"} {
		ids := server.Seed("/v1/customers", stripetest.Seeding{First: start, Params: url.Values{
			"email": {name + "@example.com"}, "source": {"tok_visa"},
		}})
		server.Seed("/v1/charges", stripetest.Seeding{Count: 100 * (i + 1), First: start, Every: time.Hour, Params: url.Values{
			"amount": {"1200"}, "currency": {"eur"}, "customer": ids,
		}})
	}
	client, err := stripekit.New("sk_test_123", stripekit.WithHTTPClient(server.Client()), stripekit.WithBaseURL(server.URL))
	if err != nil {
		log.Fatal(err)
	}
	return client, server.Close
}

func Example() {
	client, done := shop()
	defer done()
	connector, err := stripesql.Connector(client, stripesql.WithMaxCalls(100))
	if err != nil {
		log.Fatal(err)
	}
	db := sql.OpenDB(connector)
	defer db.Close()

	var stats stripesql.Stats
	ctx := stripesql.WithStats(context.Background(), &stats)
	rows, err := db.QueryContext(ctx, `
		SELECT c.email, count(*), sum(amount)
		FROM charges JOIN customers c ON c.id = charges.customer
		WHERE charges.created >= '2026-01-03' AND status = 'succeeded'
		GROUP BY c.email ORDER BY c.email`)
	if err != nil {
		log.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var email string
		var count, sum int64
		if err := rows.Scan(&email, &count, &sum); err != nil {
			log.Fatal(err)
		}
		fmt.Println(email, count, sum)
	}
	if err := rows.Err(); err != nil {
		log.Fatal(err)
	}
	fmt.Println(stats.Calls, "calls")
	// Output:
	// ann@example.com 61 73200
	// bob@example.com 161 193200
	// 3 calls
}

func ExampleRegister() {
	client, done := shop()
	defer done()
	if err := stripesql.Register("shop", client); err != nil {
		log.Fatal(err)
	}
	defer stripesql.Unregister("shop")

	db, err := sql.Open("stripe", "stripe://shop?max_calls=10")
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	var latest time.Time
	if err := db.QueryRow("SELECT created FROM charges ORDER BY created DESC LIMIT 1").Scan(&latest); err != nil {
		log.Fatal(err)
	}
	fmt.Println(latest)
	// Output: 2026-01-09 16:00:00 +0000 UTC
}

// EXPLAIN QUERY PLAN shows the requests of a statement before it runs.
func Example_explain() {
	client, done := shop()
	defer done()
	connector, err := stripesql.Connector(client)
	if err != nil {
		log.Fatal(err)
	}
	db := sql.OpenDB(connector)
	defer db.Close()

	rows, err := db.Query(`EXPLAIN QUERY PLAN
		SELECT email, amount FROM charges JOIN customers ON customers.id = charges.customer
		WHERE charges.created < '2026-01-03' AND amount > 1000`)
	if err != nil {
		log.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			log.Fatal(err)
		}
		fmt.Println(detail)
	}
	// Output:
	// SCAN charges: GET /v1/charges?created[lt]=1767398400&limit=100&expand[]=data.customer, locally amount > 1000, about 1 call
	// SCAN customers: expanded with charges, else GET /v1/customers/{id}, about 0 calls
	// ESTIMATE about 1 call (1000 allowed)
}

// A copy in a file needs no API calls for its queries.
func ExampleMaterialize() {
	client, done := shop()
	defer done()
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	file := filepath.Join(dir, "account.db")
	err = stripesql.Materialize(context.Background(), client, file, stripesql.MaterializeConfig{
		Tables: []string{"charges", "customers"},
	})
	if err != nil {
		log.Fatal(err)
	}
	db, err := stripesql.OpenMaterialized(file)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	var stats stripesql.Stats
	ctx := stripesql.WithStats(context.Background(), &stats)
	rows, err := db.QueryContext(ctx, `
		SELECT email, count(charges.id), max(charges.created)
		FROM customers LEFT JOIN charges ON charges.customer = customers.id
		GROUP BY email ORDER BY email`)
	if err != nil {
		log.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var email string
		var count int
		var latest time.Time
		if err := rows.Scan(&email, &count, &latest); err != nil {
			log.Fatal(err)
		}
		fmt.Println(email, count, latest.Format(time.DateTime))
	}
	if err := rows.Err(); err != nil {
		log.Fatal(err)
	}
	fmt.Println(stats.Calls, "calls")
	// Output:
	// ann@example.com 100 2026-01-05 12:00:00
	// bob@example.com 200 2026-01-09 16:00:00
	// 0 calls
}
