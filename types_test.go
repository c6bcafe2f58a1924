package stripekit_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
)

// read decodes a body by means of a client.
func read[T any](t *testing.T, body string) (*T, error) {
	t.Helper()
	out := new(T)
	err := clientOver(t, replies(200, body)).Call(t.Context(), "GET", "/v1/x", nil, out)
	return out, err
}

func TestUnixTimeIsSecondsInUTC(t *testing.T) {
	for seconds, want := range map[stripekit.UnixTime]string{
		1700000000: "2023-11-14T22:13:20Z", 1: "1970-01-01T00:00:01Z", -1: "1969-12-31T23:59:59Z", 253402300799: "9999-12-31T23:59:59Z", 0: "",
	} {
		require.Equal(t, want, seconds.String())
		require.Equal(t, seconds == 0, seconds.Time().IsZero())
		if seconds != 0 {
			require.Equal(t, int64(seconds), seconds.Time().Unix())
			require.Equal(t, time.UTC, seconds.Time().Location())
		}
	}
}

func TestNullIsZero(t *testing.T) {
	got, err := read[stripekit.Customer](t, `{"id":"cus_1","created":null,"email":null,"metadata":null,"address":null,"livemode":null,"balance":null,"default_source":null,"discount":null}`)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(&stripekit.Customer{ID: "cus_1"}, got))
}

func TestUnknownFieldsAreIgnored(t *testing.T) {
	got, err := read[stripekit.Charge](t, `{"id":"ch_1","object":"charge","level3":{"a":[1,2,{"b":null}]},"amount":7,"new":"x"}`)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(&stripekit.Charge{ID: "ch_1", Amount: 7}, got))
}

func TestOldAndNewNamesDecodeAlike(t *testing.T) {
	for _, body := range []string{`{"balance":-500}`, `{"account_balance":-500}`} {
		got, err := read[stripekit.Customer](t, body)
		require.NoError(t, err)
		require.Equal(t, int64(-500), got.Balance)
	}
}

func TestRefIsAnIDOrAnObject(t *testing.T) {
	for body, want := range map[string]stripekit.Ref[stripekit.Customer]{
		`{"customer":"cus_1"}`:                            {ID: "cus_1"},
		`{"customer":{"id":"cus_1","email":"a@b.c"}}`:     {ID: "cus_1", Object: &stripekit.Customer{ID: "cus_1", Email: "a@b.c"}},
		`{"customer": { "id" :"cus_1","deleted":true } }`: {ID: "cus_1", Object: &stripekit.Customer{ID: "cus_1", Deleted: true}},
		`{"customer":{}}`:                                 {Object: &stripekit.Customer{}},
		`{"customer":null}`:                               {},
		`{"customer":""}`:                                 {},
		`{}`:                                              {},
	} {
		got, err := read[stripekit.Charge](t, body)
		require.NoError(t, err, body)
		require.Empty(t, cmp.Diff(want, got.Customer), body)

		var std stripekit.Charge
		require.NoError(t, json.Unmarshal([]byte(body), &std), body)
		require.Empty(t, cmp.Diff(got, &std), "encoding/json reads it alike")
	}
	for _, body := range []string{`{"customer":7}`, `{"customer":[]}`, `{"customer":true}`, `{"customer":{"id":7}}`} {
		_, err := read[stripekit.Charge](t, body)
		require.ErrorIs(t, err, stripekit.ErrAPI, body)
	}
}

func TestRefMakesARoundTripThroughEncodingJSON(t *testing.T) {
	type holder struct {
		Ref stripekit.Ref[stripekit.Customer] `json:"ref"`
	}
	for want, ref := range map[string]stripekit.Ref[stripekit.Customer]{
		`{"ref":null}`:    {},
		`{"ref":"cus_1"}`: {ID: "cus_1"},
		"":                {ID: "cus_1", Object: &stripekit.Customer{ID: "cus_1", Created: 5, Email: "a@b.c", DefaultSource: stripekit.Ref[stripekit.ObjectID]{ID: "card_1"}}},
	} {
		b, err := json.Marshal(holder{ref})
		require.NoError(t, err)
		if want != "" {
			require.Equal(t, want, string(b))
		}
		var got holder
		require.NoError(t, json.Unmarshal(b, &got))
		require.Empty(t, cmp.Diff(holder{ref}, got))
	}
}

func TestRefForgetsWhatItHeld(t *testing.T) {
	ref := stripekit.Ref[stripekit.Customer]{ID: "cus_1", Object: &stripekit.Customer{ID: "cus_1"}}
	require.NoError(t, json.Unmarshal([]byte(`"cus_2"`), &ref))
	require.Equal(t, stripekit.Ref[stripekit.Customer]{ID: "cus_2"}, ref)
	require.NoError(t, json.Unmarshal([]byte(` null `), &ref))
	require.Zero(t, ref)
}

func TestTextsThatAreNotQuiteJSONAreTolerated(t *testing.T) {
	got, err := read[stripekit.Charge](t, "{\"id\":\"ch_1\",\"amount\":1,\"amount\":2,\"description\":\"caf\xe9 \\ud800\",\"metadata\":{\"a\":\"1\",\"a\":\"2\"},"+
		"\"customer\":{\"id\":\"cus_1\",\"id\":\"cus_2\",\"name\":\"\xff\"}}")
	require.NoError(t, err)
	require.Equal(t, int64(2), got.Amount, "the last of them counts")
	require.Equal(t, "caf\uFFFD \uFFFD", got.Description)
	require.Equal(t, stripekit.Metadata{"a": "2"}, got.Metadata)
	require.Equal(t, "cus_2", got.Customer.ID)
	require.Equal(t, "\uFFFD", got.Customer.Object.Name)
}

// TestDecodedObjectsOutliveTheirResponse compares the first response after its buffer
// was reused for others.
func TestDecodedObjectsOutliveTheirResponse(t *testing.T) {
	c := clientOver(t, inTurn(
		replies(200, `{"id":"cus_first","email":"first@example.com","default_source":"card_first","metadata":{"first":"first"}}`),
		replies(200, `{"id":"xxxxxxxxx","email":"xxxxxxxxxxxxxxxxx","default_source":"xxxxxxxxxx","metadata":{"xxxxx":"xxxxx"}}`)))
	first, err := c.Customers.Get(t.Context(), "cus_first")
	require.NoError(t, err)
	var raw json.RawMessage
	for range 10 {
		require.NoError(t, c.Call(t.Context(), "GET", "/v1/customers/x", nil, &raw))
	}
	require.Empty(t, cmp.Diff(&stripekit.Customer{
		ID: "cus_first", Email: "first@example.com", Metadata: stripekit.Metadata{"first": "first"},
		DefaultSource: stripekit.Ref[stripekit.ObjectID]{ID: "card_first"},
	}, first))
}

func FuzzDecodeObjects(f *testing.F) {
	for _, body := range []string{
		"", "null", "{}", `{"id":"cus_1","balance":5,"account_balance":6,"discount":{"coupon":{"id":"c"},"source":{"coupon":"c"}}}`,
		`{"id":"ch_1","customer":{"id":"cus_1","default_source":{"id":"card_1"}},"outcome":null,"shipping":{"address":{}}}`,
		`{"customer":{"customer":{"customer":{}}}}`, "\xff", `{"created":1e400}`, `{"created":1.5}`, `{"metadata":{"a":1}}`, `{"on_behalf_of":{"created":"x"}}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, object := range []any{new(stripekit.Customer), new(stripekit.Charge)} {
			err := clientOver(t, replies(200, string(body))).Call(t.Context(), "GET", "/v1/x", nil, object)
			if err != nil {
				require.ErrorIs(t, err, stripekit.ErrAPI)
				continue
			}
			_, err = json.Marshal(object)
			require.NoError(t, err)
		}
	})
}

func TestUnixTimeOfIsTheSecond(t *testing.T) {
	at := time.Date(2026, 11, 26, 7, 0, 0, 999_999_999, time.FixedZone("", 3600))
	require.Equal(t, stripekit.UnixTime(at.Unix()), stripekit.UnixTimeOf(at))
	require.True(t, stripekit.UnixTimeOf(at).Time().Equal(at.Truncate(time.Second)))
	require.Zero(t, stripekit.UnixTimeOf(time.Time{}))
	require.EqualValues(t, -1, stripekit.UnixTimeOf(time.Unix(0, -1)), "down, before 1970 too")
}
