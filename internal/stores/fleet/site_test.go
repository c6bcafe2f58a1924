//go:build unix

package fleet_test

import (
	"context"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/internal/stores/servers"
)

// site is the servers of a fleet.
type site interface {
	// place is where the servers are reached.
	place() place
	// behindProxy is the same behind a proxy.
	behindProxy(tb testing.TB) (place, *proxy)
	// kill ends the servers by SIGKILL, or the leader if there are several.
	kill(tb testing.TB)
	// start starts again what was killed.
	start(tb testing.TB)
}

// startSite starts the servers of an engine. With 0 replicas, other tests may use them
// too.
func startSite(tb testing.TB, engine string, replicas int) site {
	tb.Helper()
	if engine == "nats" {
		return startNATSSite(tb, max(replicas, 1))
	}
	return startPostgreSQLSite(tb, replicas > 0)
}

// natsSite is one NATS server, or a cluster. Each server is a process.
type natsSite struct {
	configs   []servers.NATSConfig
	processes map[string]*process
	killed    servers.NATSConfig
}

func startNATSSite(tb testing.TB, replicas int) site {
	tb.Helper()
	n := &natsSite{configs: servers.NATSConfigs(tb, replicas), processes: map[string]*process{}}
	for _, cfg := range n.configs {
		n.processes[cfg.Name] = startProcess(tb, natsVariable, cfg)
	}
	js, err := connect(n.place().NATS)
	require.NoError(tb, err)
	defer js.Conn().Close()
	await(tb, "the streams are created", func() bool {
		ctx, cancel := context.WithTimeout(tb.Context(), 10*time.Second)
		defer cancel()
		err = createNATS(ctx, js, replicas)
		return err == nil
	})
	return n
}

func (n *natsSite) place() place {
	urls := make([]string, len(n.configs))
	for i, cfg := range n.configs {
		urls[i] = cfg.URL()
	}
	return place{NATS: strings.Join(urls, ",")}
}

func (n *natsSite) behindProxy(tb testing.TB) (place, *proxy) {
	tb.Helper()
	require.Len(tb, n.configs, 1, "the client would learn the other servers")
	p := startProxy(tb, "tcp", "127.0.0.1:"+strconv.Itoa(n.configs[0].Port))
	return place{NATS: "nats://" + p.address()}, p
}

func (n *natsSite) kill(tb testing.TB) {
	tb.Helper()
	n.killed = n.configs[0]
	if len(n.configs) > 1 {
		n.killed = n.leader(tb)
	}
	n.processes[n.killed.Name].kill()
}

// leader returns the server that leads the stream of the engine.
func (n *natsSite) leader(tb testing.TB) (leader servers.NATSConfig) {
	tb.Helper()
	js, err := connect(n.place().NATS)
	require.NoError(tb, err)
	defer js.Conn().Close()
	await(tb, "the stream has a leader and all replicas", func() bool {
		ctx, cancel := context.WithTimeout(tb.Context(), time.Second)
		defer cancel()
		stream, err := js.Stream(ctx, engineStream)
		if err != nil || stream.CachedInfo().Cluster == nil {
			return false
		}
		cluster := stream.CachedInfo().Cluster
		for _, replica := range cluster.Replicas {
			if !replica.Current {
				return false
			}
		}
		for _, cfg := range n.configs {
			if cfg.Name == cluster.Leader {
				leader = cfg
			}
		}
		return leader.Name != ""
	})
	return leader
}

func (n *natsSite) start(tb testing.TB) {
	tb.Helper()
	n.processes[n.killed.Name] = startProcess(tb, natsVariable, n.killed)
}

// postgreSQLSite is a PostgreSQL server, which is started when it is to be killed.
type postgreSQLSite struct {
	servers.Database
	server *servers.Server // nil for a database of the shared one
}

func startPostgreSQLSite(tb testing.TB, own bool) site {
	tb.Helper()
	p := &postgreSQLSite{}
	if own {
		p.server = servers.StartPostgreSQL(tb)
		p.Database = p.server.Database
	} else {
		p.Database = servers.PostgreSQL(tb)
	}
	s, err := openPostgreSQL(p.DSN)
	require.NoError(tb, err)
	defer s.close()
	require.NoError(tb, createPostgreSQL(tb.Context(), s))
	return p
}

func (p *postgreSQLSite) place() place { return place{PostgreSQL: p.DSN} }

func (p *postgreSQLSite) behindProxy(tb testing.TB) (place, *proxy) {
	tb.Helper()
	_, rest, ok := strings.Cut(p.DSN, "host=")
	require.True(tb, ok)
	host, rest, _ := strings.Cut(rest, " ")
	proxy := startProxy(tb, "unix", filepath.Join(host, ".s.PGSQL.5432"))
	return place{PostgreSQL: "host=" + filepath.Dir(proxy.address()) + " " + rest}, proxy
}

func (p *postgreSQLSite) kill(tb testing.TB) {
	tb.Helper()
	p.server.Kill(tb)
}

func (p *postgreSQLSite) start(tb testing.TB) {
	tb.Helper()
	p.server.Start(tb)
}
