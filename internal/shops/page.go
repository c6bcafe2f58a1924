package shops

import (
	"slices"
	"strconv"
	"time"
)

// objectSize is about the largest size of the JSON of an object, in bytes. If one is
// larger, only an allocation is added.
const objectSize = 260

// entry is an object of a page.
type entry struct {
	k      int
	moment int64 // when it is created
}

// content returns the page of a query at a moment, in a buffer of resp.
func (f *flow) content(resp *response, q query, now int64) ([]byte, *refusal) {
	var page [maxLimit]entry
	entries, more, refused := f.page(page[:0], q, now)
	if refused != nil {
		return nil, refused
	}
	b := append(resp.buffer(&f.pages, 100+len(entries)*objectSize), `{"object":"list","data":[`...)
	for i, e := range entries {
		if i > 0 {
			b = append(b, ',')
		}
		b = f.appendObject(b, e)
	}
	b = append(b, `],"has_more":`...)
	b = strconv.AppendBool(b, more)
	b = append(b, `,"url":"`...)
	b = append(b, f.list.path()...)
	return append(b, `"}`...), nil
}

// page appends the objects on a page to entries, newest first, and reports whether
// more follow in the direction of paging.
func (f *flow) page(entries []entry, q query, now int64) (page []entry, more bool, refused *refusal) {
	low, high := f.top(beforeSecond(q.from))+1, f.top(min(beforeSecond(q.below), now))
	add := func(k int) (full bool) {
		moment := f.moment(int64(k))
		switch {
		case moment+f.delay(int64(k)) > now:
		case len(entries) == q.limit:
			more = true
		default:
			entries = append(entries, entry{k, moment})
		}
		return more
	}
	switch {
	case q.before != "":
		cursor, refused := f.cursor("ending_before", q.before, now)
		if refused != nil {
			return nil, false, refused
		}
		for k := max(low, cursor+1); k <= high && !add(k); k++ {
		}
		slices.Reverse(entries)
		return entries, more, nil
	case q.after != "":
		cursor, refused := f.cursor("starting_after", q.after, now)
		if refused != nil {
			return nil, false, refused
		}
		high = min(high, cursor-1)
	}
	for k := high; k >= low && !add(k); k-- {
	}
	return entries, more, nil
}

// cursor returns the number of the object that a cursor names.
func (f *flow) cursor(param, id string, now int64) (int, *refusal) {
	account, list, k, ok := ParseID(id)
	if !ok || account != f.account || list != f.list || k > f.top(now) || f.visible(k) > now {
		return 0, invalid("resource_missing", param, "No such "+f.list.object()+": '"+id+"'")
	}
	return k, nil
}

// appendObject appends the JSON of an object. A reader of lists wants the id and the
// created second, so they come first.
func (f *flow) appendObject(b []byte, e entry) []byte {
	amount, currency, status := f.values(e.k)
	b = append(b, `{"id":"`...)
	b = appendID(b, f.list, f.account, e.k)
	b = append(b, `","object":"`...)
	b = append(b, f.list.object()...)
	b = appendNumber(b, `","created":`, e.moment/int64(time.Second))
	if f.list == Customers {
		b = appendNumber(b, `,"balance":`, amount)
		b = appendNumber(b, `,"email":"buyer`, int64(e.k))
		b = appendNumber(b, `@shop`, int64(f.account))
		b = append(b, `.example"`...)
	} else {
		b = appendNumber(b, `,"amount":`, amount)
		if status == "failed" {
			b = append(b, `,"amount_captured":0,"captured":false,"paid":false`...)
		} else {
			b = appendNumber(b, `,"amount_captured":`, amount)
			b = append(b, `,"captured":true,"paid":true`...)
		}
		b = append(b, `,"amount_refunded":0,"refunded":false,"status":"`...)
		b = append(b, status...)
		b = append(b, '"')
	}
	b = append(b, `,"currency":"`...)
	b = append(b, currency...)
	return append(b, `","livemode":false,"metadata":{}}`...)
}

func appendNumber(b []byte, before string, n int64) []byte {
	return strconv.AppendInt(append(b, before...), n, 10)
}

func appendAccount(b []byte, account int) []byte {
	b = appendNumber(b, `{"id":"`+accountPrefix, int64(account))
	b = appendNumber(b, `","object":"account","business_profile":{"name":"Shop `, int64(account))
	return append(b, `"},"charges_enabled":true,"country":"US","default_currency":"usd","details_submitted":true,"payouts_enabled":true,"type":"standard"}`...)
}
