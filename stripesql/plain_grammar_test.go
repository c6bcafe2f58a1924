package stripesql_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
)

// part is a piece of a query with the arguments of its question marks.
type part struct {
	text string
	args []any
}

func piece(text string, args ...any) part { return part{text, args} }

// joinParts returns the parts with a text between them.
func joinParts(parts []part, between string) part {
	var all part
	for i, p := range parts {
		if i > 0 {
			all.text += between
		}
		all.text += p.text
		all.args = append(all.args, p.args...)
	}
	return all
}

// around puts a part into the %s of a format.
func around(format string, parts ...part) part {
	var all part
	texts := make([]any, len(parts))
	for i, p := range parts {
		texts[i] = p.text
		all.args = append(all.args, p.args...)
	}
	all.text = fmt.Sprintf(format, texts...)
	return all
}

// randomQuery is a query in parts, so that it can be made smaller.
type randomQuery struct {
	distinct bool
	columns  []part // the first columns are those that order sorts by
	from     part
	where    []part // the conditions, all of which must hold
	group    string
	having   part
	order    string // ends with columns that make it total, if there is a limit
	limit    part
	wrap     string // a query around the whole query, "" for none
}

func (q randomQuery) part() part {
	parts := []part{piece("SELECT")}
	if q.distinct {
		parts = append(parts, piece("DISTINCT"))
	}
	parts = append(parts, joinParts(q.columns, ", "), piece("FROM"), q.from)
	if len(q.where) > 0 {
		parts = append(parts, piece("WHERE"), joinParts(q.where, " AND "))
	}
	if q.group != "" {
		parts = append(parts, piece("GROUP BY "+q.group))
	}
	if q.having.text != "" {
		parts = append(parts, piece("HAVING"), q.having)
	}
	if q.order != "" {
		parts = append(parts, piece("ORDER BY "+q.order))
	}
	if q.limit.text != "" {
		parts = append(parts, q.limit)
	}
	all := joinParts(parts, " ")
	if q.wrap != "" {
		all = around(q.wrap, all)
	}
	return all
}

// smaller returns the queries with one part left out.
func (q randomQuery) smaller() []randomQuery {
	var all []randomQuery
	without := func(change func(*randomQuery)) {
		next := q
		next.columns, next.where = slices.Clone(q.columns), slices.Clone(q.where)
		change(&next)
		all = append(all, next)
	}
	for i := range q.where {
		without(func(q *randomQuery) { q.where = slices.Delete(q.where, i, i+1) })
	}
	if len(q.columns) > 1 && q.wrap == "" {
		for i := range q.columns {
			without(func(q *randomQuery) { q.columns = slices.Delete(q.columns, i, i+1) })
		}
	}
	if q.limit.text != "" {
		without(func(q *randomQuery) { q.limit = part{} })
	} else if q.order != "" {
		without(func(q *randomQuery) { q.order = "" })
	}
	if q.distinct {
		without(func(q *randomQuery) { q.distinct = false })
	}
	if q.having.text != "" {
		without(func(q *randomQuery) { q.having = part{} })
	}
	if q.wrap != "" {
		without(func(q *randomQuery) { q.wrap = "" })
	}
	return all
}

// asker generates queries from a grammar.
type asker struct {
	*rand.Rand
	shop  *smallShop
	depth int // how many more levels of subqueries are allowed
}

func (a *asker) one(texts ...string) string { return texts[a.IntN(len(texts))] }

// chance returns true once in n.
func (a *asker) chance(n int) bool { return a.IntN(n) == 0 }

// source is a table of a query, by its alias.
type source struct{ alias, table string }

func (s source) column(name string) string { return s.alias + "." + name }

// What queries can use of the tables.
var (
	refs = map[string]map[string]string{ // column: the table whose id it holds
		"charges":       {"customer": "customers"},
		"customers":     {},
		"products":      {},
		"refunds":       {"charge": "charges"},
		"invoice_items": {"customer": "customers"},
		"orders":        {"customer": "customers", "charge": "charges"},
	}
	texts = map[string][]string{
		"charges":       {"status", "currency", "description", "transfer_group", "receipt_email", "shipping_address_city", "failure_code", "payment_method_details_card_brand"},
		"customers":     {"email", "name", "description", "address_city"},
		"products":      {"name", "url", "description", "type"},
		"refunds":       {"reason", "status", "currency"},
		"invoice_items": {"description", "currency", "customer_account"},
		"orders":        {"status", "email", "currency"},
	}
	numbers = map[string][]string{
		"charges":       {"amount", "amount_refunded", "created_unix"},
		"customers":     {"balance", "created_unix"},
		"products":      {"created_unix", "package_dimensions_height"},
		"refunds":       {"amount", "created_unix"},
		"invoice_items": {"amount", "created_unix"},
		"orders":        {"amount", "created_unix"},
	}
	flags = map[string][]string{
		"charges":       {"paid", "disputed", "refunded", "captured"},
		"customers":     {"livemode"},
		"products":      {"active", "shippable"},
		"refunds":       nil,
		"invoice_items": {"proration"},
		"orders":        {"livemode"},
	}
	words = map[string][]string{
		"status": {"failed", "succeeded", "paid", "canceled", "created", "FAILED"}, "currency": {"usd", "eur", "USD"},
		"description": {"rent", "Rent", "re_nt", "food%", "O'Hara", "item", "product 7", "number 3"}, "name": {"Ann", "ann", "O'Hara", "Zoë", "Tea", "tea", "50% \"off\""},
		"transfer_group": {"group_0", "group_1", "group_9"}, "reason": {"duplicate", "fraudulent"}, "address_city": {"Paris", "Rome"},
		"shipping_address_city": {"Paris", "Rome"}, "failure_code": {"card_declined"}, "payment_method_details_card_brand": {"visa", "mastercard"},
		"customer_account": {"acct_seeded"}, "type": {"good", "service"}, "url": {"https://example.com/1", "https://example.com/2"},
	}
)

func (a *asker) ids(table string) []string {
	switch table {
	case "charges":
		return a.shop.charges
	case "customers":
		return a.shop.customers
	case "products":
		return a.shop.products
	case "refunds":
		return a.shop.refunds
	case "invoice_items":
		return a.shop.invoiceItems
	default:
		return a.shop.orders
	}
}

// id returns an id of a table, as an argument or a literal. Sometimes it is the
// id of no object.
func (a *asker) id(table string) part {
	ids := a.ids(table)
	id := ids[a.IntN(len(ids))]
	if table == "customers" {
		id = ids[a.IntN(payers+6)]
	}
	switch a.IntN(12) {
	case 0:
		id = "xx_none"
	case 1:
		return piece("NULL")
	case 2:
		return piece("?", nil)
	}
	if a.chance(2) {
		return piece("?", id)
	}
	return piece("'" + id + "'")
}

// moment returns a timestamp near those of the shop, in one of the forms.
func (a *asker) moment() part {
	at := shopOpened.Add(time.Duration(a.IntN(4*24)) * time.Hour)
	switch a.IntN(8) {
	case 0:
		at = at.Truncate(24 * time.Hour)
		return piece(at.Format("'2006-01-02'"))
	case 1:
		return piece(at.Format("'2006-01-02 15:04:05'"))
	case 2:
		return piece(at.Format("'2006-01-02 15:04'"))
	case 3:
		return piece(at.In(time.FixedZone("", -7*3600)).Format("'" + time.RFC3339 + "'"))
	case 4:
		return piece("?", at.In(time.FixedZone("", 2*3600)))
	case 5:
		return piece("?", at.Add(300*time.Millisecond))
	case 6:
		return piece("?", at.Format("2006-01-02"))
	default:
		return piece(at.Format("'2006-01-02T15:04:05Z'"))
	}
}

func (a *asker) number(column string) part {
	n := strconv.Itoa(100 * a.IntN(10))
	if column == "created_unix" {
		n = strconv.FormatInt(shopOpened.Add(time.Duration(a.IntN(4*24))*time.Hour).Unix(), 10)
	}
	switch a.IntN(8) {
	case 0:
		return piece("'" + n + "'")
	case 1:
		return piece(n + ".5")
	case 2:
		whole, err := strconv.Atoi(n)
		if err != nil {
			panic(err)
		}
		return piece("?", whole)
	default:
		return piece(n)
	}
}

func (a *asker) word(column string) part {
	word := fmt.Sprintf("c%d@example.com", a.IntN(40))
	if known := words[column]; known != nil {
		word = known[a.IntN(len(known))]
	}
	if a.chance(2) {
		return piece("?", word)
	}
	return piece("'" + strings.ReplaceAll(word, "'", "''") + "'")
}

// condition returns a condition on the rows of sources.
func (a *asker) condition(sources []source) part {
	s := sources[a.IntN(len(sources))]
	switch a.IntN(16) {
	case 0:
		return around("(%s OR %s)", a.condition(sources), a.condition(sources))
	case 1:
		return around("(%s AND %s)", a.condition(sources), a.condition(sources))
	case 2:
		return around("NOT (%s)", a.condition(sources))
	case 3:
		return a.aboutID(s.column("id"), s.table)
	case 4, 5:
		names := keysOf(refs[s.table])
		if len(names) == 0 {
			return a.aboutText(s)
		}
		name := names[a.IntN(len(names))]
		return a.aboutID(s.column(name), refs[s.table][name])
	case 6, 7, 8:
		return a.aboutCreated(s)
	case 9, 10:
		return a.aboutNumber(s)
	case 11:
		if names := flags[s.table]; len(names) > 0 {
			return piece(a.one("", "NOT ") + s.column(names[a.IntN(len(names))]) + a.one("", " = 1", " = 0", " IS TRUE", " <> 0"))
		}
		return a.aboutNumber(s)
	case 12:
		return a.aboutOthers(s)
	default:
		return a.aboutText(s)
	}
}

func keysOf(m map[string]string) []string {
	var keys []string
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func (a *asker) aboutID(column, table string) part {
	switch a.IntN(7) {
	case 0:
		return piece(column + a.one(" IS NULL", " IS NOT NULL"))
	case 1, 2:
		var ids []part
		for range 1 + a.IntN(6) {
			ids = append(ids, a.id(table))
		}
		return around(column+a.one(" IN (%s)", " IN (%s)", " NOT IN (%s)"), joinParts(ids, ", "))
	case 3:
		return around(column+a.one(" > %s", " <= %s", " IS %s", " <> %s"), a.id(table))
	default:
		return around(column+" = %s", a.id(table))
	}
}

func (a *asker) aboutCreated(s source) part {
	column := s.column("created")
	switch a.IntN(8) {
	case 0:
		return around(column+a.one("", " NOT")+" BETWEEN %s AND %s", a.moment(), a.moment())
	case 1:
		return around(column+" IN (%s, %s, %s)", a.moment(), a.moment(), a.moment())
	case 2:
		return around("%s "+a.one("<", "<=", ">", ">=")+" "+column, a.moment())
	default:
		return around(column+a.one(" < ", " <= ", " > ", " >= ", " >= ", " = ", " <> ")+"%s", a.moment())
	}
}

func (a *asker) aboutNumber(s source) part {
	names := numbers[s.table]
	name := names[a.IntN(len(names))]
	column := s.column(name)
	switch a.IntN(6) {
	case 0:
		return around(column+" BETWEEN %s AND %s", a.number(name), a.number(name))
	case 1:
		return around(column+" IN (%s, %s)", a.number(name), a.number(name))
	case 2:
		return piece(column + " % 200 = 0")
	default:
		return around(column+a.one(" = ", " < ", " <= ", " > ", " >= ", " <> ")+"%s", a.number(name))
	}
}

func (a *asker) aboutText(s source) part {
	names := texts[s.table]
	name := names[a.IntN(len(names))]
	column := s.column(name)
	switch a.IntN(9) {
	case 0:
		return piece(column + a.one(" IS NULL", " IS NOT NULL"))
	case 1:
		return around(column+" IN (%s, %s)", a.word(name), a.word(name))
	case 2:
		return piece(column + a.one(" LIKE ", " NOT LIKE ") + a.one("'r%'", "'%e%'", "'c1%'", "'RENT'", "'f_iled'"))
	case 3:
		return around("coalesce("+column+", 'none') "+a.one("= ", "<> ")+"%s", a.word(name))
	case 4:
		return around(column+a.one(" > ", " <> ", " IS ", " IS NOT ")+"%s", a.word(name))
	case 5:
		return around("CASE WHEN "+column+" = %s THEN 1 ELSE "+s.column("id")+" < 'm' END", a.word(name))
	default:
		return around(column+" = %s", a.word(name))
	}
}

// aboutOthers returns a condition with a subquery on another table, if one more
// level is allowed.
func (a *asker) aboutOthers(s source) part {
	if a.depth == 0 {
		return a.aboutCreated(s)
	}
	a.depth--
	defer func() { a.depth++ }()
	inner := source{"s" + strconv.Itoa(a.depth), a.one("charges", "customers", "orders", "refunds")}
	condition := a.condition([]source{inner})
	from := inner.table + " " + inner.alias
	switch a.IntN(4) {
	case 0:
		column := a.one("id", "customer")
		if inner.table == "refunds" {
			column = "charge"
		} else if inner.table == "customers" {
			column = "id"
		}
		return around(s.column(a.refOrID(s.table))+a.one("", " NOT")+" IN (SELECT "+inner.column(column)+" FROM "+from+" WHERE %s)", condition)
	case 1:
		tie := inner.column(a.one("created", "id")) + a.one(" = ", " >= ") + s.column("created")
		for _, name := range keysOf(refs[inner.table]) {
			if refs[inner.table][name] == s.table {
				tie = inner.column(name) + " = " + s.column("id")
			}
		}
		return around(a.one("", "NOT ")+"EXISTS (SELECT 1 FROM "+from+" WHERE "+tie+" AND %s)", condition)
	case 2:
		return around(s.column("created")+a.one(" > ", " = ", " <= ")+"(SELECT "+a.one("max", "min")+"("+inner.column("created")+") FROM "+from+" WHERE %s)", condition)
	default:
		return around("(SELECT count(*) FROM "+from+" WHERE "+inner.column("created")+" = "+s.column("created")+" AND %s) > 0", condition)
	}
}

func (a *asker) refOrID(table string) string {
	if names := keysOf(refs[table]); len(names) > 0 && a.chance(2) {
		return names[a.IntN(len(names))]
	}
	return "id"
}

// tables returns a FROM clause.
func (a *asker) tables() ([]source, part) {
	table := a.one("charges", "charges", "charges", "customers", "products", "refunds", "invoice_items", "orders")
	first := source{"a", table}
	if a.chance(2) {
		return []source{first}, piece(table + " a")
	}
	join := a.one(" JOIN ", " JOIN ", " LEFT JOIN ", " CROSS JOIN ")
	var second source
	var tie string
	switch names := keysOf(refs[table]); {
	case table == "customers":
		second = source{"b", a.one("charges", "orders", "invoice_items")}
		tie = "b.customer = a.id"
	case len(names) == 0 || a.chance(6):
		second = source{"b", a.one("charges", "orders", "customers", table)}
		tie = "b.created = a.created"
	default:
		name := names[a.IntN(len(names))]
		second = source{"b", refs[table][name]}
		tie = "b.id = a." + name
	}
	sources := []source{first, second}
	from := around(table+" a"+join+second.table+" b ON %s", piece(tie))
	if a.chance(3) {
		from = around("%s AND %s", from, a.condition(sources))
	}
	if second.table == "charges" && a.chance(2) {
		sources = append(sources, source{"c", "customers"})
		from.text += a.one(" JOIN ", " LEFT JOIN ") + "customers c ON c.id = b.customer"
	}
	return sources, from
}

// query returns a query, and whether its order is total.
func (a *asker) query() (q randomQuery, ordered bool) {
	a.depth = 2
	sources, from := a.tables()
	q.from = from
	for range a.IntN(3) {
		q.where = append(q.where, a.condition(sources))
	}
	if a.chance(4) {
		a.aggregate(&q, sources)
		return q, false
	}
	ordered = a.plainColumns(&q, sources)
	q.distinct = !ordered && a.chance(6)
	switch {
	case ordered && a.chance(5):
		q.wrap = "SELECT count(*), min(k0), max(k0) FROM (%s)"
		q.columns[0].text += " AS k0"
		return q, false
	case !ordered && a.chance(8):
		other := q
		other.where = append(slices.Clone(q.where), a.condition(sources))
		q.wrap = "%s " + a.one("UNION ", "UNION ALL ", "EXCEPT ", "INTERSECT ") + strings.ReplaceAll(quoted(other.part()), "%", "%%")
	}
	return q, ordered
}

// quoted returns a part with its arguments as literals.
func quoted(p part) string {
	text := p.text
	for _, arg := range p.args {
		literal := "NULL"
		switch arg := arg.(type) {
		case string:
			literal = "'" + strings.ReplaceAll(arg, "'", "''") + "'"
		case int:
			literal = strconv.Itoa(arg)
		case time.Time:
			literal = "'" + arg.Format(time.RFC3339Nano) + "'"
		}
		text = strings.Replace(text, "?", literal, 1)
	}
	return text
}

// plainColumns chooses the columns and the order. Only a total order counts as
// ordered, and only then is there a LIMIT.
func (a *asker) plainColumns(q *randomQuery, sources []source) (ordered bool) {
	if a.chance(2) {
		var keys []string
		switch a.IntN(5) {
		case 0, 1, 2:
			direction := a.one(" DESC", " DESC", "")
			keys = append(keys, "a."+a.one("created", "created", "created_unix")+direction)
		case 3:
			keys = append(keys, "a."+numbers[sources[0].table][0])
		}
		for _, s := range sources {
			keys = append(keys, s.column("id")+a.one("", "", " DESC"))
		}
		for _, key := range keys {
			q.columns = append(q.columns, piece(strings.TrimSuffix(key, " DESC")))
		}
		q.order, ordered = strings.Join(keys, ", "), true
		if a.chance(2) {
			q.limit = piece("LIMIT " + a.one("0", "1", "7", "40", "120", "-1"))
			if a.chance(3) {
				q.limit.text += " OFFSET " + a.one("0", "3", "95", "1000")
			}
		}
	}
	for range 1 + a.IntN(3) {
		s := sources[a.IntN(len(sources))]
		q.columns = append(q.columns, piece(s.column(a.column(s.table))))
	}
	if a.chance(12) {
		q.columns = append(q.columns, piece("row_number() OVER (PARTITION BY "+sources[0].column(a.column(sources[0].table))+" ORDER BY a.created DESC, "+strings.Join(allIDs(sources), ", ")+")"))
	}
	return ordered
}

func allIDs(sources []source) []string {
	var ids []string
	for _, s := range sources {
		ids = append(ids, s.column("id"))
	}
	return ids
}

func (a *asker) column(table string) string {
	all := slices.Concat(texts[table], numbers[table], flags[table], keysOf(refs[table]), []string{"id", "created", "created", "metadata"})
	return all[a.IntN(len(all))]
}

func (a *asker) aggregate(q *randomQuery, sources []source) {
	s := sources[a.IntN(len(sources))]
	n := "a." + numbers[sources[0].table][0]
	for range 1 + a.IntN(3) {
		q.columns = append(q.columns, piece(a.one("count(*)", "sum("+n+")", "min("+n+")", "max("+n+")", "count(DISTINCT "+s.column(a.column(s.table))+")",
			"max("+s.column("created")+")", "max(a.created)", "min(a.created_unix)", "total("+n+")", "count("+s.column(a.column(s.table))+")")))
	}
	if a.chance(2) {
		q.group = s.column(a.column(s.table))
		q.columns = append(q.columns, piece(q.group))
		if a.chance(3) {
			q.having = piece("count(*) " + a.one("> 1", "< 5", "= 1"))
		}
	}
}
