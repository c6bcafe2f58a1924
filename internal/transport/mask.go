package transport

import (
	"errors"
	"regexp"
	"strings"
)

const (
	// underscore matches _, plain or escaped for a URL, JSON or HTML.
	underscore = `(?:_|%(?:25)*5f|\\+u005f|&#(?:95|x5f);)`
	// plain matches the prefix of an API key, or of the secret of a webhook.
	plain = `(?:[sre]k` + underscore + `(?:org` + underscore + `)?(?:test|live)|whsec)` + underscore
	// encoded matches the end of the prefix in base64, which has three forms that depend
	// on the offset, and in hexadecimal.
	encoded = `(?:c2t|cmt)f(?:dGVzd|bGl2Z)|rX(?:3Rlc3Rf|2xpdmVf)|a19(?:0ZXN0|saXZl)X` +
		`|6b5f(?:74657374|6c697665)5f`
	// client matches what is in the middle of a client_secret.
	client = underscore + `(?-i:secret)` + underscore
	// rest matches what follows a prefix. One character is enough, so a secret that was
	// cut off is found too.
	rest = `(?:[\w+/=-]|` + underscore + `)+`
	// basic matches what is before a login in HTTP Basic, and login the login. It has a
	// digit, an equals sign, or an upper-case letter after a lower-case one, and so is no
	// word of a sentence such as "basic authentication is required".
	basic = `\bbasic(?:\s|%20)+`
	login = `[a-z+/]*(?:[\d=]|(?-i:[a-z][A-Z]))[\w+/=-]*`
)

var (
	// keyLike has no letter or digit before a plain key: the id of a product may be task_test_1.
	keyLike    = regexp.MustCompile(`(?i)(?:(?:^|%[\da-f]{2}|[^a-z\d])` + plain + `|` + encoded + `)` + rest)
	secretLike = regexp.MustCompile(`(?i)(` + plain + `|` + encoded + `|` + client + `)` + rest)
	loginLike  = regexp.MustCompile(`(?i)(` + basic + `)` + login)
	// userinfo matches the user and password in a URL.
	userinfo = regexp.MustCompile(`://[^\s/?#"'<>]*@`)
)

// Mask replaces the secrets in a text: API keys, secrets of webhooks and client secrets.
func Mask(text string) string { return secretLike.ReplaceAllString(text, "${1}****") }

// HasKey reports whether a text contains an API key, or the secret of a webhook.
func HasKey(text string) bool { return keyLike.MatchString(text) }

// QuoteError returns an error with the text of Quote: err itself, unless that text is
// another.
func QuoteError(err error) error {
	if text := Quote(err.Error()); text != err.Error() {
		return errors.New(text)
	}
	return err
}

// maxQuote is how many bytes of a text from outside an error or a log may have.
const maxQuote = 4 << 10

// Quote returns a text from outside as an error or a log may have it, since the error page
// of a proxy may quote the request: cut if it is very long, and without secrets and the
// logins of URLs and of HTTP Basic. It is not for data: a product may be named Basic 2.
func Quote(text string) string {
	end := ""
	if len(text) > maxQuote {
		text, end = strings.ToValidUTF8(text[:maxQuote], ""), "…"
	}
	text = userinfo.ReplaceAllString(loginLike.ReplaceAllString(text, "${1}****"), "://****@")
	return Mask(text) + end
}
