package stripekit_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripetest"
)

func ExampleConnections() {
	server := stripetest.New(stripetest.InMemory())
	defer server.Close()
	ctx := context.Background()

	connections := stripekit.NewConnections(stripekit.WithHTTPClient(server.Client()))
	var c stripekit.Connection
	if err := json.Unmarshal([]byte(`{"name": "Shop EU", "api_key": "sk_test_0123456789abcdef", "access": "read_only"}`), &c); err != nil {
		panic(err)
	}
	if err := connections.Add(c); err != nil {
		panic(err)
	}
	result, err := connections.Check(ctx, "Shop EU")
	if err != nil {
		panic(err) // a *CheckError, which names the step that failed
	}
	fmt.Println(result.Mode, result.APIVersion)

	client, err := connections.Open("Shop EU")
	if err != nil {
		panic(err)
	}
	_, err = client.Customers.Create(ctx, stripekit.CustomerCreateParams{Name: new("Ada")})
	fmt.Println(errors.Is(err, stripekit.ErrReadOnly), err)

	// The JSON of a connection, which Update accepts, has no key.
	c, _ = connections.Get("Shop EU")
	shown, _ := json.Marshal(c)
	fmt.Println(string(shown))
	// Output:
	// test 2026-08-26.dahlia
	// true stripe: POST /v1/customers: connection "Shop EU": read-only, refuses writes
	// {"name":"Shop EU","api_key_last4":"cdef","mode":"test","access":"read_only","disabled":false}
}

func ExampleConnection_Open() {
	_, err := stripekit.Connection{Name: "shop", APIKey: stripekit.SecretFromEnv("SHOP_KEY")}.Open()
	fmt.Println(err)
	// Output: stripe: api_key: the environment variable "SHOP_KEY" is not set
}
