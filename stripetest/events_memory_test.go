package stripetest

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"
	"weak"

	"github.com/stretchr/testify/require"
)

// TestMemoryOfOldEventsIsReleased changes a charge, so that only an event refers to
// its former state.
func TestMemoryOfOldEventsIsReleased(t *testing.T) {
	now := time.Unix(1000, 0)
	s := New(InMemory(), WithClock(func() time.Time { return now }))
	defer s.Close()
	for range 2 { // the values of the first object stay in its shape
		post(t, s, "/v1/charges", "amount=1000&currency=usd&source=tok_visa")
	}
	a := s.accountFor("", false)
	second := a.events.all.blocks[0][1].object
	id := second.Object.(packed).string("id")
	created, former := weak.Make(second), weak.Make(unsafe.StringData(second.Object.(packed).diff))
	second = nil
	post(t, s, "/v1/charges/"+id, "description=D")
	runtime.GC()
	require.NotNil(t, former.Value(), "the event shows it")

	now = now.Add(eventLife + time.Second)
	s.accountFor("", false)
	require.Empty(t, a.events.byID)
	require.Zero(t, a.events.all.size)
	require.Empty(t, a.events.groups)
	require.Empty(t, a.events.deleted)
	runtime.GC()
	require.Nil(t, created.Value())
	require.Nil(t, former.Value())
}

func post(t testing.TB, s *Server, path, form string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+path, strings.NewReader(form))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth("sk_test_1", "")
	resp, err := s.Client().Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
}

// BenchmarkEventMemory reports the bytes that an event takes besides its object, of
// new charges and of changed ones.
func BenchmarkEventMemory(b *testing.B) {
	for name, makeChange := range map[string]func(*recorder, *charge){
		"created": func(r *recorder, ch *charge) { r.add(nil, ch, "charge.succeeded") },
		"updated": func(r *recorder, ch *charge) {
			before := *ch
			before.Description = new("D")
			r.add(&before, ch, "charge.updated")
		},
	} {
		b.Run(name, func(b *testing.B) {
			s := New(InMemory())
			defer s.Close()
			s.SeedCharges(1, 1)
			a := s.accountFor("", false)
			ch := a.charges.all.blocks[0][0].read()
			before := heap()
			b.ResetTimer()
			for i := range b.N {
				r := a.newRecorder(fmt.Sprintf("req_%014d", i), "")
				makeChange(r, ch)
				r.commit(s.now())
			}
			b.StopTimer()
			b.ReportMetric(float64(heap()-before)/float64(b.N), "B/event")
			runtime.KeepAlive(a)
		})
	}
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
