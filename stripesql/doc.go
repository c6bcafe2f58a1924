// Package stripesql asks a Stripe account in SQL: a database/sql driver whose
// tables are the account's charges, customers, products, refunds, invoice_items
// and orders.
//
//	connector, err := stripesql.Connector(client)
//	db := sql.OpenDB(connector)
//	rows, err := db.Query(`SELECT c.email, sum(amount) FROM charges
//	    JOIN customers c ON c.id = charges.customer
//	    WHERE charges.created >= '2026-01-01' GROUP BY c.email`)
//
// Nothing is copied or synchronised: an SQLite within the process plans and
// runs the statement, and its tables are read page by page, through the client,
// while it runs. What a statement costs is therefore API calls, and the package
// is made to need few of them. Queries only read.
//
// # Tables
//
// A column has the name of the object's field; the fields of an object within
// it follow its name: billing_details_email, payment_method_details_card_brand.
// A field that names another object is that one's id: customer. Lists and
// metadata are JSON, for metadata->>'order_id'. null is NULL, booleans are 0 and
// 1, amounts are in the smallest unit of the currency. An empty SELECT * FROM
// charges LIMIT 0 tells the columns, without a call.
//
// Each time is there twice: as text, created, and in seconds since 1970,
// created_unix. The text has the form 2026-01-31T15:04:05Z and compares as a
// time: with '2026-01-31', '2026-01-31 15:04', another zone, and a time.Time
// that is a parameter. Without a zone UTC is meant. It can be scanned into a
// time.Time. An invoice item's date is its created as well.
//
// Deleted objects have no row, as in the API's lists.
//
// # What is sent to the API
//
// SQLite compares every row itself once more, so that a result is always what
// it would be in a database that holds the same objects. But as much as
// possible is asked for no more than needed:
//
//   - id = x is one GET; id IN (…) of products and orders one call for 100 ids.
//   - What lists filter by: customer, payment_intent and transfer_group of
//     charges; email of customers; active, shippable and url of products; charge
//     and payment_intent of refunds; customer, customer_account and invoice (IS
//     NULL as well) of invoice items; customer, status, upstream_id and the times
//     of the status transitions of orders. An IN is one list for each value.
//   - Any bounds of created.
//   - ORDER BY created DESC, also with id behind it, is the order of lists, so
//     that a LIMIT ends the reading, and max(created) is one call. That does not
//     go for invoice items, which may be dated back.
//   - Joins by id to customers and charges come along with the objects that name
//     them, by expand[]. What is looked up else, and what is read more than once,
//     is kept while the statement runs, within 64 MB.
//   - With [WithSearch] conditions that lists do not know (status, amount, name,
//     …) become a search. Its results lag.
//
// Other conditions (LIKE, OR, expressions, functions of a column) are for SQLite
// alone, after the API has answered with more. EXPLAIN QUERY PLAN shows the
// requests that a statement would make, what stays local, and, as its last
// line, about how many calls that will be. To know, it makes some calls itself,
// up to some 20 for tables it has not measured within the last 10 minutes: they
// count as any other.
//
// # Long scans
//
// A list without a filter other than created is read one page after another for
// 10 pages. If that is not enough, several requests are under way at once
// ([WithConcurrency]), each for another part of the time, as fast as the client's
// rate limits allow. However the objects are spread over the time, a scan costs
// no more than 1.08 calls for each page of the list and some 80 in addition;
// mostly it is a few in all. One that stops early is never ahead by more than a
// quarter of the pages that it has used, and not at all within the first 10.
//
// Objects may be deleted while a list is read, the one that the next page is
// requested by among them: the scan goes on without losing or repeating another.
//
// # Limits
//
// Each query has a budget of calls ([WithMaxCalls], 1000 by default), checked
// before each call; it ends with a [*BudgetError] that names the next request.
// Cancelling the context of a query ends it, in the middle of a call too. An
// error of the API is found by errors.As as the client's [*stripekit.Error], on
// whatever page. [WithStats] and [WithProgress] tell what a query does.
//
// Two rows of one second come in any order, unless the statement says one.
// Objects that are created while a statement runs may or may not be part of its
// result. What is sorted, grouped or joined is kept in memory.
package stripesql
