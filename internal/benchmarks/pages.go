package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// template is a paid charge by card as the service returns it, in a version of the
// API in which a charge does not have its refunds. @NAME@ is a placeholder for what
// differs from charge to charge, and "@#NAME@" one for a number.
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

func numberOf(id string) (int, error) { return strconv.Atoi(strings.TrimPrefix(id, idPrefix)) }

// mold makes charges and pages of them.
type mold struct {
	head, between string
	tails         map[bool]string // by has_more
	charge        []part
	pages         sync.Pool
}

// part is a piece of a charge: a text, and the value after it.
type part struct {
	text  string
	value value // nil at the end
}

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
	var charge bytes.Buffer
	var err error
	if l == indented {
		err = json.Indent(&charge, []byte(template), "    ", "  ")
	} else {
		err = json.Compact(&charge, []byte(template))
	}
	if err != nil {
		return nil, fmt.Errorf("the charge template: %w", err)
	}
	m.charge, err = parts(strings.TrimSpace(charge.String()))
	return m, err
}

var placeholder = regexp.MustCompile(`"@#([A-Z0-9]+)@"|@([A-Z0-9]+)@`)

// parts divides a text at its placeholders.
func parts(text string) (divided []part, err error) {
	at := 0
	for _, found := range placeholder.FindAllStringSubmatchIndex(text, -1) {
		name := strings.Trim(text[found[0]:found[1]], `"@#`)
		v, ok := values[name]
		if !ok {
			return nil, fmt.Errorf("the charge template: there is no value %s", name)
		}
		divided = append(divided, part{text[at:found[0]], v})
		at = found[1]
	}
	return append(divided, part{text: text[at:]}), nil
}

// fill appends a text with the values of a charge.
func fill(dst []byte, divided []part, number int, created int64) []byte {
	for _, p := range divided {
		dst = append(dst, p.text...)
		if p.value != nil {
			dst = p.value(dst, number, created)
		}
	}
	return dst
}

// page appends a page of the charges from low to high, exclusive, newest first.
func (m *mold) page(dst []byte, low, high int, more bool, created func(number int) int64) []byte {
	dst = append(dst, m.head...)
	for number := high - 1; number >= low; number-- {
		dst = fill(dst, m.charge, number, created(number))
		if number > low {
			dst = append(dst, m.between...)
		}
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
	return response{body: *page, date: date, done: sync.OnceFunc(func() { m.pages.Put(page) })}
}

// one returns a charge by itself.
func (m *mold) one(number int, created int64) []byte {
	return bytes.ReplaceAll(fill(nil, m.charge, number, created), []byte("\n    "), []byte("\n"))
}

// summary describes a charge by what a side has read of it: texts from the
// beginning, the middle and the end, some within other objects.
func summary(id, email, city, message, last4, customer, suffix string) string {
	return strings.Join([]string{id, email, city, message, last4, customer, suffix}, " | ")
}

// summaries returns the summaries of the charges from low to high, exclusive, newest
// first.
func summaries(low, high int) (all []string) {
	divided, err := parts(summary("@ID@", "@EMAIL@", "@CITY@", "@MESSAGE@", "@LAST4@", "cus_@N@", "ORDER @ORDER@"))
	if err != nil {
		panic(err)
	}
	for number := high - 1; number >= low; number-- {
		all = append(all, string(fill(nil, divided, number, 0)))
	}
	return all
}

// ids returns the ids of the charges from low to high, exclusive, newest first.
func ids(low, high int) (all []string) {
	for number := high - 1; number >= low; number-- {
		all = append(all, chargeID(number))
	}
	return all
}
