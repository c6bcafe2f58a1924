package stripetest_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/stripetest"
)

// crowd is a number of concurrent workers on one server, with a record of what
// they did.
type crowd struct {
	*api
	shared []string // charges that all workers refund

	mu        sync.Mutex
	charges   []string
	customers map[string]bool // false: deleted
}

func TestInvariantsHoldUnderConcurrency(t *testing.T) {
	const workers, each = 64, 8
	late := func(object string) time.Duration {
		if object == "customer" {
			return time.Nanosecond
		}
		return 0
	}
	a := memory(t, stripetest.WithVisibility(late))
	c := &crowd{api: a, customers: make(map[string]bool)}
	for range 3 {
		c.shared = append(c.shared, a.charge("source=tok_visa"))
	}
	c.charges = slices.Clone(c.shared)

	var wg sync.WaitGroup
	for worker := range workers {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(worker), 2))
			for range each {
				c.act(random)
			}
		})
	}
	wg.Wait()
	c.checkCharges(t)
	c.checkCustomers(t)
}

// act sends one random request and checks its response. It reports with Errorf
// only, since it does not run in the test's goroutine.
func (c *crowd) act(random *rand.Rand) {
	switch random.IntN(6) {
	case 0:
		c.chargeAndCapture(random)
	case 1, 2:
		charge := c.shared[random.IntN(len(c.shared))]
		form := fmt.Sprintf("charge=%s&amount=%d", charge, 1+random.IntN(60))
		c.expect("POST", "/v1/refunds", form, http.StatusOK, http.StatusBadRequest)
	case 3:
		id := c.made("/v1/customers", "email=a@b.c&source=tok_visa")
		c.note(func() { c.customers[id] = true })
	case 4:
		c.deleteACustomer()
	case 5:
		c.readAPage()
	}
}

func (c *crowd) chargeAndCapture(random *rand.Rand) {
	id := c.made("/v1/charges", "amount=1000&currency=usd&source=tok_visa&capture=false")
	c.note(func() { c.charges = append(c.charges, id) })
	var both sync.WaitGroup
	both.Go(func() {
		c.expect("POST", "/v1/charges/"+id+"/capture", fmt.Sprintf("amount=%d", 1+random.IntN(1000)), http.StatusOK, http.StatusBadRequest)
	})
	both.Go(func() { c.expect("POST", "/v1/refunds", "charge="+id, http.StatusOK, http.StatusBadRequest) })
	both.Wait()
}

func (c *crowd) deleteACustomer() {
	var id string
	c.note(func() {
		for candidate, alive := range c.customers {
			if alive {
				id, c.customers[candidate] = candidate, false
				return
			}
		}
	})
	if id != "" {
		c.expect("DELETE", "/v1/customers/"+id, "", http.StatusOK)
		c.expect("DELETE", "/v1/customers/"+id, "", http.StatusNotFound)
		c.expect("POST", "/v1/charges", "amount=1000&currency=usd&customer="+id, http.StatusBadRequest)
	}
}

// readAPage checks the order of a page that changes while it is read.
func (c *crowd) readAPage() {
	page := c.expect("GET", "/v1/charges?limit=20", "", http.StatusOK)
	data, _ := page.body["data"].([]any)
	newer := int64(1 << 60)
	for _, object := range data {
		ch := object.(map[string]any)
		if created := whole(ch, "created"); created > newer {
			c.t.Errorf("charge %v is created at %d, below one of %d", ch["id"], created, newer)
		} else {
			newer = created
		}
		if whole(ch, "amount_refunded") > whole(ch, "amount") {
			c.t.Errorf("charge %v is refunded by more than its amount", ch["id"])
		}
	}
}

func (c *crowd) note(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
}

func (c *crowd) made(path, form string) string {
	id, _ := c.expect("POST", path, form, http.StatusOK).body["id"].(string)
	return id
}

func (c *crowd) expect(method, path, form string, statuses ...int) reply {
	r := c.do(method, path, form)
	if !slices.Contains(statuses, r.status) {
		c.t.Errorf("%s %s %s has status %d: %s", method, path, form, r.status, r.raw)
	}
	return r
}

// checkCharges compares the refunds of every charge with its refunded amount.
func (c *crowd) checkCharges(t *testing.T) {
	refunded := make(map[string]int64)
	for _, refund := range c.everything("/v1/refunds") {
		refunded[refund["charge"].(string)] += whole(refund, "amount")
	}
	listed := c.everything("/v1/charges")
	require.Len(t, listed, len(c.charges))
	for _, ch := range listed {
		id := ch["id"].(string)
		require.Contains(t, c.charges, id)
		require.Equal(t, refunded[id], whole(ch, "amount_refunded"), id)
		require.LessOrEqual(t, refunded[id], whole(ch, "amount"), id)
		require.Equal(t, refunded[id] == whole(ch, "amount"), ch["refunded"], id)
		require.Equal(t, ch, c.get("/v1/charges/"+id))
	}
}

// checkCustomers compares the list with the customers that were created and not
// deleted.
func (c *crowd) checkCustomers(t *testing.T) {
	want := []string{}
	for id, alive := range c.customers {
		if alive {
			want = append(want, id)
		}
		require.Equal(t, !alive, c.get("/v1/customers/" + id)["deleted"] == true)
	}
	got := []string{}
	for _, customer := range c.everything("/v1/customers") {
		got = append(got, customer["id"].(string))
	}
	require.ElementsMatch(t, want, got)
}

// everything returns the objects of all pages of a list.
func (a *api) everything(path string) []map[string]any {
	a.t.Helper()
	var all []map[string]any
	query := url.Values{"limit": {"100"}}
	for more := true; more; {
		page := a.get(path + "?" + query.Encode())
		for _, object := range page["data"].([]any) {
			all = append(all, object.(map[string]any))
		}
		if more = page["has_more"].(bool); more {
			query.Set("starting_after", all[len(all)-1]["id"].(string))
		}
	}
	return all
}
