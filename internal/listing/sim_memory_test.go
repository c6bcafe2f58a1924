package listing

import (
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestWindowsAreBounded reads long lists and checks the size of all that the
// Windows keep, in any field.
func TestWindowsAreBounded(t *testing.T) {
	for i, shape := range shapes {
		r := rand.New(rand.NewPCG(uint64(i), 11))
		s := newServer(r, shape.make(r, 40_000))
		for _, o := range orders {
			s.forget()
			c := newClock(t, s, Config{Order: o.order, Lanes: 8, Buffer: 4000})
			most, asked := 0, 0
			c.latency = func() float64 {
				if asked++; asked%20 == 0 {
					most = max(most, kept(reflect.ValueOf(c.windows), map[visited]bool{}))
				}
				return 0.05 + 0.05*r.ExpFloat64()
			}
			c.run(s, 10_000)
			if testing.Verbose() {
				t.Logf("%s, %s: %d values kept", shape.name, o.name, most)
			}
			require.Less(t, most, mostKept[shape.kind], "%s, %s", shape.name, o.name)
		}
	}
}

// mostKept is for a Buffer of 4,000 objects. For a second that is read by
// cursors, every id may be kept.
var mostKept = map[kind]int{steady: 12_000, uneven: 24_000, oneSecond: 150_000}

type visited struct {
	at uintptr
	of reflect.Type
}

// kept returns the number of elements of all slices, maps and structs that can
// be reached from v, except those that the driver has put into a Run.
func kept(v reflect.Value, seen map[visited]bool) int {
	n := 0
	switch v.Kind() {
	case reflect.Pointer:
		key := visited{v.Pointer(), v.Type()}
		if v.IsNil() || seen[key] {
			return 0
		}
		seen[key] = true
		return 1 + kept(v.Elem(), seen)
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			n += 1 + kept(v.Index(i), seen)
		}
		if v.Kind() == reflect.Slice {
			n += v.Cap() - v.Len()
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			n += 1 + kept(it.Key(), seen) + kept(it.Value(), seen)
		}
	case reflect.Struct:
		for _, field := range v.Fields() {
			n += kept(field, seen)
		}
	}
	return n
}
