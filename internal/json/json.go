// Package json has what this project uses of encoding/json/v2 and of
// encoding/json/jsontext, by the same names. Until go.mod says Go 1.27, both come
// from the module in which they are developed. No other package imports it but
// internal/benchmarks, which measures it, so on that day only the two imports below
// change.
package json

import (
	"io"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

type (
	Decoder        = jsontext.Decoder
	Options        = json.Options
	SemanticError  = json.SemanticError
	SyntacticError = jsontext.SyntacticError
	Unmarshalers   = json.Unmarshalers
	Value          = jsontext.Value
)

var ErrUnknownName = json.ErrUnknownName

func Marshal(in any, opts ...Options) ([]byte, error)     { return json.Marshal(in, opts...) }
func Unmarshal(in []byte, out any, opts ...Options) error { return json.Unmarshal(in, out, opts...) }

func UnmarshalDecode(in *Decoder, out any, opts ...Options) error {
	return json.UnmarshalDecode(in, out, opts...)
}

func UnmarshalFromFunc[T any](fn func(*Decoder, T) error) *Unmarshalers {
	return json.UnmarshalFromFunc(fn)
}

func JoinUnmarshalers(us ...*Unmarshalers) *Unmarshalers { return json.JoinUnmarshalers(us...) }

func NewDecoder(r io.Reader, opts ...Options) *Decoder { return jsontext.NewDecoder(r, opts...) }

func AppendQuote[Bytes ~[]byte | ~string](dst []byte, src Bytes) ([]byte, error) {
	return jsontext.AppendQuote(dst, src)
}

func AppendUnquote[Bytes ~[]byte | ~string](dst []byte, src Bytes) ([]byte, error) {
	return jsontext.AppendUnquote(dst, src)
}

func AllowDuplicateNames(v bool) Options       { return jsontext.AllowDuplicateNames(v) }
func AllowInvalidUTF8(v bool) Options          { return jsontext.AllowInvalidUTF8(v) }
func FormatNilMapAsNull(v bool) Options        { return json.FormatNilMapAsNull(v) }
func FormatNilSliceAsNull(v bool) Options      { return json.FormatNilSliceAsNull(v) }
func JoinOptions(opts ...Options) Options      { return json.JoinOptions(opts...) }
func RejectUnknownMembers(v bool) Options      { return json.RejectUnknownMembers(v) }
func WithUnmarshalers(v *Unmarshalers) Options { return json.WithUnmarshalers(v) }
