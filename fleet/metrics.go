package fleet

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The metrics. Those that begin with "worker" are of this process.
var (
	metricRunning = newMetric("worker_running", "Whether this process runs the fleet: 1 or 0.")
	metricHolds   = newMetric("worker_session_valid", "Whether the session of this worker stands, so that it polls: 1 or 0.")

	metricHeld        = newMetric("worker_shards", "Shards that this worker runs.")
	metricConnections = newMetric("worker_connections", "Connections that this worker runs.")
	metricFlows       = newMetric("worker_flows", "Triggers of connections that this worker runs, by state.", "state")
	metricMaxLag      = newMetric("worker_max_lag_seconds", "The largest lag of a flow of this worker.")
	metricUnacked     = newMetric("worker_unacknowledged_events", "Events found by this worker and not acknowledged.")
	metricEvents      = newMetric("worker_events_total", "Events delivered by this worker, without redeliveries.")
	metricRequests    = newMetric("worker_requests_total", "Requests of the polls of this worker, without retries.")
	metricLate        = newMetric("worker_late_events_total", "Events that this worker found after newer ones.")
	metricGivenUp     = newMetric("worker_given_up_events_total", "Events that this worker gave up.")

	metricObserved         = newMetric("worker_observed_age_seconds", "How long ago this worker observed a record of the engine.")
	metricWorkers          = newMetric("workers", "Workers of the fleet that live, as this worker observes it.")
	metricShards           = newMetric("shards", "Shards of the fleet.")
	metricUnowned          = newMetric("unowned_shards", "Shards that no worker holds, as this worker observes it.")
	metricFleetConnections = newMetric("connections", "Connections that were put, as this worker observes it.")

	allMetrics = []*prometheus.Desc{
		metricRunning, metricHolds, metricHeld, metricConnections, metricFlows, metricMaxLag, metricUnacked,
		metricEvents, metricRequests, metricLate, metricGivenUp,
		metricObserved, metricWorkers, metricShards, metricUnowned, metricFleetConnections,
	}
)

func newMetric(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("stripekit_fleet_"+name, help, labels, nil)
}

// Collector returns metrics for a registry of Prometheus. Those that begin with
// "stripekit_fleet_worker_" are of this process, as of its last sample, which is up to
// 10 s old. The others are of the whole fleet, as this process observes it: each worker
// has the same, so do not add them up. While the process does not run the fleet, there
// is only stripekit_fleet_worker_running. No metric has a label for each connection.
func (f *Fleet) Collector() prometheus.Collector { return collector{f} }

type collector struct{ fleet *Fleet }

// Describe describes the metrics.
func (c collector) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range allMetrics {
		to <- desc
	}
}

// Collect collects the metrics.
func (c collector) Collect(to chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	w := c.fleet.runningWorker()
	gauge(metricRunning, boolValue(w != nil))
	if w == nil {
		return
	}
	counter := func(desc *prometheus.Desc, value uint64) {
		to <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(value))
	}
	own, total := w.status.ownCounts()
	gauge(metricHolds, boolValue(w.holds()))
	gauge(metricHeld, float64(w.shardCount()))
	gauge(metricConnections, float64(own.Connections))
	var flows flowCounts
	flows.add(&own)
	for state, n := range map[State]int{
		Starting: flows.Starting, Polling: flows.Polling, Failing: flows.Failing,
		Parked: flows.Parked, lagging: flows.Lagging, gaveUp: flows.GaveUp,
	} {
		gauge(metricFlows, float64(n), string(state))
	}
	gauge(metricMaxLag, float64(own.MaxLag)/1000)
	gauge(metricUnacked, float64(own.Unacked))
	counter(metricEvents, total.Events)
	counter(metricRequests, total.Requests)
	counter(metricLate, total.Late)
	counter(metricGivenUp, total.GivenUp)

	o := w.overview(time.Now())
	gauge(metricObserved, o.Observed)
	gauge(metricWorkers, float64(o.liveWorkers()))
	gauge(metricShards, float64(o.Shards.Total))
	gauge(metricUnowned, float64(o.Shards.Unowned))
	gauge(metricFleetConnections, float64(o.Connections.Total))
}

func boolValue(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// ownCounts returns the last sample of this worker, and its present counters.
func (s *status) ownCounts() (sample, counts) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.own, s.counts
}

func (o *overview) liveWorkers() (n int) {
	for i := range o.Workers {
		if o.Workers[i].State != workerGone {
			n++
		}
	}
	return n
}
