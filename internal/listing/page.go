package listing

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"sync"

	"github.com/stripekit/stripekit/internal/json"
)

// Page is a page of a list, newest first, or of a search. Heads, Times and Raw
// have one element for each object.
type Page struct {
	Heads   []Head
	Times   []int64  // the timeField of Scan, in Unix seconds; 0 if missing
	Raw     [][]byte // the JSON of each object, as slices of the scanned body
	HasMore bool
	// NextPage is the cursor for the next page of a search.
	NextPage string
}

// Lenient holds the options for decoding the service's responses. As in
// encoding/json, invalid UTF-8 is replaced, and the last of repeated names
// wins: a response is not refused for what is inside a text.
var Lenient = json.JoinOptions(json.AllowInvalidUTF8(true), json.AllowDuplicateNames(true))

// ErrNoData is returned for a body that is JSON but not a page.
var ErrNoData = errors.New("the response has no data")

// scanner reads a page in one pass. It reads the id and the time of each
// object, which are usually near its beginning, and skips the rest.
type scanner struct {
	page reader
	head reader // of one object, up to its id and time
}

// reader is a reusable decoder of a byte slice.
type reader struct {
	json.Decoder
	bytes bytes.Buffer // a Decoder reads a bytes.Buffer without copying it
	last  string       // of id: a variable would be allocated for each object
}

func (r *reader) reset(b []byte) {
	r.bytes = *bytes.NewBuffer(b)
	r.Reset(&r.bytes, Lenient)
}

// enter reads the opening brace of an object.
func (r *reader) enter() error {
	token, err := r.ReadToken()
	if err == nil && token.Kind() != '{' {
		err = errNoObject
	}
	return err
}

// member reads the name of the next member of an object. The name is valid
// until the next read. It is nil at the end of the object.
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
		return json.AppendUnquote([]byte{}, name)
	}
	return name[1 : len(name)-1], nil
}

var scanners = sync.Pool{New: func() any { return new(scanner) }}

// The errors for a page that is valid JSON.
var (
	errNoObject = errors.New("something else stands where an object should")
	errTrailing = errors.New("there is more behind the end of the page")
)

// Scan finds the objects of a page, and reads the head and the time of each.
// timeField is the name of the field that holds the time. A null among the
// objects becomes an object without an id.
func Scan(body []byte, timeField string) (*Page, error) {
	sc := scanners.Get().(*scanner)
	defer scanners.Put(sc)
	sc.page.reset(body)
	defer sc.page.reset(nil)
	defer sc.head.reset(nil)

	if err := sc.page.enter(); err != nil {
		return nil, err
	}
	p, hasData := new(Page), false
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
		case string(name) == "next_page":
			p.NextPage, err = sc.page.text()
		case name != nil:
			err = sc.page.SkipValue()
		case !hasData:
			return nil, ErrNoData
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

func (sc *scanner) scanObjects(body []byte, timeField string, p *Page) error {
	switch token, err := sc.page.ReadToken(); {
	case err != nil:
		return err
	case token.Kind() != '[':
		return ErrNoData
	}
	p.Heads, p.Times, p.Raw = nil, nil, nil
	for sc.page.PeekKind() != ']' {
		raw := bytes.TrimLeft(body[sc.page.InputOffset():], ", \t\r\n")
		start := len(body) - len(raw)
		sc.head.reset(raw)
		head, at, err := scanHead(&sc.head, timeField)
		if err == nil {
			err = sc.page.SkipValue()
		}
		if err != nil {
			return err
		}
		object := body[start:sc.page.InputOffset()]
		if len(p.Raw) == 0 {
			n := min(len(raw)/len(object), PageSize) // if the others are as long
			p.Heads, p.Times, p.Raw = make([]Head, 0, n), make([]int64, 0, n), make([][]byte, 0, n)
		}
		p.Heads, p.Times, p.Raw = append(p.Heads, head), append(p.Times, at), append(p.Raw, object)
	}
	_, err := sc.page.ReadToken()
	return err
}

// scanHead reads an object until it has the id, the created second and the
// time.
func scanHead(r *reader, timeField string) (head Head, at int64, err error) {
	if r.PeekKind() == 'n' {
		return head, 0, nil
	}
	if err := r.enter(); err != nil {
		return head, 0, err
	}
	left := 3
	if timeField == "created" {
		left = 2
	}
	for left > 0 {
		name, err := r.member()
		if err != nil {
			return head, 0, err
		}
		isTime := string(name) == timeField
		switch {
		case string(name) == "id":
			left--
			head.ID, err = r.id()
		case string(name) == "created":
			left--
			head.Created, err = r.second()
			if isTime {
				at = head.Created
			}
		case isTime:
			left--
			at, err = r.second()
		case name != nil:
			err = r.SkipValue()
		default:
			return head, at, nil
		}
		if err != nil {
			return head, 0, err
		}
	}
	return head, at, nil
}

// id reads a string, or null as "". Any other value is an error.
func (r *reader) id() (string, error) {
	r.last = ""
	err := json.UnmarshalDecode(&r.Decoder, &r.last)
	return r.last, err
}

// second reads a number of Unix seconds. It returns 0 for any other value.
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

// text reads a string. It returns "" for any other value.
func (r *reader) text() (text string, err error) {
	if r.PeekKind() != '"' {
		return "", r.SkipValue()
	}
	err = json.UnmarshalDecode(&r.Decoder, &text)
	return text, err
}

// maxSecond is the last second of the year 9999.
const maxSecond = 253402300799
