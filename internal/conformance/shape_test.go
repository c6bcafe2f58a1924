package conformance_test

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/internal/conformance/mock"
	"github.com/stripekit/stripekit/stripetest"
)

// TestResponsesHaveTheShapeOfStripeMocks sends every request of the tables to
// stripetest and to stripe-mock and compares the responses by these rules:
//
//   - If both sides have an object, its keys must be the same, and their values
//     are compared. The keys of metadata are chosen by the user and are not
//     compared.
//   - If both sides have a list, each element of stripetest's is compared to the
//     first of stripe-mock's, because stripe-mock repeats one element.
//   - If one side has null or an empty list, nothing is compared, because
//     stripe-mock responds from fixtures. The test logs such values.
//   - All other values must have the same kind: a text is not a number, an id is
//     not an object.
//
// Objects are named by their object field, wherever they are: in a list, in an
// expansion or alone. shapeExceptions are the intended differences. The test
// fails if one of them no longer occurs.
func TestResponsesHaveTheShapeOfStripeMocks(t *testing.T) {
	found := newComparison()
	for _, version := range []string{stripekit.APIVersion, stripekit.OrdersAPIVersion} {
		t.Run(version, func(t *testing.T) {
			compareShapes(t, found, startVersion(t, version, "the shapes of "+version))
		})
	}
	found.requireExceptions(t)
	t.Logf("compared %d requests of %d operations, %d keys of objects and lists at %d places",
		found.requests, len(found.operations), len(found.keys), len(found.seen))
	t.Logf("not compared, null or empty on one side: %s", strings.Join(slices.Sorted(maps.Keys(found.unseen())), ", "))
}

// TestShapesAreOfEveryMethodOfTheServices checks that every method is tested,
// except one: no refund of stripetest can be canceled, since refunds of cards
// succeed at once.
func TestShapesAreOfEveryMethodOfTheServices(t *testing.T) {
	table := map[string]bool{"Client.Check": true, "Refunds.Cancel": true}
	for _, r := range shapeRequests() {
		table[r.method()] = true
	}
	// An event has any object. Its schema is compared by TestResponsesFitTheSchemas.
	table["Events.Get"], table["Events.List"] = true, true
	methods := map[string]bool{"Client.Check": true}
	for _, name := range serviceMethods() {
		// List sends the same request as Page, and Search as SearchPage.
		same := strings.NewReplacer(".Page", ".List", ".ReturnsPage", ".Returns", ".SearchPage", ".Search")
		methods[same.Replace(name)] = true
	}
	require.Equal(t, methods, table)
}

// shapeRequest is a request that is sent to both. Placeholders like {charge} in
// its path and parameters stand for ids of shapeWorld.
type shapeRequest struct {
	name   string // the methods of the library that send it, separated by ", "
	verb   string
	path   string
	params string // as a query, a[b]=1
}

func (r shapeRequest) method() string {
	method, _, _ := strings.Cut(r.name, ",")
	return method
}

// version returns the API version that has the request's operation.
func (r shapeRequest) version() string {
	if strings.HasPrefix(r.name, "Orders.") {
		return stripekit.OrdersAPIVersion
	}
	return stripekit.APIVersion
}

func compareShapes(t *testing.T, found *comparison, standard *mock.Server) {
	t.Helper()
	found.version = standard.Version
	found.versions[standard.Version] = true
	server := stripetest.New(stripetest.WithClock(func() time.Time { return time.Unix(1700000000, 0) }))
	t.Cleanup(server.Close)
	fake := &plainClient{url: server.URL, client: server.Client(), version: standard.Version}
	theirs := &plainClient{url: standard.URL, client: standard.Client(), version: standard.Version}
	ids := shapeWorld(t, fake)
	for _, r := range shapeRequests() {
		if r.version() != standard.Version {
			continue
		}
		r.path, r.params = ids.Replace(r.path), ids.Replace(r.params)
		t.Run(r.name, func(t *testing.T) {
			want, got := theirs.do(t, r), fake.do(t, r)
			found.request = r.name
			found.requests++
			found.operations[r.method()] = true
			found.compare("", want, got)
		})
	}
}

// plainClient sends requests and decodes responses without the library.
type plainClient struct {
	url     string
	client  *http.Client
	version string
}

func (c *plainClient) do(t *testing.T, r shapeRequest) map[string]any {
	t.Helper()
	params, err := url.ParseQuery(r.params)
	require.NoError(t, err)
	target, body := c.url+r.path, io.Reader(nil)
	if r.verb == http.MethodPost {
		body = strings.NewReader(params.Encode())
	} else if len(params) > 0 {
		target += "?" + params.Encode()
	}
	req, err := http.NewRequestWithContext(t.Context(), r.verb, target, body)
	require.NoError(t, err)
	req.SetBasicAuth(mock.Key, "")
	req.Header.Set("Stripe-Version", c.version)
	if body != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := c.client.Do(req)
	require.NoError(t, err)
	defer func() { require.NoError(t, resp.Body.Close()) }()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode, "%s %s: %s", r.verb, r.path, raw)
	var response map[string]any
	require.NoError(t, json.Unmarshal(raw, &response))
	return response
}
