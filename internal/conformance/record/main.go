// Command record writes the fixtures of testdata/fixtures: what a service
// really answered, as <api version>/<name>.json, to the byte. Nothing in a
// fixture is typed by hand.
//
// The service is stripe-mock, in-process, in each of the versions that the
// table of calls is about. The newest comes with stripe-mock; the descriptions
// of the others are looked for in the folder that STRIPEKIT_OPENAPI names, and
// ../shared/openapi below the repository's root by default.
//
//	go generate ./record                          all versions
//	go run ./record -version 2020-08-27           one of them
//	go run ./record -spec s.json -fixtures f.json -version 2022-11-15
//
// With STRIPE_API_KEY set to a test key (sk_test_… or rk_test_…) the service is
// the account of that key instead; a live key is refused. The calls then make a
// customer, charges and the rest of the table in that account's test data, and
// leave them there. Nothing is scrubbed: ids, addresses and names are written
// as they were answered, so read the difference before it is committed. An
// answer that contains the key is an error and is not written.
//
// A call whose answer has another status than its name promises is reported
// and not written: stripe-mock, for one, declines no card. So is a call that
// needs the id of an object that is not there.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/internal/conformance/mock"
)

//go:generate go run .

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	out := os.Stdout
	os.Stdout = os.Stderr // where stripe-mock's log belongs
	if err := run(ctx, os.Args[1:], out); err != nil {
		fmt.Fprintln(os.Stderr, "record:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	mock.Description
	version string
	out     string
}

func parse(args []string) (*options, error) {
	o := new(options)
	flags := flag.NewFlagSet("record", flag.ContinueOnError)
	flags.StringVar(&o.version, "version", "", "the one API `version` to record; by default all of the table")
	flags.StringVar(&o.Spec, "spec", "", "`file` of an OpenAPI description for stripe-mock, with -fixtures and -version")
	flags.StringVar(&o.Fixtures, "fixtures", "", "`file` of the fixtures that belong to -spec")
	flags.StringVar(&o.out, "out", "", "`folder` to write to; by default testdata/fixtures of the repository")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if (o.Spec == "") != (o.Fixtures == "") || o.Spec != "" && o.version == "" {
		return nil, fmt.Errorf("-spec, -fixtures and -version go together")
	}
	if o.out == "" {
		root, err := mock.Root()
		if err != nil {
			return nil, err
		}
		o.out = filepath.Join(root, "testdata", "fixtures")
	}
	return o, nil
}

func run(ctx context.Context, args []string, out io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	versions := versions()
	if o.version != "" {
		versions = []string{o.version}
	}
	for _, version := range versions {
		r := &recorder{version: version, folder: filepath.Join(o.out, version), log: out}
		if err := o.record(ctx, r); err != nil {
			return fmt.Errorf("%s: %w", version, err)
		}
	}
	return nil
}

// record has r record the account of STRIPE_API_KEY, or stripe-mock.
func (o *options) record(ctx context.Context, r *recorder) error {
	if key := os.Getenv("STRIPE_API_KEY"); key != "" {
		return r.record(ctx, key)
	}
	description, err := o.describe(r.version)
	if err != nil {
		return err
	}
	server, err := mock.Start(description)
	if err != nil {
		return err
	}
	defer server.Close()
	if server.Version != r.version {
		return fmt.Errorf("the description is of %s", server.Version)
	}
	return r.record(ctx, mock.Key, stripekit.WithBaseURL(server.URL))
}

func (o *options) describe(version string) (mock.Description, error) {
	if o.Spec != "" || version == stripekit.APIVersion {
		return o.Description, nil
	}
	return mock.Older(version)
}
