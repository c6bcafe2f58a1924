package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/peterh/liner"
)

// terminal is input that a user types, with completion and a history.
type terminal struct {
	editor     *liner.State
	history    *os.File // nil if it is not kept
	last       string   // the last statement of the history
	interrupts <-chan os.Signal
}

// openTerminal begins to read from the terminal, without a history.
func openTerminal(complete liner.WordCompleter, interrupts <-chan os.Signal) *terminal {
	t := &terminal{editor: liner.NewLiner(), interrupts: interrupts}
	t.editor.SetCtrlCAborts(true)
	t.editor.SetMultiLineMode(true)
	t.editor.SetTabCompletionStyle(liner.TabPrints)
	t.editor.SetWordCompleter(complete)
	return t
}

// keepHistory reads the history from a file, and keeps it there. If the name is empty, it
// does nothing.
func (t *terminal) keepHistory(name string) (err error) {
	if name == "" {
		return nil
	}
	if t.history, err = openHistory(name); err != nil {
		return fmt.Errorf("the history is not kept: %w", err)
	}
	if _, err := t.editor.ReadHistory(t.history); err != nil {
		return fmt.Errorf("the history is not complete: %s: %w", name, err)
	}
	return nil
}

// openHistory opens or creates the file of the history. Only its owner may read it.
func openHistory(name string) (*os.File, error) {
	const onlyOwnerDir = 0o700
	if err := os.MkdirAll(filepath.Dir(name), onlyOwnerDir); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(name, os.O_RDWR|os.O_APPEND|os.O_CREATE, onlyOwner)
	if err != nil {
		return nil, err
	}
	if err := makePrivate(file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// onlyOwner is the mode of a file that only its owner may read.
const onlyOwner = 0o600

// makePrivate gives a file that may have been there the mode onlyOwner. A device keeps
// its mode.
func makePrivate(file *os.File) error {
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return err
	}
	return file.Chmod(onlyOwner)
}

func (t *terminal) line(first bool) (string, error) {
	prompt := "...> "
	if first {
		prompt = "sql> "
	}
	line, err := t.editor.Prompt(prompt)
	select {
	case <-t.interrupts: // there was nothing to cancel
	default:
	}
	if errors.Is(err, liner.ErrPromptAborted) {
		return "", errDiscarded
	}
	return line, err
}

// remember adds a statement to the history, unless it looks like it holds a secret.
func (t *terminal) remember(statement string) {
	line := historyLine(statement)
	if line == "" || line == t.last {
		return
	}
	t.last = line
	t.editor.AppendHistory(line)
	if t.history == nil {
		return
	}
	if _, err := t.history.WriteString(line + "\n"); err != nil {
		fmt.Fprintln(os.Stderr, "error: the history is not kept from here on:", err)
		_ = t.history.Close()
		t.history = nil
	}
}

// Close gives the terminal back.
func (t *terminal) Close() error {
	var err error
	if t.history != nil {
		err = t.history.Close()
	}
	return errors.Join(err, t.editor.Close())
}
