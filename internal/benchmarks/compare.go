package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// commit is the library at a commit, in a worktree of its own, with the benchmarks of
// the present tree.
type commit struct {
	name    string
	own     string // the directory of the present benchmarks
	tree    string
	binary  string
	figures map[string][]float64 // nanoseconds of each round, by row
}

// turns is how many times each commit is measured, one after the other. Many short
// turns are more precise than a few long ones if the machine has other work.
const turns = 15

// compareCommits measures the library at two commits in turn, and prints its time in
// each row at both. The rows that measure themselves are left out.
func compareCommits(ctx context.Context, o options, w io.Writer) error {
	a, b, ok := strings.Cut(o.commits, "..")
	if !ok {
		return fmt.Errorf("-compare %s: two commits are needed, as A..B", o.commits)
	}
	wanted, err := o.wanted()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "benchmarks")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var both [2]*commit
	for i, name := range []string{a, b} {
		c := &commit{name: name, tree: filepath.Join(dir, fmt.Sprint(i)), binary: filepath.Join(dir, fmt.Sprintf("%d.exe", i)), figures: map[string][]float64{}}
		both[i] = c
		defer c.remove()
		if err := c.checkout(ctx); err != nil {
			return err
		}
		if _, err := output(ctx, c.tree, nil, "go", "build", "-buildvcs=false", "-o", c.binary, "./internal/benchmarks"); err != nil {
			return err
		}
	}
	return compareBuilds(ctx, o, w, wanted, both)
}

// compareBuilds measures the rows with both binaries.
func compareBuilds(ctx context.Context, o options, w io.Writer, wanted []row, both [2]*commit) error {
	fmt.Fprintf(w, "| | %s | %s | ratio |\n|---|---|---|---|\n", both[0].name, both[1].name)
	for _, r := range wanted {
		if r.pair == nil {
			continue
		}
		if err := inTurn(ctx, o, r, both); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(w, compared(r, both)); err != nil {
			return err
		}
	}
	return nil
}

// checkout checks the commit out, with the benchmarks of the present tree.
func (c *commit) checkout(ctx context.Context) (err error) {
	if c.own, err = output(ctx, "", nil, "go", "list", "-f", "{{.Dir}}", self); err != nil {
		return err
	}
	if _, err := output(ctx, c.own, nil, "git", "worktree", "add", "--detach", c.tree, c.name); err != nil {
		return err
	}
	benchmarks := filepath.Join(c.tree, "internal", "benchmarks")
	if err := os.RemoveAll(benchmarks); err != nil {
		return err
	}
	return os.CopyFS(benchmarks, os.DirFS(c.own))
}

// remove removes the worktree. It does so even if the comparison was interrupted.
func (c *commit) remove() {
	_, _ = output(context.Background(), c.own, nil, "git", "worktree", "remove", "--force", c.tree)
}

// inTurn measures a row at both commits, in turns.
func inTurn(ctx context.Context, o options, r row, both [2]*commit) error {
	o.only, o.rounds = "ours", 1
	count := turns
	if o.quick {
		count = 1
	}
	for turn := range count {
		for i := range both {
			c := both[(i+turn)%2]
			lines, err := linesOf(ctx, c.binary, o, "^"+regexp.QuoteMeta(r.name)+"$")
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			c.figures[r.name] = append(c.figures[r.name], float64(lines[0].Figure))
		}
	}
	return nil
}

// compared returns the line of a row. The ratio is the median of the turns' ratios.
func compared(r row, both [2]*commit) string {
	a, b := both[0].figures[r.name], both[1].figures[r.name]
	var ratios []float64
	for i := range a {
		ratios = append(ratios, b[i]/a[i])
	}
	return fmt.Sprintf("| %s | %s | %s | %.3f |", r.title, formatTime(time.Duration(median(a))), formatTime(time.Duration(median(b))), median(ratios))
}
