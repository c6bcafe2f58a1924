//go:build !(darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd || windows)

package filestore

import "errors"

func systemFiles() (fileSystem, error) { return nil, errors.ErrUnsupported }
