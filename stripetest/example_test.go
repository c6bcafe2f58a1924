package stripetest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/stripekit/stripekit/stripetest"
)

func Example() {
	server := stripetest.New(stripetest.InMemory())
	defer server.Close()

	form := url.Values{"amount": {"2000"}, "currency": {"usd"}, "source": {"tok_visa"}}
	req, err := http.NewRequest("POST", server.URL+"/v1/charges", strings.NewReader(form.Encode()))
	if err != nil {
		panic(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth("sk_test_123", "")

	resp, err := server.Client().Do(req)
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	var charge struct {
		Amount int64
		Status string
	}
	if err := json.NewDecoder(resp.Body).Decode(&charge); err != nil {
		panic(err)
	}
	fmt.Println(charge.Amount, charge.Status)
	fmt.Println(len(server.Requests()), "request")
	// Output:
	// 2000 succeeded
	// 1 request
}

func ExampleServer_Fault() {
	server := stripetest.New(stripetest.InMemory())
	defer server.Close()
	server.Fault("GET /v1/charges", stripetest.First(1), stripetest.RateLimit(stripetest.GlobalRate), stripetest.RetryAfter(2*time.Second))

	for range 2 {
		req, err := http.NewRequest("GET", server.URL+"/v1/charges", nil)
		if err != nil {
			panic(err)
		}
		req.SetBasicAuth("sk_test_123", "")
		resp, err := server.Client().Do(req)
		if err != nil {
			panic(err)
		}
		resp.Body.Close()
		fmt.Printf("%d %q\n", resp.StatusCode, resp.Header.Get("Retry-After"))
	}
	fmt.Println(server.Count("GET /v1/charges"), "requests")
	// Output:
	// 429 "2"
	// 200 ""
	// 2 requests
}

func ExampleServer_Seed() {
	server := stripetest.New(stripetest.InMemory())
	defer server.Close()
	start := time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)
	ids := server.Seed("/v1/charges", stripetest.Seeding{Count: 10_000, First: start, Every: time.Minute})
	fmt.Println(len(ids), "charges")
	// Output:
	// 10000 charges
}
