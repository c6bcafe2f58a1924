package stripesql_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
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

var estimated = regexp.MustCompile(`^ESTIMATE (at least|about) (\d+) calls?(?:, (?:at least )?(\d+)(?: to (\d+))?)? \(`)

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
	case found[4] == "":
		return number(3), math.Inf(1)
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

// Asked again and again, EXPLAIN learns more, and never claims to know what it does not.
func TestRepeatedEstimatesHoldTheCalls(t *testing.T) {
	months := new(bareList)
	for month := range time.Duration(24) {
		months.add(1500, month*30*24*time.Hour, 400*time.Millisecond)
		months.add(60, month*30*24*time.Hour+12*time.Hour, 11*time.Hour)
	}
	for name, list := range map[string]*bareList{"nightly batches": nightlyBatches(), "the first of each month": months} {
		db := list.open(t)
		for n := range 8 {
			lines, calls := explanation(t, db, countAll)
			require.LessOrEqual(t, calls, 20)
			last := lines[len(lines)-1]
			t.Logf("%s, %d pages: %s", name, pages(len(list.created)), last)
			least, most := estimateOf(t, last)
			require.LessOrEqual(t, least, 1.1*float64(pages(len(list.created))), "%s, %d: %s", name, n, last)
			require.GreaterOrEqual(t, most, 0.9*float64(pages(len(list.created))), "%s, %d: %s", name, n, last)
			likely, err := strconv.ParseFloat(estimated.FindStringSubmatch(last)[2], 64)
			require.NoError(t, err)
			require.Less(t, likely, 3*float64(pages(len(list.created))), "what is seen of the bursts does not fill the pauses")
		}
	}
}

// A statement probes a table no more often if it reads it in several places.
func TestProbesAreForATable(t *testing.T) {
	db := nightlyBatches().open(t)
	var all []string
	for n := range 40 {
		all = append(all, fmt.Sprintf("SELECT count(*) FROM charges WHERE created BETWEEN '2026-01-%02d' AND '2026-0%d-11' AND amount > %d", n%28+1, n%3+2, n))
	}
	_, calls := explanation(t, db, strings.Join(all, " UNION ALL "))
	require.LessOrEqual(t, calls, 60, "18 probes, and for each window the newest page")
}

func TestHugeEstimate(t *testing.T) {
	query := "SELECT count(*) FROM charges a0"
	for n := range 16 {
		query += fmt.Sprintf(" CROSS JOIN charges a%d ON a%[1]d.created >= a%d.created", n+1, n)
	}
	lines, _ := explanation(t, clockwork().open(t), query)
	require.Regexp(t, `^ESTIMATE (about|at least) \d{10,} calls`, lines[len(lines)-1])
}
