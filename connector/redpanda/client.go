package redpanda

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/stripekit/stripekit"
)

// clientFields are the fields that all components have.
func clientFields() []*service.ConfigField {
	return []*service.ConfigField{
		service.NewStringField("api_key").Secret().Example("${STRIPE_API_KEY}").
			Description("A secret key (`sk_…`) or a restricted key (`rk_…`). Its mode, test or live, is that of all data."),
		service.NewStringField("account").Optional().Example("acct_1032D82eZvKYlo2C").
			Description("The connected account to act for, by the header `Stripe-Account`. If absent, it is the account of the key."),
		service.NewStringField("api_version").Optional().Advanced().
			Description("The API version of all requests. If absent, it is `" + stripekit.APIVersion + "`, and `" + stripekit.OrdersAPIVersion + "` for orders."),
		service.NewStringField("base_url").Optional().Advanced().
			Description("The URL of the service. If absent, it is `https://api.stripe.com`. Plain `http` is for this machine alone."),
		service.NewStringField("proxy").Optional().Advanced().Secret().Example("http://user:password@proxy.example.com:3128").
			Description("The URL of a proxy: `http`, `https` or `socks5`. If absent, it is the proxy of the environment (`HTTPS_PROXY`)."),
		service.NewDurationField("timeout").Default("80s").Advanced().
			Description("The longest time that one attempt of a request may take; `0s` is no limit."),
		service.NewIntField("max_retries").Default(3).Advanced().
			Description("How often a failed request is retried before it counts as failed. Retries share one idempotency key."),
		service.NewObjectField("rate_limit",
			service.NewFloatField("total").Optional().Description("All requests."),
			service.NewFloatField("endpoint").Optional().Description("The requests to one endpoint, such as `/v1/charges` and all paths below."),
			service.NewFloatField("search").Optional().Description("All searches."),
		).Optional().Advanced().
			Description("The most requests per second; 0 is no limit, and so is a field that is absent. A request above a limit waits. Without any field the limits are Stripe's own:" +
				" in total 100 with a live key and 25 with a test key, 25 to an endpoint, and 20 searches." +
				" Components with the same settings share their limits, whatever their `account`."),
	}
}

// settings are the fields of a client. They are comparable, so that components with
// equal settings find each other's client.
type settings struct {
	apiKey, apiVersion, baseURL, proxy string
	timeout                            time.Duration
	maxRetries                         int
	limited                            bool // rateLimit is set
	rateLimit                          stripekit.RateLimit
}

// newClient returns the client of a configuration. Components of one pipeline with the
// same settings share a client, and with it the rate limits.
func newClient(conf *service.ParsedConfig, res *service.Resources) (*stripekit.Client, error) {
	s, err := readSettings(conf)
	if err != nil {
		return nil, err
	}
	client, err := s.open(res.Logger())
	if err != nil {
		return nil, err
	}
	shared, _ := res.GetOrSetGeneric(s, client)
	account, err := text(conf, "account")
	if err != nil {
		return nil, err
	}
	return shared.(*stripekit.Client).WithAccount(account), nil
}

func readSettings(conf *service.ParsedConfig) (s settings, err error) {
	for name, to := range map[string]*string{
		"api_key": &s.apiKey, "api_version": &s.apiVersion, "base_url": &s.baseURL, "proxy": &s.proxy,
	} {
		if *to, err = text(conf, name); err != nil {
			return s, err
		}
	}
	if s.timeout, err = conf.FieldDuration("timeout"); err != nil {
		return s, err
	}
	if s.maxRetries, err = conf.FieldInt("max_retries"); err != nil {
		return s, err
	}
	for name, to := range map[string]*float64{
		"total": &s.rateLimit.Total, "endpoint": &s.rateLimit.Endpoint, "search": &s.rateLimit.Search,
	} {
		if !conf.Contains("rate_limit", name) {
			continue
		}
		if *to, err = conf.FieldFloat("rate_limit", name); err != nil {
			return s, err
		}
		s.limited = true
	}
	return s, nil
}

// text returns an optional field; "" if it is absent.
func text(conf *service.ParsedConfig, path ...string) (string, error) {
	if !conf.Contains(path...) {
		return "", nil
	}
	return conf.FieldString(path...)
}

func (s settings) open(log *service.Logger) (*stripekit.Client, error) {
	opts := []stripekit.Option{
		stripekit.WithTimeout(s.timeout), stripekit.WithMaxRetries(s.maxRetries),
		stripekit.WithLogger(slog.New(logHandler{log: log})),
	}
	if s.apiVersion != "" {
		opts = append(opts, stripekit.WithAPIVersion(s.apiVersion))
	}
	if s.baseURL != "" {
		opts = append(opts, stripekit.WithBaseURL(s.baseURL))
	}
	if s.proxy != "" {
		opts = append(opts, stripekit.WithProxy(s.proxy))
	}
	if s.limited {
		opts = append(opts, stripekit.WithRateLimit(s.rateLimit))
	}
	return stripekit.New(s.apiKey, opts...)
}

// Format prints nothing of the settings, which contain secrets.
func (s settings) Format(f fmt.State, _ rune) { fmt.Fprint(f, "redpanda.settings") }
