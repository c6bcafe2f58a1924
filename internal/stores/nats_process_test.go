package stores_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/internal/stores/servers"
)

// natsVariable has the configuration of the NATS server that a process is to run.
const natsVariable = "STRIPEKIT_NATS_SERVER"

// natsProcess is a NATS server in a process of its own, which can be killed.
type natsProcess struct {
	servers.NATSConfig
	cmd   *exec.Cmd
	stdin io.Closer // the process ends when it is closed, and so with this process
}

// startNATSProcess starts a server. A test that calls it begins with serveNATS.
func startNATSProcess(t *testing.T, test string, cfg servers.NATSConfig) *natsProcess {
	t.Helper()
	p := &natsProcess{NATSConfig: cfg}
	p.start(t, test)
	t.Cleanup(p.kill)
	return p
}

func (p *natsProcess) start(t *testing.T, test string) {
	t.Helper()
	program, err := os.Executable()
	require.NoError(t, err)
	cfg, err := json.Marshal(p.NATSConfig)
	require.NoError(t, err)
	p.cmd = exec.Command(program, "-test.run=^"+test+"$")
	p.cmd.Env = append(os.Environ(), natsVariable+"="+string(cfg))
	p.cmd.Stderr = os.Stderr
	p.stdin, err = p.cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "ready\n", line)
}

// kill ends the process by SIGKILL.
func (p *natsProcess) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait() // it was killed
	_ = p.stdin.Close()
}

// serveNATS does not return in a process that is to run a server.
func serveNATS() {
	variable := os.Getenv(natsVariable)
	if variable == "" {
		return
	}
	var cfg servers.NATSConfig
	err := json.Unmarshal([]byte(variable), &cfg)
	if err == nil {
		_, err = cfg.Start()
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}
