package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// process is a process of this program that mirrors the simulated shop.
type process struct {
	cmd   *exec.Cmd
	stdin io.Closer
	began time.Time
	ended chan struct{} // closed when the process has ended
	err   error         // of the process, to be read after ended
}

// start starts this program again.
func start(args ...string) (*process, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.Command(program, args...), began: time.Now(), ended: make(chan struct{})}
	p.cmd.Stderr = os.Stderr
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// kill ends the process without a chance to clean up: SIGKILL on Unix.
func (p *process) kill() error {
	err := p.cmd.Process.Kill()
	<-p.ended
	if err != nil {
		return fmt.Errorf("a mirror has ended by itself: %w", errors.Join(err, p.err))
	}
	return nil
}

// stop lets the process end by itself. It returns the error of the process.
func (p *process) stop() error {
	_ = p.stdin.Close() // it fails if the process has ended
	<-p.ended
	return p.err
}

func (p *process) age() time.Duration { return time.Since(p.began) }
