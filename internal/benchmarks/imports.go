package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// programs are a program with net/http alone, and the same with each library.
var programs = []string{"nethttp", "stripekit", "stripego"}

// imports measures what importing a library adds to a program that uses net/http:
// the time to build it, with the standard library in the build cache, and the bytes
// of the binary.
func imports(ctx context.Context, o options) ([]line, error) {
	module, err := output(ctx, "", nil, "go", "list", "-m", "-f", "{{.Dir}}", self)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "benchmarks")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	b := builder{ctx: ctx, module: module, dir: dir}
	if !o.quick {
		// With -quick the cache is the user's own, and the times mean nothing.
		b.cache = filepath.Join(dir, "cache")
	}
	if _, err := b.build(programs[0], b.cache, ""); err != nil {
		return nil, err
	}
	var builds [3][]built
	for round := range o.rounds {
		for i := range programs {
			i = (i + round) % len(programs)
			result, err := b.measure(programs[i], round == 0)
			if err != nil {
				return nil, err
			}
			builds[i] = append(builds[i], result)
		}
	}
	var seconds, binaries, stripped [3]float64
	for i, all := range builds {
		seconds[i] = medianOf(all, func(r built) float64 { return r.seconds })
		binaries[i], stripped[i] = all[0].binary/(1<<20), all[0].stripped/(1<<20)
	}
	return []line{
		imported("import: build time over net/http", "s", seconds),
		imported("import: binary over net/http", "MiB", binaries),
		imported("import: stripped binary over net/http", "MiB", stripped),
	}, nil
}

// imported makes a line of the figures of the programs.
func imported(title, unit string, figures [3]float64) line {
	base, ours, theirs := figures[0], figures[1]-figures[0], figures[2]-figures[0]
	return line{
		Title: title, Ours: fmt.Sprintf("%.1f %s", ours, unit), Theirs: fmt.Sprintf("%.1f %s", theirs, unit),
		Ratio: fmt.Sprintf("%.1f ×", theirs/ours), Floor: fmt.Sprintf("(%.1f %s in all)", base, unit),
	}
}

// builder builds programs of a module into a directory.
type builder struct {
	ctx         context.Context
	module, dir string
	cache       string // a build cache with net/http; if empty, the user's
}

// built is the result of building a program.
type built struct {
	seconds          float64
	binary, stripped float64 // bytes
}

// measure builds a program with only net/http in the cache, and if strip is set, again
// without symbols.
func (b builder) measure(name string, strip bool) (r built, err error) {
	cache := ""
	if b.cache != "" {
		cache = filepath.Join(b.dir, "copy")
		defer os.RemoveAll(cache)
		if err := os.CopyFS(cache, os.DirFS(b.cache)); err != nil {
			return r, err
		}
	}
	start := time.Now()
	if r.binary, err = b.build(name, cache, ""); err != nil {
		return r, err
	}
	r.seconds = time.Since(start).Seconds()
	if strip {
		r.stripped, err = b.build(name, cache, "-s -w")
	}
	return r, err
}

// build builds a program and returns its size in bytes. If cache is empty, the build
// cache is the user's.
func (b builder) build(name, cache, ldflags string) (bytes float64, err error) {
	var env []string
	if cache != "" {
		env = []string{"GOCACHE=" + cache}
	}
	file := filepath.Join(b.dir, name)
	// The go command does not link a program that it finds there already.
	if err := os.RemoveAll(file); err != nil {
		return 0, err
	}
	if _, err := output(b.ctx, b.module, env, "go", "build", "-buildvcs=false", "-ldflags="+ldflags, "-o", file, "./programs/"+name); err != nil {
		return 0, err
	}
	info, err := os.Stat(file)
	if err != nil {
		return 0, err
	}
	return float64(info.Size()), nil
}
