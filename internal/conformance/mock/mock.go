// Package mock runs the real stripe-mock in-process: Stripe's own program,
// which holds every request against an OpenAPI description and answers from
// the fixtures that come with it. It keeps no state, so it tells whether a
// request is well-formed, and nothing about what follows from it.
//
// It is stricter here in one way, see Start.
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

// Key is a key that stripe-mock accepts, as it does every sk_test_ one whose
// rest has no underscore.
const Key = "sk_test_123"

// FolderVariable is the environment variable that names the folder of older
// descriptions, as <folder>/<version>/spec3.json and fixtures3.json. Without
// it they are looked for in Folder below the repository's root.
const (
	FolderVariable = "STRIPEKIT_OPENAPI"
	Folder         = "../shared/openapi"
)

// Description is what stripe-mock serves: the paths of an OpenAPI description
// and of its fixtures. The zero Description is the newest one, which the module
// of stripe-mock embeds.
type Description struct {
	Spec     string
	Fixtures string
}

// Older is the description of a former version. Its error is a fs.ErrNotExist
// where the folder or the version is missing, and says where it was looked for.
func Older(version string) (Description, error) {
	folder := os.Getenv(FolderVariable)
	if folder == "" {
		root, err := Root()
		if err != nil {
			return Description{}, err
		}
		folder = filepath.Join(root, filepath.FromSlash(Folder))
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

// Root is the root of the repository: the nearest folder above the current one
// that has a go.work.
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

// Server is a running stripe-mock. Close it.
type Server struct {
	*httptest.Server

	// Version is the API version that it serves.
	Version string
}

// Start serves a description on a free port of the loopback interface. A
// request whose Stripe-Version is another is refused. Of itself stripe-mock
// refuses unknown parameters at the top level only; the description is closed
// so that it refuses them at every level. Starting takes about a second for the
// newest description, and stripe-mock logs to standard output.
func Start(d Description) (*Server, error) {
	description, err := server.LoadSpec(embedded.OpenAPISpec, d.Spec)
	if err != nil {
		return nil, fmt.Errorf("mock: %w", err)
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

// closeSchema leaves alone what has keys of the user's own, such as metadata.
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
