package stripetest

// ParseForm decodes text and lists what it holds, a leaf a line, by full name.
func ParseForm(text string) (map[string]string, error) {
	root, err := parseForm(text)
	if err != nil {
		return nil, err
	}
	leaves := make(map[string]string)
	root.leaves("", leaves)
	return leaves, nil
}

func (v *value) leaves(prefix string, leaves map[string]string) {
	if v.below == nil {
		leaves[prefix] = v.text
	}
	for _, name := range v.names {
		v.below[name].leaves(nested(prefix, name), leaves)
	}
}

// SeedCharges puts n charges into the test mode of the server's own account,
// perSecond of them in each second from 1 on, and returns their ids, oldest
// first. All share one card.
func (s *Server) SeedCharges(n, perSecond int) []string {
	a := s.accountFor("", false)
	a.mu.Lock()
	defer a.mu.Unlock()
	token, _ := lookupToken("tok_visa")
	params, _ := parseForm("amount=1000&currency=usd")
	c := &call{account: a, params: params, time: s.now()}
	card := newCard(c, token, nil)
	ids := make([]string, n)
	for i := range ids {
		seeded := newCharge(c, card)
		seeded.Created = int64(1 + i/perSecond)
		ids[i] = seeded.ID
		a.charges.add(seeded.ID, seeded.Created, seeded)
	}
	return ids
}
