// Package fleettest tests implementations of fleet.Engine.
package fleettest
