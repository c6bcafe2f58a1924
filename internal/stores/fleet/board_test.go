//go:build unix

package fleet_test

import (
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// board is a file that several processes have in their memory. It has, for each account,
// when it was polled last and by which process, so that a hundred thousand connections
// can be observed at no cost. It survives a SIGKILL.
type board struct {
	polls []poll
}

// poll is the last poll of an account.
type poll struct {
	at    atomic.Int64 // in Unix nanoseconds; 0 for never
	by    atomic.Int64 // the process
	count atomic.Int64
}

const pollSize = int(unsafe.Sizeof(poll{}))

// createBoard creates the file for a number of accounts.
func createBoard(path string, accounts int) (*board, error) {
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		return nil, err
	}
	if err := os.Truncate(path, int64(accounts*pollSize)); err != nil {
		return nil, err
	}
	return openBoard(path)
}

func openBoard(path string) (*board, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	memory, err := syscall.Mmap(int(f.Fd()), 0, int(info.Size()), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	return &board{unsafe.Slice((*poll)(unsafe.Pointer(&memory[0])), len(memory)/pollSize)}, nil
}

// note notes a poll by this process.
func (b *board) note(account int, _ string, at time.Time) {
	p := &b.polls[account]
	p.by.Store(int64(os.Getpid()))
	p.at.Store(at.UnixNano())
	p.count.Add(1)
}

// total returns the number of polls.
func (b *board) total() (n int64) {
	for i := range b.polls {
		n += b.polls[i].count.Load()
	}
	return n
}
