package main

import (
	"context"
	"database/sql"
	"maps"
	"slices"
	"strings"
	"unicode"
)

// keywords are the words of SQL that are completed.
var keywords = strings.Fields(`ALL AND AS ASC BETWEEN BY CASE CAST COLLATE CROSS CURRENT DESC DISTINCT ELSE END ESCAPE EXCEPT
	EXISTS EXPLAIN FILTER FIRST FOLLOWING FROM FULL GLOB GROUP HAVING IN INNER INTERSECT IS JOIN LAST LEFT LIKE LIMIT
	MATERIALIZED NATURAL NOT NULL NULLS OFFSET ON OR ORDER OUTER OVER PARTITION PLAN PRECEDING QUERY RANGE RECURSIVE RIGHT
	ROWS SELECT THEN UNBOUNDED UNION USING VALUES WHEN WHERE WINDOW WITH`)

// completer completes words.
type completer struct {
	columns map[string][]string // by table
	pending string              // the lines of the statement before this one
}

// readCompleter reads the names of all tables and columns from the schema.
func readCompleter(ctx context.Context, db *sql.DB) (*completer, error) {
	rows, err := db.QueryContext(ctx, "SELECT m.name, c.name FROM sqlite_schema m, pragma_table_xinfo(m.name) c")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	c := &completer{columns: map[string][]string{}}
	for rows.Next() {
		var table, column string
		if err := rows.Scan(&table, &column); err != nil {
			return nil, err
		}
		c.columns[table] = append(c.columns[table], column)
	}
	return c, rows.Err()
}

// begun sets the lines of the statement before the one that is typed.
func (c *completer) begun(pending string) {
	if c != nil {
		c.pending = pending
	}
}

// complete returns what the word before a place in a line may become. It has the
// signature of the line editor: pos is in runes.
func (c *completer) complete(line string, pos int) (head string, words []string, tail string) {
	before, tail := string([]rune(line)[:pos]), string([]rune(line)[pos:])
	start := strings.LastIndexFunc(before, notInName) + 1
	head, word := before[:start], before[start:]
	var candidates []string
	if c.pending == "" && strings.TrimSpace(head) == "." {
		candidates = commands
		head, word = strings.TrimSuffix(head, "."), "."+word
	} else {
		candidates = c.candidates(head, word, tail)
	}
	for _, candidate := range candidates {
		if strings.HasPrefix(candidate, word) {
			words = append(words, candidate)
		}
	}
	slices.Sort(words)
	return head, slices.Compact(words), tail
}

func notInName(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) }

// candidates returns what a word may be that stands between the head and the tail of a
// line.
func (c *completer) candidates(head, word, tail string) []string {
	earlier := strings.FieldsFunc(c.pending+head, notInName)
	last := ""
	if len(earlier) > 0 {
		last = strings.ToLower(earlier[len(earlier)-1])
	}
	tables := slices.Collect(maps.Keys(c.columns))
	switch {
	case strings.HasPrefix(strings.TrimSpace(head), ".mode"):
		return modes
	case last == "schema" || last == "from" || last == "join":
		return tables
	}
	var all []string
	if len(earlier) > 0 { // a statement does not begin with a name
		all = append(tables, c.columnsFor(strings.FieldsFunc(c.pending+head+" "+tail, notInName))...)
	}
	for _, keyword := range keywords {
		if word != "" && unicode.IsLower(rune(word[0])) {
			keyword = strings.ToLower(keyword)
		}
		all = append(all, keyword)
	}
	return all
}

// columnsFor returns the columns of the tables among some words, and those of all tables
// if there is none.
func (c *completer) columnsFor(words []string) []string {
	var some, all []string
	for table, columns := range c.columns {
		if slices.Contains(words, table) {
			some = append(some, columns...)
		}
		all = append(all, columns...)
	}
	if some != nil {
		return some
	}
	return all
}
