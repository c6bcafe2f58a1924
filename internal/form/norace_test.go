//go:build !race

package form_test

const raceDetector = false
