package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/stripekit/stripekit"
)

// backlog is an account with a number of charges, created at a steady rate up
// to now, and no new ones.
type backlog struct {
	mold  *mold
	count int
	rate  int // charges per second
	start int64
}

func newBacklog(count, rate int) (*backlog, error) {
	m, err := newMold(compact)
	return &backlog{mold: m, count: count, rate: rate, start: time.Now().Unix() - int64(count/rate) - 60}, err
}

func (b *backlog) created(number int) int64 { return b.start + int64(number/b.rate) }

// from returns the number of the first charge created in second or later.
func (b *backlog) from(second int64) int { return min(max(int(second-b.start)*b.rate, 0), b.count) }

func (b *backlog) response(r *http.Request) response {
	now := time.Now()
	if isAccount(r) {
		return response{body: account, date: now}
	}
	low, high, more := requested(r, b.count, b.from)
	return b.mold.list(low, high, more, b.created, now)
}

// drains measures reading 10,000 charges over HTTP on loopback, decoded in full: by
// a Poller from the beginning, each acknowledged; by stripe-go's List; and page by
// page by net/http.
func drains() (pair, error) {
	b, err := newBacklog(10_000, 1)
	if err != nil {
		return pair{}, err
	}
	server := httptest.NewServer(service(b.response))
	drain := func(read func(context.Context, *backlog, string) (int, error)) side {
		once := func() (seen int, err error) {
			if seen, err = read(context.Background(), b, server.URL); err == nil && seen != b.count {
				err = fmt.Errorf("%d of %d charges were read", seen, b.count)
			}
			return seen, err
		}
		return side{run: discarding(once), work: func() ([]string, error) {
			_, err := once()
			return nil, err
		}}
	}
	return pair{ours: drain(drainPoller), theirs: drain(drainList), floor: drain(drainPlain), close: server.Close}, nil
}

func drainPoller(ctx context.Context, b *backlog, url string) (int, error) {
	client, err := ourClient(url, nil)
	if err != nil {
		return 0, err
	}
	p, err := stripekit.NewPoller(client.Charges, stripekit.PollConfig{From: stripekit.FromBeginning, Every: time.Millisecond})
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	events, err := p.Start(ctx)
	if err != nil {
		return 0, err
	}
	seen := 0
	for e := range events {
		if e.ID != chargeID(seen) || e.Object.Status != "succeeded" {
			return seen, fmt.Errorf("event %d is %s", seen, e.ID)
		}
		e.Ack()
		if seen++; seen == b.count {
			return seen, nil
		}
	}
	return seen, fmt.Errorf("the poller has ended: %w", p.Err())
}

func drainList(ctx context.Context, b *backlog, url string) (seen int, err error) {
	list := theirClient(url, likeOurs(nil)).V1Charges.List(ctx, theirPageParams())
	for charge, err := range list.All(ctx) {
		if err != nil {
			return seen, err
		}
		if charge.ID != chargeID(b.count-1-seen) {
			return seen, fmt.Errorf("charge %d is %s", seen, charge.ID)
		}
		seen++
	}
	return seen, nil
}

func drainPlain(ctx context.Context, b *backlog, url string) (seen int, err error) {
	p := newPlain(url, likeOurs(nil))
	path := "/v1/charges?limit=100"
	for {
		page := new(stripekit.Page[stripekit.Charge])
		if err := p.get(ctx, page, path); err != nil {
			return seen, err
		}
		for _, charge := range page.Data {
			if charge.ID != chargeID(b.count-1-seen) {
				return seen, fmt.Errorf("charge %d is %s", seen, charge.ID)
			}
			seen++
		}
		if !page.HasMore {
			return seen, nil
		}
		path = "/v1/charges?limit=100&starting_after=" + page.Data[len(page.Data)-1].ID
	}
}
