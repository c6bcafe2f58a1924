package stripetest

import "crypto/rand"

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// newID returns prefix followed by n random characters. Like Stripe's, these
// ids do not sort by time.
func newID(prefix string, n int) string {
	id := append(make([]byte, 0, len(prefix)+n), prefix...)
	var random [32]byte
	for {
		_, _ = rand.Read(random[:]) // never returns an error
		for _, b := range random {
			if len(id) == len(prefix)+n {
				return string(id)
			}
			if digit := int(b >> 2); digit < len(base62) {
				id = append(id, base62[digit])
			}
		}
	}
}
