// Stripe-mcp offers a Stripe account to an agent, over the Model Context Protocol on
// stdin and stdout. A client of the protocol starts it, with the key in its environment:
//
//	STRIPE_API_KEY   a secret or restricted key
//	STRIPE_API_BASE  the URL of the service; without it, https://api.stripe.com
//
// It only reads, and only in test mode, unless the flags -write and -live say otherwise.
// With -demo it offers an account with sample data in its own process, without a key and
// without a network. It logs on stderr, and ends when stdin does.
//
// README.md, two folders above, has the configuration of clients.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/stripekit/stripekit"
	stripemcp "github.com/stripekit/stripekit/connector/mcp"
	"github.com/stripekit/stripekit/internal/transport"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	signal.Ignore(syscall.SIGPIPE)
	cfg, err := parseFlags(os.Args[1:], os.Stdout)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		cfg.key, cfg.base = os.Getenv("STRIPE_API_KEY"), os.Getenv("STRIPE_API_BASE")
		log := newLog(os.Stderr)
		err = run(ctx, cfg, &mcp.StdioTransport{}, log)
		log.flush()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "stripe-mcp:", err)
		os.Exit(1)
	}
}

// config is what the flags and the environment say.
type config struct {
	write, live, demo  bool
	account, key, base string
	maxCalls, maxBytes int
}

var validAccount = regexp.MustCompile(`^acct_[A-Za-z0-9]+$`)

// parseFlags writes the usage to out if it is asked for. An error does not have an API
// key that was given as a flag by mistake.
func parseFlags(args []string, out io.Writer) (config, error) {
	var cfg config
	flags := flag.NewFlagSet("stripe-mcp", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.BoolVar(&cfg.write, "write", false, "offer the tools that create, change and delete objects, and move money")
	flags.BoolVar(&cfg.live, "live", false, "allow a key of live mode")
	flags.BoolVar(&cfg.demo, "demo", false, "offer an account with sample data in this process, without a key")
	flags.StringVar(&cfg.account, "account", "", "act for this connected account, acct_…")
	flags.IntVar(&cfg.maxCalls, "max-calls", 100, "how many API calls an SQL statement may make")
	flags.IntVar(&cfg.maxBytes, "max-bytes", 64<<10, "how many bytes a result may have")
	err := flags.Parse(args)
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	switch {
	case errors.Is(err, flag.ErrHelp):
		flags.SetOutput(out)
		flags.Usage()
		return cfg, err
	case err != nil:
		return cfg, errors.New(transport.Quote(err.Error()))
	case flags.NArg() > 0:
		return cfg, errors.New("there are only flags; the key is read from STRIPE_API_KEY")
	case given["account"] && !validAccount.MatchString(cfg.account):
		return cfg, errors.New("-account must be the id of an account, acct_…")
	case cfg.maxCalls < 1:
		return cfg, errors.New("-max-calls must be at least 1")
	case cfg.maxBytes < 1:
		return cfg, errors.New("-max-bytes must be at least 1024")
	}
	return cfg, nil
}

// patience is how long run waits for calls in flight once ctx has ended, and then main for
// the log.
const patience = 2 * time.Second

// run serves one session, until the client ends it or ctx ends.
func run(ctx context.Context, cfg config, over mcp.Transport, log io.Writer) error {
	logger := slog.New(slog.NewTextHandler(log, nil))
	var opts []stripekit.Option
	if cfg.demo {
		demo, err := openDemo(ctx)
		if err != nil {
			return err
		}
		defer demo.Close()
		cfg.key, cfg.base, opts = demoKey, demo.URL, append(opts, stripekit.WithHTTPClient(demo.Client()))
	}
	client, err := cfg.open(append(opts, stripekit.WithLogger(logger))...)
	if err != nil {
		return err
	}
	server, err := stripemcp.NewServer(client, stripemcp.Options{
		Write: cfg.write, MaxCalls: cfg.maxCalls, MaxBytes: cfg.maxBytes, Logger: logger,
	})
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx, over) }()
	select {
	case err := <-ended:
		if ctx.Err() == nil {
			return err
		}
	case <-ctx.Done(): // Run waits for its calls
		select {
		case <-ended:
		case <-time.After(patience):
		}
	}
	return nil
}

// lossyLog is a writer that never blocks: what a client does not read of stderr is lost.
type lossyLog struct {
	lines   chan []byte   // nil asks for a value in written
	written chan struct{} // receives a value when all lines before are written
}

func newLog(to io.Writer) lossyLog {
	l := lossyLog{make(chan []byte, 1000), make(chan struct{}, 1)}
	go func() {
		for line := range l.lines {
			if line == nil {
				l.written <- struct{}{}
				continue
			}
			_, _ = to.Write(line)
		}
	}()
	return l
}

// Write takes a line.
func (l lossyLog) Write(line []byte) (int, error) {
	select {
	case l.lines <- bytes.Clone(line):
	default:
	}
	return len(line), nil
}

// flush waits until all lines are written, but not longer than patience. The last ones may
// have the idempotency key of a write that was in flight when the client left.
func (l lossyLog) flush() {
	end := time.After(patience)
	select {
	case l.lines <- nil:
	case <-end:
		return
	}
	select {
	case <-l.written:
	case <-end:
	}
}

// open makes the client. It makes no request.
func (cfg config) open(opts ...stripekit.Option) (*stripekit.Client, error) {
	if cfg.key == "" {
		return nil, errors.New("STRIPE_API_KEY is not set: set it to a key, or use -demo")
	}
	connection := stripekit.Connection{Name: "STRIPE_API_KEY", APIKey: stripekit.NewSecret(cfg.key), BaseURL: cfg.base}
	if !cfg.write {
		connection.Access = stripekit.ReadOnly // in addition to the tools that are missing
	}
	client, err := connection.Open(opts...)
	if err != nil {
		return nil, err
	}
	if client.Mode() == stripekit.ModeLive && !cfg.live {
		return nil, errors.New("STRIPE_API_KEY is a key of live mode: use one of test mode, or allow it with -live")
	}
	return client.WithAccount(cfg.account), nil
}
