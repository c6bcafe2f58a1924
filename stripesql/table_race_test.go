//go:build race

package stripesql_test

// raceDetector reports whether the race detector is on, which slows tests down.
const raceDetector = true
