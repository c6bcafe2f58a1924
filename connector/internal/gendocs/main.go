// Command gendocs writes docs.json: the comments of the Go types that the catalog is
// made of. It runs in the folder of package connector.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/stripekit/stripekit/connector/internal/godocs"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "gendocs:", err)
		os.Exit(1)
	}
}

func run() error {
	docs, err := godocs.OfCatalog(os.DirFS(".."))
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(docs, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile("docs.json", append(text, '\n'), 0o644)
}
