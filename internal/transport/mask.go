package transport

import "regexp"

// keyLike is an API key, plain or as HTTP Basic has it in base64. Its head is
// enough to know it by, so that one that was cut off is found too.
var keyLike = regexp.MustCompile(`(?i)([sr]k_(?:test|live)_|(?:c2t|cmt)f(?:dGVzd|bGl2Z))[\w+/=-]+`)

// Mask hides API keys in a text that comes from outside: a proxy's page may
// well repeat the request it did not like.
func Mask(text string) string { return keyLike.ReplaceAllString(text, "${1}****") }
