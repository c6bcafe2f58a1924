package fleet

// Watchers returns how many calls of Watch are under way.
func (e *MemoryEngine) Watchers() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.watchers)
}
