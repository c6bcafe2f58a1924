package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
)

// TestMain is this command itself if a test has started it as a child.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && slices.Contains([]string{"-child", "-json"}, os.Args[1]) {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestTheSidesOfARowDoItsWork checks what each side found. A side that skipped
// its work would be the fastest.
func TestTheSidesOfARowDoItsWork(t *testing.T) {
	for _, r := range rows {
		if r.pair == nil {
			continue
		}
		t.Run(r.name, func(t *testing.T) {
			p, err := r.pair()
			require.NoError(t, err)
			if p.close != nil {
				t.Cleanup(p.close)
			}
			for i, s := range []side{p.ours, p.theirs, p.floor} {
				if s.work == nil && i == 2 {
					continue // the least is less than the work
				}
				found, err := s.work()
				require.NoError(t, err)
				require.Equal(t, p.want, found, sideNames[i])
			}
		})
	}
}

// TestRowsAreMeasured runs every row once. Rows that measure themselves check
// their own work. The rows that are measured only by their names are like others.
func TestRowsAreMeasured(t *testing.T) {
	wanted, err := options{}.wanted()
	require.NoError(t, err)
	for _, r := range wanted {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			lines, err := r.lines(t.Context(), options{rounds: 1, quick: true})
			require.NoError(t, err)
			require.NotEmpty(t, lines)
			for _, l := range lines {
				require.NotEmpty(t, l.Title)
				require.NotEmpty(t, l.Theirs, l.Title)
			}
		})
	}
}

// TestARowIsMeasuredByAnotherBuild measures it by this one, in a process of its own.
func TestARowIsMeasuredByAnotherBuild(t *testing.T) {
	binary, err := os.Executable()
	require.NoError(t, err)
	b, l := build{binary: binary}, line{Met: "yes"}
	require.NoError(t, b.measure(t.Context(), options{rounds: 1, quick: true}, rows[0], &l))
	require.Regexp(t, `^[\d.]+ (ms|µs), [\d.]+ (ms|µs), [\d.]+ ×$`, l.V2)
	require.Regexp(t, `^yes(; jsonv2: no \([\d.]+ ×\))?$`, l.Met)
}

func TestTheTableSaysThatThereIsNoGoCommand(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	var table strings.Builder
	require.NoError(t, run(options{row: "^decode-indented$", quick: true}, &table))
	require.Contains(t, table.String(), "| with jsonv2: not measured |")
	require.Contains(t, table.String(), "not measured with jsonv2: go build")
	require.Contains(t, table.String(), "executable file not found")
}

func TestGoals(t *testing.T) {
	fast := cost{time: time.Millisecond}
	for name, c := range map[string]struct {
		goal goal
		got  comparison
		want string
	}{
		"none":                 {goal{}, comparison{}, ""},
		"met":                  {goal{faster: 6, floor: 1.1, time: time.Second}, comparison{ours: fast, faster: 6, overFloor: 1.1}, "yes"},
		"too slow":             {goal{faster: 6}, comparison{faster: 5.9}, "no (5.9 ×)"},
		"too far from a floor": {goal{floor: 1.1}, comparison{overFloor: 1.25}, "no (1.25 × the floor)"},
		"too much time":        {goal{time: time.Microsecond}, comparison{ours: fast}, "no (1.00 ms)"},
	} {
		require.Equal(t, c.want, c.goal.met(c.got), name)
	}
}

func TestPagesHaveTheSizeOfTheService(t *testing.T) {
	for l, size := range map[layout]int{indented: 410_000, compact: 270_000} {
		s, err := onePage(l)
		require.NoError(t, err)
		require.InEpsilon(t, size, len(s(nil).body), 0.03, l)
	}
}

// TestChargesOfAPageDiffer counts the texts of a page that other charges of it have.
// A JSON package that keeps the strings it has seen allocates nothing for these.
func TestChargesOfAPageDiffer(t *testing.T) {
	for _, l := range []layout{indented, compact} {
		m, err := newMold(l)
		require.NoError(t, err)
		page := m.page(nil, 0, pageSize, true, func(number int) int64 { return 1780000000 + int64(number) })
		require.NotRegexp(t, "@#?[A-Z0-9]+@", string(page))
		var list stripekit.Page[stripekit.Charge]
		require.NoError(t, json.Unmarshal(page, &list))
		names, mails, cards, places, texts := map[string]int{}, map[string]int{}, map[string]int{}, map[string]int{}, map[string]int{}
		for i, c := range list.Data {
			require.Equal(t, chargeID(pageSize-1-i), c.ID)
			require.EqualValues(t, 1780000000+pageSize-1-i, c.Created)
			names[c.BillingDetails.Name]++
			mails[c.BillingDetails.Email]++
			cards[c.PaymentMethodDetails.Card.Brand+c.PaymentMethodDetails.Card.Last4]++
			places[c.BillingDetails.Address.Line1+c.BillingDetails.Address.City]++
			texts[c.Description]++
		}
		require.Len(t, mails, pageSize)
		require.Len(t, texts, pageSize)
		for _, seen := range []map[string]int{names, cards, places} {
			require.Greater(t, len(seen), pageSize*7/10)
		}
	}
}

// TestAPageIsTheSameForEverySide makes a page twice.
func TestAPageIsTheSameForEverySide(t *testing.T) {
	first, err := onePage(indented)
	require.NoError(t, err)
	second, err := onePage(indented)
	require.NoError(t, err)
	require.Equal(t, string(first(nil).body), string(second(nil).body))
}

// TestABacklogRespondsAsTheServiceDoes checks the pages of a drain.
func TestABacklogRespondsAsTheServiceDoes(t *testing.T) {
	b, err := newBacklog(250, 1)
	require.NoError(t, err)
	for query, want := range map[string]struct {
		low, high int
		more      bool
	}{
		"limit=100": {150, 250, true},
		"limit=100&starting_after=" + chargeID(60):                       {0, 60, false},
		"limit=100&ending_before=" + chargeID(60):                        {61, 161, true},
		"limit=100&ending_before=" + chargeID(200):                       {201, 250, false},
		"limit=100&ending_before=" + chargeID(249):                       {0, 0, false},
		"limit=1&created[lt]=1":                                          {0, 0, false},
		"limit=100&created[lte]=" + strconv.FormatInt(b.created(30), 10): {0, 31, false},
		"limit=100&created[gte]=" + strconv.FormatInt(b.created(0), 10):  {150, 250, true},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/v1/charges?"+query, nil)
		require.NoError(t, err)
		body := string(b.response(r).body)
		require.Equal(t, string(b.mold.page(nil, want.low, want.high, want.more, b.created)), body, query)
	}
}

func TestDensitiesAreAscending(t *testing.T) {
	for _, d := range densities {
		created := d.created(50_000)
		require.Len(t, created, 50_000, d.name)
		require.True(t, slices.IsSorted(created), d.name)
		require.Less(t, created[len(created)-1], time.Now().Unix(), d.name)
	}
}

func TestAnArchiveRefusesWhatIsAboveTheRate(t *testing.T) {
	a, err := newArchive(steady(10), site{rate: 1})
	require.NoError(t, err)
	status := map[int]int{}
	for range 20 {
		w := httptest.NewRecorder()
		a.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/charges", nil))
		status[w.Code]++
		if w.Code == http.StatusTooManyRequests {
			require.Equal(t, "global-rate", w.Header().Get("Stripe-Rate-Limited-Reason"))
		}
	}
	require.GreaterOrEqual(t, status[http.StatusOK], 2)
	require.GreaterOrEqual(t, status[http.StatusTooManyRequests], 10)
}

func TestACensusFindsWhatIsWrong(t *testing.T) {
	created := []int64{epoch, epoch, epoch + 1}
	for name, c := range map[string]struct {
		order order
		found []int
		want  string
	}{
		"all":                    {oldestFirst, []int{1, 0, 2}, ""},
		"all, the newest first":  {newestFirst, []int{2, 0, 1}, ""},
		"all, in any order":      {anyOrder, []int{0, 2, 1}, ""},
		"one is missing":         {oldestFirst, []int{0, 2}, "2 of 3 charges were read"},
		"one comes twice":        {anyOrder, []int{0, 2, 0}, "twice"},
		"one comes late":         {oldestFirst, []int{0, 2, 1}, "came after"},
		"the oldest come first":  {newestFirst, []int{0, 1, 2}, "came after"},
		"one is not in the list": {anyOrder, []int{3}, "there is no charge"},
	} {
		t.Run(name, func(t *testing.T) {
			census := census{archive: &archive{created: created}, order: c.order, seen: make([]bool, len(created))}
			var err error
			for _, number := range c.found {
				if err == nil {
					err = census.found(chargeID(number), created[min(number, 2)])
				}
			}
			if err == nil {
				err = census.complete()
			}
			if c.want == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, c.want)
			}
		})
	}
}

// TestAnIncompleteReadIsAnError measures a way that reads nothing.
func TestAnIncompleteReadIsAnError(t *testing.T) {
	nothing := func(site) reader {
		return func(context.Context, string, func(string, int64) error) error { return nil }
	}
	w := way{density: densities[0], read: nothing}
	_, err := w.measure(t.Context(), siteOf(options{quick: true}, 25))
	require.ErrorContains(t, err, "0 of 1000 charges were read")
}

// TestAnInterruptEndsARow interrupts a row with sides that would run for hours.
func TestAnInterruptEndsARow(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	rounds := 0
	s := side{run: func(int) error {
		if rounds++; rounds == 5 {
			cancel()
		}
		return nil
	}}
	_, err := compare(ctx, pair{ours: s, theirs: s, floor: s}, options{rounds: 1_000_000, quick: true})
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 5, rounds, "three to calibrate, and two that were measured")
}

// TestNoTwoCallsInSuccessionReadTheSameCharge compares the responses of a row of single
// calls. A JSON package that keeps strings from call to call would find all of them.
func TestNoTwoCallsInSuccessionReadTheSameCharge(t *testing.T) {
	lo, err := newLoopback(sameTransport)
	require.NoError(t, err)
	defer lo.server.Close()
	seen := map[string]bool{}
	note := func(id string) (string, error) {
		charge, err := lo.ours.Charges.Get(t.Context(), id)
		require.NoError(t, err)
		seen[charge.BillingDetails.Email] = true
		return charge.ID, nil
	}
	get := inRotation(note)
	for range 20 {
		_, err := get()
		require.NoError(t, err)
		charge, err := lo.ours.Charges.Create(t.Context(), ourCharge())
		require.NoError(t, err)
		seen[charge.Description] = true
	}
	require.Len(t, seen, 40)
	_, err = inRotation(func(string) (string, error) { return "ch_1", nil })()
	require.ErrorContains(t, err, "is ch_1")
}

func TestFlagsThatMeasureNothingAreErrors(t *testing.T) {
	for want, o := range map[string]options{
		"-rounds 0: at least one round":  {row: "decode"},
		"-side our: the sides are ours":  {row: "decode", quick: true, only: "our"},
		"-row decoding: no row has such": {row: "decoding", quick: true, json: true},
	} {
		require.ErrorContains(t, run(o, io.Discard), want)
	}
}

// TestASideAloneIsNotCompared measures one side, as for a profile.
func TestASideAloneIsNotCompared(t *testing.T) {
	var printed strings.Builder
	require.NoError(t, run(options{row: "^decode-indented$", quick: true, json: true, only: "theirs"}, &printed))
	var l line
	require.NoError(t, json.Unmarshal([]byte(printed.String()), &l))
	require.NotEqual(t, "0 ns", l.Theirs)
	require.Empty(t, l.Ratio+l.Met)
}

// TestAFloorThatIsRefusedFails checks the side that makes requests with net/http. A
// refusal takes less time than a page.
func TestAFloorThatIsRefusedFails(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { tooMany.write(w) }))
	defer server.Close()
	for _, object := range []any{nil, new(stripekit.Charge)} {
		err := newPlain(server.URL, nil).get(t.Context(), object, "/v1/charges/ch_1")
		require.ErrorContains(t, err, "GET /v1/charges/ch_1: 429")
	}
}

// TestGoalsWithJSONV2 checks which ratio counts in a build with jsonv2.
func TestGoalsWithJSONV2(t *testing.T) {
	before := jsonV2
	defer func() { jsonV2 = before }()
	jsonV2 = true
	require.Equal(t, "yes", goal{faster: 6, fasterV2: 2.5}.met(comparison{faster: 3}))
	require.Equal(t, "no (2.0 ×)", goal{faster: 6, fasterV2: 2.5}.met(comparison{faster: 2}))
	require.Equal(t, "no (14.0 ×)", goal{faster: 20}.met(comparison{faster: 14}), "it does not depend on jsonv2")
}
