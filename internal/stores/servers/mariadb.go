package servers

import (
	"path/filepath"
	"syscall"

	"github.com/go-sql-driver/mysql"
)

// mariaDBLog makes the redo log small, because it is written in full at first.
const mariaDBLog = "--innodb-log-file-size=16M"

func mariaDB() engine {
	return engine{
		name: "MariaDB", packages: "Debian and Ubuntu: mariadb-server; Homebrew: mariadb", user: "mysql",
		driver: "mysql", system: "mysql", socket: "mariadb.sock",
		find: func() (programs, bool) {
			folders := append(searchPath(), "/usr/sbin", "/usr/bin", "/usr/local/sbin", "/opt/homebrew/bin")
			server, hasServer := find(folders, "mariadbd")
			setUp, hasSetUp := find(folders, "mariadb-install-db")
			return programs{
				setUp: filepath.Join(setUp, "mariadb-install-db"), serve: filepath.Join(server, "mariadbd"),
			}, hasServer && hasSetUp
		},
		setUp: func(dir string) []string {
			return []string{
				"--no-defaults", "--datadir=" + dataFolder(dir),
				"--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve",
				mariaDBLog,
			}
		},
		serve: func(dir string) []string {
			return []string{
				"--no-defaults", "--datadir=" + dataFolder(dir), "--socket=" + filepath.Join(dir, "mariadb.sock"),
				"--pid-file=" + filepath.Join(dir, "pid"), "--skip-networking", "--innodb-flush-log-at-trx-commit=1",
				mariaDBLog,
			}
		},
		dsn: func(dir, database string) string {
			return "root@unix(" + filepath.Join(dir, "mariadb.sock") + ")/" + database + "?timeout=10s"
		},
		quit: syscall.SIGKILL, // it is one process
	}
}

// quietMySQL stops the driver from logging each connection that a Kill breaks.
func quietMySQL() error { return mysql.SetLogger(&mysql.NopLogger{}) }
