package transport

import (
	"errors"
	"io"
	"sync"
)

// ErrTooLarge is an answer beyond the bound, measured after decompression: a
// small compressed body that unpacks without end is cut off too.
var ErrTooLarge = errors.New("response body too large")

// buffer holds one response body. Buffers are reused: a page of 100 charges is
// half a megabyte, and a poller reads one every few seconds.
type buffer struct {
	b []byte
}

const (
	// keep is the largest capacity that goes back to the pool, so that one
	// huge answer does not stay in memory.
	keep = 4 << 20
	// least is the first capacity for an answer that does not say how long it
	// is.
	least = 4 << 10
)

var buffers = sync.Pool{New: func() any { return new(buffer) }}

func (b *buffer) release() {
	if cap(b.b) <= keep {
		buffers.Put(b)
	}
}

// readBody reads r to its end, at most limit bytes. size is the announced
// length, -1 where there is none; it only sizes the first allocation.
func readBody(r io.Reader, size, limit int64) (*buffer, error) {
	if size > limit {
		return nil, ErrTooLarge
	}
	buf := buffers.Get().(*buffer)
	b := buf.b[:0]
	// One byte more than announced lets the read that finds EOF find room.
	if want := min(max(size, least), keep) + 1; int64(cap(b)) < want {
		b = make([]byte, 0, want)
	}
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		buf.b = b
		switch {
		case int64(len(b)) > limit:
			buf.release()
			return nil, ErrTooLarge
		case err == io.EOF: // an error that wraps it is no end, but a break
			return buf, nil
		case err != nil:
			buf.release()
			return nil, err
		}
	}
}
