package stripekittest

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// speedTime is how long each speed is measured.
	speedTime = 400 * time.Millisecond
	// speedFlows is how many checkpoints are saved at the same time.
	speedFlows = 64
	// speedSize is the size of a checkpoint, in bytes, with about 100 objects.
	speedSize = 1000
)

func logSpeed(t *storeTest) {
	s := t.open()
	data := bytes.Repeat([]byte("x"), speedSize)
	var revisions [speedFlows]uint64
	key := func(flow int) string { return fmt.Sprint("test///charges//", flow) }
	save := func(ctx context.Context, flow int) (err error) {
		revisions[flow], err = s.Save(ctx, key(flow), data, revisions[flow])
		return err
	}
	load := func(ctx context.Context, flow int) error {
		_, _, err := s.Load(ctx, key(flow))
		return err
	}
	for _, speed := range []struct {
		what  string
		flows int
		call  func(ctx context.Context, flow int) error
	}{
		{"saves", 1, save},
		{"saves", speedFlows, save},
		{"loads", 1, load},
		{"loads", speedFlows, load},
	} {
		t.Logf("%8.0f %s/s of %d bytes, %d at the same time", t.speed(speed.flows, speed.call), speed.what, speedSize, speed.flows)
	}
}

// speed returns how many calls succeed per second, made by a goroutine for each flow.
func (t *storeTest) speed(flows int, call func(ctx context.Context, flow int) error) float64 {
	ctx, cancel := t.timeout()
	defer cancel()
	var calls atomic.Int64
	var all sync.WaitGroup
	began := time.Now()
	for flow := range flows {
		all.Go(func() {
			for time.Since(began) < speedTime {
				if err := call(ctx, flow); err != nil {
					t.failf("%d calls at the same time, each with another key: %v", flows, err)
					return
				}
				calls.Add(1)
			}
		})
	}
	all.Wait()
	return float64(calls.Load()) / time.Since(began).Seconds()
}
