package stripetest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

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
