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
// first. All share one card; customers cus_0 and cus_1 have every other one.
func (s *Server) SeedCharges(n, perSecond int) []string {
	a := s.accountFor("", false)
	a.mu.Lock()
	defer a.mu.Unlock()
	token, _ := lookupToken("tok_visa")
	params, _ := parseForm("amount=1000&currency=usd")
	c := &call{account: a, params: params, time: s.now()}
	card := newCard(c, token, nil)
	customers := []*string{new("cus_0"), new("cus_1")}
	ids := make([]string, n)
	for i := range ids {
		seeded := newCharge(c, card)
		seeded.Created = int64(1 + i/perSecond)
		seeded.Customer = customers[i%2]
		ids[i] = seeded.ID
		a.charges.add(seeded.ID, seeded.Created, seeded)
	}
	return ids
}

// SetRefundStatus gives a refund a status that no refund of a card comes to.
func (s *Server) SetRefundStatus(id, status string) {
	a := s.accountFor("", false)
	a.mu.Lock()
	defer a.mu.Unlock()
	r, _ := a.refunds.get(id)
	changed := *r
	changed.Status = status
	a.replaceRefund(&changed, 0)
}

// FinalizeInvoice makes an invoice final.
func (s *Server) FinalizeInvoice(id string) {
	a := s.accountFor("", false)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.finalized[id] = true
}

// SeedInvoiceItem makes an item with a date of its own, and returns its id.
func (s *Server) SeedInvoiceItem(date int64, form string) string {
	a := s.accountFor("", false)
	a.mu.Lock()
	defer a.mu.Unlock()
	params, _ := parseForm(form)
	item := newInvoiceItem(&call{account: a, params: params, time: s.now()})
	item.Date = date
	a.invoiceItems.add(item.ID, item.Date, item)
	return item.ID
}

// SetPaymentIntent makes a charge belong to a payment intent.
func (s *Server) SetPaymentIntent(charge, intent string) {
	a := s.accountFor("", false)
	a.mu.Lock()
	defer a.mu.Unlock()
	old, _ := a.charges.get(charge)
	changed := *old
	changed.PaymentIntent = &intent
	a.charges.replace(charge, &changed)
}
