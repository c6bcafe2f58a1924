//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package filestore

import (
	"errors"
	"io"
	"os"
	"syscall"
)

func systemFiles() (fileSystem, error) { return osFiles{}, nil }

func (osFiles) tryLock(path string) (io.Closer, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	// A flock belongs to this open file, so it also excludes another store in
	// the same process. A lock of fcntl would not.
	for {
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err != syscall.EINTR {
			break
		}
	}
	if err == nil {
		return file, nil
	}
	_ = file.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, errLocked
	}
	return nil, &os.PathError{Op: "flock", Path: path, Err: err}
}

func (osFiles) syncDir(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	err = folder.Sync()
	if closed := folder.Close(); err == nil {
		err = closed
	}
	// These errors mean that the file system cannot flush a folder, or that
	// there is nothing to flush.
	for _, none := range []error{syscall.EINVAL, syscall.EROFS, errors.ErrUnsupported} {
		if errors.Is(err, none) {
			return nil
		}
	}
	return err
}
