package main

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripesql"
)

// reader reads an archive, and calls found with each charge.
type reader func(ctx context.Context, url string, found func(id string, created int64) error) error

// client returns a client of this library that keeps to the rate.
func (s site) client(url string) (*stripekit.Client, error) {
	perSecond := float64(s.rate)
	return ourClient(url, nil, stripekit.WithRateLimit(stripekit.RateLimit{Total: perSecond, Endpoint: perSecond}))
}

func readBackfill(s site, cfg stripekit.BackfillConfig) reader {
	return func(ctx context.Context, url string, found func(string, int64) error) error {
		client, err := s.client(url)
		if err != nil {
			return err
		}
		for charge, err := range stripekit.Backfill(ctx, client.Charges, cfg) {
			if err != nil {
				return err
			}
			if err := found(charge.ID, int64(charge.Created)); err != nil {
				return err
			}
		}
		return nil
	}
}

// readPoller reads with a Poller until it has all charges of the site.
func readPoller(s site) reader {
	return func(ctx context.Context, url string, found func(string, int64) error) error {
		client, err := s.client(url)
		if err != nil {
			return err
		}
		// The first poll is at a random time within Every.
		p, err := stripekit.NewPoller(client.Charges, stripekit.PollConfig{From: stripekit.FromBeginning, Every: 100 * time.Millisecond})
		if err != nil {
			return err
		}
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		events, err := p.Start(ctx)
		if err != nil {
			return err
		}
		for range s.count {
			e, ok := <-events
			if !ok {
				return fmt.Errorf("the poller has ended: %w", p.Err())
			}
			if err := found(e.ID, int64(e.Object.Created)); err != nil {
				return err
			}
			e.Ack()
		}
		return nil
	}
}

func readSQL(s site, query string) reader {
	return func(ctx context.Context, url string, found func(string, int64) error) error {
		client, err := s.client(url)
		if err != nil {
			return err
		}
		connector, err := stripesql.Connector(client, stripesql.WithMaxCalls(1_000_000))
		if err != nil {
			return err
		}
		db := sql.OpenDB(connector)
		defer db.Close()
		rows, err := db.QueryContext(ctx, query)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id string
			var created int64
			if err := rows.Scan(&id, &created); err != nil {
				return err
			}
			if err := found(id, created); err != nil {
				return err
			}
		}
		return rows.Err()
	}
}

func readList(s site) reader {
	return func(ctx context.Context, url string, found func(string, int64) error) error {
		client, err := s.client(url)
		if err != nil {
			return err
		}
		for charge, err := range client.Charges.List(ctx, stripekit.ChargeListParams{}) {
			if err != nil {
				return err
			}
			if err := found(charge.ID, int64(charge.Created)); err != nil {
				return err
			}
		}
		return nil
	}
}

// readTheirs reads with stripe-go's iterator.
func readTheirs(ctx context.Context, url string, found func(string, int64) error) error {
	list := theirClient(url, likeOurs(nil)).V1Charges.List(ctx, theirPageParams())
	for charge, err := range list.All(ctx) {
		if err != nil {
			return err
		}
		if err := found(charge.ID, charge.Created); err != nil {
			return err
		}
	}
	return nil
}

// readPlain reads with net/http. It decodes only the cursors and the times.
func readPlain(ctx context.Context, url string, found func(string, int64) error) error {
	p := newPlain(url, likeOurs(nil))
	path := "/v1/charges?limit=100"
	for {
		var page struct {
			Data []struct {
				ID      string `json:"id"`
				Created int64  `json:"created"`
			} `json:"data"`
			HasMore bool `json:"has_more"`
		}
		if err := p.get(ctx, &page, path); err != nil {
			return err
		}
		for _, charge := range page.Data {
			if err := found(charge.ID, charge.Created); err != nil {
				return err
			}
			path = "/v1/charges?limit=100&starting_after=" + charge.ID
		}
		if !page.HasMore {
			return nil
		}
	}
}
