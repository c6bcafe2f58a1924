package stripetest

import "net/http"

// testToken is the behaviour of a test token (tok_…).
type testToken struct {
	brand              string // as card objects spell it
	network            string // as charge objects spell it
	last4              string
	risk               risk
	decline            *decline // nil: charges succeed
	disputed, reviewed bool     // soon after the charge succeeds
	attach             bool     // it can be attached to a customer although its charges are declined
}

type risk struct {
	level string
	score int // 0 to 100
}

// decline is the reason that the charges of a token fail.
type decline struct {
	code    string
	reason  string // the decline code
	param   string
	message string
}

// lookupToken returns the test token with this name.
func lookupToken(name string) (testToken, bool) {
	visa := testToken{brand: "Visa", network: "visa", last4: "4242", risk: risk{"normal", 20}}
	switch name {
	case "tok_visa":
		return visa, true
	case "tok_mastercard":
		return testToken{brand: "MasterCard", network: "mastercard", last4: "4444", risk: visa.risk}, true
	case "tok_amex":
		return testToken{brand: "American Express", network: "amex", last4: "0005", risk: visa.risk}, true
	case "tok_createDispute":
		visa.last4, visa.disputed = "0259", true
		return visa, true
	case "tok_riskLevelElevated":
		visa.last4, visa.risk, visa.reviewed = "9235", risk{"elevated", 70}, true
		return visa, true
	}
	visa.last4, visa.decline = lookupDecline(name)
	visa.attach = name == "tok_chargeCustomerFail"
	return visa, visa.decline != nil
}

func lookupDecline(token string) (last4 string, d *decline) {
	const declined = "Your card was declined."
	switch token {
	case "tok_chargeDeclined":
		return "0002", &decline{"card_declined", "generic_decline", "", declined}
	case "tok_chargeDeclinedInsufficientFunds":
		return "9995", &decline{"card_declined", "insufficient_funds", "", "Your card has insufficient funds."}
	case "tok_chargeDeclinedFraudulent":
		return "0019", &decline{"card_declined", "fraudulent", "", declined}
	case "tok_chargeDeclinedIncorrectCvc":
		return "0127", &decline{"incorrect_cvc", "incorrect_cvc", "cvc", "Your card's security code is incorrect."}
	case "tok_chargeDeclinedExpiredCard":
		return "0069", &decline{"expired_card", "expired_card", "exp_month", "Your card has expired."}
	case "tok_chargeDeclinedProcessingError":
		return "0119", &decline{"processing_error", "processing_error", "", "An error occurred while processing your card. Try again in a little bit."}
	case "tok_chargeCustomerFail":
		return "0341", &decline{"card_declined", "generic_decline", "", declined}
	}
	return "", nil
}

func (t testToken) cvcCheck() string {
	if t.decline != nil && t.decline.param == "cvc" {
		return "fail"
	}
	return "pass"
}

// refusal returns the error of a decline. The charge is the id of the failed
// charge, or "" if there is none.
func (d *decline) refusal(charge string) *apiError {
	return &apiError{
		status:      http.StatusPaymentRequired,
		Type:        typeCard,
		Code:        d.code,
		DeclineCode: d.reason,
		Message:     d.message,
		Param:       d.param,
		Charge:      charge,
	}
}
