package filestore

import (
	"errors"
	"io"
	"io/fs"
	"os"
)

// fileSystem holds the operations that a Store needs from the operating system.
type fileSystem interface {
	// mkdir creates a folder. It returns fs.ErrExist if there is one.
	mkdir(path string) error
	list(dir string) ([]string, error)
	read(path string) ([]byte, error)
	// create creates a file, which must not exist.
	create(path string) (flushFile, error)
	rename(from, to string) error
	remove(path string) error
	// syncDir flushes the names in a folder, if the system can do that.
	syncDir(path string) error
	// tryLock locks a file, which it creates if it is missing. The lock
	// excludes all others until it is closed or the process dies. If another
	// holds it, tryLock returns errLocked at once.
	tryLock(path string) (io.Closer, error)
}

type flushFile interface {
	io.WriteCloser
	Sync() error
}

var errLocked = errors.New("locked by another")

// osFiles is the fileSystem of the operating system. The methods that differ
// between systems are in the other files of the package.
type osFiles struct{}

func (osFiles) mkdir(path string) error {
	// Look first: the folder may exist even if this process may not create it.
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return fs.ErrExist
	}
	return os.Mkdir(path, 0o700)
}

func (osFiles) list(dir string) ([]string, error) {
	folder, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = folder.Close() }()
	return folder.Readdirnames(-1)
}

func (osFiles) create(path string) (flushFile, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return file, nil
}

func (osFiles) read(path string) ([]byte, error) { return os.ReadFile(path) }
func (osFiles) rename(from, to string) error     { return os.Rename(from, to) }
func (osFiles) remove(path string) error         { return os.Remove(path) }
