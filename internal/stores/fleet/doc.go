// Package fleet tests a fleet of processes on NATS JetStream and on PostgreSQL: what
// becomes of the connections while workers and servers are killed, stopped and cut off.
package fleet
