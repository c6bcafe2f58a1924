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

// TestAnswersHaveTheShapeOfStripeMocks sends every request of the tables to
// stripetest and to stripe-mock and holds the answers together, by this rule:
//
//   - Where both sides hold an object, its keys must be the same, and so on for
//     what the keys hold. The keys of metadata are the user's own and are left
//     alone.
//   - Where both sides hold a list, each element of stripetest's is compared
//     with the first of stripe-mock's, which repeats itself.
//   - Where one side holds null or an empty list, there is nothing to compare:
//     stripe-mock answers from fixtures, not from what was sent. The test logs
//     what was not compared for this.
//   - Everything else must be of one kind: a text is not a number, an id is not
//     the object that it names.
//
// Objects are named by what they say they are, wherever they are: in a list, in
// an expansion or alone. shapeExceptions are the differences that are meant; one
// that no longer occurs is a failure.
func TestAnswersHaveTheShapeOfStripeMocks(t *testing.T) {
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

// TestShapesAreOfEveryMethodOfTheServices but one: no refund of stripetest can
// be canceled, since those of cards succeed at once.
func TestShapesAreOfEveryMethodOfTheServices(t *testing.T) {
	table := map[string]bool{"Client.Check": true, "Refunds.Cancel": true}
	for _, r := range shapeRequests() {
		table[r.method()] = true
	}
	methods := map[string]bool{"Client.Check": true}
	for _, name := range serviceMethods() {
		// A list sends what a page does.
		methods[strings.Replace(strings.Replace(name, ".Page", ".List", 1), ".ReturnsPage", ".Returns", 1)] = true
	}
	require.Equal(t, methods, table)
}

// shapeRequest is a request that both are sent. {charge} and the like in its
// path and parameters are ids of shapeWorld.
type shapeRequest struct {
	name   string // the method of the library that sends it, perhaps ", " and more
	verb   string
	path   string
	params string // as a query, a[b]=1
}

func (r shapeRequest) method() string {
	method, _, _ := strings.Cut(r.name, ",")
	return method
}

// version is the one that has the request's operation.
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

// plainClient sends requests and decodes answers as they are.
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
	var answer map[string]any
	require.NoError(t, json.Unmarshal(raw, &answer))
	return answer
}
