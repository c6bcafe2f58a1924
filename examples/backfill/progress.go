package main

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/stripekit/stripekit"
)

// meter shows the progress of a Backfill, as a bar or as a line every 10
// seconds.
type meter struct {
	out   io.Writer
	bar   *progressbar.ProgressBar // nil: lines
	shown time.Time                // when the last line was printed
}

const (
	linesEvery = 10 * time.Second
	// full is the length of the bar. The bar shows a share, since the total is
	// an estimate that changes.
	full = 1000
)

func newMeter(out io.Writer, terminal bool) *meter {
	m := &meter{out: out}
	if terminal {
		m.bar = progressbar.NewOptions(full,
			progressbar.OptionSetWriter(out), progressbar.OptionSetWidth(30), progressbar.OptionSetPredictTime(false),
			progressbar.OptionSetElapsedTime(false), progressbar.OptionShowDescriptionAtLineEnd())
	}
	return m
}

func (m *meter) update(p stripekit.BackfillProgress) {
	switch {
	case m.bar != nil:
		if p.Total > 0 {
			m.bar.Set(min(full-1, full*p.Done/p.Total)) // end fills the bar
		}
		m.bar.Describe(describe(p))
	case time.Since(m.shown) >= linesEvery:
		m.shown = time.Now()
		fmt.Fprintln(m.out, describe(p))
	}
}

// end ends the bar. If complete is true, it fills the bar first.
func (m *meter) end(complete bool) {
	if m.bar == nil {
		return
	}
	if complete {
		m.bar.Finish()
	}
	m.bar.Exit()
	fmt.Fprintln(m.out)
}

func describe(p stripekit.BackfillProgress) string {
	text := thousands(p.Done)
	if p.Total > 0 {
		text += " of about " + thousands(p.Total)
	}
	text += fmt.Sprintf(" charges, %s/s, %s requests", thousands(int(p.Rate)), thousands(p.Requests))
	if p.Remaining > 0 {
		text += fmt.Sprintf(", %v left", p.Remaining.Round(time.Second))
	}
	return text
}

// thousands formats n with commas.
func thousands(n int) string {
	digits := strconv.Itoa(n)
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}
