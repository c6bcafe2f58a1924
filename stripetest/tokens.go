package stripetest

import "strings"

// token stands for a card until it is charged or attached, once. The test tokens
// of testCards can be used any number of times and are not stored.
type token struct {
	ID       string  `json:"id"`
	Object   string  `json:"object"`
	Card     *card   `json:"card"`
	ClientIP *string `json:"client_ip"`
	Created  int64   `json:"created"` // seconds
	Livemode bool    `json:"livemode"`
	Type     string  `json:"type"`
	Used     bool    `json:"used"`
}

func tokenFields() fields {
	return fields{
		"card": requiring(cardHolderFields().with(fields{
			"currency": currency, "cvc": text, "number": nonEmpty, "object": oneOf("card"),
		}), "number", "exp_month", "exp_year"),
		"expand": list(text),
	}
}

// newTokens makes a collection that is never listed.
func newTokens() *collection[token] { return newCollection[token]("token", nil, nil) }

// createToken makes the token of a card that is sent by its number. The real
// service takes numbers from browsers, and from servers of accounts that it has
// allowed to send them.
func createToken(c *call) (any, *apiError) {
	if failure := required(c.params, "card"); failure != nil {
		return nil, failure
	}
	sent := c.params.hash("card")
	name, failure := checkCard(c, sent)
	if failure != nil {
		return nil, failure
	}
	card := newCard(c, name)
	card.setHolder(sent)
	created := &token{
		ID: newID("tok_1", 23), Object: "token", Card: card, Created: c.time.Unix(), Livemode: c.account.live, Type: "card",
	}
	c.account.tokens.add(created.ID, created.Created, created)
	return created, nil
}

// checkCard returns the test token of a card number. It refuses other numbers as
// test mode does, and details that cannot be those of a card.
func checkCard(c *call, sent *value) (token string, failure *apiError) {
	number := strings.NewReplacer(" ", "", "-", "").Replace(sent.string("number"))
	token, known := tokenOfNumber(number)
	if !known && !luhn(number) {
		return "", cardError("incorrect_number", "number", "Your card number is incorrect.")
	}
	if !known {
		failure := cardError("card_declined", "", "Your card was declined. Your request was in test mode, but used a non test (live) card. "+
			"For a list of valid test cards, visit: https://stripe.com/docs/testing.")
		failure.DeclineCode = "test_mode_live_card"
		return "", failure
	}
	if cvc := sent.string("cvc"); cvc != "" && (len(cvc) < 3 || len(cvc) > 4 || strings.Trim(cvc, "0123456789") != "") {
		return "", cardError("invalid_cvc", "cvc", "Your card's security code is invalid.")
	}
	return token, checkExpiry(c, int(sent.integer("exp_month", 0)), int(sent.integer("exp_year", 0)))
}

// luhn reports whether the last digit of a card number fits the others.
func luhn(number string) bool {
	if len(number) < 12 || strings.Trim(number, "0123456789") != "" {
		return false
	}
	sum := 0
	for i := range len(number) {
		digit := int(number[len(number)-1-i] - '0')
		if digit *= 1 + i%2; digit > 9 {
			digit -= 9
		}
		sum += digit
	}
	return sum%10 == 0
}

// spend returns the card of a test token, or that of a stored token, which is
// used up by it. The card belongs to no customer yet. The error names the
// parameter that has the token.
func (a *account) spend(c *call, id, param string) (*card, *apiError) {
	if name, ok := findTestCard(id); ok {
		return newCard(c, name), nil
	}
	stored, ok := a.tokens.get(id)
	if !ok {
		return nil, noSuch("token", id, param)
	}
	if stored.Used {
		return nil, invalidRequest("token_already_used", "", "You cannot use a Stripe token more than once: "+id+".")
	}
	used := *stored
	used.Used = true
	a.tokens.replace(id, &used)
	return stored.Card, nil
}
