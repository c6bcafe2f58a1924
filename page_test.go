package stripekit

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/internal/tail"
)

// plainPage reads a page in the plain way, whole.
func plainPage(body []byte, opts json.Options) (p pageOf[Charge], err error) {
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
	p.answer.HasMore = page.HasMore
	for _, raw := range page.Data {
		var head *struct {
			ID      string `json:"id"`
			Created int64  `json:"created"`
		}
		object := new(Charge)
		if err := json.Unmarshal(raw, &head, opts); err != nil {
			return p, err
		}
		if head == nil {
			return p, errNoObject
		}
		if err := json.Unmarshal(raw, object, opts); err != nil {
			return p, err
		}
		p.answer.Items = append(p.answer.Items, tail.Item{ID: head.ID, Created: head.Created})
		p.objects = append(p.objects, object)
	}
	return p, nil
}

func isNew(string) bool { return true }
func known(string) bool { return false }

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
		`{"data":[{"id":"ch_1","created":1}]} x`, `{"data":[{"id":"ch_1","created":1}]`, `{"data":[{"id":"ch_1","created":1,}]}`,
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
		s := source[Charge]{timeField: "created"}
		var got pageOf[Charge]
		err := s.scan(body, isNew, &got)
		require.Equal(t, wantErr == nil, err == nil, "plain: %v; in one pass: %v", wantErr, err)
		if err != nil {
			return
		}
		require.Equal(t, want.answer, got.answer)
		require.Empty(t, cmp.Diff(want.objects, got.objects))

		var skipped pageOf[Charge]
		require.NoError(t, s.scan(body, known, &skipped))
		require.Equal(t, want.answer, skipped.answer)
		for _, object := range skipped.objects {
			require.Nil(t, object)
		}
	})
}

func TestPageIsNotDecodedTwice(t *testing.T) {
	last := newLastPage()
	body := []byte(`{"data":[{"id":"ch_1","created":1}]}`)
	sum := last.sum(body)
	require.False(t, last.is(sum, known), "nothing was read yet")
	last.bodySum, last.items = sum, []tail.Item{{ID: "ch_1", Created: 1}}
	require.True(t, last.is(last.sum(body), known))
	require.False(t, last.is(last.sum(body), isNew), "an object that is fresh again must be decoded")
	require.False(t, last.is(last.sum([]byte(strings.Replace(string(body), "1", "2", 1))), known))
}
