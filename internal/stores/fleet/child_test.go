//go:build unix

package fleet_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// process is a child process, as the parent sees it.
type process struct {
	cmd   *exec.Cmd
	ready chan string   // the first line that it prints
	ended chan struct{} // closed when it has ended
}

// startProcess starts this program as a child process, and waits until it is ready. At
// the end of the test it is killed.
func startProcess(tb testing.TB, variable string, task any) *process {
	tb.Helper()
	p := launchProcess(tb, variable, task)
	p.awaitReady(tb)
	return p
}

// launchProcess is startProcess without the wait.
func launchProcess(tb testing.TB, variable string, task any) *process {
	tb.Helper()
	encoded, err := json.Marshal(task)
	require.NoError(tb, err)
	program, err := os.Executable()
	require.NoError(tb, err)
	p := &process{cmd: exec.Command(program), ready: make(chan string, 1), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), variable+"="+string(encoded))
	p.cmd.Stderr = os.Stderr
	_, err = p.cmd.StdinPipe() // it ends when this process ends
	require.NoError(tb, err)
	out, err := p.cmd.StdoutPipe()
	require.NoError(tb, err)
	require.NoError(tb, p.cmd.Start())
	go func() {
		defer close(p.ended)
		lines := bufio.NewScanner(out)
		if lines.Scan() {
			p.ready <- lines.Text()
		}
		close(p.ready)
		for lines.Scan() {
			fmt.Fprintln(os.Stderr, lines.Text())
		}
		_ = p.cmd.Wait() // ProcessState has the exit code
	}()
	tb.Cleanup(p.kill)
	return p
}

func (p *process) awaitReady(tb testing.TB) {
	tb.Helper()
	require.Equal(tb, saysReady, <-p.ready)
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// running reports whether the process has not ended.
func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// kill ends the process by SIGKILL.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it fails if the process has ended
	<-p.ended
}

func (p *process) signal(tb testing.TB, s syscall.Signal) {
	tb.Helper()
	require.NoError(tb, p.cmd.Process.Signal(s))
}

// awaitExit waits until the process has ended by itself, without an error.
func (p *process) awaitExit(tb testing.TB) {
	tb.Helper()
	select {
	case <-p.ended:
		require.Equal(tb, 0, p.cmd.ProcessState.ExitCode(), "the exit code")
	case <-time.After(patience):
		require.FailNow(tb, "the process has not ended")
	}
}
