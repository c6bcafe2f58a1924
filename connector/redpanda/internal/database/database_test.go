package database_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"strings"
	"testing"

	_ "github.com/ncruces/go-sqlite3/driver"
	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/connector/redpanda/internal/database"
)

// driverOf is a driver that quotes the data source name in its errors.
type driverOf struct{ name string }

func (driverOf) Open(name string) (driver.Conn, error) { return nil, errors.New("no " + name) }

func (d driverOf) OpenConnector(name string) (driver.Connector, error) {
	if strings.HasPrefix(name, "good") {
		return driverOf{name}, nil
	}
	return nil, errors.New("cannot parse " + name)
}

func (d driverOf) Connect(context.Context) (driver.Conn, error) {
	if strings.Contains(d.name, "hunter2") {
		return nil, errors.New("cannot parse " + d.name)
	}
	return nil, errors.New("no server")
}

func (d driverOf) Driver() driver.Driver { return d }

func TestMain(m *testing.M) {
	sql.Register("mysql", driverOf{})
	sql.Register("postgres", driverOf{})
	m.Run()
}

func open(t *testing.T, yaml string) (*database.DB, error) {
	t.Helper()
	conf, err := service.NewConfigSpec().Fields(database.Fields()...).ParseYAML(yaml, nil)
	require.NoError(t, err)
	db, err := database.Open(conf)
	if err == nil {
		t.Cleanup(func() { _ = db.Close() })
	}
	return db, err
}

func TestDatabaseIsOpenedByTheDriverOfItsKind(t *testing.T) {
	postgres, err := open(t, "driver: postgres\ndsn: good")
	require.NoError(t, err)
	require.EqualError(t, postgres.Ping(t.Context()), "no server")
	require.Equal(t, "$1 $12", postgres.Placeholder(1)+" "+postgres.Placeholder(12))

	unreadable, err := open(t, "driver: postgres\ndsn: good password=hunter2 x")
	require.NoError(t, err)
	require.EqualError(t, unreadable.Ping(t.Context()), "dsn: the driver cannot read it")

	sqlite, err := open(t, "driver: sqlite\ndsn: ':memory:'")
	require.NoError(t, err)
	require.NoError(t, sqlite.Ping(t.Context()))
	require.Equal(t, "?", sqlite.Placeholder(2))

	_, err = open(t, "driver: postgres://user:word@host/db\ndsn: x")
	require.EqualError(t, err, "driver: must be sqlite, postgres or mysql")
}

func TestErrorHasNoPassword(t *testing.T) {
	_, err := open(t, "driver: mysql\ndsn: user:hidden@host")
	require.EqualError(t, err, "dsn: the driver for mysql does not accept it")
}

func TestPasswordThatDividesAURLIsRefused(t *testing.T) {
	for dsn, want := range map[string]bool{
		"good://user:p%40ss@host/db?application_name=a@b": true,
		"good://user:p@ss@host/db":                        false,
		"good://user:p/ss@host/db":                        false,
		"good://user:p#ss@host1:1,host2:2":                false,
		"good://user@host1:1,host2:2/db":                  true,
		"good user:p@ss@tcp(host)/db":                     true,
	} {
		_, err := open(t, "driver: mysql\ndsn: '"+dsn+"'")
		require.Equal(t, want, err == nil, "%s: %v", dsn, err)
	}
}
