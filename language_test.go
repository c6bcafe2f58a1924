package stripekit_test

import (
	"go/ast"
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

// avoidedWords are words that readers of comments have stumbled over, with the
// words to use instead.
var avoidedWords = []struct {
	words   *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`(?i)\banswer(s|ed)?\b`), "response, or a form of respond"},
	// As a relative pronoun it is plain: an object whose id is known.
	{regexp.MustCompile(`(?i)(\b(is|tells?|knows|learns|asks?) whose\b|\bwhose (key|turn) (it|they)\b)`), "identity, owner"},
	{regexp.MustCompile(`(?i)\b(tells?|told) apart\b`), "distinguish"},
	{regexp.MustCompile(`(?i)\btells whether\b`), "reports whether"},
	{regexp.MustCompile(`(?i)\bnil is not\b`), "if it is nil"},
}

// TestCommentsUsePlainWords reads the comments of all Go files of the repository,
// except testdata and generated files.
func TestCommentsUsePlainWords(t *testing.T) {
	fset := token.NewFileSet()
	count := 0
	require.NoError(t, filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "testdata" || len(path) > 1 && strings.HasPrefix(entry.Name(), ".")):
			return filepath.SkipDir
		case entry.IsDir() || filepath.Ext(path) != ".go":
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(fset, path, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		count++
		if !ast.IsGenerated(file) {
			requirePlainWords(t, fset, file)
		}
		return nil
	}))
	require.Greater(t, count, 200, "they were read")
}

// requirePlainWords fails the test for each avoided word in the comments of a file.
// The words may be on two lines.
func requirePlainWords(t *testing.T, fset *token.FileSet, file *ast.File) {
	t.Helper()
	for _, group := range file.Comments {
		text := strings.Join(strings.Fields(group.Text()), " ")
		for _, avoided := range avoidedWords {
			for _, word := range avoided.words.FindAllString(text, -1) {
				t.Errorf("%s: the comment has %q: use %s", fset.Position(group.Pos()), word, avoided.instead)
			}
		}
	}
}

func TestAvoidedWordsAreFound(t *testing.T) {
	for comment, want := range map[string]int{
		"The response has the answer, answered.":    2,
		"Answers whose key it is.":                  2,
		"It knows an object whose id is listed.":    0,
		"It tells\n// apart what can be told apart": 2,
		"It tells whether f is called; nil is not":  2,
		"An answering machine reports whether.":     0,
	} {
		text := strings.Join(strings.Fields(strings.ReplaceAll(comment, "//", "")), " ")
		got := 0
		for _, avoided := range avoidedWords {
			got += len(avoided.words.FindAllString(text, -1))
		}
		require.Equal(t, want, got, comment)
	}
}
