package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// built is the result of building a program.
type built struct {
	time           time.Duration
	size, stripped int64 // bytes of the binary
}

// imports measures what importing a library adds to a program that uses
// net/http: the time to build it, with the standard library in the build cache,
// and the bytes of the binary.
func imports(ctx context.Context, o options) ([]line, error) {
	module, err := output(ctx, "", nil, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/stripekit/stripekit/internal/benchmarks")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "benchmarks")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	// Each library is built with a cache that holds only net/http. With -quick,
	// the cache is the user's own, and the times mean nothing.
	cache := filepath.Join(dir, "cache")
	if !o.quick {
		if _, err := build(ctx, module, "nethttp", dir, cache); err != nil {
			return nil, err
		}
	}
	programs := map[string]built{}
	for _, name := range []string{"nethttp", "stripekit", "stripego"} {
		own := ""
		if !o.quick {
			own = filepath.Join(dir, "cache-"+name)
			if err := os.CopyFS(own, os.DirFS(cache)); err != nil {
				return nil, err
			}
		}
		if programs[name], err = build(ctx, module, name, dir, own); err != nil {
			return nil, err
		}
	}
	base, ours, theirs := programs["nethttp"], programs["stripekit"], programs["stripego"]
	ourTime, theirTime := (ours.time - base.time).Seconds(), (theirs.time - base.time).Seconds()
	figure := func(title string, goal float64, unit string, ours, theirs, base float64) line {
		met := "yes"
		if ours > theirs*goal {
			met = "no"
		}
		return line{
			title: title, goal: fmt.Sprintf("≤ %.2f of stripe-go's", goal), met: met, ratio: fmt.Sprintf("%.2f", ours/theirs),
			ours: fmt.Sprintf("%.1f %s", ours, unit), theirs: fmt.Sprintf("%.1f %s", theirs, unit), floor: fmt.Sprintf("(%.1f %s in all)", base, unit),
		}
	}
	mib := func(a, b int64) float64 { return float64(a-b) / (1 << 20) }
	return []line{
		figure("import: build time over net/http", 1.0/3, "s", ourTime, theirTime, base.time.Seconds()),
		figure("import: binary over net/http", 2.0/3, "MiB", mib(ours.size, base.size), mib(theirs.size, base.size), mib(base.size, 0)),
		figure("import: stripped binary over net/http", 2.0/3, "MiB", mib(ours.stripped, base.stripped), mib(theirs.stripped, base.stripped), mib(base.stripped, 0)),
	}, nil
}

// build builds a program. If cache is not empty, it is the build cache.
func build(ctx context.Context, module, name, dir, cache string) (b built, err error) {
	var env []string
	if cache != "" {
		env = append(os.Environ(), "GOCACHE="+cache)
	}
	file := filepath.Join(dir, name)
	for _, flags := range []string{"", "-s -w"} {
		start := time.Now()
		if _, err := output(ctx, module, env, "go", "build", "-buildvcs=false", "-ldflags="+flags, "-o", file, "./programs/"+name); err != nil {
			return b, err
		}
		took := time.Since(start)
		info, err := os.Stat(file)
		if err != nil {
			return b, err
		}
		if flags == "" {
			b.time, b.size = took, info.Size()
		} else {
			b.stripped = info.Size()
		}
	}
	return b, nil
}

func output(ctx context.Context, dir string, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env, cmd.Stderr = dir, env, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out)), nil
}
