package main

import (
	"bytes"
	"context"
	"errors"
	"regexp"
	"strconv"
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
