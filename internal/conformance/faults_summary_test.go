package conformance_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// summary is the fault table in short: a row for each status and body without
// retry headers, and how many of all cells follow Stripe's rules.
type summary struct {
	rows           []string
	ours, theirs   map[string]map[int]bool // numbers of attempts seen
	cells          int
	right, theirOK int
}

func newSummary() *summary {
	return &summary{ours: map[string]map[int]bool{}, theirs: map[string]map[int]bool{}}
}

func (s *summary) add(f fault, ours, theirs result) {
	s.cells++
	if ours.attempts == f.wanted() {
		s.right++
	}
	if theirs.attempts == f.wanted() {
		s.theirOK++
	}
	if f.shouldRetry != "" {
		return
	}
	row := fmt.Sprintf("%d %s, %s", f.status, f.kind, f.body)
	if s.ours[row] == nil {
		s.rows = append(s.rows, row)
		s.ours[row], s.theirs[row] = map[int]bool{}, map[int]bool{}
	}
	s.ours[row][ours.attempts], s.theirs[row][theirs.attempts] = true, true
}

func (s *summary) String() string {
	var out strings.Builder
	fmt.Fprintf(&out, "attempts as Stripe's rules say, of %d cells: stripekit %d, stripe-go v85 %d\n\n", s.cells, s.right, s.theirOK)
	fmt.Fprintf(&out, "| fault, no Stripe-Should-Retry | stripekit: attempts | stripe-go v85 |\n|---|---|---|\n")
	for _, row := range s.rows {
		fmt.Fprintf(&out, "| %s | %s | %s |\n", row, list(s.ours[row]), list(s.theirs[row]))
	}
	return out.String()
}

func list(attempts map[int]bool) string {
	return strings.Trim(fmt.Sprint(slices.Sorted(maps.Keys(attempts))), "[]")
}
