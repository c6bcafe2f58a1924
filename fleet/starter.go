package fleet

import (
	"sync"
	"time"
)

const (
	// maxStarts is how many flows are started at a time. Each loads and saves a checkpoint.
	maxStarts = 64
	// slowStart is after what time a start does not count any more: a vault or a store that
	// does not respond to some must not keep the others waiting.
	slowStart = time.Second
	// maxSlow is how many slow starts do not count.
	maxSlow = 2048
)

// starter starts flows, a few at a time, in the order of add. It uses no goroutine while
// there is nothing to start.
type starter struct {
	mu      sync.Mutex
	queue   []*flow
	running int // without the slow ones
	slow    int
}

// add appends a flow. It does not block.
func (s *starter) add(fl *flow) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, fl)
	s.kick()
}

// kick starts flows as long as there are slots. The caller holds mu.
func (s *starter) kick() {
	for s.running < maxStarts && len(s.queue) > 0 {
		fl := s.queue[0]
		s.queue[0], s.queue = nil, s.queue[1:]
		s.running++
		go s.start(fl)
	}
	if len(s.queue) == 0 {
		s.queue = nil
	}
}

func (s *starter) start(fl *flow) {
	slow, over := false, false
	timer := time.AfterFunc(slowStart, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.slow < maxSlow && !over {
			slow = true
			s.slow++
			s.running--
			s.kick()
		}
	})
	defer func() { // also after a runtime.Goexit
		timer.Stop()
		s.mu.Lock()
		defer s.mu.Unlock()
		over = true
		if slow {
			s.slow--
		} else {
			s.running--
			s.kick()
		}
	}()
	fl.start()
}
