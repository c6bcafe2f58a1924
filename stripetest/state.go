package stripetest

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"
)

// stateFormat is the version of the format that Dump writes and Load reads.
const stateFormat = 1

// state is the JSON of all data of a server.
type state struct {
	Format         int            `json:"stripetest_state"`
	Time           time.Time      `json:"time"`
	Stopped        bool           `json:"stopped,omitempty"`
	DefaultVersion version        `json:"default_version"`
	Account        string         `json:"account"` // of the keys that have no other
	Started        int64          `json:"started"` // seconds
	Accounts       []accountState `json:"accounts"`
}

// accountState is the JSON of one account in one mode.
type accountState struct {
	ID        string                     `json:"id"`
	Live      bool                       `json:"live,omitempty"`
	Data      map[string]json.RawMessage `json:"data"` // by the name of a field of account
	Responses []replayState              `json:"responses,omitempty"`
}

// replayState is the JSON of a response that is stored for an idempotency key.
type replayState struct {
	Key     string      `json:"key"`
	Request []byte      `json:"request"` // fingerprint
	Stored  time.Time   `json:"stored"`
	Status  int         `json:"status"`
	Header  http.Header `json:"header"`
	Body    string      `json:"body"`
}

// Dump writes all data as JSON, which [Server.Load] reads: the objects of all
// accounts in both modes with their events, webhook endpoints and their secrets,
// webhooks that are pending, the responses stored for idempotency keys, the clock and
// the default version. It leaves out requests that are in progress, recorded
// requests, counts, faults, and what the options of the server say. The data is of
// one moment for each account and mode.
//
// The format has a version. Load of a later version of this package reads the
// formats of former ones, or refuses them with an error.
func (s *Server) Dump(w io.Writer) error {
	d := state{Format: stateFormat, Time: s.Now(), Stopped: s.clock.isStopped(), DefaultVersion: s.versionWithoutHeader()}
	s.mu.Lock()
	d.Account, d.Started = s.accountID, s.started.Unix()
	accounts := maps.Clone(s.accounts)
	s.mu.Unlock()

	sc := newStateCodec()
	d.Accounts = []accountState{}
	for _, key := range slices.SortedFunc(maps.Keys(accounts), tenant.compare) {
		dumped, err := s.dumpAccount(sc, accounts[key])
		if err != nil {
			return fmt.Errorf("stripetest: dump account %s: %w", key.account, err)
		}
		d.Accounts = append(d.Accounts, dumped)
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(d); err != nil {
		return fmt.Errorf("stripetest: dump: %w", err)
	}
	return nil
}

func (t tenant) compare(other tenant) int {
	if t.account != other.account || t.live == other.live {
		return strings.Compare(t.account, other.account)
	}
	if other.live {
		return -1
	}
	return 1
}

func (s *Server) dumpAccount(sc *stateCodec, a *account) (accountState, error) {
	d := accountState{ID: a.profile.ID, Live: a.live, Data: make(map[string]json.RawMessage), Responses: s.dumpReplays(a)}
	a.mu.RLock()
	defer a.mu.RUnlock()
	for name, field := range a.dataFields() {
		var raw json.RawMessage
		var err error
		if keeper, ok := field.Interface().(keeper); ok {
			raw, err = keeper.dump(sc)
		} else if !field.IsZero() {
			raw, err = sc.encode(field.Addr().Interface())
		}
		if err != nil {
			return d, fmt.Errorf("%s: %w", name, err)
		}
		if raw != nil {
			d.Data[name] = raw
		}
	}
	return d, nil
}

// keeper is a part of an account that dumps and loads itself: a collection.
type keeper interface {
	dump(*stateCodec) (json.RawMessage, error) // nil if it is empty
	load(*stateCodec, json.RawMessage) error
}

// dataFields returns the fields of the account that hold its data, by name. So a
// new field of account is dumped without being named here.
func (a *account) dataFields() map[string]reflect.Value {
	fields := make(map[string]reflect.Value)
	v := reflect.ValueOf(a).Elem()
	for i := range v.NumField() {
		field := settable(v.Field(i))
		switch field.Interface().(type) {
		case bool, replays, sync.RWMutex, *journal, *shapes: // live has a place of its own, and so have the replays
		default:
			fields[v.Type().Field(i).Name] = field
		}
	}
	return fields
}

func (s *Server) dumpReplays(a *account) []replayState {
	s.mu.Lock()
	defer s.mu.Unlock()
	var stored []replayState
	for _, key := range a.replays.keys {
		r := a.replays.byKey[key]
		stored = append(stored, replayState{key, r.request[:], r.stored, r.response.status, r.response.header, string(r.response.body)})
	}
	return stored
}

// Load replaces all data by what [Server.Dump] has written, of this server or of
// another one, and sets the clock to the time of the dump. Afterwards the server
// responds to each request for an object with the same bytes as the dumped one did.
// Recorded requests, counts and faults stay. If there is an error, which names what
// is wrong, nothing is changed.
func (s *Server) Load(r io.Reader) error {
	d, err := readState(r)
	if err != nil {
		return fmt.Errorf("stripetest: load: %w", err)
	}
	accounts := make(map[tenant]*account, len(d.Accounts))
	sc := newStateCodec()
	for _, dumped := range d.Accounts {
		key := tenant{dumped.ID, dumped.Live}
		if accounts[key] != nil {
			return fmt.Errorf("stripetest: load: account %s is there twice", key.account)
		}
		if accounts[key], err = s.loadAccount(sc, dumped); err != nil {
			return fmt.Errorf("stripetest: load: account %s: %w", key.account, err)
		}
	}
	s.clock.move(func(time.Time) time.Time { return d.Time }, d.Stopped)
	s.accountVersion.Store(d.DefaultVersion)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accounts, s.accountID, s.started = accounts, d.Account, time.Unix(d.Started, 0)
	s.wakeWebhooks()
	return nil
}

func readState(r io.Reader) (d state, err error) {
	decoder := json.NewDecoder(r)
	var raw json.RawMessage
	if err := decoder.Decode(&raw); err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return d, fmt.Errorf("sending it took longer than %v", bodyTimeout)
		}
		return d, fmt.Errorf("this is not JSON: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return d, errors.New("something follows the JSON")
	}
	var head struct {
		Format *int `json:"stripetest_state"`
	}
	if json.Unmarshal(raw, &head) != nil || head.Format == nil {
		return d, errors.New("this is no dump of a stripetest server: stripetest_state is missing")
	}
	if *head.Format != stateFormat {
		return d, fmt.Errorf("the dump has format %d, and this server reads format %d", *head.Format, stateFormat)
	}
	if err := readStrict(raw, &d); err != nil {
		return d, err
	}
	if _, ok := parseVersion(string(d.DefaultVersion)); !ok {
		return d, fmt.Errorf("default_version: %q is no API version", d.DefaultVersion)
	}
	if err := checkTime(d.Time); err != nil {
		return d, fmt.Errorf("time: %w", err)
	}
	if d.Account == "" {
		return d, errors.New("account: it is missing")
	}
	return d, nil
}

// checkTime refuses times that a Date header or a timestamp cannot show.
func checkTime(t time.Time) error {
	if year := t.UTC().Year(); year < 1970 || year > 9998 {
		return fmt.Errorf("%s is not between 1970 and 9998", t.Format(time.RFC3339))
	}
	return nil
}

func (s *Server) loadAccount(sc *stateCodec, d accountState) (*account, error) {
	if d.ID == "" {
		return nil, errors.New("id: it is missing")
	}
	a := s.newAccount(newProfile(d.ID, 0), d.Live)
	fields := a.dataFields()
	for _, name := range slices.Sorted(maps.Keys(d.Data)) {
		field, known := fields[name]
		if !known {
			return nil, fmt.Errorf("%s: there is no such data", name)
		}
		var err error
		if keeper, ok := field.Interface().(keeper); ok {
			err = keeper.load(sc, d.Data[name])
		} else {
			err = sc.decode(d.Data[name], field.Addr().Interface())
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if err := a.check(); err != nil {
		return nil, err
	}
	if a.profile.ID != d.ID {
		return nil, errors.New("profile: its id is another one")
	}
	for i, stored := range d.Responses {
		if err := a.replays.load(stored); err != nil {
			return nil, fmt.Errorf("responses: %d: %w", i, err)
		}
	}
	return a, nil
}

func (r *replays) load(d replayState) error {
	if err := checkTime(d.Stored); err != nil {
		return fmt.Errorf("stored: %w", err)
	}
	if d.Key == "" || r.byKey[d.Key] != nil || len(d.Request) != sha256.Size || d.Status < 200 || d.Status > 599 {
		return errors.New("its key, request or status is not possible")
	}
	r.put(d.Key, &replay{
		request:  [sha256.Size]byte(d.Request),
		stored:   d.Stored,
		response: &response{status: d.Status, header: d.Header, body: []byte(d.Body)},
	})
	r.keys = append(r.keys, d.Key)
	return nil
}
