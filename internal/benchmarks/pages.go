package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

// template is a charge by card with a refund, as the service returns it. It has
// placeholders for what differs from charge to charge.
//
//go:embed charge.json
var template string

// layout is the white space of JSON.
type layout string

const (
	indented layout = "indented" // by two spaces, as the service sends it
	compact  layout = "compact"  // as many fakes send it
)

// pageSize is the maximum number of charges on a page.
const pageSize = 100

// idPrefix is the prefix of the ids of all charges. The rest of an id is the
// number of the charge, counted from the oldest.
const (
	idPrefix = "ch_3B7WZ01zgkW"
	idDigits = 13
)

func chargeID(number int) string { return fmt.Sprintf("%s%0*d", idPrefix, idDigits, number) }

func numberOf(id string) (int, error) { return strconv.Atoi(strings.TrimPrefix(id, idPrefix)) }

// ids returns the ids of the charges from low to high, exclusive, newest first.
func ids(low, high int) []string {
	var ids []string
	for number := high - 1; number >= low; number-- {
		ids = append(ids, chargeID(number))
	}
	return ids
}

// mold makes charges. They all have the same length, so one becomes another by
// overwriting its digits.
type mold struct {
	head, between string
	tails         map[bool]string // by has_more
	charge        []byte          // including the separator
	ids           []int           // offsets of the digits of the id
	references    []int           // offsets of the digits of other ids and texts
	seconds       []int           // offsets of the time
	pages         sync.Pool
}

const referenceDigits = 14

func newMold(l layout) (*mold, error) {
	m := &mold{
		head: `{"object":"list","data":[`, between: ",",
		tails: map[bool]string{
			false: `],"has_more":false,"url":"/v1/charges"}`,
			true:  `],"has_more":true,"url":"/v1/charges"}`,
		},
	}
	if l == indented {
		m.head, m.between = "{\n  \"object\": \"list\",\n  \"data\": [\n    ", ",\n    "
		m.tails = map[bool]string{
			false: "\n  ],\n  \"has_more\": false,\n  \"url\": \"/v1/charges\"\n}\n",
			true:  "\n  ],\n  \"has_more\": true,\n  \"url\": \"/v1/charges\"\n}\n",
		}
	}
	id, reference, second := strings.Repeat("I", idDigits), strings.Repeat("R", referenceDigits), "1999999999"
	text := []byte(strings.NewReplacer(
		"@ID@", idPrefix+id, "@N@", reference, "@CREATED@", second, "@AMOUNT@", "12500", "@STREET@", "1042",
	).Replace(strings.TrimSpace(template)))
	var charge bytes.Buffer
	var err error
	if l == indented {
		err = json.Indent(&charge, text, "    ", "  ")
	} else {
		err = json.Compact(&charge, text)
	}
	if err != nil {
		return nil, fmt.Errorf("the charge template: %w", err)
	}
	charge.WriteString(m.between)
	m.charge = charge.Bytes()
	m.ids, m.references, m.seconds = places(m.charge, id), places(m.charge, reference), places(m.charge, second)
	return m, nil
}

// places returns the offsets of all occurrences of a text.
func places(b []byte, text string) (places []int) {
	for at := 0; ; at += len(text) {
		i := bytes.Index(b[at:], []byte(text))
		if i < 0 {
			return places
		}
		at += i
		places = append(places, at)
	}
}

// stamp overwrites the charge at the start of b with another.
func (m *mold) stamp(b []byte, number int, created int64) {
	for _, at := range m.ids {
		digits(b[at:at+idDigits], int64(number))
	}
	for _, at := range m.references {
		digits(b[at:at+referenceDigits], int64(number))
	}
	for _, at := range m.seconds {
		digits(b[at:at+10], created)
	}
}

// digits fills b with a number.
func digits(b []byte, number int64) {
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = byte('0' + number%10)
		number /= 10
	}
}

// page appends a page of the charges from low to high, exclusive, newest first.
func (m *mold) page(dst []byte, low, high int, more bool, created func(number int) int64) []byte {
	dst = append(dst, m.head...)
	for number := high - 1; number >= low; number-- {
		at := len(dst)
		dst = append(dst, m.charge...)
		m.stamp(dst[at:], number, created(number))
	}
	if low < high {
		dst = dst[:len(dst)-len(m.between)]
	}
	return append(dst, m.tails[more]...)
}

// list returns the response with such a page. Its memory is reused.
func (m *mold) list(low, high int, more bool, created func(number int) int64, date time.Time) response {
	page, _ := m.pages.Get().(*[]byte)
	if page == nil {
		page = new([]byte)
	}
	*page = m.page((*page)[:0], low, high, more, created)
	return response{*page, date, sync.OnceFunc(func() { m.pages.Put(page) })}
}

// one returns a charge by itself.
func (m *mold) one(number int, created int64) []byte {
	charge := bytes.Clone(m.charge[:len(m.charge)-len(m.between)])
	m.stamp(charge, number, created)
	return bytes.ReplaceAll(charge, []byte("\n    "), []byte("\n"))
}
