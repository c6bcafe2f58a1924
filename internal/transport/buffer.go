package transport

import (
	"errors"
	"io"
	"sync"
)

// ErrTooLarge is returned for a response body above the limit. The size is
// measured after decompression, so it also stops a compression bomb.
var ErrTooLarge = errors.New("response body too large")

// buffer holds one response body. Buffers are reused, because a page of 100
// charges has half a megabyte, and a poller reads one every few seconds.
type buffer struct {
	b []byte
}

const (
	// keep is the largest capacity in bytes that goes back to the pool, so that
	// one huge response does not stay in memory.
	keep = 4 << 20
	// least is the initial capacity in bytes for a response without a length.
	least = 4 << 10
)

var buffers = sync.Pool{New: func() any { return new(buffer) }}

func (b *buffer) release() {
	if cap(b.b) <= keep {
		buffers.Put(b)
	}
}

// readBody reads r to its end. If it has more than limit bytes, readBody
// returns ErrTooLarge. size is the announced length, -1 if unknown. It is only
// a hint for the first allocation.
func readBody(r io.Reader, size, limit int64) (*buffer, error) {
	if size > limit {
		return nil, ErrTooLarge
	}
	buf := buffers.Get().(*buffer)
	b := buf.b[:0]
	// One byte more than announced leaves room for the read that returns EOF.
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
		case err == io.EOF: // not errors.Is: an error that wraps io.EOF is a broken connection
			return buf, nil
		case err != nil:
			buf.release()
			return nil, err
		}
	}
}
