package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-mock/embedded"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/internal/conformance/mock"
	"github.com/stripekit/stripekit/stripetest"
)

// TestFixturesAreWhatStripeMockReturns compares the committed fixtures to a new
// recording: none is typed by hand, missing or left over.
func TestFixturesAreWhatStripeMockReturns(t *testing.T) {
	t.Setenv("STRIPE_API_KEY", "")
	root, err := mock.Root()
	require.NoError(t, err)
	committed := filepath.Join(root, "testdata", "fixtures")

	for _, version := range versions() {
		t.Run(version, func(t *testing.T) {
			if version != stripekit.APIVersion {
				if _, err := mock.Older(version); err != nil {
					t.Log(err)
					t.Skip("SKIPPED: comparing the fixtures of " + version + " with a new recording")
				}
			}
			folder := t.TempDir()
			require.NoError(t, run(t.Context(), []string{"-version", version, "-out", folder}, t.Output()))

			want, got := read(t, filepath.Join(folder, version)), read(t, filepath.Join(committed, version))
			require.NotEmpty(t, want)
			require.Empty(t, cmp.Diff(want, got))
			t.Logf("%d fixtures", len(got))
		})
	}
}

// read returns the files of a folder by their names, without what stripe-mock
// generates each time.
func read(t *testing.T, folder string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	files := map[string]string{}
	for _, entry := range entries {
		body, err := os.ReadFile(filepath.Join(folder, entry.Name()))
		require.NoError(t, err)
		files[entry.Name()] = string(steady(body))
	}
	return files
}

func TestRecorderKeepsResponsesToTheByte(t *testing.T) {
	const body = "{ \"id\":\t\"acct_1\" }\n\n"
	server := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) })
	r := newRecorder(t)
	require.NoError(t, r.record(t.Context(), mock.Key, stripekit.WithBaseURL(server.URL)))

	kept, err := os.ReadFile(filepath.Join(r.folder, "account.json"))
	require.NoError(t, err)
	require.Equal(t, body, string(kept))
}

func TestRecorderKeepsOnlyWhatTheNamePromises(t *testing.T) {
	server := stripetest.New()
	defer server.Close()
	var log bytes.Buffer
	r := newRecorder(t)
	r.log = &log
	require.NoError(t, r.record(t.Context(), mock.Key, stripekit.WithBaseURL(server.URL)))

	declined, err := os.ReadFile(filepath.Join(r.folder, "charge_declined.json"))
	require.NoError(t, err)
	require.Contains(t, string(declined), `"decline_code": "generic_decline"`)
	missing, err := os.ReadFile(filepath.Join(r.folder, "error_not_found.json"))
	require.NoError(t, err)
	require.Contains(t, string(missing), "No such customer: 'cus_missing'")

	calls := 0
	for _, section := range sections() {
		calls += len(section.calls)
	}
	lines := strings.Count(log.String(), "\n")
	files := len(read(t, r.folder))
	require.Positive(t, files)
	require.Less(t, lines, calls, "calls of other versions are not made")
	require.Equal(t, lines, files+strings.Count(log.String(), "not recorded: "), "every call is a file or a reason")
}

func TestRecorderSkipsCallsWithoutTheirID(t *testing.T) {
	var paths []string
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		paths = append(paths, r.URL.Path)
		fmt.Fprint(w, `{"object":"list","data":[]}`)
	})
	var log bytes.Buffer
	r := newRecorder(t)
	r.log = &log
	require.NoError(t, r.record(t.Context(), mock.Key, stripekit.WithBaseURL(server.URL)))
	require.Contains(t, log.String(), "customer: not recorded: no id from customers_page")
	for _, path := range paths {
		require.NotContains(t, path, "{")
		require.False(t, strings.HasSuffix(path, "/"), path)
	}
}

func TestRecorderRefusesLiveKeys(t *testing.T) {
	for _, key := range []string{"sk_live_123", "rk_live_123", "pk_test_123", "123"} {
		t.Setenv("STRIPE_API_KEY", key)
		folder := t.TempDir()
		err := run(t.Context(), []string{"-out", folder}, t.Output())
		require.Error(t, err, key)
		require.NotContains(t, err.Error(), "123")
		entries, err := os.ReadDir(folder)
		require.NoError(t, err)
		require.Empty(t, entries, key)
	}
}

func TestRecorderRefusesAnAnswerWithTheKey(t *testing.T) {
	const key = "sk_test_4eC39HqLyjWD"
	server := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, `{"id":"acct_1","key":%q}`, key) })
	r := newRecorder(t)
	err := r.record(t.Context(), key, stripekit.WithBaseURL(server.URL))
	require.ErrorContains(t, err, "account: the response contains the key")
	require.NotContains(t, err.Error(), key)
	require.Empty(t, read(t, r.folder))
}

func TestRecorderEndsWhenThereIsNoResponse(t *testing.T) {
	server := serve(t, func(http.ResponseWriter, *http.Request) {})
	server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := newRecorder(t)
	require.ErrorIs(t, r.record(ctx, mock.Key, stripekit.WithBaseURL(server.URL)), context.Canceled)
}

// TestRecordingAgainChangesNothing checks that what stripe-mock generates each
// time makes no difference, and that anything else does.
func TestRecordingAgainChangesNothing(t *testing.T) {
	t.Setenv("STRIPE_API_KEY", "")
	args := []string{"-version", stripekit.APIVersion, "-out", t.TempDir()}
	require.NoError(t, run(t.Context(), args, io.Discard))
	changed := filepath.Join(args[3], stripekit.APIVersion, "charge.json")
	require.NoError(t, os.WriteFile(changed, []byte(`{"id":"ch_typed"}`), 0o600))

	var log bytes.Buffer
	require.NoError(t, run(t.Context(), args, &log))
	var rewritten []string
	for line := range strings.Lines(log.String()) {
		if strings.HasSuffix(line, " bytes\n") {
			rewritten = append(rewritten, line)
		}
	}
	require.Len(t, rewritten, 1, log.String())
	require.Contains(t, rewritten[0], " charge: ")
	body, err := os.ReadFile(changed)
	require.NoError(t, err)
	require.NotContains(t, string(body), "ch_typed")
}

func TestRecorderRefusesADescriptionOfAnotherVersion(t *testing.T) {
	t.Setenv("STRIPE_API_KEY", "")
	folder := t.TempDir()
	spec, fixtures := filepath.Join(folder, "spec.json"), filepath.Join(folder, "fixtures.json")
	require.NoError(t, os.WriteFile(spec, embedded.OpenAPISpec, 0o600))
	require.NoError(t, os.WriteFile(fixtures, embedded.OpenAPIFixtures, 0o600))
	args := []string{"-spec", spec, "-fixtures", fixtures, "-out", folder, "-version"}

	err := run(t.Context(), append(args, "2017-08-15"), t.Output())
	require.EqualError(t, err, "2017-08-15: the description is of 2026-08-26.dahlia")
	require.NoDirExists(t, filepath.Join(folder, "2017-08-15"))

	require.NoError(t, run(t.Context(), append(args, stripekit.APIVersion), io.Discard))
	require.FileExists(t, filepath.Join(folder, stripekit.APIVersion, "charge.json"))
}

func TestRecorderRefusesFlagsThatDoNotGoTogether(t *testing.T) {
	t.Setenv("STRIPE_API_KEY", "")
	for _, args := range [][]string{
		{"-spec", "spec.json"},
		{"-fixtures", "fixtures.json"},
		{"-spec", "spec.json", "-fixtures", "fixtures.json"},
	} {
		require.ErrorContains(t, run(t.Context(), args, t.Output()), "go together", args)
	}
}

func TestFixturesHoldNoKey(t *testing.T) {
	root, err := mock.Root()
	require.NoError(t, err)
	files := 0
	for _, version := range versions() {
		for name, body := range read(t, filepath.Join(root, "testdata", "fixtures", version)) {
			files++
			require.NotRegexp(t, `[sr]k_(test|live)_\w`, body, version+"/"+name)
		}
	}
	t.Logf("%d fixtures", files)
	require.Positive(t, files)
}

func newRecorder(t *testing.T) *recorder {
	t.Helper()
	return &recorder{version: stripekit.APIVersion, folder: t.TempDir(), log: t.Output()}
}

func serve(t *testing.T, response http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(response)
	t.Cleanup(server.Close)
	return server
}
