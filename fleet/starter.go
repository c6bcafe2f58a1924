package fleet

import "sync"

// maxStarts is how many flows are started at a time. Each loads and saves a checkpoint.
const maxStarts = 64

// starter starts flows, a few at a time, in the order of add. It uses no goroutine while
// there is nothing to start.
type starter struct {
	mu      sync.Mutex
	queue   []*flow
	running int
}

// add appends a flow. It does not block.
func (s *starter) add(fl *flow) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, fl)
	if s.running < maxStarts {
		s.running++
		go s.work()
	}
}

func (s *starter) work() {
	for {
		s.mu.Lock()
		if len(s.queue) == 0 {
			s.running--
			s.queue = nil
			s.mu.Unlock()
			return
		}
		fl := s.queue[0]
		s.queue[0], s.queue = nil, s.queue[1:]
		s.mu.Unlock()
		fl.start()
	}
}
