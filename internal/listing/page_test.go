package listing

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/internal/json"
)

type plainHead struct {
	ID      string     `json:"id"`
	Created json.Value `json:"created"`
	Date    json.Value `json:"date"`
}

// plainPage reads a page in the simple way, as a whole.
func plainPage(body []byte, opts json.Options) (p Page, err error) {
	var page struct {
		Data     []json.Value `json:"data"`
		HasMore  bool         `json:"has_more"`
		NextPage json.Value   `json:"next_page"`
	}
	if err := json.Unmarshal(body, &page, opts); err != nil {
		return p, err
	}
	if page.Data == nil {
		return p, ErrNoData
	}
	p.HasMore = page.HasMore
	if page.NextPage.Kind() == '"' {
		if err := json.Unmarshal(page.NextPage, &p.NextPage, opts); err != nil {
			return p, err
		}
	}
	for _, raw := range page.Data {
		var head *plainHead
		if err := json.Unmarshal(raw, &head, opts); err != nil {
			return p, err
		}
		if head == nil {
			head = new(plainHead)
		}
		p.Heads = append(p.Heads, Head{ID: head.ID, Created: plainSecond(head.Created)})
		p.Times = append(p.Times, plainSecond(head.Date))
		p.Raw = append(p.Raw, raw)
	}
	return p, nil
}

func plainSecond(v json.Value) int64 {
	if second, err := strconv.ParseInt(string(v), 10, 64); err == nil && second >= 0 && second <= maxSecond {
		return second
	}
	return 0
}

// FuzzPage compares the one-pass reading of a page to the simple one.
func FuzzPage(f *testing.F) {
	files, err := filepath.Glob("../../testdata/fixtures/*/*page.json")
	require.NoError(f, err)
	require.NotEmpty(f, files)
	for _, name := range files {
		body, err := os.ReadFile(name)
		require.NoError(f, err)
		f.Add(body)
	}
	for _, body := range []string{
		`{"data":[{"id":"ch_1","created":1},{"amount":5,"created":null,"id":"ch_2"},{}],"has_more":true}`,
		`{"has_more":false,"data":[]}`, `{"data":null}`, `{"data":[null]}`, `{"data":[1]}`, `{"data":{}}`, `{}`, `[]`, ``, `null`,
		`{"data":[{"id":"ch_1","created":1}]} x`, `{"data":[{"date":5,"id":"ch_1","created":99999999999999}, {"id":"x","date":1e3}]}`, `{"data":[{"id":"ch_1","created":1}]`, `{"data":[{"id":"ch_1","created":1,}]}`,
		`{"\u0064ata":[{"\u0069d":"ch_\u0031","created":1}]}`, "{\"data\":[{\"id\":\"\xff\",\"created\":1}]}",
		`{"data":[{"id":"ch_1","created":"1"}]}`, `{"data":[{"id":1}]}`, `{"data":[{"id":"a"},null]}`, `{"data":[],"next_page":"p\u0032"}`, `{"data":[],"next_page":2,"has_more":true}`, `{"data":[{"created":1.5}]}`, `{"data":[{"id":"a","amount":"x"}]}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		want, wantErr := plainPage(body, Lenient)
		_, strictErr := plainPage(body, json.AllowInvalidUTF8(true))
		if wantErr == nil && strictErr != nil {
			t.Skip("a name stands twice, and either may count")
		}
		got, err := Scan(body, "date")
		require.Equal(t, wantErr == nil, err == nil, "plain: %v; in one pass: %v", wantErr, err)
		if err != nil {
			return
		}
		require.Len(t, got.Raw, len(want.Raw))
		for i := range got.Raw {
			require.Equal(t, string(want.Raw[i]), string(got.Raw[i]))
		}
		got.Raw, want.Raw = nil, nil
		require.Equal(t, want, *got)
	})
}

func TestScanReadsASearchPage(t *testing.T) {
	page, err := Scan([]byte(`{"data":[{"id":"a","created":5}, null],"has_more":true,"next_page":"p2"}`), "created")
	require.NoError(t, err)
	require.Equal(t, &Page{
		Heads: []Head{{ID: "a", Created: 5}, {}}, Times: []int64{5, 0}, HasMore: true, NextPage: "p2",
		Raw: [][]byte{[]byte(`{"id":"a","created":5}`), []byte(`null`)},
	}, page)
}
