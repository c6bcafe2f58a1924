package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// self is the package of this command.
const self = "github.com/stripekit/stripekit/internal/benchmarks"

// jsonV2 reports whether this is a build with GOEXPERIMENT=jsonv2, in which the JSON
// module is an alias of encoding/json/v2.
var jsonV2 = reflect.TypeFor[jsontext.Decoder]().PkgPath() == "encoding/json/jsontext"

// build is this command, built with jsonv2.
type build struct {
	dir    string // what remove removes; empty if nothing
	binary string
}

// newBuild builds this command with jsonv2.
func newBuild(ctx context.Context) (b build, err error) {
	if jsonV2 {
		return b, errors.New("this command itself is built with it")
	}
	if b.dir, err = os.MkdirTemp("", "benchmarks"); err != nil {
		return b, err
	}
	b.binary = filepath.Join(b.dir, "benchmarks.exe")
	_, err = output(ctx, "", []string{"GOEXPERIMENT=jsonv2"}, "go", "build", "-buildvcs=false", "-o", b.binary, self)
	return b, err
}

func (b build) remove() {
	if b.dir != "" {
		os.RemoveAll(b.dir)
	}
}

// measure measures a row, and adds the figures to the line of the row. The line has
// met its goal if the build has, too.
func (b build) measure(ctx context.Context, o options, r row, l *line) error {
	lines, err := linesOf(ctx, b.binary, o, "^"+r.name+"$")
	if err != nil {
		return err
	}
	second := lines[0]
	l.V2 = fmt.Sprintf("%s, %s, %s", second.Ours, second.Theirs, second.Ratio)
	if strings.HasPrefix(second.Met, "no") {
		l.Met = fmt.Sprintf("%s; jsonv2: %s", l.Met, second.Met)
	}
	return nil
}

// linesOf returns the lines that a build of this command measures.
func linesOf(ctx context.Context, binary string, o options, row string) (lines []line, err error) {
	printed, err := output(ctx, "", nil, binary, "-json", "-row", row, "-side", o.only,
		"-rounds", strconv.Itoa(o.rounds), "-quick="+strconv.FormatBool(o.quick))
	for decoder := json.NewDecoder(strings.NewReader(printed)); err == nil && decoder.More(); {
		lines = append(lines, line{})
		err = decoder.Decode(&lines[len(lines)-1])
	}
	if err == nil && len(lines) == 0 {
		err = fmt.Errorf("%s has measured nothing", row)
	}
	return lines, err
}

// output runs a program, and returns what it prints.
func output(ctx context.Context, dir string, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var failure bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stderr = dir, append(os.Environ(), env...), &failure
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", filepath.Base(name), strings.Join(args, " "), err, bytes.TrimSpace(failure.Bytes()))
	}
	return string(bytes.TrimSpace(out)), nil
}

// runChild measures a part of a row for the process that has started this one, so
// that its memory and its CPU time are those of the part alone. The name of a part is
// a word, a colon and arguments.
func runChild(ctx context.Context, o options, w io.Writer) (err error) {
	var result any
	switch name, args, _ := strings.Cut(o.child, ":"); name {
	case "read":
		result, err = readPart(ctx, o, args)
	case "rest":
		result, err = restPart(ctx, o, args)
	case "serve":
		return serveFeeds(args, os.Stdin, w)
	default:
		err = fmt.Errorf("there is no part %s", name)
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(result)
}

// inChild measures a part of a row in a child process.
func inChild(ctx context.Context, o options, name string, result any) error {
	binary, err := os.Executable()
	if err != nil {
		return err
	}
	printed, err := output(ctx, "", nil, binary, "-child", name, "-quick="+strconv.FormatBool(o.quick))
	if err != nil {
		return err
	}
	return json.Unmarshal([]byte(printed), result)
}
