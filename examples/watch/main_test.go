package main

import (
	"bytes"
	"context"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripetest"
)

func TestWatchDeliversAllThatTheShopSells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var out bytes.Buffer
		server := stripetest.New(stripetest.InMemory())
		require.NoError(t, watchShop(ctx, &out, time.Second, server))

		totals := regexp.MustCompile(`created (\d+), delivered (\d+), missed 0, requests \d+`).FindStringSubmatch(out.String())
		require.NotNil(t, totals, out.String())
		require.Equal(t, totals[1], totals[2])
		created, err := strconv.Atoi(totals[1])
		require.NoError(t, err)
		require.Greater(t, created, 100)
		for _, want := range []string{"customer  ", "succeeded", "failed", " usd ", " jpy "} {
			require.Contains(t, out.String(), want)
		}
	})
}

func TestWatchRepeatsNothingAndMissesNothingOverARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := stripetest.New(stripetest.InMemory())
		defer server.Close()
		shop, err := openShop(server)
		require.NoError(t, err)
		dir, shown := t.TempDir(), ""
		for range 4 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			var out bytes.Buffer
			done := make(chan error)
			go func() {
				done <- watchAccount(ctx, &out, "sk_test_shop", time.Second, dir,
					stripekit.WithBaseURL(server.URL), stripekit.WithHTTPClient(server.Client()))
			}()
			synctest.Wait()
			selling, rest := context.WithTimeout(t.Context(), 50*time.Second)
			require.NoError(t, shop.sell(selling))
			require.NoError(t, <-done)
			shown += out.String()
			cancel()
			rest()
			for range 3 { // while no watcher runs
				require.NoError(t, shop.serve(t.Context()))
			}
		}
		require.Greater(t, len(shop.created), 200)
		for _, id := range shop.created[:len(shop.created)-6] {
			require.Equal(t, 1, strings.Count(shown, id), id)
		}
	})
}

func TestWatchSaysSoWhenSomethingIsMissed(t *testing.T) {
	w := newWatcher(new(bytes.Buffer))
	w.delivery("cus_1", "customer", 0)
	require.Equal(t, 1, w.missing([]string{"cus_1", "cus_2"}))
}

func TestWatchEndsWithThePollersError(t *testing.T) {
	server := stripetest.New(stripetest.WithKeys("sk_test_other"))
	defer server.Close()
	shop, err := openShop(server)
	require.NoError(t, err)
	w := newWatcher(new(bytes.Buffer))
	w.start(t.Context(), shop.client, stripekit.PollConfig{Every: time.Millisecond})
	err = w.wait()
	require.True(t, errors.Is(err, stripekit.ErrAuthentication), err)
}

func TestAmountKnowsCurrenciesWithoutDecimals(t *testing.T) {
	require.Equal(t, "12.05", amount(1205, "usd"))
	require.Equal(t, "1205", amount(1205, "jpy"))
}
