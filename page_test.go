package stripekit

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/internal/tail"
)

// plainPage reads a page in the plain way, whole.
func plainPage(body []byte, opts json.Options) (p listed, err error) {
	var page struct {
		Data    []jsontext.Value `json:"data"`
		HasMore bool             `json:"has_more"`
	}
	if err := json.Unmarshal(body, &page, opts); err != nil {
		return p, err
	}
	if page.Data == nil {
		return p, errNoList
	}
	p.HasMore = page.HasMore
	for _, raw := range page.Data {
		var head *struct {
			ID      string         `json:"id"`
			Created jsontext.Value `json:"created"`
			Date    jsontext.Value `json:"date"`
		}
		if err := json.Unmarshal(raw, &head, opts); err != nil {
			return p, err
		}
		if head == nil {
			return p, errNoObject
		}
		p.Items = append(p.Items, tail.Item{ID: head.ID, Created: plainSecond(head.Created)})
		p.times = append(p.times, plainSecond(head.Date))
		p.raw = append(p.raw, raw)
	}
	return p, nil
}

func plainSecond(v jsontext.Value) int64 {
	if second, err := strconv.ParseInt(string(v), 10, 64); err == nil && second >= 0 && second <= maxSecond {
		return second
	}
	return 0
}

// FuzzPage holds the one-pass reading of a page against the plain one.
func FuzzPage(f *testing.F) {
	for _, pattern := range []string{"testdata/fixtures/*/*page.json"} {
		files, err := filepath.Glob(pattern)
		require.NoError(f, err)
		for _, name := range files {
			body, err := os.ReadFile(name)
			require.NoError(f, err)
			f.Add(body)
		}
	}
	for _, body := range []string{
		`{"data":[{"id":"ch_1","created":1},{"amount":5,"created":null,"id":"ch_2"},{}],"has_more":true}`,
		`{"has_more":false,"data":[]}`, `{"data":null}`, `{"data":[null]}`, `{"data":[1]}`, `{"data":{}}`, `{}`, `[]`, ``, `null`,
		`{"data":[{"id":"ch_1","created":1}]} x`, `{"data":[{"date":5,"id":"ch_1","created":99999999999999}, {"id":"x","date":1e3}]}`, `{"data":[{"id":"ch_1","created":1}]`, `{"data":[{"id":"ch_1","created":1,}]}`,
		`{"\u0064ata":[{"\u0069d":"ch_\u0031","created":1}]}`, "{\"data\":[{\"id\":\"\xff\",\"created\":1}]}",
		`{"data":[{"id":"ch_1","created":"1"}]}`, `{"data":[{"id":1}]}`, `{"data":[{"created":1.5}]}`, `{"data":[{"id":"a","amount":"x"}]}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		want, wantErr := plainPage(body, lenient)
		_, strictErr := plainPage(body, jsontext.AllowInvalidUTF8(true))
		if wantErr == nil && strictErr != nil {
			t.Skip("a name stands twice, and either may count")
		}
		got, err := scanPage(body, "date")
		require.Equal(t, wantErr == nil, err == nil, "plain: %v; in one pass: %v", wantErr, err)
		if err != nil {
			return
		}
		require.Equal(t, want.Page, got.Page)
		require.Equal(t, want.times, got.times)
		require.Len(t, got.raw, len(want.raw))
		for i := range got.raw {
			require.Equal(t, string(want.raw[i]), string(got.raw[i]))
		}
	})
}

func TestPageIsNotScannedTwice(t *testing.T) {
	last := newLastPage()
	body := []byte(`{"data":[{"id":"ch_1","created":1}]}`)
	first, err := last.read(body, "created")
	require.NoError(t, err)
	require.NotNil(t, first.raw)
	again, err := last.read(body, "created")
	require.NoError(t, err)
	require.Nil(t, again.raw, "the same bytes")
	require.Equal(t, first.Items, again.Items)
	raw, err := again.objects("created")
	require.NoError(t, err)
	require.Equal(t, `{"id":"ch_1","created":1}`, string(raw[0]), "an object that is fresh again")
	other, err := last.read([]byte(strings.Replace(string(body), "1", "2", 1)), "created")
	require.NoError(t, err)
	require.NotNil(t, other.raw)
}
