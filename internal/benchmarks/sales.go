package main

import (
	"fmt"
	"strconv"
)

// value appends the value of a placeholder for a charge. It is the same whenever
// the number and the created second are.
type value func(dst []byte, number int, created int64) []byte

// values are the placeholders of the template. Hardly a text is the same in two
// charges of a page, so that a JSON package that keeps the strings it has seen
// finds few of them again.
var values = map[string]value{
	"ID":          func(dst []byte, number int, _ int64) []byte { return append(dst, chargeID(number)...) },
	"N":           func(dst []byte, number int, _ int64) []byte { return append(dst, reference(number)...) },
	"CREATED":     func(dst []byte, _ int, created int64) []byte { return strconv.AppendInt(dst, created, 10) },
	"ORDER":       func(dst []byte, number int, _ int64) []byte { return strconv.AppendInt(dst, int64(1000+number), 10) },
	"AMOUNT":      between(0, 500, 90_000),
	"FIRST":       word(1, firstNames...),
	"LAST":        word(2, lastNames...),
	"EMAIL":       email,
	"HOUSE":       between(3, 1, 2_999),
	"STREET":      word(4, "Townsend Street", "Elm Road", "Lakeside Drive", "Harbour Lane", "Rue des Lilas", "Mill Avenue", "Station Square", "Via Garibaldi", "Old Bridge Way", "Chestnut Hill", "Kirkgate", "Park Row", "Bay View Terrace"),
	"CITY":        word(5, "San Francisco", "Portland", "Leeds", "Lyon", "Helsinki", "Valencia", "Bologna", "Ghent", "Austin", "Montreal", "Cork"),
	"STATE":       word(5, "CA", "OR", "YKS", "ARA", "U", "VC", "BO", "VOV", "TX", "QC", "CO"),
	"POSTCODE":    between(6, 10_000, 99_999),
	"ITEM":        word(7, "two chairs", "a coffee grinder", "24 mugs", "tea, assorted", "espresso beans", "an oak table", "a repair", "paper filters", "a gift card"),
	"CHANNEL":     word(8, "web", "phone", "shop", "app", "partner"),
	"RISK":        word(9, "normal", "normal", "normal", "elevated"),
	"SCORE":       between(10, 0, 64),
	"MESSAGE":     word(11, "Payment complete.", "Payment complete.", "Stripe evaluated this payment as having elevated risk."),
	"CODE":        between(12, 100_000, 999_999),
	"BRAND":       word(13, "visa", "mastercard", "amex", "discover", "jcb"),
	"CHECK":       word(14, "pass", "pass", "unchecked", "unavailable"),
	"MONTH":       between(15, 1, 12),
	"YEAR":        between(16, 2027, 2033),
	"FINGERPRINT": letters(17, 16),
	"FUNDING":     word(18, "credit", "debit", "prepaid"),
	"LAST4":       between(19, 1000, 9999),
	"TRACE":       between(20, 100_000_000_000_000, 999_999_999_999_999),
	"INDICATOR":   word(21, "05", "02", "06"),
	"HEX8":        hex(22, 8),
	"HEX12":       hex(23, 12),
	"TOKEN":       letters(24, 64),
}

var (
	firstNames = []string{"Jenny", "Omar", "Maria", "Wei", "Laura", "David", "Aoife", "Nikhil", "Sofia", "Bruno", "Ingrid", "Tomas", "Esther", "Kofi", "Yuki", "Paul", "Carmen"}
	lastNames  = []string{"Rosen", "Garcia", "Okafor", "Lindqvist", "Murphy", "Chen", "Moreau", "Rossi", "Patel", "Novak", "Keller", "Silva", "Andersson", "Haddad", "Watanabe", "Brown", "O'Neill", "Peeters", "Lopez"}
)

// email is the address of the customer's name, with a number of its own.
func email(dst []byte, number int, created int64) []byte {
	first, last := firstNames[pick(number, 1, len(firstNames))], lastNames[pick(number, 2, len(lastNames))]
	dst = append(append(append(append(dst, first...), '.'), last...), '+')
	return append(strconv.AppendInt(dst, int64(number), 10), "@example.com"...)
}

// word chooses one of the words. The same salt chooses the same index.
func word(salt int, words ...string) value {
	return func(dst []byte, number int, _ int64) []byte {
		return append(dst, words[pick(number, salt, len(words))]...)
	}
}

// between chooses a number from low to high.
func between(salt int, low, high int64) value {
	return func(dst []byte, number int, _ int64) []byte {
		return strconv.AppendInt(dst, low+int64(pick(number, salt, int(high-low+1))), 10)
	}
}

func letters(salt, count int) value {
	return symbols(salt, count, 6, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789AB")
}

func hex(salt, count int) value { return symbols(salt, count, 4, "0123456789abcdef") }

// symbols chooses count symbols of an alphabet with 1<<bits of them.
func symbols(salt, count, bits int, alphabet string) value {
	return func(dst []byte, number int, _ int64) []byte {
		var drawn uint64
		for i := range count {
			if i%(60/bits) == 0 {
				drawn = random(number, salt+100*i)
			}
			dst = append(dst, alphabet[drawn&(1<<bits-1)])
			drawn >>= bits
		}
		return dst
	}
}

func pick(number, salt, choices int) int { return int(random(number, salt) % uint64(choices)) }

// random returns a pseudo-random number, always the same for the same arguments.
func random(number, salt int) uint64 {
	z := (uint64(number)*64 + uint64(salt) + 1) * 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// idPrefix is the prefix of the ids of all charges. The rest of an id is the
// number of the charge, counted from the oldest.
const (
	idPrefix = "ch_3B7WZ01zgkW"
	idDigits = 13
)

func chargeID(number int) string { return fmt.Sprintf("%s%0*d", idPrefix, idDigits, number) }

// referenceDigits is the length of a reference.
const referenceDigits = 14

// reference is the part of a charge's texts, and of the ids of other objects, that
// no other charge has.
func reference(number int) string {
	digits := strconv.Itoa(number)
	return "00000000000000"[:referenceDigits-len(digits)] + digits
}
