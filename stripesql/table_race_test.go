//go:build race

package stripesql_test

// raceDetector tells whether the race detector slows this run down.
const raceDetector = true
