package stripekit_test

import (
	"errors"
	"sync/atomic"
)

// weighed is an object that counts how many objects were decoded.
type weighed struct{}

var weighedDecoded atomic.Int64

type weighing struct{ before int64 }

func newWeighed() weighing { return weighing{weighedDecoded.Load()} }

func (w weighing) decoded() int64 { return weighedDecoded.Load() - w.before }

func (*weighed) UnmarshalJSON([]byte) error {
	weighedDecoded.Add(1)
	return nil
}

// fussy is an object that depending on its last digit cannot be decoded, or panics
// when it is decoded.
type fussy struct{ ID string }

var errFussy = errors.New("not this one")

func (f *fussy) UnmarshalJSON(b []byte) error {
	id := string(b[7:16])
	switch id[8] {
	case '3':
		return errFussy
	case '7':
		panic(errFussy)
	}
	f.ID = id
	return nil
}
