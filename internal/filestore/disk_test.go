package filestore

import (
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// disk is a file system that keeps, at a crash, only what was flushed for sure.
// What was not flushed may be there, in part, or not at all; see crashes.
type disk struct {
	mu     sync.Mutex
	names  map[string]*node   // what the running system sees
	past   map[string][]*node // the files that a name has stood for since its folder was flushed, oldest first
	locked map[string]bool
	tries  int // calls of tryLock

	steps   int
	log     []string
	failAt  int  // this step returns an error
	halfway bool // the failing step is carried out, completely or in part
	crashAt int  // from this step on, every step fails
	dead    bool
}

type node struct {
	dir     bool
	content []byte
	flushed []byte
	dirty   bool
}

var (
	errDiskFault = errors.New("disk fault")
	errDiskCrash = errors.New("the system is down")
)

const diskRoot = string(filepath.Separator)

func newDisk() *disk {
	return &disk{names: map[string]*node{diskRoot: {dir: true}}, past: map[string][]*node{}, locked: map[string]bool{}}
}

// step counts an operation. It returns whether the operation takes place, and
// its error. The caller holds mu.
func (d *disk) step(op, path string) (do bool, err error) {
	d.steps++
	d.log = append(d.log, op+" "+path)
	switch {
	case d.dead || d.steps == d.crashAt:
		d.dead = true
		return false, errDiskCrash
	case d.steps == d.failAt:
		return d.halfway, errDiskFault
	}
	return true, nil
}

func (d *disk) set(path string, n *node) {
	if d.past[path] == nil {
		d.past[path] = []*node{d.names[path]}
	}
	d.past[path] = append(d.past[path], n)
	if n == nil {
		delete(d.names, path)
	} else {
		d.names[path] = n
	}
}

func (d *disk) mkdir(path string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	do, err := d.step("mkdir", path)
	switch {
	case do && d.names[path] != nil:
		return fs.ErrExist
	case do && d.names[filepath.Dir(path)] == nil:
		return fs.ErrNotExist
	case do:
		d.set(path, &node{dir: true})
	}
	return err
}

func (d *disk) list(dir string) (names []string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.step("list", dir); err != nil {
		return nil, err
	}
	for path := range d.names {
		if filepath.Dir(path) == dir {
			names = append(names, filepath.Base(path))
		}
	}
	slices.Sort(names)
	return names, nil
}

func (d *disk) read(path string) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.step("read", path); err != nil {
		return nil, err
	}
	if n := d.names[path]; n != nil {
		return slices.Clone(n.content), nil
	}
	return nil, fs.ErrNotExist
}

func (d *disk) create(path string) (flushFile, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	do, err := d.step("create", path)
	n := &node{dirty: true}
	if do {
		if d.names[path] != nil {
			return nil, fs.ErrExist
		}
		d.set(path, n)
	}
	if err != nil {
		return nil, err
	}
	return &diskFile{d, n, path}, nil
}

func (d *disk) rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	do, err := d.step("rename", to)
	if do {
		n := d.names[from]
		if n == nil {
			return fs.ErrNotExist
		}
		d.set(to, n)
		d.set(from, nil)
	}
	return err
}

func (d *disk) remove(path string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	do, err := d.step("remove", path)
	if do {
		if d.names[path] == nil {
			return fs.ErrNotExist
		}
		d.set(path, nil)
	}
	return err
}

func (d *disk) syncDir(dir string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	do, err := d.step("syncDir", dir)
	if do {
		for path := range d.past {
			if filepath.Dir(path) == dir {
				delete(d.past, path)
			}
		}
	}
	return err
}

func (d *disk) tryLock(path string) (io.Closer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.step("lock", path); err != nil {
		return nil, err
	}
	d.tries++
	switch {
	case d.names[filepath.Dir(path)] == nil:
		return nil, fs.ErrNotExist
	case d.locked[path]:
		return nil, errLocked
	case d.names[path] == nil:
		d.set(path, &node{dirty: true})
	}
	d.locked[path] = true
	return closer(func() error {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.locked, path) // the system unlocks, whatever close returns
		_, err := d.step("unlock", path)
		return err
	}), nil
}

type closer func() error

func (c closer) Close() error { return c() }

type diskFile struct {
	d    *disk
	n    *node
	path string
}

func (f *diskFile) Write(b []byte) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	do, err := f.d.step("write", f.path)
	if err != nil {
		b = b[:len(b)/2]
	}
	if !do {
		return 0, err
	}
	f.n.content, f.n.dirty = append(f.n.content, b...), true
	return len(b), err
}

func (f *diskFile) Sync() error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	do, err := f.d.step("sync", f.path)
	if do {
		f.n.flushed, f.n.dirty = slices.Clone(f.n.content), false
	}
	return err
}

func (f *diskFile) Close() error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	_, err := f.d.step("close", f.path)
	return err
}

// crashes calls visit with every disk that may be found after a crash. A name
// that was not flushed stands for any file that it has stood for since its last
// flush. Content that was not flushed is the old content, nothing, half, zeros
// or all.
func (d *disk) crashes(visit func(*disk)) {
	var picks, limits []int
	for {
		i := 0
		visit(d.crash(func(n int) int {
			if i == len(picks) {
				picks, limits = append(picks, 0), append(limits, n)
			}
			i++
			return picks[i-1]
		}))
		for len(picks) > 0 && picks[len(picks)-1] == limits[len(picks)-1]-1 {
			picks, limits = picks[:len(picks)-1], limits[:len(picks)-1]
		}
		if len(picks) == 0 {
			return
		}
		picks[len(picks)-1]++
	}
}

func (d *disk) crash(pick func(n int) int) *disk {
	found := newDisk()
	paths := slices.Sorted(func(yield func(string) bool) { // a folder comes before what is in it
		for path := range d.names {
			if d.past[path] == nil && !yield(path) {
				return
			}
		}
		for path := range d.past {
			if !yield(path) {
				return
			}
		}
	})
	contents := map[*node][]byte{}
	for _, path := range paths {
		n := d.names[path]
		// A lock file is empty after any crash.
		if past := d.past[path]; past != nil && !strings.HasSuffix(path, lockSuffix) {
			n = past[pick(len(past))]
		}
		if n == nil || found.names[filepath.Dir(path)] == nil {
			continue
		}
		if _, ok := contents[n]; !ok {
			contents[n] = n.content
			if n.dirty && len(n.content) > 0 {
				half := n.content[:len(n.content)/2]
				contents[n] = [][]byte{n.flushed, nil, half, make([]byte, len(n.content)), n.content}[pick(5)]
			}
		}
		found.names[path] = &node{dir: n.dir, content: contents[n], flushed: contents[n]}
	}
	return found
}
