package stripesql

import (
	"bytes"
	"strconv"
	"strings"
	"time"
)

// stampCollation is the name of the collation of all columns that hold a time.
const stampCollation = "timestamp"

// stampLayout is the form in which times are compared: as text, in UTC. It has
// no zone, so that a fraction of a second sorts after the whole second.
const stampLayout = "2006-01-02T15:04:05.999999999"

// compareStamps is the collation. It compares two texts as times, in any of
// their forms. Digits are seconds since 1970, but four digits are a year. A text that
// is not a time is compared as text, so that '2026-01' sorts before all times of that
// month.
func compareStamps(a, b []byte) int {
	return bytes.Compare(stampKey(a), stampKey(b))
}

// stampKey returns the text that s is compared as.
func stampKey(s []byte) []byte {
	if plainStamp(s) {
		return s[:19]
	}
	if t, ok := parseStamp(string(s)); ok {
		return t.AppendFormat(nil, stampLayout)
	}
	switch second, fraction, ok := unixStamp(string(s)); {
	case ok && second == endOfStamps:
		return []byte(":") // after all digits
	case ok:
		return append([]byte(strings.TrimSuffix(formatStamp(second), "Z")), fraction...)
	}
	return s
}

// unixStamp parses a number of seconds since 1970, as SQLite writes it when it
// compares a number to a column of text. The fraction is as in stampLayout. Four
// digits are a year, not a number.
func unixStamp(s string) (second int64, fraction string, ok bool) {
	whole, digits, _ := strings.Cut(s, ".")
	if len(whole) == len("2026") || strings.Trim(whole+digits, "0123456789") != "" {
		return 0, "", false
	}
	second, err := strconv.ParseInt(whole, 10, 64)
	if digits = strings.TrimRight(digits, "0"); digits != "" {
		fraction = "." + digits
	}
	return min(second, endOfStamps), fraction, err == nil
}

// plainStamp reports whether s is a time in the form that columns have. It is a
// fast path: for days after the 28th, which a month may not have, it returns
// false.
func plainStamp(s []byte) bool {
	const form = "0000-00-00T00:00:00Z"
	if len(s) != len(form) {
		return false
	}
	for i := range s {
		if form[i] == '0' && (s[i] < '0' || s[i] > '9') || form[i] != '0' && form[i] != s[i] {
			return false
		}
	}
	day := int(s[8]-'0')*10 + int(s[9]-'0')
	month := int(s[5]-'0')*10 + int(s[6]-'0')
	return month >= 1 && month <= 12 && day >= 1 && day <= 28 &&
		string(s[11:13]) < "24" && s[14] < '6' && s[17] < '6'
}

// stampForms are the forms of a time. parseStamp also accepts a space for the
// T.
var stampForms = [...]string{
	"2006-01-02",
	"2006-01-02T15:04",
	"2006-01-02T15:04Z07:00",
	"2006-01-02T15:04:05",
	"2006-01-02T15:04:05Z07:00",
}

// parseStamp parses a day or a time. Without a zone, it is in UTC.
func parseStamp(s string) (time.Time, bool) {
	const shortest, longest = len("2006-01-02"), len("2006-01-02T15:04:05.999999999+00:00")
	if len(s) < shortest || len(s) > longest {
		return time.Time{}, false
	}
	if len(s) > shortest && s[shortest] == ' ' {
		s = s[:shortest] + "T" + s[shortest+1:]
	}
	for _, form := range stampForms {
		if t, err := time.Parse(form, s); err == nil {
			t = t.UTC()
			return t, t.Year() >= 0 && t.Year() <= 9999
		}
	}
	return time.Time{}, false
}

// formatStamp returns a time in the form that columns have.
func formatStamp(second int64) string {
	return time.Unix(second, 0).UTC().Format(time.RFC3339)
}

// endOfStamps is the first second whose year has five digits.
const endOfStamps = 253402300800

// firstStamp returns the first second since 1970 that is not less than text,
// or, if after is set, that is greater. It returns endOfStamps if there is
// none.
func firstStamp(text string, after bool) int64 {
	key := stampKey([]byte(text))
	reached := 0
	if after {
		reached = 1
	}
	low, high := int64(0), int64(endOfStamps)
	for low < high {
		middle := (low + high) / 2
		if bytes.Compare(stampKey([]byte(formatStamp(middle))), key) >= reached {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return low
}
