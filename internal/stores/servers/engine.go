package servers

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// engine is a kind of server.
type engine struct {
	name     string
	packages string // what to install
	user     string // the system's user for the server; the server does not run as root
	driver   string
	system   string // the database that always exists
	socket   string // the name of the socket's file

	find  func() (p programs, ok bool)
	setUp func(dir string) []string // arguments of the program that creates the data
	serve func(dir string) []string // arguments of the server
	dsn   func(dir, database string) string

	// quit ends the server at once. Its data may need a recovery, but no process and
	// no shared memory is left.
	quit syscall.Signal
}

// programs are the paths of the programs of an engine.
type programs struct{ setUp, serve string }

// find returns the first of the folders that has all the programs.
func find(folders []string, names ...string) (folder string, ok bool) {
	for _, folder := range folders {
		if hasPrograms(folder, names) {
			return folder, true
		}
	}
	return "", false
}

func hasPrograms(folder string, names []string) bool {
	for _, name := range names {
		if _, err := exec.LookPath(filepath.Join(folder, name)); err != nil {
			return false
		}
	}
	return filepath.IsAbs(folder)
}

// searchPath returns the folders of PATH.
func searchPath() []string { return filepath.SplitList(os.Getenv("PATH")) }
