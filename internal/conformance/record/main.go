// Command record writes the fixtures in testdata/fixtures, as
// <api version>/<name>.json. A fixture is the unchanged response of a service;
// nothing in it is typed by hand.
//
// The service is stripe-mock, in-process, in each version of the table of
// calls. The newest description comes with stripe-mock. The others are in the
// folder that STRIPEKIT_OPENAPI names; the default is ../shared/openapi,
// relative to the repository's root.
//
//	go generate ./record                          all versions
//	go run ./record -version 2020-08-27           one of them
//	go run ./record -spec s.json -fixtures f.json -version 2022-11-15
//
// If STRIPE_API_KEY is a test key (sk_test_… or rk_test_…), the calls go to
// Stripe, to the account of that key. A live key is refused. The calls then
// create customers, charges and other objects in the test data of that account,
// and leave them there. Nothing is scrubbed: ids, addresses and names are
// written as they are in the response, so read the diff before you commit it. A
// response that contains the key is an error and is not written.
//
// If a response does not have the status that its call expects, the call is
// reported and the response is not written: stripe-mock, for example, declines
// no card. A call that needs an id that was not recorded is reported too.
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
	os.Stdout = os.Stderr // for the log of stripe-mock
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

// record runs r with the account of STRIPE_API_KEY, or with stripe-mock.
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
