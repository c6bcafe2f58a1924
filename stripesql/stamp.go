package stripesql

import (
	"bytes"
	"time"
)

// stampCollation is the name of the collation of all columns that hold a time.
const stampCollation = "timestamp"

// stampLayout is how a time is compared: as text, in UTC, without the zone, so
// that a fraction of a second sorts behind its second.
const stampLayout = "2006-01-02T15:04:05.999999999"

// compareStamps is the collation. Two texts are compared as the times they
// stand for, whatever their form. A text that is no time stands for itself, so
// that '2026-01' sorts before all of that month, as it does among plain texts.
func compareStamps(a, b []byte) int {
	return bytes.Compare(stampKey(a), stampKey(b))
}

// stampKey is what a text is compared by.
func stampKey(s []byte) []byte {
	if plainStamp(s) {
		return s[:19]
	}
	t, ok := parseStamp(string(s))
	if !ok {
		return s
	}
	return t.AppendFormat(nil, stampLayout)
}

// plainStamp tells whether s is a time in the form that columns have. The last
// days of a month, which it may lack, are left to parseStamp.
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

// The forms of a time, in which T may be a space and a zone may be absent.
var stampForms = [...]string{
	"2006-01-02",
	"2006-01-02T15:04",
	"2006-01-02T15:04Z07:00",
	"2006-01-02T15:04:05",
	"2006-01-02T15:04:05Z07:00",
}

// parseStamp reads a day or a time, in UTC where it names no zone.
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

// formatStamp is how a column shows a time.
func formatStamp(second int64) string {
	return time.Unix(second, 0).UTC().Format(time.RFC3339)
}

// endOfStamps is the first second whose year has five digits.
const endOfStamps = 253402300800

// firstStamp is the first second from 1970 on that sorts at or behind text, or
// behind it where after is set; endOfStamps where there is none.
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
