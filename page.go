package stripekit

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/stripekit/stripekit/internal/tail"
)

// scanner reads a page in one pass. Of each object it looks at the id and the
// time, which stand near the beginning, and skips the rest.
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

// What can be wrong with a page that is JSON.
var (
	errNoObject = errors.New("something else stands where an object should")
	errTrailing = errors.New("there is more behind the end of the page")
)

// scanPage reads where the objects of a page are, and what a Poller needs of each
// to find out whether it is new. timeField names the field of its time.
func scanPage(body []byte, timeField string) (*listed, error) {
	sc := scanners.Get().(*scanner)
	defer scanners.Put(sc)
	sc.page.reset(body)
	defer sc.page.reset(nil)
	defer sc.head.reset(nil)

	if err := sc.page.enter(); err != nil {
		return nil, err
	}
	p, hasData := new(listed), false
	for {
		name, err := sc.page.member()
		switch {
		case err != nil:
			return nil, err
		case string(name) == "data":
			hasData = true
			err = sc.scanObjects(body, timeField, p)
		case string(name) == "has_more":
			err = json.UnmarshalDecode(&sc.page.Decoder, &p.HasMore)
		case name != nil:
			err = sc.page.SkipValue()
		case !hasData:
			return nil, errNoList
		default:
			if _, err := sc.page.ReadToken(); err != io.EOF {
				return nil, errTrailing
			}
			return p, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func (sc *scanner) scanObjects(body []byte, timeField string, p *listed) error {
	switch token, err := sc.page.ReadToken(); {
	case err != nil:
		return err
	case token.Kind() != '[':
		return errNoList
	}
	p.Items, p.times, p.raw = nil, nil, nil
	for sc.page.PeekKind() != ']' {
		raw := bytes.TrimLeft(body[sc.page.InputOffset():], ", \t\r\n")
		start := len(body) - len(raw)
		sc.head.reset(raw)
		item, at, err := scanHead(&sc.head, timeField)
		if err == nil {
			err = sc.page.SkipValue()
		}
		if err != nil {
			return err
		}
		p.Items, p.times = append(p.Items, item), append(p.times, at)
		p.raw = append(p.raw, body[start:sc.page.InputOffset()])
	}
	_, err := sc.page.ReadToken()
	return err
}

// scanHead reads an object as far as its id, its created second and its time.
func scanHead(r *reader, timeField string) (item tail.Item, at int64, err error) {
	if err := r.enter(); err != nil {
		return item, 0, err
	}
	left := 3
	if timeField == "created" {
		left = 2
	}
	for left > 0 {
		name, err := r.member()
		if err != nil {
			return item, 0, err
		}
		isTime := string(name) == timeField
		switch {
		case string(name) == "id":
			left--
			err = json.UnmarshalDecode(&r.Decoder, &item.ID)
		case string(name) == "created":
			left--
			item.Created, err = r.second()
			if isTime {
				at = item.Created
			}
		case isTime:
			left--
			at, err = r.second()
		case name != nil:
			err = r.SkipValue()
		default:
			return item, at, nil
		}
		if err != nil {
			return item, 0, err
		}
	}
	return item, at, nil
}

// second reads a value that should be a number of seconds; 0 where it is none.
func (r *reader) second() (int64, error) {
	value, err := r.ReadValue()
	if err != nil {
		return 0, err
	}
	second, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil || second < 0 || second > maxSecond {
		return 0, nil
	}
	return second, nil
}

// maxSecond is the end of the year 9999.
const maxSecond = 253402300799
