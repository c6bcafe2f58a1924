package fleet_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/internal/shops"
)

func TestMetricsAreOfThisProcessAndOfTheFleet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTroubled(t)
		pass(10*time.Minute + 5*time.Second)
		o, total := w.a.overview(t), map[string]float64{}
		flows := 0.0
		for i, p := range w.all() {
			registry := prometheus.NewPedanticRegistry()
			require.NoError(t, registry.Register(p.Collector()))
			values := map[string]float64{}
			families, err := registry.Gather()
			require.NoError(t, err)
			for _, family := range families {
				require.True(t, strings.HasPrefix(family.GetName(), "stripekit_fleet_"))
				for _, m := range family.Metric {
					name := strings.TrimPrefix(family.GetName(), "stripekit_fleet_")
					for _, label := range m.Label {
						require.Equal(t, "state", label.GetName())
						name += " " + label.GetValue()
					}
					values[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
				}
			}
			require.Equal(t, 1.0, values["worker_running"])
			require.Equal(t, 1.0, values["worker_session_valid"])
			require.Equal(t, 3.0, values["workers"])
			require.Equal(t, 32.0, values["shards"])
			require.Equal(t, 0.0, values["unowned_shards"])
			require.Equal(t, float64(troubledShops), values["connections"])
			require.Equal(t, float64(o.Workers[i].Shards), values["worker_shards"])
			require.LessOrEqual(t, values["worker_observed_age_seconds"], 2.0)
			for name, value := range values {
				total[name] += value
				if strings.HasPrefix(name, "worker_flows ") {
					flows += value
				}
			}
		}
		require.Equal(t, 2.0*troubledShops, flows)
		require.Equal(t, 1.0, total["worker_flows parked"])
		require.Equal(t, 4.0, total["worker_flows failing"])
		require.Equal(t, 2.0, total["worker_flows lagging"])
		require.Equal(t, 1.0, total["worker_flows gave_up"])
		require.Equal(t, 1.0, total["worker_given_up_events_total"])
		require.Equal(t, float64(troubledShops), total["worker_connections"])
		require.InDelta(t, len(w.requests), total["worker_requests_total"], 200, "without the last 10 s")
		require.InDelta(t, len(w.events), total["worker_events_total"], 60)
		w.broken.Store(false)
		w.end(w.all()...)
	})
}

func TestMetricsAreWellNamedAndHaveNoConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, shops.Config{})
		a := w.process("a")
		require.Equal(t, 1, testutil.CollectAndCount(a.Collector()), "before Run")
		w.run(a)
		w.put(a, 3)
		pass(time.Minute)
		problems, err := testutil.CollectAndLint(a.Collector())
		require.NoError(t, err)
		require.Empty(t, problems, "%v", []promlint.Problem(problems))
		rec := ask(t, a.Handler(), http.MethodGet, "/metrics")
		require.Contains(t, rec.Header().Get("Content-Type"), "text/plain")
		require.NotContains(t, rec.Body.String(), "shop")
		names := map[string]bool{}
		for _, name := range regexp.MustCompile(`(?m)^# TYPE (\S+)`).FindAllStringSubmatch(rec.Body.String(), -1) {
			names[name[1]] = true
		}
		require.Len(t, names, 16, "a name that is renamed or removed breaks alerts")
		for _, name := range []string{
			"worker_running", "worker_session_valid", "worker_shards", "worker_connections", "worker_flows", "worker_max_lag_seconds",
			"worker_unacknowledged_events", "worker_events_total", "worker_requests_total", "worker_late_events_total",
			"worker_given_up_events_total", "worker_observed_age_seconds", "workers", "shards", "unowned_shards", "connections",
		} {
			require.True(t, names["stripekit_fleet_"+name], name)
		}
		w.end(a)
	})
}
