// Package godocs reads the comments of Go types, fields, methods and typed constants,
// for the descriptions in the catalog.
package godocs

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// Docs are the comments of a package, each in one line.
type Docs struct {
	// Comments has the comment of "Charge", "Charge.Amount", "ChargesService.Create",
	// and of a field of an unnamed struct, "Discount.Source.Type".
	Comments map[string]string `json:"comments"`
	// Values has the values of the typed string constants, by type.
	Values map[string][]string `json:"values"`
}

// Read reads the Go files in the root of fsys, without tests.
func Read(fsys fs.FS) (Docs, error) {
	d := Docs{Comments: map[string]string{}, Values: map[string][]string{}}
	names, err := fs.Glob(fsys, "*.go")
	if err != nil {
		return d, err
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := fs.ReadFile(fsys, name)
		if err != nil {
			return d, err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path.Base(name), text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return d, fmt.Errorf("godocs: %w", err)
		}
		for _, decl := range file.Decls {
			d.declaration(decl)
		}
	}
	return d, nil
}

func (d Docs) declaration(decl ast.Decl) {
	switch decl := decl.(type) {
	case *ast.FuncDecl:
		if name := receiver(decl); strings.HasSuffix(name, "Service") && decl.Name.IsExported() {
			d.comment(name+"."+decl.Name.Name, decl.Doc)
		}
	case *ast.GenDecl:
		for _, spec := range decl.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				d.comment(spec.Name.Name, spec.Doc, decl.Doc)
				if fields, ok := spec.Type.(*ast.StructType); ok {
					d.fields(spec.Name.Name, fields)
				}
			case *ast.ValueSpec:
				d.value(spec)
			}
		}
	}
}

func (d Docs) fields(owner string, s *ast.StructType) {
	for _, field := range s.Fields.List {
		for _, name := range field.Names {
			if !name.IsExported() {
				continue
			}
			d.comment(owner+"."+name.Name, field.Doc, field.Comment)
			if inner, ok := field.Type.(*ast.StructType); ok {
				d.fields(owner+"."+name.Name, inner)
			}
		}
	}
}

// value reads a constant such as ChargeFailed ChargeStatus = "failed".
func (d Docs) value(spec *ast.ValueSpec) {
	typ, ok := spec.Type.(*ast.Ident)
	if !ok || !typ.IsExported() {
		return
	}
	for _, v := range spec.Values {
		literal, ok := v.(*ast.BasicLit)
		if !ok || literal.Kind != token.STRING {
			continue
		}
		if text, err := strconv.Unquote(literal.Value); err == nil {
			d.Values[typ.Name] = append(d.Values[typ.Name], text)
		}
	}
}

// comment keeps the first of the comments that is not empty.
func (d Docs) comment(key string, groups ...*ast.CommentGroup) {
	for _, group := range groups {
		if text := strings.Join(strings.Fields(group.Text()), " "); text != "" {
			d.Comments[key] = text
			return
		}
	}
}

// receiver returns the name of the type that a method belongs to, or "".
func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil || len(f.Recv.List) == 0 {
		return ""
	}
	typ := f.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	if name, ok := typ.(*ast.Ident); ok {
		return name.Name
	}
	return ""
}
