package stripesql

import (
	"maps"
	"slices"
	"strings"
)

// moduleName is the name of the SQLite module of all tables.
const moduleName = "stripe"

// schemaOf returns the statements that fill the schema of a new SQLite. CREATE VIRTUAL
// TABLE would connect each table at once, which takes some milliseconds for all. So the
// schema is written as SQLite itself writes it, and a table is connected when the first
// statement uses it.
func schemaOf(tables map[string]*table) string {
	rows := make([]string, 0, len(tables))
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		rows = append(rows, "('table', '"+name+"', '"+name+"', 0, '"+tables[name].creation()+"')")
	}
	return "PRAGMA writable_schema = ON; INSERT INTO sqlite_schema VALUES " + strings.Join(rows, ", ") + "; PRAGMA writable_schema = RESET"
}

// creation returns the statement that sqlite_schema has for the table. The module
// ignores the columns in it, which are for people and tools.
func (t *table) creation() string {
	return "CREATE VIRTUAL TABLE " + t.quoted() + " USING " + moduleName + strings.TrimPrefix(t.declaration(), "CREATE TABLE x")
}

// describesSchema reports whether a pragma only describes the schema.
func describesSchema(pragma string) bool {
	switch strings.ToLower(pragma) {
	case "table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo", "foreign_key_list", "database_list":
		return true
	}
	return false
}
