package stripesql

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ncruces/go-sqlite3"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/internal/duration"
	"github.com/stripekit/stripekit/internal/json"
)

// MaterializeConfig configures Materialize. The zero value is valid.
type MaterializeConfig struct {
	// Tables are the tables that the file is to have: names of Tables, or of WithTable in
	// Options. If nil, they are all that the key may read, except events. The tables that
	// the file has already are brought up to date as well.
	Tables []string
	// Raw keeps each object as a whole, too, in the column raw. A table that has the
	// column keeps it.
	Raw bool
	// Every is the wait between looking for changes, after the file is up to date, such as
	// 15 s. Each look takes two requests, one for each table, and one for each 100 events of
	// the last ten minutes. 0 returns when the file is up to date. The minimum is 1 ms: 15
	// without time.Second is 15 ns, and an error.
	Every time.Duration
	// Progress is called about once a second while a list is read, at its end, and when
	// the file is up to date, one call at a time. If nil, it is not called.
	Progress func(MaterializeProgress)
	// Options may have WithTable. Other options have no effect.
	Options []Option
}

// MaterializeProgress is the progress of a Materialize.
type MaterializeProgress struct {
	// Table is the table that is being read, or "" when the file is up to date: it has
	// all that there was when Materialize began, or last looked for changes.
	Table string
	// BackfillProgress counts what is read of the list of Table: everything in the
	// first reading, and the new objects later.
	stripekit.BackfillProgress
}

// Materialize copies tables of the account into an SQLite file, so that queries on them
// need no API calls, and returns when the file has all that there was when it began.
// OpenMaterialized opens the file for queries. Other programs for SQLite can read it, too,
// also while it is written.
//
// A file that has some or all of it is continued and brought up to date: new objects are
// read from the lists, and the objects of new events one by one, as they are now. If the
// file is older than the 30 days for which Stripe keeps events, the lists are read again,
// and rows whose objects are gone are removed at their end. A file that Materialize has
// not made is refused, and so is the file of another account or mode. Whatever ends a
// Materialize, such as a crash or a full disk, the next one continues.
//
// While one Materialize writes a file, another one returns an error. While another program
// locks the file, Materialize waits, for up to five minutes. With Every, it returns an error
// if the file is removed, or if the client's connection is updated to another account. A
// file that does not exist is created with mode 0600. Beside it there are files with the
// suffixes -wal, -shm and -lock.
//
// A table in Tables that the key may not read, and that the file does not have, is an error
// before anything is read. If the key may no longer read a table of the file, Materialize
// brings the others up to date, and then returns an error that names the table, also with
// Every. Once the key may read it, the table is brought up to date again.
//
// If requests fail temporarily for five minutes, Materialize returns the error. It takes the
// time from the Date of responses if the clock of the machine agrees to the minute, and from
// the newest event otherwise. So a wrong clock costs requests, and hides no change, unless
// both are wrong alike. An object with a slash or a backslash in its id has the values of the
// first reading.
func Materialize(ctx context.Context, client *stripekit.Client, file string, cfg MaterializeConfig) (err error) {
	m, err := newMaterialization(client, cfg)
	if err != nil {
		return err
	}
	if m.file, err = openReplica(ctx, file); err != nil {
		return masked(err)
	}
	defer func() { err = errors.Join(err, m.file.close()) }()
	if err = m.run(ctx); errors.Is(err, sqlite3.BUSY) {
		err = cmp.Or(ctx.Err(), err) // it has waited until ctx ended
	}
	return masked(err)
}

// run brings the file up to date once, or again and again.
func (m *materialization) run(ctx context.Context) error {
	if err := m.begin(ctx); err != nil {
		return err
	}
	for {
		if err := m.refresh(ctx); err != nil {
			return err
		}
		m.report("", stripekit.BackfillProgress{})
		if m.cfg.Every == 0 {
			return nil
		}
		if err := pause(ctx, m.cfg.Every); err != nil {
			return err
		}
		if err := m.belong(ctx); err != nil {
			return err
		}
	}
}

// lateness is how long after its creation an object or an event may become visible in
// lists, as in stripekit.PollConfig.Overlap.
const lateness = 10 * time.Minute

// outage is how long requests may fail temporarily.
const outage = 5 * time.Minute

// materialization is a running Materialize.
type materialization struct {
	client *stripekit.Client
	cfg    MaterializeConfig
	known  map[string]*table
	file   *replica
	tables []*copied

	// now is when the current refresh began, by the service's clock, or before: what was
	// created until then is in the lists.
	now int64
	// since is from when on events are applied without a checkpoint; 1 is from the oldest one.
	since int64
}

func newMaterialization(client *stripekit.Client, cfg MaterializeConfig) (*materialization, error) {
	if client == nil {
		return nil, errors.New("stripesql: Materialize: the client is nil")
	}
	if err := duration.Check("stripesql: MaterializeConfig.Every", cfg.Every); err != nil {
		return nil, err
	}
	o := defaultOptions()
	for _, opt := range cfg.Options {
		if err := opt(&o); err != nil {
			return nil, fmt.Errorf("stripesql: %w", err)
		}
	}
	m := &materialization{client: client, cfg: cfg}
	var err error
	if m.known, err = withAdded(o.added); err != nil {
		return nil, fmt.Errorf("stripesql: %w", err)
	}
	for name := range m.known {
		if strings.HasPrefix(name, ownPrefix) {
			return nil, fmt.Errorf("stripesql: Materialize: the table %s cannot be copied: the prefix %s is reserved", name, ownPrefix)
		}
	}
	for _, name := range cfg.Tables {
		if m.known[name] == nil {
			return nil, fmt.Errorf("stripesql: Materialize: there is no table %q", name)
		}
	}
	return m, nil
}

// belong checks that the file is there, and of the client's account: another program may
// have removed it, and a connection may have another key.
func (m *materialization) belong(ctx context.Context) error {
	if err := m.file.unmoved(); err != nil {
		return err
	}
	account, err := m.account(ctx)
	if err != nil {
		return err
	}
	return m.file.belongTo(account, m.client.Mode())
}

// begin checks the file, and chooses the tables.
func (m *materialization) begin(ctx context.Context) error {
	if err := m.belong(ctx); err != nil {
		return err
	}
	names, err := m.file.tables()
	if err != nil {
		return err
	}
	for _, name := range names {
		if m.known[name] == nil {
			return m.file.failed(fmt.Errorf("it has the table %s, which this version does not know and no WithTable adds", name))
		}
	}
	wanted, err := m.wanted(ctx, names)
	if err != nil {
		return err
	}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(append(names, wanted...)))) {
		t, err := m.file.table(m.known[name], m.cfg.Raw)
		if err != nil {
			return err
		}
		m.tables = append(m.tables, t)
	}
	return nil
}

// account returns the id of the account, "" if the key may not read it and the service
// does not name it.
func (m *materialization) account(ctx context.Context) (string, error) {
	var account stripekit.Account
	err := m.get(ctx, "/v1/account", nil, &account)
	if e, ok := errors.AsType[*stripekit.Error](err); ok && refused(err) {
		_, after, _ := strings.Cut(e.Message, "on account '")
		id, _, _ := strings.Cut(after, "'")
		return id, nil
	}
	return account.ID, err
}

// wanted returns the names of the tables of the configuration that the file does not have.
// All of them are tried: a named one that cannot be read is an error, and by default it is
// left out.
func (m *materialization) wanted(ctx context.Context, have []string) (names []string, err error) {
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(m.known)) {
		named := slices.Contains(m.cfg.Tables, name)
		if slices.Contains(have, name) || !named && (m.cfg.Tables != nil || name == eventsTable) {
			continue
		}
		t := m.known[name]
		params := t.constant()
		params["limit"] = "1"
		var page json.Value
		err := m.get(ctx, t.path, params, &page)
		switch {
		case err == nil:
			names = append(names, name)
		case !refused(err):
			return nil, err
		case named:
			problems = append(problems, t.failed(err))
		}
	}
	if m.cfg.Tables == nil && len(names)+len(have) == 0 {
		return nil, errors.New("stripesql: Materialize: the key may read none of the tables")
	}
	return names, errors.Join(problems...)
}

// refused reports whether the service refuses to read a table: the key may lack the
// permission, and the API version the list. The page of a proxy does not say so.
func refused(err error) bool {
	e, ok := errors.AsType[*stripekit.Error](err)
	return ok && e.Type != "" && (errors.Is(err, stripekit.ErrPermission) || errors.Is(err, stripekit.ErrNotFound))
}

// failed adds the name of the table to an error.
func (t *table) failed(err error) error {
	return fmt.Errorf("stripesql: Materialize: the table %s: %w", t.name, err)
}

// refresh brings the file up to date. If events are missing, it reads the lists again. The
// error of a table that is refused comes last, after the others are up to date.
func (m *materialization) refresh(ctx context.Context) error {
	for first := true; ; first = false {
		if err := m.readClock(ctx); err != nil {
			return err
		}
		if err := m.file.start(m.since); err != nil {
			return err
		}
		for _, t := range m.tables {
			switch err := m.fill(ctx, t); {
			case err == nil:
				t.refused = nil
			case refused(err):
				t.refused = err
			default:
				return err
			}
		}
		err := m.applyEvents(ctx)
		gap, ok := errors.AsType[*stripekit.GapError](err)
		switch {
		case !ok:
			return cmp.Or(err, m.refusals())
		case !first:
			return fmt.Errorf("stripesql: Materialize: the Date of responses may be wrong: %w", err)
		}
		if err := m.file.readAgain(m.tables, gap.Key, m.since); err != nil {
			return err
		}
	}
}

// refusals returns the errors of the tables that are refused.
func (m *materialization) refusals() error {
	var problems []error
	for _, t := range m.tables {
		if t.refused != nil {
			problems = append(problems, t.failed(t.refused))
		}
	}
	return errors.Join(problems...)
}

// readClock sets now and since. A Date may be wrong, and so may the clock of this machine.
// If they do not agree, the newest event was created before now. Without one, nothing has
// changed since Stripe forgot the last one, unless a clock is wrong by a month.
func (m *materialization) readClock(ctx context.Context) error {
	const tolerance, kept = time.Minute, 29 * 24 * time.Hour
	var newest struct {
		Data []struct {
			Created int64 `json:"created"`
		} `json:"data"`
	}
	var r stripekit.Response
	err := m.get(ctx, eventsPath, map[string]string{"limit": "1"}, &newest, stripekit.CaptureResponse(&r))
	if err != nil {
		return err
	}
	date, err := http.ParseTime(r.Header.Get("Date"))
	if err != nil {
		return fmt.Errorf("stripesql: the time of the service: %w", err)
	}
	machine := time.Now()
	m.now = min(machine.Unix(), date.Unix())
	switch agree := machine.Sub(date).Abs() < tolerance; {
	case agree:
		m.since = m.now
	case len(newest.Data) > 0 && newest.Data[0].Created <= max(machine.Unix(), date.Unix()): // not of a test clock
		m.now, m.since = newest.Data[0].Created, newest.Data[0].Created
	default:
		m.now, m.since = m.now-int64(kept/time.Second), 1
	}
	return nil
}

// get makes a request, and repeats it while it fails temporarily, during an outage.
func (m *materialization) get(ctx context.Context, path string, params map[string]string, out any, opts ...stripekit.CallOption) error {
	began := time.Now()
	for wait := time.Second; ; wait = min(2*wait, time.Minute) {
		err := m.client.Call(ctx, http.MethodGet, path, params, out, opts...)
		e, ok := errors.AsType[*stripekit.Error](err)
		passing := ok && (e.Type == "" || errors.Is(err, stripekit.ErrAPI) || errors.Is(err, stripekit.ErrRateLimited) || errors.Is(err, stripekit.ErrConflict))
		if !passing || time.Since(began) > outage {
			return err
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
}

func (m *materialization) report(table string, p stripekit.BackfillProgress) {
	if m.cfg.Progress != nil {
		m.cfg.Progress(MaterializeProgress{table, p})
	}
}

// pause waits. It returns the error of ctx if that ends first.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
