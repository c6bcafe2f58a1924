package stripetest_test

import (
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/stripetest"
)

// delays is a WithVisibility function. It returns next for charges, and counts
// its calls.
type delays struct {
	mu    sync.Mutex
	next  time.Duration
	calls map[string]int
}

func (d *delays) of(object string) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls[object]++
	if object != "charge" {
		return -time.Second
	}
	return d.next
}

func TestObjectsAreListedOnceTheyAreVisible(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &delays{calls: map[string]int{}}
		a := memory(t, stripetest.WithVisibility(d.of))
		var made []string
		for _, minutes := range []int{0, 10, 5, 0} {
			d.next = time.Duration(minutes) * time.Minute
			made = append(made, a.charge("source=tok_visa&transfer_group=g"))
		}
		require.Equal(t, made[1], a.get("/v1/charges/" + made[1])["id"], "an object can be retrieved at once")
		for _, step := range []struct {
			wait time.Duration
			want []string
		}{
			{0, []string{made[3], made[0]}},
			{5*time.Minute - time.Second, []string{made[3], made[0]}},
			{time.Second, []string{made[3], made[2], made[0]}},
			{5 * time.Minute, []string{made[3], made[2], made[1], made[0]}},
		} {
			<-time.After(step.wait)
			for _, query := range []url.Values{{}, {"transfer_group": {"g"}}, {"created[gt]": {"0"}}} {
				got, more := a.page("/v1/charges", query)
				require.Equal(t, step.want, got)
				require.False(t, more)
			}
			below, more := a.page("/v1/charges", url.Values{"starting_after": {made[3]}, "limit": {"1"}})
			require.Equal(t, step.want[1:2], below)
			require.Equal(t, len(step.want) > 2, more, "has_more does not count what is not visible")
			above, _ := a.page("/v1/charges", url.Values{"ending_before": {made[0]}, "limit": {"1"}})
			require.Equal(t, step.want[len(step.want)-2:len(step.want)-1], above)
		}
		require.Equal(t, map[string]int{"charge": 4, "event": 4}, d.calls)
	})
}

func TestInvisibleObjectIsNoCursor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &delays{next: time.Minute, calls: map[string]int{}}
		a := memory(t, stripetest.WithVisibility(d.of))
		id := a.charge("source=tok_visa")
		for _, cursor := range []string{"starting_after", "ending_before"} {
			refusal{"GET", "/v1/charges?" + cursor + "=OBJ", "", 400, "resource_missing", cursor, "No such charge: 'OBJ'"}.refuse(t, a, id)
		}
		<-time.After(time.Minute)
		a.get("/v1/charges?starting_after=" + id)
	})
}

func TestInvisibleObjectCanBeChanged(t *testing.T) {
	d := &delays{next: time.Hour, calls: map[string]int{}}
	c := at(1000)
	a := memory(t, stripetest.WithVisibility(d.of), stripetest.WithClock(c.read)).with("Stripe-Version", ordersVersion)
	id := a.charge("source=tok_visa&capture=false")
	a.post("/v1/charges/"+id, "description=D")
	a.post("/v1/charges/"+id+"/capture", "amount=500")
	listed, _ := a.page("/v1/charges", nil)
	require.Empty(t, listed)
	listed, _ = a.page("/v1/refunds", nil)
	require.Len(t, listed, 1, "zero or less is at once")

	customer := a.create("/v1/customers", "source=tok_visa")
	a.create("/v1/products", "name=P")
	a.create("/v1/invoiceitems", "amount=5&currency=usd&customer="+customer)
	a.post("/v1/orders/"+a.paidOrder()+"/returns", "")
	require.Equal(t, map[string]int{
		"charge": 2, "customer": 1, "product": 1, "invoiceitem": 1, "order": 1, "order_return": 1, "refund": 2, "event": 18,
	}, d.calls)
	c.now = c.now.Add(time.Hour)
	listed, _ = a.page("/v1/charges", nil)
	require.Len(t, listed, 2)
}
