package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stripekit/stripekit/stripetest"
)

// config is what the flags say.
type config struct {
	addr       string
	load, seed string    // files; empty for none
	time       time.Time // zero: now
	options    []stripetest.Option

	tls       bool // with a certificate made in memory
	cert, key string
	certOut   string
}

// parseFlags reads the flags. It writes the usage to out.
func parseFlags(args []string, out io.Writer) (config, error) {
	cfg := config{options: []stripetest.Option{stripetest.InMemory()}}
	flags := flag.NewFlagSet("fakestripe", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.StringVar(&cfg.addr, "addr", "127.0.0.1:12111", "where to listen; anybody who reaches it can use the API")
	control := flags.String("control", "loopback", "who can use the control plane, /_stripetest/: loopback, anywhere or off")
	version := flags.String("version", "", "the API version of requests without a Stripe-Version header (default the newest)")
	flags.StringVar(&cfg.load, "load", "", "a dump to load at the start")
	flags.StringVar(&cfg.seed, "seed", "", "a JSON file of objects to store at the start")
	flags.Func("time", "where the clock starts, as 2026-01-31T12:00:00Z or in seconds since 1970 (default now)", cfg.setTime)
	webhooks := flags.String("webhooks", "off", "where events are sent for webhook endpoints: off, loopback (this machine alone) or anywhere")
	perKey := flags.Bool("account-per-key", false, "give each API key an account of its own")
	var accounts []string // parsed below, since the errors of package flag have the value, and so the keys
	flags.Func("account", "an account and its keys, as acct_shop=sk_test_1,sk_live_1; may be repeated", func(text string) error {
		accounts = append(accounts, text)
		return nil
	})
	connected := flags.String("connected", "", "the accounts that Stripe-Account may name, as acct_1,acct_2 (default any)")
	flags.BoolVar(&cfg.tls, "tls", false, "serve HTTPS and HTTP/2, with a self-signed certificate made in memory")
	flags.StringVar(&cfg.certOut, "tls-cert-out", "", "where to write the certificate of -tls, for clients to trust")
	flags.StringVar(&cfg.cert, "cert", "", "serve HTTPS and HTTP/2 with this certificate, a PEM file")
	flags.StringVar(&cfg.key, "key", "", "the key of -cert, a PEM file")
	if err := flags.Parse(args); err != nil {
		return config{}, err
	}
	if flags.NArg() > 0 {
		return config{}, fmt.Errorf("there are flags only, and no %q", flags.Arg(0))
	}
	if *perKey {
		cfg.options = append(cfg.options, stripetest.WithAccountPerKey())
	}
	if *connected != "" {
		cfg.options = append(cfg.options, stripetest.WithConnectedAccounts(strings.Split(*connected, ",")...))
	}
	for _, account := range accounts {
		if err := cfg.addAccount(account); err != nil {
			return config{}, err
		}
	}
	return cfg, errors.Join(cfg.addControl(*control), cfg.addWebhooks(*webhooks), cfg.addVersion(*version), cfg.checkTLS())
}

func (cfg *config) addControl(access string) error {
	switch access {
	case "loopback":
		cfg.options = append(cfg.options, stripetest.WithControl())
	case "anywhere":
		cfg.options = append(cfg.options, stripetest.WithControlFromAnywhere())
	case "off":
	default:
		return fmt.Errorf("-control is loopback, anywhere or off, and not %q", access)
	}
	return nil
}

// addVersion turns the panic of the option, which is for tests, into an error.
func (cfg *config) addVersion(version string) (err error) {
	if version == "" {
		return nil
	}
	defer func() {
		if recover() != nil {
			err = fmt.Errorf("-version: %q is no API version such as 2020-08-27", version)
		}
	}()
	option := stripetest.WithDefaultVersion(version)
	stripetest.New(stripetest.InMemory(), option).Close()
	cfg.options = append(cfg.options, option)
	return nil
}

func (cfg *config) setTime(text string) error {
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
		cfg.time = time.Unix(seconds, 0)
	} else if cfg.time, err = time.Parse(time.RFC3339, text); err != nil {
		return errors.New("it is neither a time such as 2026-01-31T12:00:00Z nor a number of seconds")
	}
	if year := cfg.time.UTC().Year(); year < 1970 || year > 9998 {
		return errors.New("it is not between 1970 and 9998")
	}
	return nil
}

func (cfg *config) addAccount(text string) error {
	account, list, _ := strings.Cut(text, "=")
	keys := strings.Split(list, ",")
	if account == "" || slices.Contains(keys, "") {
		return errors.New("-account is like acct_shop=sk_test_1,sk_live_1")
	}
	cfg.options = append(cfg.options, stripetest.WithAccountKeys(account, keys...))
	return nil
}

func (cfg *config) checkTLS() error {
	switch {
	case (cfg.cert == "") != (cfg.key == ""):
		return errors.New("-cert and -key belong together")
	case cfg.tls && cfg.cert != "":
		return errors.New("-tls makes a certificate, so -cert is too much")
	case !cfg.tls && cfg.certOut != "":
		return errors.New("-tls-cert-out needs -tls")
	}
	return nil
}
