package redpanda_test

import (
	"bytes"
	"database/sql"
	"flag"
	"go/parser"
	"go/token"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/connector"
	"github.com/stripekit/stripekit/stripetest"
)

var updateDocs = flag.Bool("update-docs", false, "write the documents of the components anew")

// components returns all components, by the names of their documents.
func components(t *testing.T) map[string]*service.ConfigView {
	t.Helper()
	env := service.GlobalEnvironment()
	views := map[string]*service.ConfigView{}
	for kind, get := range map[string]func(string) (*service.ConfigView, bool){
		"input": env.GetInputConfig, "processor": env.GetProcessorConfig, "output": env.GetOutputConfig,
	} {
		for _, name := range []string{"stripe", "stripe_sql", "sql_insert"} {
			if view, found := get(name); found {
				views[kind+"_"+name] = view
			}
		}
	}
	require.Len(t, views, 5)
	return views
}

// TestDocumentsAreTheOnesDecided: a change of a field or of its description shows in a
// commit.
func TestDocumentsAreTheOnesDecided(t *testing.T) {
	layout, err := template.New("component.md.tmpl").Funcs(template.FuncMap{"trim": strings.TrimSpace}).
		ParseFiles(filepath.Join("testdata", "component.md.tmpl"))
	require.NoError(t, err)
	for name, view := range components(t) {
		data, err := view.TemplateData()
		require.NoError(t, err)
		var page bytes.Buffer
		require.NoError(t, layout.Execute(&page, data))
		got := page.Bytes()
		path := filepath.Join("docs", name+".md")
		if *updateDocs {
			require.NoError(t, os.WriteFile(path, got, 0o644))
		}
		want, err := os.ReadFile(path)
		require.NoError(t, err)
		want = bytes.ReplaceAll(want, []byte("\r\n"), []byte("\n"))
		require.Empty(t, cmp.Diff(string(want), string(got)), "write the documents anew with -update-docs")
	}
}

// lint requires that a configuration is valid.
func lint(t *testing.T, yaml string) {
	t.Helper()
	linter := service.GlobalEnvironment().FullConfigSchema("", "").NewStreamConfigLinter().
		SetRejectDeprecated(true).SetSkipEnvVarCheck(true)
	lints, err := linter.LintYAML([]byte(yaml))
	require.NoError(t, err)
	require.Empty(t, lints, yaml)
}

func TestExamplesAreValid(t *testing.T) {
	for name, view := range components(t) {
		data, err := view.TemplateData()
		require.NoError(t, err)
		require.NotEmpty(t, data.Summary, name)
		require.NotEmpty(t, data.Description, name)
		require.NotEmpty(t, data.Examples, name)
		for _, example := range data.Examples {
			lint(t, example.Config)
		}
	}
}

// pipelineOfThePackage returns the pipeline in the comment of the package.
func pipelineOfThePackage(t *testing.T) string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "doc.go", nil, parser.ParseComments)
	require.NoError(t, err)
	for _, block := range regexp.MustCompile(`(?m)(?:^\t.*\n|^\n)+`).FindAllString(file.Doc.Text(), -1) {
		if strings.Contains(block, "\tinput:") {
			return strings.ReplaceAll(block, "\n\t", "\n")
		}
	}
	require.Fail(t, "there is none")
	return ""
}

// local returns a configuration with the key and the server of a test.
func local(yaml string, server *stripetest.Server) string {
	yaml = regexp.MustCompile(`(?m)^( *)api_key: .*$`).ReplaceAllString(yaml, "${1}api_key: "+key+"\n${1}base_url: "+server.URL)
	return strings.Replace(yaml, "every: 30s", "every: 100ms", 1)
}

// TestPackageCommentDoesWhatItSays runs the pipeline with SQLite, twice.
func TestPackageCommentDoesWhatItSays(t *testing.T) {
	yaml := pipelineOfThePackage(t)
	lint(t, yaml)
	server, _ := newServer(t, 1)
	customer := server.Seed("/v1/customers", stripetest.Seeding{Params: url.Values{"source": {"tok_visa"}}})[0]
	charge := server.Seed("/v1/charges", stripetest.Seeding{Params: url.Values{"amount": {"700"}, "currency": {"eur"}, "customer": {customer}}})[0]
	name := "file:" + filepath.ToSlash(filepath.Join(t.TempDir(), "shop.db")) + "?_pragma=busy_timeout(10000)"
	db, err := sql.Open("sqlite3", name)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	_, err = db.Exec("CREATE TABLE charges (id TEXT PRIMARY KEY, amount INTEGER, currency TEXT)")
	require.NoError(t, err)
	yaml = strings.Replace(local(yaml, server), "driver: postgres", "driver: sqlite", 1)
	yaml = regexp.MustCompile(`dsn: .*`).ReplaceAllString(yaml, "dsn: "+name)

	for range 2 { // with a checkpoint each, so that the messages are delivered twice
		p := run(t, strings.Replace(yaml, "/var/lib/stripe/checkpoints", filepath.ToSlash(t.TempDir()), 1), nil)
		p.logs.await(t, "Successfully wrote", 1)
		p.stop()
	}
	var id, currency string
	var amount, count int
	require.NoError(t, db.QueryRow("SELECT id, amount, currency, count(*) OVER () FROM charges").Scan(&id, &amount, &currency, &count))
	require.Equal(t, []any{charge, 700, "eur", 1}, []any{id, amount, currency, count})
	client, err := stripekit.New(key, stripekit.WithBaseURL(server.URL))
	require.NoError(t, err)
	updated, err := client.Customers.Get(t.Context(), customer)
	require.NoError(t, err)
	require.Equal(t, charge, updated.Metadata["last_charge"])
	require.Equal(t, 2, server.Count("POST /v1/customers/{id}"))
}

// TestExampleOfAQueryRuns runs the example of stripe_sql.
func TestExampleOfAQueryRuns(t *testing.T) {
	data, err := components(t)["input_stripe_sql"].TemplateData()
	require.NoError(t, err)
	server, _ := newServer(t, 0)
	yesterday := time.Now().UTC().Truncate(24 * time.Hour).Add(-time.Hour)
	server.Seed("/v1/charges", stripetest.Seeding{First: yesterday, Count: 2, Params: url.Values{"amount": {"500"}, "currency": {"usd"}, "source": {"tok_visa"}}})
	server.Seed("/v1/charges", stripetest.Seeding{First: yesterday.Add(2 * time.Hour)})
	messages := make(chan received, 2)
	p := run(t, strings.Replace(local(data.Examples[0].Config, server), "stdout: {}", "consume: {}", 1), into(messages))
	require.NoError(t, next(t, p.ended))
	require.Equal(t, map[string]any{"currency": "usd", "charges": 2.0, "total": 1000.0}, next(t, messages).body)
	require.Empty(t, messages)
}

// TestConfigHasEveryFieldOfEveryTrigger compares the field config with the catalog.
func TestConfigHasEveryFieldOfEveryTrigger(t *testing.T) {
	data, err := components(t)["input_stripe"].TemplateData()
	require.NoError(t, err)
	descriptions := map[string]string{}
	for _, field := range data.Fields {
		descriptions[field.FullName] = field.Description
	}
	for _, trigger := range connector.Triggers() {
		form, err := connector.Describe(trigger.Name)
		require.NoError(t, err)
		for _, field := range form.Fields {
			require.NotEmpty(t, descriptions["config."+field.Name], "%s of %s", field.Name, trigger.Name)
		}
	}
}
