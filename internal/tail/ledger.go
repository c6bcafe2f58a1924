package tail

// ledger knows which objects were seen, and which of them are acknowledged.
type ledger struct {
	seen  map[string]*sight
	queue []*sight // what was found, in order; from head on, the first is unacknowledged
	head  int
	first uint64 // the seq of queue[0]; 1 at the start
	swept uint64 // the pass of the last complete reading
	low   int64  // the floor that was last pruned for
}

// sight is one object seen.
type sight struct {
	level   int64  // the highest second that it can have been created in
	pass    uint64 // the last one that saw it
	floor   int64  // a reading from here up finds it again
	unacked bool
}

func newLedger() ledger { return ledger{seen: map[string]*sight{}, first: 1} }

// see takes note of an object on a page. A new one joins the queue and gets a
// seq; that of an old one is 0.
func (l *ledger) see(id string, level int64, pass uint64, floor int64) (s *sight, seq uint64) {
	if s = l.seen[id]; s != nil {
		s.level, s.pass = max(s.level, level), pass
		return s, 0
	}
	s = &sight{level: level, pass: pass, floor: floor, unacked: true}
	l.seen[id] = s
	l.queue = append(l.queue, s)
	return s, l.first + uint64(len(l.queue)) - 1
}

func (l *ledger) ack(seq uint64) bool {
	i := seq - l.first
	if seq < l.first || i < uint64(l.head) || i >= uint64(len(l.queue)) || !l.queue[i].unacked {
		return false
	}
	l.queue[i].unacked = false
	for l.head < len(l.queue) && !l.queue[l.head].unacked {
		l.queue[l.head] = nil
		l.head++
	}
	// Once half of it is done with, the rest moves down: no object is moved
	// more often, on average, than one is acknowledged.
	if l.head > len(l.queue)/2 {
		l.first += uint64(l.head)
		l.queue = append([]*sight(nil), l.queue[l.head:]...)
		l.head = 0
	}
	return true
}

// floor is the second from which everything unacknowledged is found again.
func (l *ledger) floor(found int64) int64 {
	if l.head < len(l.queue) {
		return min(found, l.queue[l.head].floor)
	}
	return found
}

// prune forgets what no reading from the floor up can list again. Its level is
// below the floor, and this reading has passed it or the last complete one did
// not list it: an object whose own second is older than its place in the list
// stays as long as it is listed.
func (l *ledger) prune(floor int64, reading uint64) {
	l.low = floor
	for id, s := range l.seen {
		if s.level < floor && !s.unacked && (s.pass < l.swept || s.pass == reading && l.swept != reading) {
			delete(l.seen, id)
		}
	}
}

// done returns the acknowledged objects and their levels.
func (l *ledger) done() map[string]int64 {
	done := make(map[string]int64, len(l.seen))
	for id, s := range l.seen {
		if !s.unacked {
			done[id] = s.level
		}
	}
	return done
}
