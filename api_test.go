package stripekit_test

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

var updateAPI = flag.Bool("update-api", false, "write testdata/api.txt anew")

// apiPackages are the packages that users import.
var apiPackages = []string{
	".", "schedule", "stripetest", "stripekittest", "sqlstore", "natsstore", "fleet", "fleet/fleettest", "stripesql", "connector",
	"connector/mcp", "connector/redpanda", "connector/redpanda/sqlinsert",
}

// TestExportedAPIIsTheOneDecided compares all exported declarations with
// testdata/api.txt, so that a change to them is a decision:
//
//	go test -run ExportedAPI -update-api .
func TestExportedAPIIsTheOneDecided(t *testing.T) {
	var got bytes.Buffer
	for _, dir := range apiPackages {
		fmt.Fprintf(&got, "// package %s\n", dir)
		for _, decl := range exportedDecls(t, dir) {
			fmt.Fprintf(&got, "%s\n", decl)
		}
	}
	golden := filepath.Join("testdata", "api.txt")
	if *updateAPI {
		require.NoError(t, os.WriteFile(golden, got.Bytes(), 0o666))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got.String(), "\n")))
}

func exportedDecls(t *testing.T, dir string) (decls []string) {
	t.Helper()
	fset, files := parse(t, dir, parser.SkipObjectResolution)
	for _, file := range files {
		ast.FileExports(file)
		for _, decl := range file.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil || exportedReceiver(d.Recv) {
					d.Body = nil
					decls = append(decls, source(t, fset, d))
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if _, ok := spec.(*ast.ImportSpec); !ok {
						decls = append(decls, d.Tok.String()+" "+source(t, fset, spec))
					}
				}
			}
		}
	}
	slices.Sort(decls)
	return decls
}

func source(t *testing.T, fset *token.FileSet, node ast.Node) string {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, printer.Fprint(&out, fset, node))
	return out.String()
}

func parse(t *testing.T, dir string, mode parser.Mode) (*token.FileSet, []*ast.File) {
	t.Helper()
	fset := token.NewFileSet()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var files []*ast.File
	for _, entry := range entries {
		if filepath.Ext(entry.Name()) != ".go" || strings.HasSuffix(entry.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(fset, filepath.Join(dir, entry.Name()), nil, mode)
		require.NoError(t, err)
		files = append(files, file)
	}
	return fset, files
}

// TestEveryExportedNameIsDocumented requires a comment that starts with the
// name, on every exported type, function, method, constant and variable. Fields
// need no comment.
func TestEveryExportedNameIsDocumented(t *testing.T) {
	for _, dir := range apiPackages {
		fset, files := parse(t, dir, parser.ParseComments)
		for _, file := range files {
			for _, decl := range file.Decls {
				for _, lacks := range undocumented(decl) {
					t.Errorf("%s: %s lacks a comment that starts with its name", fset.Position(decl.Pos()), lacks)
				}
			}
		}
	}
}

func undocumented(decl ast.Decl) (names []string) {
	lacks := func(name *ast.Ident, docs ...*ast.CommentGroup) {
		if !name.IsExported() {
			return
		}
		for _, doc := range docs {
			text := strings.TrimPrefix(strings.TrimPrefix(doc.Text(), "A "), "An ")
			if strings.HasPrefix(text, name.Name) {
				return
			}
		}
		names = append(names, name.Name)
	}
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil || exportedReceiver(d.Recv) {
			lacks(d.Name, d.Doc)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				lacks(s.Name, s.Doc, d.Doc)
			case *ast.ValueSpec:
				// A comment on a group of constants is enough.
				if d.Doc == nil || len(d.Specs) == 1 {
					lacks(s.Names[0], s.Doc, d.Doc)
				}
			}
		}
	}
	return names
}

func exportedReceiver(recv *ast.FieldList) bool {
	t := recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if index, ok := t.(*ast.IndexExpr); ok {
		t = index.X
	}
	name, ok := t.(*ast.Ident)
	return ok && name.IsExported()
}

// maxNames is how many package-level names the root may have. Each additional name
// makes the documentation longer for every reader. The twelve of account events and changes
// have to be where the services are: their methods return them. ErrKeyChanged came last.
const maxNames = 188

func TestTheRootHasFewNames(t *testing.T) {
	_, files := parse(t, ".", parser.SkipObjectResolution)
	count := 0
	for _, file := range files {
		ast.FileExports(file)
		for _, decl := range file.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil {
					count++
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					switch s := spec.(type) {
					case *ast.TypeSpec:
						count++
					case *ast.ValueSpec:
						count += len(s.Names)
					}
				}
			}
		}
	}
	require.LessOrEqual(t, count, maxNames)
	require.Greater(t, count, maxNames/2, "they were counted")
}

// maxLines is how many lines a file may have.
const maxLines = 600

func TestFilesAreShort(t *testing.T) {
	count := 0
	require.NoError(t, filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".go" {
			return err
		}
		text, err := os.ReadFile(path)
		count++
		if lines := bytes.Count(text, []byte("\n")); lines > maxLines {
			t.Errorf("%s has %d lines", path, lines)
		}
		return err
	}))
	require.Greater(t, count, 200, "they were read")
}
