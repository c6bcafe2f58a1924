package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// stopTimeout is how long a worker may take to leave the fleet, which bounds that itself.
const stopTimeout = 40 * time.Second

// process is a worker process.
type process struct {
	cmd   *exec.Cmd
	stdin io.Closer
	ended chan struct{} // closed when the process has ended
	err   error         // of the process, to be read after ended
}

// startProcess starts this program again, as a worker. heard is called with each line
// that the worker prints, until it has ended.
func startProcess(natsURL string, j job, heard func(kind, value string)) (*process, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	encoded, err := json.Marshal(j)
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.Command(program, "-job", string(encoded)), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), "NATS_URL="+natsURL)
	p.cmd.Stderr = os.Stderr
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			kind, value, _ := strings.Cut(lines.Text(), " ")
			heard(kind, value)
		}
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// hasEnded reports whether the process has ended.
func (p *process) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// kill ends the process without a chance to clean up: SIGKILL on Unix.
func (p *process) kill() error {
	err := p.cmd.Process.Kill()
	<-p.ended
	if err != nil {
		return fmt.Errorf("it has ended by itself: %w", errors.Join(err, p.err))
	}
	return nil
}

// stop lets the process leave the fleet. It returns the error of the process.
func (p *process) stop() error {
	_ = p.stdin.Close() // it fails if the process has ended
	select {
	case <-p.ended:
		return p.err
	case <-time.After(stopTimeout):
		return errors.Join(fmt.Errorf("it has not ended within %v", stopTimeout), p.kill())
	}
}
