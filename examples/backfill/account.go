package main

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"time"
)

// account is a simulated account, used as an http.RoundTripper. Its charges are
// computed from their number, counted from the oldest, and take no memory. A
// million charges of stripetest would take 0.7 GB and a few seconds.
type account struct {
	count   int
	opened  time.Time
	open    time.Duration // from the first charge to the last
	latency time.Duration // of each request
}

// opened is when the simulated account made its first charge. It has been
// selling for four years, more every month.
var opened = time.Date(2022, 1, 1, 0, 0, 0, 0, time.UTC)

const openFor = 4 * 365 * 24 * time.Hour

// created returns the created second of a charge.
func (a account) created(number int) int64 {
	apart := float64(number*2654435761%1000) / 1000 // looks random
	grown := math.Pow((float64(number)+apart)/float64(a.count), 0.6)
	return a.opened.Unix() + int64(grown*a.open.Seconds())
}

func (a account) id(number int) string { return fmt.Sprintf("ch_%024d", number) }

// RoundTrip responds to a request.
func (a account) RoundTrip(r *http.Request) (*http.Response, error) {
	timer := time.NewTimer(a.latency)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	status, body := http.StatusOK, []byte(`{"id":"acct_simulated","object":"account"}`)
	if r.URL.Path != "/v1/account" {
		var err error
		if body, err = a.list(r.URL.Query()); err != nil {
			status, body = http.StatusBadRequest, fmt.Appendf(nil, `{"error":{"type":"invalid_request_error","message":%q}}`, err)
		}
	}
	return &http.Response{
		Status: http.StatusText(status), StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/json"}, "Date": {time.Now().UTC().Format(http.TimeFormat)}},
		Body:   io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}, nil
}

// list returns a page of charges, newest first.
func (a account) list(query url.Values) ([]byte, error) {
	low, high, limit := 0, a.count, 10
	for name := range query {
		value, err := strconv.ParseInt(strings.TrimPrefix(query.Get(name), "ch_"), 10, 64)
		if err != nil {
			return nil, err
		}
		switch name {
		case "limit":
			limit = int(value)
		case "created[gte]":
			low = max(low, a.from(value))
		case "created[lt]":
			high = min(high, a.from(value))
		case "starting_after":
			high = min(high, int(value))
		case "ending_before":
			low = max(low, int(value)+1)
		default:
			return nil, fmt.Errorf("the simulated account does not know %s", name)
		}
	}
	more := high-low > limit
	switch {
	case more && query.Has("ending_before"):
		high = low + limit
	case more:
		low = high - limit
	}
	return a.page(low, high, more), nil
}

// from returns the number of the first charge created at second or later.
func (a account) from(second int64) int {
	return sort.Search(a.count, func(number int) bool { return a.created(number) >= second })
}

func (a account) page(low, high int, more bool) []byte {
	page := []byte(`{"object":"list","url":"/v1/charges","data":[`)
	for number := high - 1; number >= low; number-- {
		page = a.append(page, number)
		if number > low {
			page = append(page, ',')
		}
	}
	return fmt.Appendf(page, `],"has_more":%t}`, more)
}

// append appends the JSON of a charge. Every seventh charge is declined.
func (a account) append(b []byte, number int) []byte {
	status, code := "succeeded", "null"
	if number%7 == 0 {
		status, code = "failed", `"card_declined"`
	}
	return fmt.Appendf(b, `{"id":%q,"object":"charge","amount":%d,"amount_captured":%[2]d,"amount_refunded":0,
"captured":true,"created":%[3]d,"currency":"usd","customer":"cus_%06[4]d","description":"Order %[5]d",
"failure_code":%[6]s,"livemode":false,"metadata":{"order":"%[5]d"},"paid":%[7]t,"payment_intent":"pi_%024[5]d",
"payment_method_details":{"card":{"brand":"visa","country":"US","exp_month":8,"exp_year":2030,"funding":"credit","last4":"4242"},"type":"card"},
"refunded":false,"status":%[8]q}`,
		a.id(number), 500+number%97*50, a.created(number), number%50_000, number, code, status == "succeeded", status)
}
