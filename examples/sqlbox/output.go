package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/stripekit/stripekit/stripesql"
)

// outputFile is the file of .output. It is complete once Close has returned nil.
type outputFile struct {
	*bufio.Writer
	file *os.File
}

// createOutput creates a file, or empties it. Only its owner may read it, because it
// holds the data of an account.
func createOutput(name string) (*outputFile, error) {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, onlyOwner)
	if err != nil {
		return nil, err
	}
	if err := makePrivate(file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &outputFile{bufio.NewWriter(file), file}, nil
}

// Close writes what is left and closes the file.
func (f *outputFile) Close() error {
	if err := errors.Join(f.Flush(), f.file.Close()); err != nil {
		return fmt.Errorf("%s is not complete: %w", f.file.Name(), err)
	}
	return nil
}

// output ends the writing to a file, and begins it with another one, unless the name is
// empty.
func (b *box) output(name string) error {
	err := b.closeOutput()
	if name = strings.Trim(name, `'"`); name == "" {
		return err
	}
	file, failed := createOutput(name)
	if failed == nil {
		b.file = file
	}
	return errors.Join(err, failed)
}

// closeOutput completes the file of .output, if there is one.
func (b *box) closeOutput() error {
	file := b.file
	if b.file = nil; file == nil {
		return nil
	}
	return file.Close()
}

// results is where results are written to.
func (b *box) results() io.Writer {
	if b.file != nil {
		return b.file
	}
	return b.out
}

// remarks is where the cost of a query is written to: beside the results if these are
// for programs.
func (b *box) remarks() io.Writer {
	if b.mode == modeCSV || b.mode == modeJSON {
		return b.err
	}
	return b.out
}

// progress shows on one line of a terminal how far a query is. A nil progress shows
// nothing.
type progress struct {
	out io.Writer

	mu    sync.Mutex
	drawn bool      // the line is on the terminal
	last  time.Time // when it was drawn
}

const eraseLine = "\r\x1b[K"

// show draws the line, at most ten times a second.
func (p *progress) show(now stripesql.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.last) < 100*time.Millisecond {
		return
	}
	p.drawn, p.last = true, time.Now()
	share := ""
	if now.Share > 0 {
		share = fmt.Sprintf("%.0f %% read, ", 100*now.Share)
	}
	fmt.Fprintf(p.out, "%s%s%d of %s", eraseLine, share, now.Calls, counted(now.MaxCalls, "call"))
}

// erase removes the line, so that something else can be written there.
func (p *progress) erase() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.drawn {
		fmt.Fprint(p.out, eraseLine)
	}
	p.drawn = false
}
