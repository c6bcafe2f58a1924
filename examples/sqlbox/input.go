package main

import (
	"bufio"
	"errors"
	"io"
	"os"
)

// input is where lines come from.
type input interface {
	// line returns the next line, io.EOF at the end, or errDiscarded. first is set if no
	// statement has begun.
	line(first bool) (string, error)
	// remember adds a statement to the history, if there is one.
	remember(statement string)
}

// errDiscarded is the error of an input whose user discards what was typed.
var errDiscarded = errors.New("what was typed is discarded")

// script is input that does not come from a terminal. An interrupt between statements
// discards the one that has begun.
type script struct {
	lines      <-chan scriptLine
	interrupts <-chan os.Signal
}

type scriptLine struct {
	text string
	err  error
}

// newScript returns the lines of in.
func newScript(in io.Reader, interrupts <-chan os.Signal) *script {
	lines := make(chan scriptLine)
	go func() {
		defer close(lines)
		const longest = 1 << 20
		scanner := bufio.NewScanner(in)
		scanner.Buffer(nil, longest)
		for scanner.Scan() {
			lines <- scriptLine{text: scanner.Text()}
		}
		if err := scanner.Err(); err != nil {
			lines <- scriptLine{err: err}
		}
	}()
	return &script{lines, interrupts}
}

func (s *script) line(bool) (string, error) {
	select {
	case <-s.interrupts:
		return "", errDiscarded
	case line, more := <-s.lines:
		if !more {
			return "", io.EOF
		}
		return line.text, line.err
	}
}

func (s *script) remember(string) {}
