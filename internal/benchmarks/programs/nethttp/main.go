// Command nethttp reads a charge and a list with net/http alone. It is the
// baseline of the other two programs.
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
)

func main() {
	for _, path := range []string{"/v1/charges/ch_1", "/v1/charges"} {
		r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "https://api.stripe.com"+path, nil)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		r.SetBasicAuth(os.Getenv("STRIPE_KEY"), "")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		io.Copy(os.Stdout, resp.Body)
		resp.Body.Close()
	}
}
