package filestore

import (
	"io"
	"os"
	"syscall"
)

func systemFiles() (fileSystem, error) { return osFiles{}, nil }

// errSharingViolation is ERROR_SHARING_VIOLATION: another process or store has
// the file open.
const errSharingViolation = syscall.Errno(32)

// tryLock opens the file exclusively.
func (osFiles) tryLock(path string) (io.Closer, error) {
	name, err := syscall.UTF16PtrFromString(path)
	if err != nil {
		return nil, &os.PathError{Op: "lock", Path: path, Err: err}
	}
	const unshared = 0
	handle, err := syscall.CreateFile(name, syscall.GENERIC_READ|syscall.GENERIC_WRITE, unshared, nil,
		syscall.OPEN_ALWAYS, syscall.FILE_ATTRIBUTE_NORMAL, 0)
	switch {
	case err == errSharingViolation:
		return nil, errLocked
	case err != nil:
		return nil, &os.PathError{Op: "lock", Path: path, Err: err}
	}
	return os.NewFile(uintptr(handle), path), nil
}

// syncDir does nothing, because Windows cannot flush a folder.
func (osFiles) syncDir(string) error { return nil }
