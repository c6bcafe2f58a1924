package stripetest

// card is the card of a test token, charged or attached to a customer.
type card struct {
	ID                 string            `json:"id"`
	Object             string            `json:"object"`
	AddressCity        null              `json:"address_city"`
	AddressCountry     null              `json:"address_country"`
	AddressLine1       null              `json:"address_line1"`
	AddressLine1Check  null              `json:"address_line1_check"`
	AddressLine2       null              `json:"address_line2"`
	AddressState       null              `json:"address_state"`
	AddressZip         null              `json:"address_zip"`
	AddressZipCheck    null              `json:"address_zip_check"`
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
	Name               null              `json:"name"`
	RegulatedStatus    string            `json:"regulated_status"`
	TokenizationMethod null              `json:"tokenization_method"`

	token testToken
}

// newCard makes the card of a test token. If customer is nil, the card belongs
// to no customer. It expires in the same month of next year.
func newCard(c *call, token testToken, customer *string) *card {
	return &card{
		ID:              newID("card_1", 23),
		Object:          "card",
		Brand:           token.brand,
		Country:         "US",
		Customer:        customer,
		CVCCheck:        token.cvcCheck(),
		ExpMonth:        int(c.time.Month()),
		ExpYear:         c.time.Year() + 1,
		Fingerprint:     newID("", 16),
		Funding:         "credit",
		Last4:           token.last4,
		Metadata:        map[string]string{},
		RegulatedStatus: "unregulated",
		token:           token,
	}
}
