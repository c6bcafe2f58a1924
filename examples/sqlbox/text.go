package main

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// cut splits the first complete statement off a text. A statement ends at a
// semicolon outside quotes and comments, and a command at the end of its line.
func cut(text string) (statement, rest string, ended bool) {
	text = strings.TrimLeft(text, "; \t\r\n")
	end := byte(';')
	if strings.HasPrefix(text, ".") {
		end = '\n'
	}
	for i := 0; i < len(text); {
		if text[i] == end {
			return strings.TrimSpace(text[:i]), text[i+1:], true
		}
		length := 1
		if end == ';' {
			length = tokenLength(text[i:])
		}
		if length == 0 {
			break
		}
		i += length
	}
	return "", text, false
}

// tokenLength returns the length of the quoted text or comment that a text begins with,
// 0 if that has no end. It is 1 if the text begins with neither.
func tokenLength(text string) int {
	opening, closing := 1, ""
	switch {
	case strings.ContainsRune("'\"`", rune(text[0])):
		closing = text[:1]
	case text[0] == '[':
		closing = "]"
	case strings.HasPrefix(text, "--"):
		opening, closing = 2, "\n"
	case strings.HasPrefix(text, "/*"):
		opening, closing = 2, "*/"
	default:
		return 1
	}
	length := strings.Index(text[opening:], closing)
	if length < 0 {
		return 0
	}
	return opening + length + len(closing)
}

// maxHistoryLine is the length of the longest statement of the history, in bytes.
const maxHistoryLine = 4000

// secretLike matches what looks like an API key, plain or in base64, the secret of a
// webhook, a client_secret, or the password in a URL.
var secretLike = regexp.MustCompile(`(?i)(\b|_)([srpe]k|whsec|secret)_\w{8,}|[srpe]k(_|%5f)(test|live)` +
	`|(c2t|cmt)f(dGVzd|bGl2Z)|://[^\s/]*:[^\s/]*@`)

// historyLine returns a statement as one line for the history. It is "" for one that has
// no place there: it looks like it holds a secret, is very long, or would not be the same
// on one line.
func historyLine(statement string) string {
	if secretLike.MatchString(statement) || len(statement) > maxHistoryLine || !utf8.ValidString(statement) {
		return ""
	}
	if !strings.HasPrefix(statement, ".") {
		statement += ";"
	}
	var line strings.Builder
	for i := 0; i < len(statement); {
		token := statement[i : i+max(1, tokenLength(statement[i:]))]
		i += len(token)
		switch {
		case token == "\n" || token == "\r" || strings.HasPrefix(token, "--"):
			line.WriteByte(' ')
		case strings.ContainsAny(token, "\r\n"):
			return ""
		default:
			line.WriteString(token)
		}
	}
	return strings.TrimSpace(line.String())
}
