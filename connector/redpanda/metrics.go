package redpanda

import (
	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/stripekit/stripekit"
)

// metrics are the metrics of an input.
type metrics struct {
	lag, unacked, failures *service.MetricGauge
	givenUp                *service.MetricCounter
}

func newMetrics(m *service.Metrics) *metrics {
	return &metrics{
		lag:      m.NewGauge("stripe_lag_seconds"),
		unacked:  m.NewGauge("stripe_unacked"),
		failures: m.NewGauge("stripe_failed_requests"),
		givenUp:  m.NewCounter("stripe_given_up"),
	}
}

// observer returns a function that publishes the status of one flow.
func (m *metrics) observer() func(stripekit.PollStatus) {
	var before uint64
	return func(s stripekit.PollStatus) {
		m.lag.SetFloat64(s.Lag.Seconds())
		m.unacked.Set(int64(s.Unacked))
		m.failures.Set(int64(s.Failures))
		m.givenUp.Incr(int64(s.GivenUp - before))
		before = s.GivenUp
	}
}
