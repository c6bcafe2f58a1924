package filestore

import (
	"errors"
	"io"
	"io/fs"
	"os"
)

// fileSystem is what a Store needs of the operating system.
type fileSystem interface {
	// mkdir makes a folder, and returns fs.ErrExist where there is one.
	mkdir(path string) error
	list(dir string) ([]string, error)
	read(path string) ([]byte, error)
	// create makes a file that must not exist.
	create(path string) (flushFile, error)
	rename(from, to string) error
	remove(path string) error
	// syncDir flushes the names in a folder, where the system can.
	syncDir(path string) error
	// tryLock locks a file, made if missing, against all others until it is
	// closed or the process dies. It returns errLocked at once if it is taken.
	tryLock(path string) (io.Closer, error)
}

type flushFile interface {
	io.WriteCloser
	Sync() error
}

var errLocked = errors.New("locked by another")

// osFiles is the operating system's fileSystem. What differs between systems is
// in files of their own.
type osFiles struct{}

func (osFiles) mkdir(path string) error {
	// Asked first, as a folder nobody may make can be there all the same.
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
