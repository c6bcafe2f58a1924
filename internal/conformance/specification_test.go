package conformance_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-mock/spec"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/internal/conformance/mock"
)

// specification is Stripe's OpenAPI description of one version.
type specification struct {
	*spec.Spec
	version string
}

// eachDescription runs a test for the newest description and for those of older
// versions that are at hand. The test says so if the three are missing that
// other tests need.
func eachDescription(t *testing.T, test func(*testing.T, specification)) {
	t.Helper()
	versions, err := mock.Versions()
	require.NoError(t, err)
	for _, version := range slices.Concat(versions, []string{stripekit.APIVersion}) {
		t.Run(version, func(t *testing.T) {
			var source mock.Description
			if version != stripekit.APIVersion {
				source, err = mock.Older(version)
				require.NoError(t, err)
			}
			loaded, err := source.Load()
			require.NoError(t, err)
			require.Equal(t, version, loaded.Info.Version)
			test(t, specification{loaded, version})
		})
	}
	if len(versions) < 3 {
		t.Skipf("SKIPPED: only %d older descriptions are at hand; set %s to their folder", len(versions), mock.FolderVariable)
	}
}

// operation returns the operation of a request, or nil.
func (d specification) operation(verb, path string) *spec.Operation {
	method := spec.HTTPVerb(strings.ToLower(verb))
	if strings.HasSuffix(path, "/search") { // this is no id
		return d.Paths[spec.Path(path)][method]
	}
	for pattern, verbs := range d.Paths {
		if op := verbs[method]; op != nil && matches(string(pattern), path) {
			return op
		}
	}
	return nil
}

// matches reports whether a path is one of a pattern such as
// /v1/charges/{charge}.
func matches(pattern, path string) bool {
	want, got := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return false
	}
	for i := range want {
		if want[i] != got[i] && !strings.HasPrefix(want[i], "{") {
			return false
		}
	}
	return true
}

func (d specification) resolve(s *spec.Schema) *spec.Schema {
	for s.Ref != "" {
		s = d.Components.Schemas[s.Ref[strings.LastIndexByte(s.Ref, '/')+1:]]
	}
	return s
}

// fit returns the differences between a value and its schema: a required key
// that is missing, a null that is not allowed, or a value of another kind. A key
// that the schema does not have is no difference: Stripe adds fields to all
// versions.
func (d specification) fit(s *spec.Schema, value any, place string) []string {
	s = d.resolve(s)
	if value == nil {
		if s.Nullable {
			return nil
		}
		return []string{"null at " + place}
	}
	if len(s.AnyOf) > 0 {
		return d.fitAny(s.AnyOf, value, place)
	}
	switch value := value.(type) {
	case map[string]any:
		if s.Type != spec.TypeObject {
			return []string{fmt.Sprintf("object, not %s, at %s", s.Type, place)}
		}
		return d.fitObject(s, value, place)
	case []any:
		if s.Type != spec.TypeArray {
			return []string{fmt.Sprintf("array, not %s, at %s", s.Type, place)}
		}
		var found []string
		for _, element := range value {
			found = append(found, d.fit(s.Items, element, place+"[]")...)
		}
		return found
	}
	return fitScalar(s, value, place)
}

// fitAny returns the differences to the alternative that has the fewest.
func (d specification) fitAny(alternatives []*spec.Schema, value any, place string) []string {
	var fewest []string
	for i, alternative := range alternatives {
		if found := d.fit(alternative, value, place); i == 0 || len(found) < len(fewest) {
			fewest = found
		}
	}
	return fewest
}

func (d specification) fitObject(s *spec.Schema, object map[string]any, place string) []string {
	if name, ok := object["object"].(string); ok && (name != "list" || place == "") {
		place = name
	}
	if object["deleted"] == true && s.Properties["deleted"] == nil {
		return nil // the oldest descriptions have no deleted objects
	}
	var found []string
	for _, key := range s.Required {
		if _, ok := object[key]; !ok {
			found = append(found, "nothing at "+place+"."+key)
		}
	}
	for key, value := range object {
		if property := s.Properties[key]; property != nil {
			found = append(found, d.fit(property, value, place+"."+key)...)
		}
	}
	return found
}

func fitScalar(s *spec.Schema, value any, place string) []string {
	kinds := map[string]string{"string": spec.TypeString, "float64": spec.TypeNumber, "bool": spec.TypeBoolean}
	got := kinds[fmt.Sprintf("%T", value)]
	want := s.Type
	if want == spec.TypeInteger {
		want = spec.TypeNumber
	}
	switch {
	case got != want:
		return []string{fmt.Sprintf("%s, not %s, at %s", got, s.Type, place)}
	case len(s.Enum) > 0 && !slices.Contains(s.Enum, value):
		return []string{fmt.Sprintf("%v at %s", value, place)}
	}
	return nil
}

// has reports whether the description has a request's operation.
func (d specification) has(r shapeRequest) bool {
	return d.operation(r.verb, r.path) != nil
}

func (d specification) response(r shapeRequest) *spec.Schema {
	return d.operation(r.verb, r.path).Responses["200"].Content["application/json"].Schema
}

// requestSchema returns the schema of the body of a POST, or nil.
func requestSchema(op *spec.Operation) *spec.Schema {
	if op == nil || op.RequestBody == nil {
		return nil
	}
	for _, media := range op.RequestBody.Content {
		return media.Schema
	}
	return nil
}
