// Package mock runs the real stripe-mock in-process: Stripe's own program,
// which checks every request against an OpenAPI description and responds with
// the fixtures that belong to it. It has no state, so it verifies that a
// request is well-formed, but not what the request does.
//
// Here it is stricter in one way; see Start.
package mock

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/stripe/stripe-mock/embedded"
	"github.com/stripe/stripe-mock/server"
	"github.com/stripe/stripe-mock/spec"
)

// Key is an API key that stripe-mock accepts. It accepts every key that begins
// with sk_test_ and has no further underscore.
const Key = "sk_test_123"

// FolderVariable is the environment variable that names the folder of older
// descriptions, as <folder>/<version>/spec3.json and fixtures3.json. If it is
// not set, the folder is Folder, relative to the repository's root.
const (
	FolderVariable = "STRIPEKIT_OPENAPI"
	Folder         = "../shared/openapi"
)

// Description holds the paths of an OpenAPI description and its fixtures, which
// stripe-mock serves. The zero Description is the newest one, which the module
// of stripe-mock embeds.
type Description struct {
	Spec     string
	Fixtures string
}

// Older returns the description of an older version. If the folder or the
// version is missing, the error wraps fs.ErrNotExist and has the path.
func Older(version string) (Description, error) {
	folder, err := olderFolder()
	if err != nil {
		return Description{}, err
	}
	d := Description{
		Spec:     filepath.Join(folder, version, "spec3.json"),
		Fixtures: filepath.Join(folder, version, "fixtures3.json"),
	}
	for _, path := range []string{d.Spec, d.Fixtures} {
		if _, err := os.Stat(path); err != nil {
			return Description{}, fmt.Errorf("no description of %s (set %s to the folder of descriptions): %w", version, FolderVariable, err)
		}
	}
	return d, nil
}

func olderFolder() (string, error) {
	if folder := os.Getenv(FolderVariable); folder != "" {
		return folder, nil
	}
	root, err := Root()
	if err != nil {
		return "", err
	}
	return filepath.Join(root, filepath.FromSlash(Folder)), nil
}

// Versions returns the older versions that the folder of descriptions has, the
// oldest first. If the folder is missing, there are none.
func Versions() ([]string, error) {
	folder, err := olderFolder()
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list the descriptions: %w", err)
	}
	var versions []string
	for _, entry := range entries {
		if entry.IsDir() {
			versions = append(versions, entry.Name())
		}
	}
	return versions, nil
}

// Load reads the OpenAPI description itself.
func (d Description) Load() (*spec.Spec, error) {
	description, err := server.LoadSpec(embedded.OpenAPISpec, d.Spec)
	if err != nil {
		return nil, fmt.Errorf("mock: %w", err)
	}
	return description, nil
}

// Root returns the root of the repository: the current folder, or the nearest
// one above it, that has a go.work.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		_, err := os.Stat(filepath.Join(dir, "go.work"))
		if err == nil {
			return dir, nil
		}
		if parent := filepath.Dir(dir); errors.Is(err, fs.ErrNotExist) && parent != dir {
			dir = parent
			continue
		}
		return "", fmt.Errorf("find the repository's root: %w", err)
	}
}

// Server is a running stripe-mock. The caller must close it.
type Server struct {
	*httptest.Server

	// Version is the API version that the server has.
	Version string
}

// Start serves a description on a free port of the loopback interface. A
// request with another Stripe-Version is refused. By default, stripe-mock
// refuses unknown parameters only at the top level; Start changes the
// description so that it refuses them at every level. Starting takes about a
// second for the newest description, and stripe-mock logs to standard output.
func Start(d Description) (*Server, error) {
	description, err := d.Load()
	if err != nil {
		return nil, err
	}
	closeRequests(description)
	fixtures, err := server.LoadFixtures(embedded.OpenAPIFixtures, d.Fixtures)
	if err != nil {
		return nil, fmt.Errorf("mock: %w", err)
	}
	stub, err := server.NewStubServer(fixtures, description, true, false)
	if err != nil {
		return nil, fmt.Errorf("mock: %w", err)
	}
	return &Server{
		Server:  httptest.NewServer(http.HandlerFunc(stub.HandleRequest)),
		Version: description.Info.Version,
	}, nil
}

// closeRequests forbids the parameters that a description does not name.
func closeRequests(description *spec.Spec) {
	for _, operations := range description.Paths {
		for _, operation := range operations {
			for _, parameter := range operation.Parameters {
				closeSchema(parameter.Schema)
			}
			if operation.RequestBody == nil {
				continue
			}
			for _, media := range operation.RequestBody.Content {
				closeSchema(media.Schema)
			}
		}
	}
}

// closeSchema forbids unknown properties. It does not change a schema for keys
// that the user chooses, such as metadata.
func closeSchema(s *spec.Schema) {
	if s == nil {
		return
	}
	if len(s.Properties) > 0 && s.AdditionalProperties == nil {
		s.AdditionalPropertiesAllowed = false
	}
	closeSchema(s.Items)
	for _, property := range s.Properties {
		closeSchema(property)
	}
	for _, alternative := range s.AnyOf {
		closeSchema(alternative)
	}
}
