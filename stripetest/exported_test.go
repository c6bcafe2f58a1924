package stripetest

// ParseForm decodes text and returns its strings by full name.
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
	if v.children == nil {
		leaves[prefix] = v.text
	}
	for _, name := range v.names {
		v.children[name].leaves(nested(prefix, name), leaves)
	}
}

// SeedCharges stores n charges in test mode of the server's own account,
// perSecond of them in each second from 1 on, and returns their ids, oldest
// first. All have the same card. The customers cus_0 and cus_1 have every other
// charge.
func (s *Server) SeedCharges(n, perSecond int) []string {
	a := s.accountFor("", false)
	a.mu.Lock()
	defer a.mu.Unlock()
	params, _ := parseForm("amount=1000&currency=usd")
	c := &call{account: a, params: params, time: s.now()}
	card := newCard(c, "tok_visa")
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

// SetRefundStatus sets a status that a card refund cannot get through the API.
func (s *Server) SetRefundStatus(id, status string) {
	a := s.accountFor("", false)
	a.mu.Lock()
	defer a.mu.Unlock()
	r, _ := a.refunds.get(id)
	changed := *r
	changed.Status = status
	a.replaceRefund(&changed, 0)
}

// FinalizeInvoice stores a finalized invoice with this id.
func (s *Server) FinalizeInvoice(id string) {
	a := s.accountFor("", false)
	a.mu.Lock()
	defer a.mu.Unlock()
	made := newInvoice(&call{account: a, params: newValue(), time: s.now()}, id, "cus_1")
	if _, ok := a.invoices.get(id); !ok {
		a.invoices.add(id, made.Created, made)
	}
	a.finalize(made, made.Created)
}

// SeedInvoiceItem creates an item with the given date and returns its id.
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

// SetPaymentIntent sets the payment intent of a charge.
func (s *Server) SetPaymentIntent(charge, intent string) {
	a := s.accountFor("", false)
	a.mu.Lock()
	defer a.mu.Unlock()
	old, _ := a.charges.get(charge)
	changed := *old
	changed.PaymentIntent = &intent
	a.charges.replace(charge, &changed)
}
