// Package servers starts database servers for tests, from the packages of the
// system. A server listens on a Unix socket in a temporary folder, which also has
// its data, and on no port. Its settings are the durable ones: a committed
// transaction survives Server.Kill.
//
// PostgreSQL and MariaDB return a new database of a server that the tests of a
// process share. The TestMain of the process must call Run:
//
//	func TestMain(m *testing.M) { os.Exit(servers.Run(m)) }
//
// StartPostgreSQL and StartMariaDB return a server that the test may kill and start
// again.
//
// Where a server is not installed, the test is skipped. With the environment
// variable STRIPEKIT_REQUIRE_SERVERS=1 it fails.
package servers
