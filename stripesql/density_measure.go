package stripesql

import (
	"time"
)

// maxProbes is how many pages of a table the estimates of a statement may take.
const maxProbes = 18

// estimate estimates how many objects a window of a table has in some accounts.
func (q *query) estimate(accounts []*account, t *table, w window) (sum guess, err error) {
	for _, a := range accounts {
		n, err := q.measure(a, t, w)
		if err != nil {
			return guess{}, err
		}
		sum = sum.plus(n)
	}
	return sum, nil
}

// measure estimates how many objects a window of a table has in one account. It probes the
// table unless enough is known.
func (q *query) measure(a *account, t *table, w window) (guess, error) {
	d, key := a.density, objectKey{account: a.name, table: t.name}
	for ; q.probes[key] < maxProbes; q.probes[key]++ {
		before, ok := d.now(t).probe(w)
		if !ok {
			break
		}
		switch _, err := q.sample(a, t, before); {
		case refusesCreated(err):
			q.probes[key] = maxProbes
		case err != nil:
			return guess{}, err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	known := d.table(t)
	known.measured = time.Now()
	return known.count(w), nil
}

type sampleKey struct {
	table string
	high  int64 // the second that the sample ends before
}

// sample is the page of a table right before a second.
type sample struct {
	taken   time.Time
	objects []*object
}

// maxSamples is how many samples are kept. A sample takes about 200 kB.
const maxSamples = 32

// sample returns the objects on the page of a table right before the second high. It makes
// a call unless the page was sampled recently.
func (q *query) sample(a *account, t *table, high int64) ([]*object, error) {
	d, key := a.density, sampleKey{t.name, high}
	d.mu.Lock()
	known := d.samples[key]
	d.mu.Unlock()
	if time.Since(known.taken) < densityAge {
		return known.objects, nil
	}
	s := &spec{accounts: []*account{a}, table: t, how: byList, filters: t.constant(), window: window{0, high}}
	p, err := q.page(s, s.request())
	if err != nil {
		return nil, err
	}
	q.report(len(p.objects), 0)
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.samples) >= maxSamples {
		clear(d.samples)
	}
	d.samples[key] = sample{taken: time.Now(), objects: p.objects}
	return p.objects, nil
}
