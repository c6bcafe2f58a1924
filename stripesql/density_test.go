package stripesql_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// densities are lists that are spread over time in different ways.
func densities() map[string]*bareList {
	growing, daily := new(bareList), new(bareList)
	random := rand.New(rand.NewPCG(1, 2))
	for at := 0.0; at < 900*24*3600; at += 86400 / math.Exp(at/(180*24*3600)) {
		growing.created = append(growing.created, newYear.Unix()+int64(at))
	}
	for second := 0.0; second < 90*24*3600; {
		byDay := 1.1 + math.Sin(second/86400*2*math.Pi) // of the day, and nearly none by night
		second += random.ExpFloat64() * 600 / byDay
		daily.created = append(daily.created, newYear.Unix()+int64(second))
	}
	slices.Reverse(growing.created)
	slices.Reverse(daily.created)
	years := new(bareList)
	years.add(900, 0, time.Hour)
	years.add(900, 5*365*24*time.Hour, time.Hour)
	return map[string]*bareList{
		"clockwork": clockwork(), "nightly batches": nightlyBatches(), "an old import": oldImport(), "irregular": many(),
		"growing": growing, "by day": daily, "empty years": years,
		"one second": {created: slices.Repeat([]int64{newYear.Unix()}, 12_000)},
		"a page":     {created: slices.Repeat([]int64{newYear.Unix()}, 70)}, "none": {},
	}
}

var estimated = regexp.MustCompile(`^ESTIMATE (at least|about) (\d+) calls?(?:, (\d+) to (\d+))? \(`)

// estimateOf returns the least and the most calls that EXPLAIN expects.
func estimateOf(t *testing.T, line string) (least, most float64) {
	t.Helper()
	found := estimated.FindStringSubmatch(line)
	require.NotNil(t, found, line)
	number := func(i int) float64 {
		n, err := strconv.ParseFloat(found[i], 64)
		require.NoError(t, err)
		return n
	}
	switch {
	case found[1] == "at least":
		return number(2), math.Inf(1)
	case found[3] == "":
		return number(2) / 1.5, number(2) * 1.5
	}
	return number(3), number(4)
}

// An estimate that is given as one number is within half of it, and a range has the
// true number of calls.
func TestEstimateOfEachDensityHoldsTheCalls(t *testing.T) {
	for name, list := range densities() {
		db := list.open(t)
		lines, calls := explanation(t, db, countAll)
		require.LessOrEqual(t, calls, 20, name)
		cold := lines[len(lines)-1]
		least, most := estimateOf(t, cold)
		pages := float64(max(1, pages(len(list.created))))
		t.Logf("%s: %.0f pages, %d probes: %s", name, pages, calls, cold)
		require.LessOrEqual(t, least, pages+1, "%s: %s", name, cold)
		require.GreaterOrEqual(t, most, pages-1, "%s: %s", name, cold)
	}
}

// What a scan has read, EXPLAIN knows without a call.
func TestScansTeachExplain(t *testing.T) {
	for name, list := range densities() {
		db := list.open(t)
		mustRun(t, db, countAll)
		lines, calls := explanation(t, db, countAll)
		warm := lines[len(lines)-1]
		pages := float64(max(1, pages(len(list.created))))
		t.Logf("%s: %.0f pages, %d probes: %s", name, pages, calls, warm)
		require.LessOrEqual(t, calls, 2, name)
		found := estimated.FindStringSubmatch(warm)
		require.NotNil(t, found, warm)
		require.Equal(t, "about", found[1], "%s: %s", name, warm)
		require.Empty(t, found[3], "%s: %s", name, warm)
		n, err := strconv.ParseFloat(found[2], 64)
		require.NoError(t, err)
		require.InDelta(t, pages, n, 1+pages/20, name)

		if len(list.created) < 5000 || name == "one second" {
			continue
		}
		middle := time.Unix(list.created[len(list.created)/2], 0).UTC().Format(time.RFC3339)
		lines, calls = explanation(t, db, fmt.Sprintf("SELECT count(*) FROM charges WHERE created >= '%s'", middle))
		require.Zero(t, calls, name)
		least, most := estimateOf(t, lines[len(lines)-1])
		require.LessOrEqual(t, least, pages/2+1, "%s: %s", name, lines)
		require.GreaterOrEqual(t, most, pages/2-1, "%s: %s", name, lines)
	}
}
