// Package database opens the databases that a configuration names.
package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/stripekit/stripekit/sqlstore"
)

// kind is a kind of databases.
type kind struct {
	dialect sqlstore.Dialect
	drivers []string // the names of drivers of database/sql for it
}

var kinds = map[string]kind{
	"sqlite":   {sqlstore.SQLite, []string{"sqlite3", "sqlite"}},
	"postgres": {sqlstore.PostgreSQL, []string{"pgx", "postgres"}},
	"mysql":    {sqlstore.MySQL, []string{"mysql"}},
}

// Fields are the fields that Open reads.
func Fields() []*service.ConfigField {
	return []*service.ConfigField{
		service.NewStringAnnotatedEnumField("driver", map[string]string{
			"sqlite":   "SQLite 3.24 or later.",
			"postgres": "PostgreSQL 12 or later.",
			"mysql":    "MySQL 8.0 or MariaDB 10.6, or later.",
		}).Description("The kind of the database."),
		service.NewStringField("dsn").Secret().
			Description("The data source name, as the driver defines it.").
			Example("file:/var/lib/stripe/data.db?_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)&_pragma=synchronous(full)").
			Example("postgres://user:${PASSWORD}@db.example.com:5432/shop?connect_timeout=10").
			Example("user:${PASSWORD}@tcp(db.example.com:3306)/shop?timeout=10s"),
	}
}

// DB is a database, and what its SQL is like.
type DB struct {
	*sql.DB
	Dialect sqlstore.Dialect
}

// Open opens the database that the fields driver and dsn name. It makes no connection.
// No error contains the data source name, which may have a password.
func Open(conf *service.ParsedConfig) (*DB, error) {
	name, err := conf.FieldString("driver")
	if err != nil {
		return nil, err
	}
	dsn, err := conf.FieldString("dsn")
	if err != nil {
		return nil, err
	}
	if ambiguous(dsn) {
		return nil, errors.New("dsn: @, / and # in a password must be written as %40, %2F and %23")
	}
	k, ok := kinds[name]
	if !ok {
		return nil, errors.New("driver: must be sqlite, postgres or mysql")
	}
	for _, driver := range k.drivers {
		if !slices.Contains(sql.Drivers(), driver) {
			continue
		}
		db, err := sql.Open(driver, dsn)
		if err != nil {
			return nil, errors.New("dsn: the driver for " + name + " does not accept it")
		}
		return &DB{db, k.dialect}, nil
	}
	return nil, fmt.Errorf("driver: this program has none for %s", name)
}

// Ping connects. The drivers of PostgreSQL quote a part of the password if they cannot
// read the data source name, which they do only now.
func (db *DB) Ping(ctx context.Context) error {
	err := db.PingContext(ctx)
	if err != nil && strings.Contains(err.Error(), "cannot parse") {
		return errors.New("dsn: the driver cannot read it")
	}
	return err
}

// ambiguous reports whether a data source name is a URL that a driver may divide within
// the password. Its errors would then have a part of the password in them.
func ambiguous(dsn string) bool {
	_, rest, isURL := strings.Cut(dsn, "://")
	rest, _, _ = strings.Cut(rest, "?")
	end := strings.LastIndexByte(rest, '@')
	return isURL && end >= 0 && strings.ContainsAny(rest[:end], "@/#")
}

// Placeholder returns the placeholder of parameter n, counted from 1.
func (db *DB) Placeholder(n int) string {
	if db.Dialect == sqlstore.PostgreSQL {
		return "$" + strconv.Itoa(n)
	}
	return "?"
}
