package stripesql

import (
	"fmt"
	"math"
)

// guess is an estimated number of objects, or of calls.
type guess struct{ least, likely, most float64 }

// exactly is a guess that is known.
func exactly(n float64) guess { return guess{n, n, n} }

// with returns the guess of f, which must not fall where its argument rises.
func (g guess) with(f func(float64) float64) guess {
	return guess{f(g.least), f(g.likely), f(g.most)}
}

func (g guess) atMost(n float64) guess {
	return guess{min(g.least, n), min(g.likely, n), min(g.most, n)}
}

// pages returns how many pages that many objects take, at least one.
func (g guess) pages() guess {
	return g.with(func(n float64) float64 { return max(1, math.Ceil(n/maxPage)) })
}

func (g guess) plus(other guess) guess {
	return guess{g.least + other.least, g.likely + other.likely, g.most + other.most}
}

func (g guess) times(other guess) guess {
	return guess{product(g.least, other.least), product(g.likely, other.likely), product(g.most, other.most)}
}

// product returns 0 for nothing times what is unknown.
func product(a, b float64) float64 {
	if a == 0 || b == 0 {
		return 0
	}
	return a * b
}

// sure reports whether a guess is good enough to be given as one number of objects.
func (g guess) sure() bool { return g.most <= 1.5*g.least || g.most <= g.least+maxPage }

// ofCalls describes a number of calls.
func (g guess) ofCalls() string {
	const most = 1e15 // more do not fit into an int64 at last
	whole := func(n float64) int64 { return int64(math.Ceil(min(n, most) - 0.01)) }
	least, likely := whole(g.least), whole(g.likely)
	switch {
	case g.most > most && least == likely:
		return fmt.Sprintf("at least %d %s", least, calls(least))
	case g.most > most:
		return fmt.Sprintf("about %d %s, at least %d", likely, calls(likely), least)
	case g.most <= 1.5*g.least || whole(g.most) <= least+1:
		return fmt.Sprintf("about %d %s", likely, calls(likely))
	}
	return fmt.Sprintf("about %d %s, %d to %d", likely, calls(likely), least, whole(g.most))
}

func calls(n int64) string {
	if n == 1 {
		return "call"
	}
	return "calls"
}
