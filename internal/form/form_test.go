package form_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/internal/form"
)

type address struct {
	Line1 string  `form:"line1"`
	City  *string `form:"city"`
}

type item struct {
	Type string `form:"type"`
}

type paging struct {
	Limit int `form:"limit"`
}

type label string

type params struct {
	Amount      int64             `form:"amount"`
	Description *string           `form:"description"`
	Count       *int64            `form:"count"`
	Capture     *bool             `form:"capture"`
	Ratio       *float64          `form:"ratio"`
	Size        uint8             `form:"size"`
	Address     *address          `form:"address"`
	Images      []string          `form:"images"`
	Items       []item            `form:"items"`
	Metadata    map[string]string `form:"metadata"`
	Paging      paging            `form:"*"`
	Extra       map[string]any    `form:"*"`
	Untagged    string
}

func TestAppendSendsWhatIsSetAndUnsetsWhatIsEmpty(t *testing.T) {
	tests := map[string]struct {
		params any
		want   string
	}{
		"nothing set":       {params{}, ""},
		"nil":               {nil, ""},
		"nil pointer":       {(*params)(nil), ""},
		"pointer to params": {&params{Amount: 5}, "amount=5"},
		"untagged field":    {params{Untagged: "x"}, ""},
		"no fields":         {struct{}{}, ""},
		"left out": {struct {
			A int `form:"a"`
			B int `form:"-"`
		}{1, 2}, "a=1"},
		"numbers":                 {params{Amount: -1, Count: new(int64(0)), Ratio: new(1.5), Size: 200}, "amount=-1&count=0&ratio=1.5&size=200"},
		"false is sent":           {params{Capture: new(false)}, "capture=false"},
		"empty string unsets":     {params{Description: new("")}, "description="},
		"empty struct unsets":     {params{Address: &address{}}, "address="},
		"empty slice unsets":      {params{Images: []string{}}, "images="},
		"empty map unsets":        {params{Metadata: map[string]string{}}, "metadata="},
		"empty map value unsets":  {params{Metadata: map[string]string{"k": ""}}, "metadata[k]="},
		"nested":                  {params{Address: &address{Line1: "1 Main St", City: new("")}}, "address[line1]=1+Main+St&address[city]="},
		"slices are indexed":      {params{Images: []string{"a", ""}, Items: []item{{"sku"}, {}}}, "images[0]=a&images[1]=&items[0][type]=sku&items[1]="},
		"map keys are sorted":     {params{Metadata: map[string]string{"b": "2", "a": "1"}}, "metadata[a]=1&metadata[b]=2"},
		"map keys are escaped":    {params{Metadata: map[string]string{"a]&x[=": "1"}}, "metadata[a%5D%26x%5B%3D]=1"},
		"embedded level":          {params{Paging: paging{Limit: 3}}, "limit=3"},
		"extra merges, nested":    {params{Amount: 1, Extra: map[string]any{"a": map[string]any{"b": []any{1, "x"}}, "c[d]": true, "e": nil}}, "amount=1&a[b][0]=1&a[b][1]=x&c[d]=true&e="},
		"maps of other texts":     {map[label]label{"a": "1"}, "a=1"},
		"a map alone":             {map[string]string{"a": "b&c=d"}, "a=b%26c%3Dd"},
		"url.Values":              {url.Values{"b": {"2 3"}, "a[c]": {"1"}, "d[]": {"x", "y"}, "e": nil}, "a%5Bc%5D=1&b=2+3&d%5B%5D=x&d%5B%5D=y"},
		"reserved and non-ASCII":  {params{Description: new("50% für+Größe\x00\n")}, "description=50%25+f%C3%BCr%2BGr%C3%B6%C3%9Fe%00%0A"},
		"a pointer to an ellipse": {params{Description: new("…")}, "description=%E2%80%A6"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := form.Append(nil, tt.params)
			require.NoError(t, err)
			require.Equal(t, tt.want, string(got))
		})
	}
}

func TestAppendContinuesWhatIsThere(t *testing.T) {
	got, err := form.Append([]byte("body:"), params{Amount: 1, Count: new(int64(2))})
	require.NoError(t, err)
	require.Equal(t, "body:amount=1&count=2", string(got))

	require.Equal(t, "a=1&b=x+y", string(form.AppendPair(form.AppendPair(nil, "a", "1"), "b", "x y")))
}

func TestAppendRefusesWhatHasNoEncoding(t *testing.T) {
	for name, params := range map[string]any{
		"a channel inside": map[string]any{"c": make(chan int)},
		"a number alone":   42,
		"int keys":         map[int]string{1: "a"},
		"int keys inside":  map[string]any{"m": map[int]string{1: "a"}},
		"no form tags": struct {
			Limit int `json:"limit"`
		}{3},
		"a time inside": map[string]any{"created": map[string]any{"gte": time.Unix(1, 0)}},
		"a zero time":   map[string]any{"trial_end": time.Time{}},
		"times":         map[string]any{"times": []time.Time{{}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := form.Append([]byte("before"), params)
			require.ErrorIs(t, err, form.ErrType)
			require.Equal(t, "before", string(got))
		})
	}
}

func TestAppendAllocatesOnlyTheBody(t *testing.T) {
	if raceDetector {
		t.Skip("under the race detector a sync.Pool forgets at random")
	}
	p := &params{
		Amount: 2000, Description: new("one two"), Address: &address{Line1: "1 Main St"}, Images: []string{"a", "b"},
		Metadata: map[string]string{"order": "6735", "a key": "a value"},
	}
	buf := make([]byte, 0, 512)
	allocs := testing.AllocsPerRun(100, func() {
		if _, err := form.Append(buf, p); err != nil {
			t.Fatal(err)
		}
	})
	require.Zero(t, allocs)
}

// FuzzAppend checks that net/url decodes the same values, whatever they
// contain.
func FuzzAppend(f *testing.F) {
	f.Add("plain", "key", "value", int64(1))
	f.Add("a&b=c[d]%", "k]&x[", "\x00\xff", int64(-9))
	f.Fuzz(func(t *testing.T, text, key, value string, n int64) {
		p := params{Amount: n, Description: &text, Metadata: map[string]string{key: value}}
		got, err := form.Append(nil, p)
		require.NoError(t, err)
		read, err := url.ParseQuery(string(got))
		require.NoError(t, err)
		require.Equal(t, text, read.Get("description"))
		require.Equal(t, value, read.Get("metadata["+key+"]"))
		require.Equal(t, n != 0, read.Has("amount"))
		require.False(t, strings.ContainsAny(string(got), " \n\x00"))
	})
}

func BenchmarkAppend(b *testing.B) {
	p := &params{Amount: 2000, Description: new("one two"), Address: &address{Line1: "1 Main St", City: new("Berlin")}}
	buf := make([]byte, 0, 512)
	for b.Loop() {
		if _, err := form.Append(buf, p); err != nil {
			b.Fatal(err)
		}
	}
}
