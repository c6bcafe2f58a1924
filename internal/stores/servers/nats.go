package servers

import (
	"fmt"
	"net"
	"net/url"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"
)

// NATSConfig configures a NATS server with JetStream, which keeps its data in files.
type NATSConfig struct {
	Name        string
	Dir         string
	Port        int
	ClusterPort int   // 0 for a server that is not part of a cluster
	Routes      []int // the cluster ports of all servers of the cluster
	MaxPayload  int32 // 0 for the default, 1 MiB
}

// NATSConfigs returns the configurations of a server, or of the n servers of a cluster.
// The folders and the ports are free.
func NATSConfigs(tb testing.TB, n int) []NATSConfig {
	tb.Helper()
	ports := freePorts(tb, 2*n)
	configs := make([]NATSConfig, n)
	for i := range configs {
		configs[i] = NATSConfig{Name: fmt.Sprintf("server%d", i), Dir: tb.TempDir(), Port: ports[i]}
		if n > 1 {
			configs[i].ClusterPort, configs[i].Routes = ports[n+i], ports[n:]
		}
	}
	return configs
}

func freePorts(tb testing.TB, n int) []int {
	tb.Helper()
	ports := make([]int, n)
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(tb, err)
		defer l.Close()
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	return ports
}

// URL is where clients connect to.
func (c NATSConfig) URL() string { return fmt.Sprintf("nats://127.0.0.1:%d", c.Port) }

// Start starts the server in this process.
func (c NATSConfig) Start() (*natsserver.Server, error) {
	options := &natsserver.Options{
		ServerName: c.Name, Host: "127.0.0.1", Port: c.Port, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: c.Dir, JetStreamMaxMemory: 64 << 20, JetStreamMaxStore: 1 << 30,
		MaxPayload: c.MaxPayload,
	}
	if c.ClusterPort != 0 {
		options.Cluster = natsserver.ClusterOpts{Name: "cluster", Host: "127.0.0.1", Port: c.ClusterPort}
		for _, port := range c.Routes {
			options.Routes = append(options.Routes, &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", port)})
		}
	}
	s, err := natsserver.NewServer(options)
	if err != nil {
		return nil, err
	}
	s.Start()
	if !s.ReadyForConnections(startTimeout) {
		s.Shutdown()
		return nil, fmt.Errorf("servers: the NATS server %s was not ready after %v", c.Name, startTimeout)
	}
	return s, nil
}

// NATS is a NATS server in the process of the test.
type NATS struct {
	NATSConfig
	server *natsserver.Server
}

// StartNATS starts a NATS server until the end of the test.
func StartNATS(tb testing.TB) *NATS {
	tb.Helper()
	return StartNATSWith(tb, NATSConfigs(tb, 1)[0])
}

// StartNATSWith starts a NATS server with a configuration until the end of the test.
func StartNATSWith(tb testing.TB, cfg NATSConfig) *NATS {
	tb.Helper()
	n := &NATS{NATSConfig: cfg}
	n.Start(tb)
	tb.Cleanup(n.Stop)
	return n
}

// Start starts the server again after a Stop, on the same data and the same port.
func (n *NATS) Start(tb testing.TB) {
	tb.Helper()
	var err error
	// The port may be in use for a moment: somebody's outgoing connection may have it.
	require.Eventually(tb, func() bool {
		n.server, err = n.NATSConfig.Start()
		return err == nil
	}, startTimeout, 10*time.Millisecond, "%v", err)
}

// Stop ends the server and its connections.
func (n *NATS) Stop() {
	n.server.Shutdown()
	n.server.WaitForShutdown()
}
