// Package stripesql queries a Stripe account in SQL. It is a database/sql
// driver with the tables charges, customers, products, refunds, invoice_items
// and orders, and balance_transactions, disputes, events, invoices,
// payment_intents, payouts, prices and subscriptions. [WithTable] adds any other
// list of the API.
//
//	connector, err := stripesql.Connector(client)
//	db := sql.OpenDB(connector)
//	rows, err := db.Query(`SELECT c.email, sum(amount) FROM charges
//	    JOIN customers c ON c.id = charges.customer
//	    WHERE charges.created >= '2026-01-01' GROUP BY c.email`)
//
// Nothing is copied or synchronised, unless [Materialize] is called. An SQLite within the
// process plans and runs the statement, and reads its tables page by page, through the client,
// while it runs. The cost of a statement is therefore its API calls, and the
// package is designed to need few. Queries only read.
//
// # Tables
//
// A column has the name of the object's field. A field of a nested object has
// the name of that object in front: billing_details_email,
// payment_method_details_card_brand. A reference to another object, such as
// customer, is its id. Lists and metadata are JSON: metadata->>'order_id'. null
// is NULL, booleans are 0 and 1, and amounts are in the smallest unit of the
// currency. SELECT * FROM charges LIMIT 0 returns the columns without a call. The
// column raw, which SELECT * leaves out, is the whole object as JSON:
// raw->>'$.outcome.type'. So are the columns of the balance transaction of a charge, a
// refund and a payout, such as balance_transaction_fee, left out: it is requested by
// expand[] if a statement reads one of them.
//
// Each time has two columns: created is text, and created_unix is in seconds
// since 1970. The text has the form 2026-01-31T15:04:05Z. It compares as a
// time: with '2026-01-31', '2026-01-31 15:04', a time in another zone, and a
// time.Time parameter. A number, or a text of digits, that the column is compared
// to is in seconds since 1970, but four digits are a year. Compare a column only
// with one of the same kind, created with created, and with no CAST to a number:
// SQLite compares these as numbers, and every text is greater. A time without a
// zone is in UTC. The column, and an expression with a text of that form, such as
// max(created), can be scanned into a time.Time or a string. The created of an
// invoice item is its date.
//
// Deleted objects have no row, as in the API's lists.
//
// # Functions
//
// Beside the functions of SQLite there are:
//
//   - amount_decimal(amount, currency): an amount in whole units of its currency, as
//     exact decimal text: '12.34' for 1234 and 'usd', '1234' for 'jpy', '1.234' for
//     'kwd'. The currencies without decimals and those with three are the ones that
//     Stripe lists, and all others have two. So have ISK and UGX, which Stripe lists as
//     exceptions: their amounts end with 00. A currency may be in upper case. The result
//     is NULL if the amount or the currency is, or if the currency is not three letters.
//     An amount that is no integer is an error. Text sorts as text: to sort or compare
//     use amount itself, or CAST(amount_decimal(amount, currency) AS REAL).
//   - median(x), percentile(x, p) with p from 0 to 100, and percentile_cont(x, p) and
//     percentile_disc(x, p) with p from 0 to 1. The result is REAL. Between two values
//     they interpolate, but percentile_disc returns the lower one.
//   - var_pop(x), var_samp(x), stddev_pop(x) and stddev_samp(x).
//
// The statistics ignore NULL, and are NULL if there are no values; text that is not a
// number is an error. They can be used with OVER; a variance or a deviation only if its
// frame begins with the partition.
//
// # Tools
//
// sqlite_schema (sqlite_master) lists the tables with their columns. The pragmas
// table_info, table_xinfo, table_list, index_list, index_info, index_xinfo,
// foreign_key_list and database_list can be used, as statements and as tables, such as
// pragma_table_info('charges'). No other pragma can. There are no indexes and no foreign
// keys. The types of the columns of a result are known to database/sql, for the columns
// of tables; whether an id may be NULL is known if the statement reads one table and has
// no parentheses.
//
// Because many tools begin a transaction first, there are transactions, with the option
// ReadOnly or without it. They do nothing: a statement that writes is refused, Commit
// and Rollback succeed, and there is no snapshot, so that two queries in a transaction
// may see different objects. An isolation level other than the default is an error.
//
// Ping makes one request to the API, as [stripekit.Client.Check] does, and returns the
// same errors. It counts towards no budget.
//
// # What is sent to the API
//
// SQLite checks every condition on every row itself, so a result is always what
// it would be in a database with the same objects. To read few objects, the
// following is sent to the API as well:
//
//   - id = x is one GET. id IN (…) on products and orders is one call for 100 ids.
//   - The filters of lists: customer, payment_intent and transfer_group of
//     charges; email of customers; active, shippable and url of products; charge
//     and payment_intent of refunds; customer, customer_account and invoice (also
//     IS NULL) of invoice items; customer, status, upstream_id and the times of
//     the status transitions of orders; those of the other tables that Stripe
//     documents, such as status and arrival_date of payouts. An IN is one list for
//     each value.
//   - Any bounds of created.
//   - ORDER BY created DESC, optionally followed by id, is the order of lists. So
//     a LIMIT ends the reading, and max(created) is one call. This does not apply
//     to invoice items, which can be backdated.
//   - In a join by id to customers or charges, these are requested by expand[],
//     together with the objects that refer to them. Objects that are looked up
//     otherwise, or read more than once, are kept while the statement runs, as the
//     columns that it reads, within 64 MB.
//   - A join or a subquery may look up rows of one list again and again, such as
//     the charges of each customer. After 20 lookups that took a call, the whole
//     list is read as well, one page for each further one, up to 200 pages or, for
//     all such lists of a statement, 32 MB. Once it was read, lookups need no
//     calls. The values of an IN are looked up one by one.
//   - With [WithSearch], conditions that lists cannot filter by (status, amount,
//     name, …) become a search. Its results lag behind.
//
// Other conditions (LIKE, OR, expressions, functions of a column) are not sent,
// so the API returns more objects than needed. EXPLAIN QUERY PLAN shows the
// requests that a statement would make, the conditions that are not sent, and,
// in its last line, an estimate of the number of calls; for a function of created
// it suggests bounds. The estimate is a range if the list is uneven, and has no upper end
// if its objects come in bursts, or one second has more than a page of them. It is based
// on the pages that statements have read within the last 10 minutes. Where these tell too
// little, EXPLAIN QUERY PLAN reads up to about 20 pages more for each table, which count
// towards the budget.
//
// # Several accounts
//
// [OpenAll] returns a database of the accounts of all connections. Its tables have the
// column connection:
//
//	SELECT connection, sum(amount) FROM charges WHERE created >= '2026-01-01' GROUP BY 1
//
// # Long scans
//
// A list, with filters or without, is read one page after another for 10 pages. After
// that, several requests are under way at once ([WithConcurrency]), each for another
// span of time, as fast as the client's rate limits allow. Invoice items, a list that
// has objects without a time or no filter by created, and a list of a statement with a
// LIMIT, are read one page after another to the end. However the objects are spread over
// time, a scan makes at most 1.08 calls for each page of the list, plus about 60, plus two
// for each request under way; usually it is only a few calls more than pages. A scan
// never reads ahead by more than a quarter of the pages that the statement has used, and
// not at all within the first 10.
//
// Objects may be deleted while a list is read, including the object that the
// next page is requested by. The scan loses and repeats no other object.
//
// # Limits
//
// Each query has a budget of calls ([WithMaxCalls], 1000 by default). A query
// that needs more ends with a [*BudgetError], which names the next request.
// Cancelling the context of a query ends it, even in the middle of a call.
// errors.As finds an error of the API as the client's [*stripekit.Error], on
// any page. [WithStats] and [WithProgress] report what a query does.
//
// SQLite sorts, groups and joins in memory, up to [WithMaxMemory]. A statement that
// needs more ends with [ErrMemory], unless [WithTempFiles] lets it use files. A text or
// blob may have an eighth of that memory. The median and the percentiles of a statement
// hold 8 bytes for each value of a group, and somewhat more than twice that while they
// grow. Together they may take as much memory again, which is enough for 8,000,000
// values by default; files do not help them. Cancelling the context does not end a single
// call of an SQL function before its time, such as instr on megabytes of text.
//
// Rows with the same created second have no order, unless the statement defines
// one. Objects that are created while a statement runs may or may not be in its
// result.
//
// # A copy in a file
//
// A statement that reads a large part of the account costs many calls each time.
// [Materialize] copies tables into an SQLite file once, and then reads only what is new
// or has changed. [OpenMaterialized] opens the file, in which the same statements make no
// calls.
package stripesql
