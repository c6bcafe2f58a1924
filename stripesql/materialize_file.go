package stripesql

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/ncruces/go-sqlite3"

	"github.com/stripekit/stripekit"
)

const (
	// replicaID is the application_id of a file of Materialize: "skit".
	replicaID = 0x736b6974
	// replicaVersion is the user_version. Another version of the tables of this package
	// has another number.
	replicaVersion = 1
	// ownPrefix is the prefix of the tables of a file that are not the account's.
	ownPrefix = "stripekit_"
	// busyTimeout is how long a query waits for another program that uses the file.
	busyTimeout = 10 * time.Second
	// busyPause is how long a transaction waits before it tries again to lock the file.
	busyPause = 50 * time.Millisecond
	// writerCache is the cache of the writer, in KiB with a minus sign.
	writerCache = "-16384"
)

// replicaSchema has the tables of a file beside those of the account. All times are
// seconds of the service's clock, and 0 if they are not known.
//
//   - stripekit_file has one row. since is when the first reading began, or the first one
//     after a gap. Without a checkpoint, events are applied from then on.
//   - stripekit_tables: see reading.
//   - stripekit_seen has the ids of the objects that the second or a later reading of a
//     whole list has seen so far.
//   - stripekit_checkpoints has those of Backfills and of the Poller of the events.
const replicaSchema = `
	CREATE TABLE stripekit_file (account TEXT NOT NULL, mode TEXT NOT NULL, since INTEGER NOT NULL);
	CREATE TABLE stripekit_tables (name TEXT PRIMARY KEY, path TEXT NOT NULL,
		began INTEGER NOT NULL, complete INTEGER NOT NULL, whole INTEGER NOT NULL, mark INTEGER NOT NULL);
	CREATE TABLE stripekit_seen (name TEXT, id TEXT, PRIMARY KEY (name, id)) WITHOUT ROWID;
	CREATE TABLE stripekit_checkpoints (key TEXT PRIMARY KEY, revision INTEGER NOT NULL, data BLOB NOT NULL)`

// replica is an SQLite file that Materialize writes. Rows and the checkpoint that covers
// them are written in one transaction, so that a crash loses both or neither.
type replica struct {
	name   string
	lock   *sqlite3.Conn // holds the lock of the file
	opened os.FileInfo   // of the file

	mu sync.Mutex // for db, which is used by one goroutine at a time
	db *sqlite3.Conn
}

// openReplica opens or creates a file, and locks it. Until ctx ends, transactions wait while
// another program uses the file, for as long as an outage.
func openReplica(ctx context.Context, name string) (*replica, error) {
	r := &replica{name: name}
	err := create(name)
	if target, errLink := filepath.EvalSymlinks(name); errLink == nil {
		r.name = target // one file has one lock
	}
	if err == nil {
		r.lock, err = openPrivate(r.name + "-lock")
	}
	if err == nil {
		err = r.lock.Exec("BEGIN EXCLUSIVE")
	}
	if errors.Is(err, sqlite3.BUSY) {
		err = errors.New("another Materialize is writing it")
	}
	if err == nil {
		r.db, err = openPrivate(r.name)
	}
	if err == nil {
		r.opened, err = os.Stat(r.name)
	}
	if err == nil {
		err = r.db.CreateCollation(stampCollation, compareStamps)
	}
	if err == nil {
		var began time.Time
		err = r.db.BusyHandler(func(_ context.Context, count int) bool {
			if count == 0 {
				began = time.Now()
			}
			return time.Since(began) < outage && pause(ctx, busyPause) == nil
		})
	}
	if err == nil {
		err = r.prepare()
	}
	if err != nil {
		return nil, errors.Join(r.failed(err), r.close())
	}
	return r, nil
}

// create creates a file that only its owner can read, unless there is one.
func create(name string) error {
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return file.Close()
}

// openPrivate opens a database. A file that does not exist is created.
func openPrivate(name string) (*sqlite3.Conn, error) {
	if err := create(name); err != nil {
		return nil, err
	}
	return sqlite3.Open(fileURI(name, "modeof", name))
}

// fileURI returns the name of a file for SQLite, with a parameter.
func fileURI(name, param, value string) string {
	u := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(name), RawQuery: param + "=" + strings.ReplaceAll(url.QueryEscape(value), "+", "%20")}
	return u.String()
}

// prepare creates the tables of an empty file, or checks that the file is one of
// Materialize.
func (r *replica) prepare() error {
	id, version, err := identify(r.db)
	if err != nil {
		return err
	}
	if id == 0 {
		if err := refuseTables(r.db); err != nil {
			return err
		}
	} else if err := checkIdentity(id, version); err != nil {
		return err
	}
	// A commit need not be durable when it returns: a power failure takes the file back to
	// an earlier transaction, from which the next Materialize continues.
	// What is sorted for an index goes to a temporary file, since memory may be too small.
	err = r.db.Exec("PRAGMA journal_mode = wal; PRAGMA synchronous = normal; PRAGMA temp_store = file; PRAGMA cache_size = " + writerCache)
	if err != nil || id != 0 {
		return err
	}
	return r.transact(func() error {
		return r.db.Exec(fmt.Sprintf("%s; PRAGMA application_id = %d; PRAGMA user_version = %d;", replicaSchema, replicaID, replicaVersion))
	})
}

// identify returns what the header of a file says of its origin.
func identify(db *sqlite3.Conn) (id, version int64, err error) {
	err = each(db, "SELECT application_id, user_version FROM pragma_application_id, pragma_user_version", func(s *sqlite3.Stmt) error {
		id, version = s.ColumnInt64(0), s.ColumnInt64(1)
		return nil
	})
	return id, version, err
}

func checkIdentity(id, version int64) error {
	switch {
	case id != replicaID:
		return errors.New("it is not a file of Materialize")
	case version != replicaVersion:
		return fmt.Errorf("it is a file of version %d, and this is version %d: make another file", version, replicaVersion)
	}
	return nil
}

// refuseTables returns an error if a database has tables.
func refuseTables(db *sqlite3.Conn) error {
	return each(db, "SELECT 1 FROM sqlite_schema LIMIT 1", func(*sqlite3.Stmt) error {
		return checkIdentity(0, 0)
	})
}

// failed adds the name of the file to an error.
func (r *replica) failed(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("stripesql: %s: %w", r.name, err)
}

// close closes the file, and then gives up the lock.
func (r *replica) close() error {
	var err error
	for _, db := range []*sqlite3.Conn{r.db, r.lock} {
		if db != nil {
			err = errors.Join(err, r.failed(db.Close()))
		}
	}
	return err
}

// each runs a statement with arguments, and calls row for each row. If row is nil, it is
// not called.
func each(db *sqlite3.Conn, text string, row func(*sqlite3.Stmt) error, args ...any) error {
	s, _, err := db.Prepare(text)
	if err != nil {
		return err
	}
	defer s.Close() // it repeats the error of the last step
	for i, arg := range args {
		if err := bindAt(s, i+1, arg); err != nil {
			return err
		}
	}
	for s.Step() {
		if row == nil {
			continue
		}
		if err := row(s); err != nil {
			return err
		}
	}
	return s.Err()
}

// read runs a query, and calls row for each row.
func (r *replica) read(text string, row func(*sqlite3.Stmt) error, args ...any) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed(each(r.db, text, row, args...))
}

// exec runs a statement in the current transaction.
func (r *replica) exec(text string, args ...any) error { return each(r.db, text, nil, args...) }

// transact calls write in a transaction, which is committed unless write returns an
// error.
func (r *replica) transact(write func() error) (err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	tx, err := r.db.BeginImmediate()
	if err != nil {
		return r.failed(err)
	}
	defer func() { err = r.failed(err) }()
	defer tx.End(&err)
	return write()
}

// belongTo makes the file that of an account and a mode, or returns an error if it is
// that of another one. The account is "" if it is unknown.
func (r *replica) belongTo(account string, mode stripekit.Mode) error {
	return r.transact(func() error {
		var haveAccount, haveMode string
		err := each(r.db, "SELECT account, mode FROM stripekit_file", func(s *sqlite3.Stmt) error {
			haveAccount, haveMode = s.ColumnText(0), s.ColumnText(1)
			return nil
		})
		switch {
		case err != nil:
			return err
		case haveMode == "":
			return r.exec("INSERT INTO stripekit_file VALUES (?, ?, 0)", account, string(mode))
		case haveMode != string(mode):
			return fmt.Errorf("it has the objects of %s mode, and the key is of %s mode: use another file", haveMode, mode)
		case haveAccount != "" && account != "" && haveAccount != account:
			return fmt.Errorf("it belongs to account %s, and the key to %s: use another file", haveAccount, account)
		case account != "":
			return r.exec("UPDATE stripekit_file SET account = ?", account)
		}
		return nil
	})
}

// unmoved returns an error if there is no file of this name any more, or another one.
func (r *replica) unmoved() error {
	now, err := os.Stat(r.name)
	if errors.Is(err, os.ErrNotExist) || err == nil && !os.SameFile(r.opened, now) {
		err = errors.New("it was removed or replaced while Materialize was writing it")
	}
	return r.failed(err)
}

// start sets since, unless it is set.
func (r *replica) start(since int64) error {
	return r.transact(func() error { return r.exec("UPDATE stripekit_file SET since = ? WHERE since = 0", since) })
}

// since returns the second from which on events are applied if there is no checkpoint.
func (r *replica) since() (second int64, err error) {
	err = r.read("SELECT since FROM stripekit_file", func(s *sqlite3.Stmt) error {
		second = s.ColumnInt64(0)
		return nil
	})
	return second, err
}

var _ stripekit.CheckpointStore = (*replica)(nil)

// Load returns the checkpoint under key.
func (r *replica) Load(_ context.Context, key string) (data []byte, revision uint64, err error) {
	err = r.read("SELECT data, revision FROM stripekit_checkpoints WHERE key = ?", func(s *sqlite3.Stmt) error {
		data, revision = s.ColumnBlob(0, nil), uint64(s.ColumnInt64(1))
		return nil
	}, key)
	return data, revision, err
}

// Save replaces the checkpoint under key.
func (r *replica) Save(_ context.Context, key string, data []byte, revision uint64) (next uint64, err error) {
	err = r.transact(func() error {
		next, err = r.save(stripekit.Checkpoint{Key: key, Data: data, Revision: revision})
		return err
	})
	return next, err
}

// save saves a checkpoint in the current transaction. Revisions are random, so that none
// is used again.
func (r *replica) save(c stripekit.Checkpoint) (uint64, error) {
	next := 1 + rand.Int64N(1<<62)
	before := r.db.TotalChanges()
	var err error
	if c.Revision == 0 {
		err = r.exec("INSERT INTO stripekit_checkpoints VALUES (?, ?, ?) ON CONFLICT DO NOTHING", c.Key, next, c.Data)
	} else {
		err = r.exec("UPDATE stripekit_checkpoints SET revision = ?, data = ? WHERE key = ? AND revision = ?", next, c.Data, c.Key, int64(c.Revision))
	}
	if err == nil && r.db.TotalChanges() == before {
		err = fmt.Errorf("checkpoint %q: %w", c.Key, stripekit.ErrCheckpointConflict)
	}
	return uint64(next), err
}

// Delete removes the checkpoint under key.
func (r *replica) Delete(_ context.Context, key string) error {
	return r.transact(func() error { return r.exec("DELETE FROM stripekit_checkpoints WHERE key = ?", key) })
}
