package godocs

import (
	"io/fs"
	"maps"
	"strings"
)

// OfCatalog reads the comments that the catalog needs: those of the library in the
// root of fsys, and those of package connector below it. The types of package
// connector have its name before theirs: "connector.getInput".
//
// Of the library it keeps what belongs to services, parameters and objects.
func OfCatalog(fsys fs.FS) (Docs, error) {
	library, err := Read(fsys)
	if err != nil {
		return library, err
	}
	below, err := fs.Sub(fsys, "connector")
	if err != nil {
		return library, err
	}
	own, err := Read(below)
	if err != nil {
		return library, err
	}
	maps.DeleteFunc(library.Comments, func(key, _ string) bool { return internalTo(key) })
	for key, comment := range own.Comments {
		if strings.Contains(key, "Input.") || strings.Contains(key, "Config.") || strings.Contains(key, "Data.") {
			library.Comments["connector."+key] = comment
		}
	}
	return library, nil
}

// internalTo reports whether the comment is about the library itself, and not about
// what Stripe sends or is sent.
func internalTo(key string) bool {
	owner, _, _ := strings.Cut(key, ".")
	if strings.ToUpper(owner[:1]) != owner[:1] {
		return true
	}
	for _, name := range []string{
		"Attempt", "Backfill", "CheckError", "Checkpoint", "CheckResult", "Client", "Connection", "Error",
		"Event", "FileStore", "GapError", "MemoryStore", "Option", "PanicError", "ParamError", "Poll", "RateLimit", "Response", "Secret",
	} {
		if owner == name || name != "Event" && name != "Error" && strings.HasPrefix(owner, name) {
			return true
		}
	}
	return false
}
