package stripetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// storedTypes are the types of the objects that are packed.
var storedTypes = []reflect.Type{
	reflect.TypeFor[charge](), reflect.TypeFor[customer](), reflect.TypeFor[product](), reflect.TypeFor[price](), reflect.TypeFor[sku](),
	reflect.TypeFor[refund](), reflect.TypeFor[invoiceItem](), reflect.TypeFor[order](), reflect.TypeFor[orderReturn](), reflect.TypeFor[card](),
	reflect.TypeFor[paymentIntent](), reflect.TypeFor[paymentMethod](),
}

// eachFilled calls check with pointers to objects that have random values in all
// fields, and none in some.
func eachFilled(t *testing.T, check func(t *testing.T, object any)) {
	for _, stored := range storedTypes {
		t.Run(stored.Name(), func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 2))
			for range 200 {
				object := reflect.New(stored)
				fill(random, object.Elem(), "")
				check(t, object.Interface())
			}
		})
	}
}

func fill(random *rand.Rand, v reflect.Value, tag string) {
	missing := random.IntN(3) == 0
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(missing)
	case reflect.Int, reflect.Int64:
		v.SetInt(random.Int64N(2000) - 1000)
	case reflect.Float64:
		v.SetFloat(float64(random.IntN(100)) / 8)
	case reflect.String:
		v.SetString(pick(random, "", "usd", "ch_1", `"\`, "<a&b>", "é\u2028\n", strings.Repeat("x", 300)))
	case reflect.Interface:
		if !missing {
			v.Set(reflect.ValueOf(json.RawMessage(`[{"a":[],"b":{"c":null}}]`)))
		}
	case reflect.Pointer:
		if !missing && v.Type() != reflect.TypeFor[null]() {
			v.Set(reflect.New(v.Type().Elem()))
			fill(random, v.Elem(), tag)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			fill(random, settable(v.Field(i)), v.Type().Field(i).Tag.Get("json"))
		}
	case reflect.Slice:
		if omitted := strings.HasSuffix(tag, "omitempty"); !missing && !(omitted && random.IntN(2) == 0) {
			v.Set(reflect.MakeSlice(v.Type(), random.IntN(3), 3))
			for i := range v.Len() {
				fill(random, v.Index(i), "")
			}
			if omitted && v.Len() == 0 {
				v.SetZero() // an empty list that is left out comes back as nil
			}
		}
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{}))
		for range random.IntN(3) {
			v.SetMapIndex(reflect.ValueOf(pick(random, "a", "b c", `"`, "é")), reflect.ValueOf(pick(random, "", "1", "<\n")))
		}
	default:
		panic(v.Kind().String())
	}
}

// encodingJSON is the encoding that responses have.
func encodingJSON(t *testing.T, object any) string {
	t.Helper()
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	require.NoError(t, encoder.Encode(object))
	return out.String()
}

func TestRenderWritesWhatEncodingJSONWrites(t *testing.T) {
	eachFilled(t, func(t *testing.T, object any) {
		require.Equal(t, encodingJSON(t, object), string(render(object)))
		list := listObject{Object: "list", Data: []any{object, newTree(object), nil, 1, json.Number("2.5"), map[string]any{"b": []string{}, "a": true}}}
		require.Equal(t, encodingJSON(t, list), string(render(list)))
	})
}

func TestPackedObjectsAreThoseThatWerePacked(t *testing.T) {
	shapes, codec := newShapes(), newStateCodec()
	unpacked := map[reflect.Type]func(packed) any{
		reflect.TypeFor[charge]():        func(p packed) any { return unpack[charge](p) },
		reflect.TypeFor[customer]():      func(p packed) any { return unpack[customer](p) },
		reflect.TypeFor[product]():       func(p packed) any { return unpack[product](p) },
		reflect.TypeFor[price]():         func(p packed) any { return unpack[price](p) },
		reflect.TypeFor[sku]():           func(p packed) any { return unpack[sku](p) },
		reflect.TypeFor[refund]():        func(p packed) any { return unpack[refund](p) },
		reflect.TypeFor[invoiceItem]():   func(p packed) any { return unpack[invoiceItem](p) },
		reflect.TypeFor[order]():         func(p packed) any { return unpack[order](p) },
		reflect.TypeFor[orderReturn]():   func(p packed) any { return unpack[orderReturn](p) },
		reflect.TypeFor[paymentIntent](): func(p packed) any { return unpack[paymentIntent](p) },
		reflect.TypeFor[paymentMethod](): func(p packed) any { return unpack[paymentMethod](p) },
		reflect.TypeFor[card]():          func(p packed) any { return unpack[card](p) },
	}
	eachFilled(t, func(t *testing.T, object any) {
		p := shapes.pack(object)
		require.Equal(t, string(render(object)), string(render(p)))
		list := []any{object}
		require.Equal(t, string(render(list)), string(render([]any{p})))

		got := unpacked[reflect.TypeOf(object).Elem()](p)
		want, err := codec.encode(object) // with the fields that responses do not show
		require.NoError(t, err)
		state, err := codec.encode(got)
		require.NoError(t, err)
		require.Equal(t, string(want), string(state))
		require.Equal(t, p, shapes.pack(got), "equal objects are equal when they are packed")
	})
}

func TestPackedObjectsDifferByHiddenValues(t *testing.T) {
	shapes := newShapes()
	first, expired := charge{ID: "ch_1", Metadata: map[string]string{}}, charge{ID: "ch_1", Metadata: map[string]string{}, expired: true}
	require.NotEqual(t, shapes.pack(&first), shapes.pack(&expired))
	require.False(t, unpack[charge](shapes.pack(&first)).expired)
	require.True(t, unpack[charge](shapes.pack(&expired)).expired)
}

// TestSeededChargesTakeFewBytes bounds what charges take that have random ids, cards,
// amounts and metadata, and copies of one. See BenchmarkChargeMemory.
func TestSeededChargesTakeFewBytes(t *testing.T) {
	const charges, distinct, copied = 4000, 700, 400
	s := New(InMemory())
	defer s.Close()
	seed := func(i int) {
		s.Seed("/v1/charges", Seeding{Params: url.Values{
			"amount": {fmt.Sprint(1000 + i)}, "currency": {"usd"}, "source": {"tok_visa"}, "metadata[order]": {fmt.Sprint(i)},
		}})
	}
	seed(0)
	before := heap()
	for i := range charges {
		seed(i)
	}
	require.Less(t, int64(heap()-before), int64(charges*distinct))

	before = heap()
	s.Seed("/v1/charges", Seeding{Count: charges})
	require.Less(t, int64(heap()-before), int64(charges*copied))
	runtime.KeepAlive(s)
}

// TestEventsShareTheMemoryOfObjects bounds what a charge takes that a request makes,
// with its event.
func TestEventsShareTheMemoryOfObjects(t *testing.T) {
	const charges, most = 2000, 1200
	s := New(InMemory(), WithRequestLog(0))
	defer s.Close()
	post(t, s, "/v1/charges", "amount=1000&currency=usd&source=tok_visa")
	before := heap()
	for range charges {
		post(t, s, "/v1/charges", "amount=1000&currency=usd&source=tok_visa")
	}
	require.Less(t, int64(heap()-before), int64(charges*most))
	stored, event := s.accountFor("", false).charges.all.blocks[0][1], s.accountFor("", false).events.all.blocks[0][1].object
	require.Equal(t, stored.packed, event.Object)
	require.Same(t, unsafe.StringData(stored.packed.diff), unsafe.StringData(event.Object.(packed).diff))
	runtime.KeepAlive(s)
}

func TestTermsIgnoreCaseAsComparisonsDo(t *testing.T) {
	for _, same := range [][2]string{{"Jo", "jO"}, {"k", "\u212a"}, {"s", "ſ"}, {"É", "é"}, {"Σ", "ς"}} {
		require.True(t, strings.EqualFold(same[0], same[1]))
		require.Equal(t, newTerm("name", "", same[0]), newTerm("name", "", same[1]))
	}
	require.NotEqual(t, newTerm("name", "", "a"), newTerm("email", "", "a"))
	require.NotEqual(t, newTerm("metadata", "a", "b"), newTerm("metadata", "b", "a"))
	var set terms
	set.add(newTerm("name", "", "Jo"))
	require.True(t, set.has(newTerm("name", "", "JO")))
	require.False(t, set.has(newTerm("name", "", "Al")))
}
