package stripetest

import "cmp"

// card is a test card, charged or attached to a customer.
type card struct {
	ID                 string            `json:"id"`
	Object             string            `json:"object"`
	AddressCity        *string           `json:"address_city"`
	AddressCountry     *string           `json:"address_country"`
	AddressLine1       *string           `json:"address_line1"`
	AddressLine1Check  *string           `json:"address_line1_check"`
	AddressLine2       *string           `json:"address_line2"`
	AddressState       *string           `json:"address_state"`
	AddressZip         *string           `json:"address_zip"`
	AddressZipCheck    *string           `json:"address_zip_check"`
	Brand              string            `json:"brand"`
	Country            string            `json:"country"`
	Customer           *string           `json:"customer"`
	CVCCheck           string            `json:"cvc_check"`
	DynamicLast4       null              `json:"dynamic_last4"`
	ExpMonth           int               `json:"exp_month"`
	ExpYear            int               `json:"exp_year"`
	Fingerprint        string            `json:"fingerprint"`
	Funding            string            `json:"funding"`
	Last4              string            `json:"last4"`
	Metadata           map[string]string `json:"metadata"`
	Name               *string           `json:"name"`
	RegulatedStatus    string            `json:"regulated_status"`
	TokenizationMethod null              `json:"tokenization_method"`

	token string // of its test card
}

// newCard makes the card of a test token, which belongs to no customer. It
// expires in the same month of next year.
func newCard(c *call, token string) *card {
	test := testCards[token]
	return &card{
		ID:                newID("card_1", 23),
		Object:            "card",
		AddressLine1Check: test.checks.AddressLine1Check,
		AddressZipCheck:   test.checks.AddressPostalCodeCheck,
		Brand:             test.brand(),
		Country:           cmp.Or(test.country, "US"),
		CVCCheck:          cmp.Or(test.checks.CVCCheck, "pass"),
		ExpMonth:          int(c.time.Month()),
		ExpYear:           c.time.Year() + 1,
		Fingerprint:       newID("", 16),
		Funding:           cmp.Or(test.funding, "credit"),
		Last4:             test.last4(),
		Metadata:          map[string]string{},
		RegulatedStatus:   "unregulated",
		token:             token,
	}
}

// behaviour returns what becomes of the card's charges.
func (c *card) behaviour() testCard { return testCards[c.token] }

// cardHolderFields are the parameters that a card has in common with its update.
func cardHolderFields() fields {
	return fields{
		"address_city": text, "address_country": text, "address_line1": text, "address_line2": text,
		"address_state": text, "address_zip": text, "exp_month": integer, "exp_year": integer, "name": text,
	}
}

// setHolder changes the fields whose parameters were sent. An address is checked
// when it is sent.
func (c *card) setHolder(p *value) {
	p.setText(&c.AddressCity, "address_city")
	p.setText(&c.AddressCountry, "address_country")
	p.setText(&c.AddressLine1, "address_line1")
	p.setText(&c.AddressLine2, "address_line2")
	p.setText(&c.AddressState, "address_state")
	p.setText(&c.AddressZip, "address_zip")
	p.setText(&c.Name, "name")
	c.ExpMonth = int(p.integer("exp_month", int64(c.ExpMonth)))
	c.ExpYear = int(p.integer("exp_year", int64(c.ExpYear)))
	if c.AddressLine1 != nil && c.AddressLine1Check == nil {
		c.AddressLine1Check = new("pass")
	}
	if c.AddressZip != nil && c.AddressZipCheck == nil {
		c.AddressZipCheck = new("pass")
	}
}

// checkExpiry refuses a month that does not exist and a month that has passed.
func checkExpiry(c *call, month, year int) *apiError {
	if month < 1 || month > 12 {
		return cardError("invalid_expiry_month", "exp_month", "Your card's expiration month is invalid.")
	}
	if now := c.time.Year()*12 + int(c.time.Month()); year*12+month < now || year > c.time.Year()+50 {
		return cardError("invalid_expiry_year", "exp_year", "Your card's expiration year is invalid.")
	}
	return nil
}

func cardError(code, param, message string) *apiError {
	d := decline{code: code, param: param, message: message}
	return d.refusal("")
}
