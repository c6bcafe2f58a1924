package stripetest

import "slices"

// sourceFields are the parameters that attach a card to a customer.
func sourceFields() fields {
	return fields{"expand": list(text), "metadata": metadata, "source": nonEmpty}
}

func sourceUpdateFields() fields {
	return cardHolderFields().with(fields{"expand": list(text), "metadata": metadata})
}

func sourceListFields() fields {
	return listFields(fields{"object": nonEmpty}).without("created")
}

// card returns the customer's card with this id, or nil.
func (cus *customer) card(id string) *card {
	for _, card := range cus.cards {
		if card.ID == id {
			return card
		}
	}
	return nil
}

// defaultCard returns the card that is charged if no other is named, or nil.
func (cus *customer) defaultCard() *card { return cus.card(deref(cus.DefaultSource)) }

// attach adds the card of a token to the customer. It refuses a card whose
// charges are declined, unless the decline comes after the attachment only. The
// first card becomes the default.
func (cus *customer) attach(c *call, source string) (*card, *apiError) {
	attached, failure := c.account.spend(c, source, "source")
	if failure != nil {
		return nil, failure
	}
	if test := attached.behaviour(); test.decline != nil && !test.attach {
		return nil, test.decline.refusal("")
	}
	own := *attached
	own.Customer = &cus.ID
	cus.cards = append(slices.Clone(cus.cards), &own)
	if cus.DefaultSource == nil {
		cus.DefaultSource = &own.ID
	}
	return &own, nil
}

// detach removes a card. If it was the default, the newest of the others takes
// its place.
func (cus *customer) detach(id string) {
	cus.cards = slices.DeleteFunc(slices.Clone(cus.cards), func(card *card) bool { return card.ID == id })
	if deref(cus.DefaultSource) != id {
		return
	}
	cus.DefaultSource = nil
	if last := len(cus.cards) - 1; last >= 0 {
		cus.DefaultSource = &cus.cards[last].ID
	}
}

// replaceDefault makes the card of a token the default, in place of the old one.
func (cus *customer) replaceDefault(c *call, source string) *apiError {
	old := cus.DefaultSource
	made, failure := cus.attach(c, source)
	if failure != nil {
		return failure
	}
	cus.DefaultSource = &made.ID
	if old != nil {
		cus.detach(*old)
	}
	return nil
}

// cardOwner returns the customer and the card that the path names.
func cardOwner(c *call) (*customer, *card, *apiError) {
	owner, failure := c.account.customers.find(c.id)
	if failure != nil {
		return nil, nil, failure
	}
	card := owner.card(c.innerID())
	if card == nil {
		return nil, nil, notFound("source", c.innerID())
	}
	return owner, card, nil
}

func createSource(c *call) (any, *apiError) {
	if failure := required(c.params, "source"); failure != nil {
		return nil, failure
	}
	owner, failure := c.account.customers.find(c.id)
	if failure != nil {
		return nil, failure
	}
	changed := *owner
	made, failure := changed.attach(c, c.params.string("source"))
	if failure != nil {
		return nil, failure
	}
	if made.Metadata, failure = mergeMetadata(c.params, made.Metadata); failure != nil {
		return nil, failure
	}
	c.account.customers.replace(owner.ID, &changed)
	return made, nil
}

func retrieveSource(c *call) (any, *apiError) {
	_, card, failure := cardOwner(c)
	if failure != nil {
		return nil, failure
	}
	return card, nil
}

func updateSource(c *call) (any, *apiError) {
	owner, old, failure := cardOwner(c)
	if failure != nil {
		return nil, failure
	}
	changed, card := *owner, *old
	if card.Metadata, failure = mergeMetadata(c.params, old.Metadata); failure != nil {
		return nil, failure
	}
	card.setHolder(c.params)
	if c.params.count("exp_month", "exp_year") > 0 {
		if failure := checkExpiry(c, card.ExpMonth, card.ExpYear); failure != nil {
			return nil, failure
		}
	}
	changed.cards = slices.Clone(owner.cards)
	changed.cards[slices.Index(owner.cards, old)] = &card
	c.account.customers.replace(owner.ID, &changed)
	return &card, nil
}

func deleteSource(c *call) (any, *apiError) {
	owner, card, failure := cardOwner(c)
	if failure != nil {
		return nil, failure
	}
	changed := *owner
	changed.detach(card.ID)
	c.account.customers.replace(owner.ID, &changed)
	return &deletedObject{ID: card.ID, Object: "card", Deleted: true}, nil
}

// listSources lists the cards of a customer, the newest first.
func listSources(c *call) (any, *apiError) {
	owner, failure := c.account.customers.find(c.id)
	if failure != nil {
		return nil, failure
	}
	cards := newCollection[card]("source", nil, nil)
	if object := c.params.string("object"); object == "" || object == "card" {
		for _, card := range owner.cards {
			cards.add(card.ID, 0, card)
		}
	}
	return listed(c, cards, cards.newQuery(c.params, c.time))
}

// sources returns the list of cards that is part of a customer.
func (cus *customer) sources() *listObject {
	return firstPage(cus.cards, "/v1/customers/"+cus.ID+"/sources")
}
