package transport

import "regexp"

// keyLike matches an API key, plain or in the base64 of HTTP Basic. The prefix
// is enough for a match, so a key that was cut off is found too.
var keyLike = regexp.MustCompile(`(?i)([sr]k_(?:test|live)_|(?:c2t|cmt)f(?:dGVzd|bGl2Z))[\w+/=-]+`)

// Mask replaces the API keys in a text. It is for texts from outside: the error
// page of a proxy may quote the request.
func Mask(text string) string { return keyLike.ReplaceAllString(text, "${1}****") }
