package servers

import (
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver pgx
)

func postgreSQL() engine {
	return engine{
		name: "PostgreSQL", packages: "Debian and Ubuntu: postgresql; Homebrew: postgresql@17", user: "postgres",
		driver: "pgx", system: "postgres", socket: ".s.PGSQL.5432",
		find: func() (programs, bool) {
			folder, ok := find(append(searchPath(), postgreSQLFolders()...), "initdb", "postgres")
			return programs{setUp: filepath.Join(folder, "initdb"), serve: filepath.Join(folder, "postgres")}, ok
		},
		setUp: func(dir string) []string {
			return []string{
				"--pgdata=" + dataFolder(dir), "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C",
				"--no-sync", // Server.Kill does not lose what the system has not written yet
			}
		},
		serve: func(dir string) []string {
			return []string{
				"-D", dataFolder(dir), "-k", dir, "-p", "5432", "-c", "listen_addresses=",
				"-c", "max_connections=200",
				"-c", "dynamic_shared_memory_type=mmap", // in files of the folder
			}
		},
		dsn: func(dir, database string) string {
			return "host=" + dir + " port=5432 user=postgres password= sslmode=disable connect_timeout=10 dbname=" + database
		},
		quit: syscall.SIGQUIT, // an immediate shutdown
	}
}

// postgreSQLFolders returns where the packages have the programs, the newest version
// first.
func postgreSQLFolders() []string {
	var folders []string
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin", "/usr/local/opt/postgresql@*/bin",
	} {
		matches, _ := filepath.Glob(pattern) // the pattern is valid
		slices.SortFunc(matches, func(a, b string) int { return majorVersion(b) - majorVersion(a) })
		folders = append(folders, matches...)
	}
	return folders
}

// majorVersion returns the last number in the name of the folder above bin, or 0.
func majorVersion(bin string) int {
	name := filepath.Base(filepath.Dir(bin))
	begin := len(name)
	for begin > 0 && '0' <= name[begin-1] && name[begin-1] <= '9' {
		begin--
	}
	version, _ := strconv.Atoi(name[begin:]) // 0 without a number
	return version
}
