package stripekit

import (
	"bytes"
	"errors"
	"io"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/stripekit/stripekit/internal/tail"
)

// scanner reads a page in one pass. Of each object it looks first at the id and
// the time, which stand near the beginning, and then decodes it or skips it.
type scanner struct {
	page reader
	head reader // of one object, as far as its id and time
}

// reader is a decoder of bytes that can be used again.
type reader struct {
	jsontext.Decoder
	bytes bytes.Buffer // which a Decoder reads in place
}

func (r *reader) reset(b []byte) {
	r.bytes = *bytes.NewBuffer(b)
	r.Reset(&r.bytes, lenient)
}

// enter reads the beginning of an object.
func (r *reader) enter() error {
	token, err := r.ReadToken()
	if err == nil && token.Kind() != '{' {
		err = errNoObject
	}
	return err
}

// member reads the name of the next member of an object. It is valid until the
// next read, and nil at the object's end.
func (r *reader) member() ([]byte, error) {
	if r.PeekKind() == '}' {
		_, err := r.ReadToken()
		return nil, err
	}
	name, err := r.ReadValue()
	switch {
	case err != nil:
		return nil, err
	case bytes.IndexByte(name, '\\') >= 0:
		return jsontext.AppendUnquote([]byte{}, name)
	}
	return name[1 : len(name)-1], nil
}

var scanners = sync.Pool{New: func() any { return new(scanner) }}

// What can be wrong with an answer that is JSON.
var (
	errNoObject = errors.New("something else stands where an object should")
	errTrailing = errors.New("there is more behind the answer's end")
)

// scan reads the page in body into p, and decodes in full what is fresh.
func (s source[T]) scan(body []byte, fresh func(id string) bool, p *pageOf[T]) error {
	sc := scanners.Get().(*scanner)
	defer scanners.Put(sc)
	sc.page.reset(body)
	defer sc.page.reset(nil)
	defer sc.head.reset(nil)

	if err := sc.page.enter(); err != nil {
		return err
	}
	listed := false
	for {
		name, err := sc.page.member()
		switch {
		case err != nil:
			return err
		case string(name) == "data":
			listed = true
			err = s.scanObjects(sc, body, fresh, p)
		case string(name) == "has_more":
			err = json.UnmarshalDecode(&sc.page.Decoder, &p.answer.HasMore)
		case name != nil:
			err = sc.page.SkipValue()
		case !listed:
			return errNoList
		default:
			if _, err := sc.page.ReadToken(); err != io.EOF {
				return errTrailing
			}
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (s source[T]) scanObjects(sc *scanner, body []byte, fresh func(id string) bool, p *pageOf[T]) error {
	switch token, err := sc.page.ReadToken(); {
	case err != nil:
		return err
	case token.Kind() != '[':
		return errNoList
	}
	p.answer.Items, p.objects = nil, nil
	for sc.page.PeekKind() != ']' {
		sc.head.reset(bytes.TrimLeft(body[sc.page.InputOffset():], ", \t\r\n"))
		item, err := s.scanHead(&sc.head)
		if err != nil {
			return err
		}
		var object *T
		if fresh(item.ID) {
			object = new(T)
			err = json.UnmarshalDecode(&sc.page.Decoder, object)
		} else {
			err = sc.page.SkipValue()
		}
		if err != nil {
			return err
		}
		p.answer.Items, p.objects = append(p.answer.Items, item), append(p.objects, object)
	}
	_, err := sc.page.ReadToken()
	return err
}

// scanHead reads what a Poller needs of an object to tell whether it is new,
// and no further.
func (s source[T]) scanHead(r *reader) (item tail.Item, err error) {
	if err := r.enter(); err != nil {
		return item, err
	}
	for left := 2; left > 0; {
		name, err := r.member()
		switch {
		case err != nil:
			return item, err
		case string(name) == "id":
			left--
			err = json.UnmarshalDecode(&r.Decoder, &item.ID)
		case string(name) == s.timeField:
			left--
			err = json.UnmarshalDecode(&r.Decoder, &item.Created)
		case name != nil:
			err = r.SkipValue()
		default:
			return item, nil
		}
		if err != nil {
			return item, err
		}
	}
	return item, nil
}
