package stripekit_test

import (
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDocumentsNameWhatExists compares the documents with the repository. It reads
// the words in backticks, outside of code blocks:
//
//   - a word with a slash, or that ends with .go or .md, is a path from the root
//     of the repository, with * as in a shell, or the name of a Go file in any folder.
//     Import paths of the standard library and of other modules, and paths of the
//     API, which begin with a slash, are not.
//   - TestName, FuzzName, BenchmarkName and ExampleName are functions of tests.
//   - another word with an upper-case letter, a dot between names or () at its end
//     is a file in the root, such as go.work, or a name of the code. In
//     "Poller.fetch" the second name is a method or a field of the first, or is
//     declared in the package of that name.
//   - NAME_IN_CAPITALS occurs in the code.
//
// The target of a link within the repository must exist too.
func TestDocumentsNameWhatExists(t *testing.T) {
	names := declaredNames(t)
	documents, err := filepath.Glob("docs/*.md")
	require.NoError(t, err)
	checked := 0
	for _, document := range append(documents, "CONTRIBUTING.md", "README.md", "SECURITY.md") {
		content, err := os.ReadFile(document)
		require.NoError(t, err)
		text := regexp.MustCompile("(?ms)^```.*?^```$").ReplaceAllString(string(content), "")
		for _, span := range regexp.MustCompile("`([^`\n]+)`").FindAllStringSubmatch(text, -1) {
			isName, exists := names.has(span[1])
			if isName {
				checked++
			}
			if isName && !exists {
				t.Errorf("%s: %s does not exist", document, span[0])
			}
		}
		for _, link := range regexp.MustCompile(`\]\(([^)#:]+)\)`).FindAllStringSubmatch(text, -1) {
			if !pathExists(filepath.Join(filepath.Dir(document), link[1])) {
				t.Errorf("%s: the target of %s does not exist", document, link[0])
			}
		}
	}
	require.Greater(t, checked, 200, "names were found")
}

// declared maps each package or type in the Go files of the repository to the names
// within it. The key "" has all names.
type declared struct {
	within map[string]map[string]bool
	tests  map[string]bool
	files  map[string]bool
	source strings.Builder
}

var (
	docPath   = regexp.MustCompile(`^[\w.*-]+(/[\w.*-]+)*/?$`)
	docTest   = regexp.MustCompile(`^(Test|Fuzz|Benchmark|Example)[A-Z]\w*$`)
	docCaps   = regexp.MustCompile(`^[A-Z]+(_[A-Z]+)+$`)
	docName   = regexp.MustCompile(`^[A-Za-z]\w*(\.[A-Za-z]\w*)*(\(\))?$`)
	docMarked = regexp.MustCompile(`[A-Z.(]`)
	docModule = regexp.MustCompile(`^[\w-]+\.[a-z]+/`)
)

// has reports whether a word is a name that can be checked, and whether it exists.
func (d *declared) has(word string) (isName, exists bool) {
	switch {
	case strings.Contains(word, "/") || strings.HasSuffix(word, ".go") || strings.HasSuffix(word, ".md"):
		word = strings.TrimSuffix(strings.TrimPrefix(word, "./"), "/...")
		if !docPath.MatchString(word) || docModule.MatchString(word) {
			return false, false
		}
		return true, d.files[word] || pathExists(word) || pathExists(filepath.Join(build.Default.GOROOT, "src", word))
	case docTest.MatchString(word):
		return true, d.tests[word]
	case docCaps.MatchString(word):
		return true, strings.Contains(d.source.String(), word)
	case docName.MatchString(word) && docMarked.MatchString(word):
		return true, pathExists(word) || d.hasName(strings.Split(strings.TrimSuffix(word, "()"), "."))
	}
	return false, false
}

func (d *declared) hasName(parts []string) bool {
	for i, part := range parts {
		scope := d.within[""]
		if i > 0 && d.within[parts[i-1]] != nil {
			scope = d.within[parts[i-1]]
		}
		if !scope[part] && (i > 0 || d.within[part] == nil) {
			return false
		}
	}
	return true
}

func (d *declared) add(name string, scopes ...string) {
	for _, scope := range append(scopes, "") {
		if d.within[scope] == nil {
			d.within[scope] = map[string]bool{}
		}
		d.within[scope][name] = true
	}
}

func pathExists(pattern string) bool {
	matches, err := filepath.Glob(filepath.FromSlash(pattern))
	return err == nil && len(matches) > 0
}

func declaredNames(t *testing.T) *declared {
	t.Helper()
	d := &declared{within: map[string]map[string]bool{}, tests: map[string]bool{}, files: map[string]bool{}}
	require.NoError(t, filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".go" {
			return err
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		d.source.Write(source)
		d.files[entry.Name()] = true
		file, err := parser.ParseFile(token.NewFileSet(), path, source, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			d.addDecl(file.Name.Name, decl, strings.HasSuffix(path, "_test.go"))
		}
		return nil
	}))
	return d
}

func (d *declared) addDecl(pkg string, decl ast.Decl, test bool) {
	switch decl := decl.(type) {
	case *ast.FuncDecl:
		switch {
		case decl.Recv != nil:
			d.add(decl.Name.Name, receiverName(decl.Recv.List[0].Type))
		case test && docTest.MatchString(decl.Name.Name):
			d.tests[decl.Name.Name] = true
		default:
			d.add(decl.Name.Name, pkg)
		}
	case *ast.GenDecl:
		for _, spec := range decl.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				d.add(spec.Name.Name, pkg)
				d.addMembers(spec)
			case *ast.ValueSpec:
				for _, name := range spec.Names {
					d.add(name.Name, pkg)
				}
			}
		}
	}
}

// addMembers adds the fields of a struct and the methods of an interface.
func (d *declared) addMembers(spec *ast.TypeSpec) {
	ast.Inspect(spec.Type, func(node ast.Node) bool {
		if field, ok := node.(*ast.Field); ok {
			for _, name := range field.Names {
				d.add(name.Name, spec.Name.Name)
			}
		}
		return true
	})
}

func receiverName(expr ast.Expr) string {
	switch expr := expr.(type) {
	case *ast.StarExpr:
		return receiverName(expr.X)
	case *ast.IndexExpr:
		return receiverName(expr.X)
	case *ast.IndexListExpr:
		return receiverName(expr.X)
	case *ast.Ident:
		return expr.Name
	}
	return ""
}
