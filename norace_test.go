//go:build !race

package stripekit_test

const raceDetector = false
