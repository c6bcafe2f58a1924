package servers

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
)

// owner is a user of the system.
type owner struct{ uid, gid int }

// findOwner returns the user with a name if the test runs as root, otherwise nil.
func findOwner(name string) (*owner, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return nil, err
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return nil, err
	}
	return &owner{uid: uid, gid: gid}, nil
}

// setAttributes makes a command run as the owner, and get a signal when the test
// ends in whatever way.
func setAttributes(cmd *exec.Cmd, o *owner, atEnd syscall.Signal) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: atEnd}
	if o != nil {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(o.uid), Gid: uint32(o.gid)}
	}
}

// killAll ends a process and its children by SIGKILL: a PostgreSQL server has a
// process for each connection. The process is stopped before, so that it starts no
// more children and does not react to their end.
func killAll(p *os.Process) error {
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	for state := byte(0); state != 'T'; runtime.Gosched() {
		var err error
		if state, _, err = processStat(p.Pid); err != nil {
			return err
		}
	}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return err
	}
	var children []int
	for _, path := range stats {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			return err
		}
		// An error means that the process has just ended.
		if _, parent, err := processStat(pid); err == nil && parent == p.Pid {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			children = append(children, pid)
		}
	}
	// A child that still ends holds the shared memory, and the server could not start
	// again. Without their parent, which is stopped, they remain as zombies.
	for _, pid := range children {
		for {
			if state, _, err := processStat(pid); err != nil || state == 'Z' {
				break
			}
			runtime.Gosched()
		}
	}
	return p.Kill()
}

// processStat returns the state and the parent of a process.
func processStat(pid int) (state byte, parent int, err error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0, err
	}
	// The name of the program before is in parentheses, and may have some too.
	_, err = fmt.Sscanf(string(stat[bytes.LastIndexByte(stat, ')')+1:]), " %c %d", &state, &parent)
	return state, parent, err
}
