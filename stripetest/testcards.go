package stripetest

import (
	"net/http"
	"strings"
)

// testCard is a test card of Stripe and its behaviour. The table is that of
// Stripe's documentation of testing, as far as it has tokens (tok_…) and as far as
// it is remembered: most of the numbers were not compared with it. Where that
// says "Radar might block it depending on your settings", the settings are those
// of a new account, which block the highest risk only.
type testCard struct {
	number             string
	network            string   // as charge objects spell it; empty: visa
	funding            string   // empty: credit
	country            string   // empty: US
	risk               string   // empty: normal
	decline            *decline // nil: charges succeed
	attach             bool     // it can be attached to a customer although its charges are declined
	disputed, reviewed bool     // soon after the charge succeeds
	checks             cardChecks
	refund             string // the status that its refunds get soon after; empty: succeeded at once
}

// decline is the reason that the charges of a card fail.
type decline struct {
	code    string
	reason  string // the decline code
	param   string
	message string
	blocked bool // by Radar: the charge is not sent to the network
}

const declinedMessage = "Your card was declined."

// Declines of the documentation. The texts are those of its error codes, as far as
// they are remembered.
var (
	genericDecline    = &decline{code: "card_declined", reason: "generic_decline", message: declinedMessage}
	insufficientFunds = &decline{code: "card_declined", reason: "insufficient_funds", message: "Your card has insufficient funds."}
	lostCard          = &decline{code: "card_declined", reason: "lost_card", message: declinedMessage}
	stolenCard        = &decline{code: "card_declined", reason: "stolen_card", message: declinedMessage}
	fraudulentCharge  = &decline{code: "card_declined", reason: "fraudulent", message: declinedMessage, blocked: true}
	incorrectCVC      = &decline{code: "incorrect_cvc", reason: "incorrect_cvc", param: "cvc", message: "Your card's security code is incorrect."}
	expiredCard       = &decline{code: "expired_card", reason: "expired_card", param: "exp_month", message: "Your card has expired."}
	processingError   = &decline{
		code: "processing_error", reason: "processing_error",
		message: "An error occurred while processing your card. Try again in a little bit.",
	}
	velocityExceeded = &decline{
		code: "card_declined", reason: "card_velocity_exceeded",
		message: "Your card was declined for making repeated attempts too frequently or exceeding its amount limit.",
	}
	// A charge cannot ask its customer to authenticate: that needs a payment
	// intent. The decline code is documented, the text is assumed.
	authenticationRequired = &decline{
		code: "card_declined", reason: "authentication_required",
		message: "Your card was declined. This transaction requires authentication.",
	}
)

// testCards has the test cards by their tokens. tok_discover and tok_jcb have
// the numbers that public recordings of the service show.
var testCards = map[string]testCard{
	"tok_visa":               {number: "4242424242424242"},
	"tok_visa_debit":         {number: "4000056655665556", funding: "debit"},
	"tok_mastercard":         {number: "5555555555554444", network: "mastercard"},
	"tok_mastercard_debit":   {number: "5200828282828210", network: "mastercard", funding: "debit"},
	"tok_mastercard_prepaid": {number: "5105105105105100", network: "mastercard", funding: "prepaid"},
	"tok_amex":               {number: "378282246310005", network: "amex"},
	"tok_discover":           {number: "6011000990139424", network: "discover"},
	"tok_diners":             {number: "3056930009020004", network: "diners"},
	"tok_jcb":                {number: "3530111333300000", network: "jcb", country: "JP"},
	"tok_unionpay":           {number: "6200000000000005", network: "unionpay", country: "CN"},

	"tok_us": {number: "4242424242424242"},
	"tok_ae": {number: "4000007840000001", country: "AE"},
	"tok_ar": {number: "4000000320000021", country: "AR"},
	"tok_at": {number: "4000000400000008", country: "AT"},
	"tok_au": {number: "4000000360000006", country: "AU"},
	"tok_be": {number: "4000000560000004", country: "BE"},
	"tok_bg": {number: "4000001000000000", country: "BG"},
	"tok_br": {number: "4000000760000002", country: "BR"},
	"tok_by": {number: "4000001120000005", country: "BY"},
	"tok_ca": {number: "4000001240000000", country: "CA"},
	"tok_ch": {number: "4000007560000009", country: "CH"},
	"tok_cl": {number: "4000001520000001", country: "CL"},
	"tok_cn": {number: "4000001560000002", country: "CN"},
	"tok_co": {number: "4000001700000003", country: "CO"},
	"tok_cr": {number: "4000001880000005", country: "CR"},
	"tok_cy": {number: "4000001960000008", country: "CY"},
	"tok_cz": {number: "4000002030000002", country: "CZ"},
	"tok_de": {number: "4000002760000016", country: "DE"},
	"tok_dk": {number: "4000002080000001", country: "DK"},
	"tok_ec": {number: "4000002180000000", country: "EC"},
	"tok_ee": {number: "4000002330000009", country: "EE"},
	"tok_es": {number: "4000007240000007", country: "ES"},
	"tok_fi": {number: "4000002460000001", country: "FI"},
	"tok_fr": {number: "4000002500000003", country: "FR"},
	"tok_gb": {number: "4000008260000000", country: "GB"},
	"tok_gi": {number: "4000002920000005", country: "GI"},
	"tok_gr": {number: "4000003000000030", country: "GR"},
	"tok_hk": {number: "4000003440000004", country: "HK"},
	"tok_hr": {number: "4000001910000009", country: "HR"},
	"tok_hu": {number: "4000003480000005", country: "HU"},
	"tok_ie": {number: "4000003720000005", country: "IE"},
	"tok_in": {number: "4000003560000008", country: "IN"},
	"tok_it": {number: "4000003800000008", country: "IT"},
	"tok_jp": {number: "4000003920000003", country: "JP"},
	"tok_li": {number: "4000004380000004", country: "LI"},
	"tok_lt": {number: "4000004400000000", country: "LT"},
	"tok_lu": {number: "4000004420000006", country: "LU"},
	"tok_lv": {number: "4000004280000005", country: "LV"},
	"tok_mt": {number: "4000004700000007", country: "MT"},
	"tok_mx": {number: "4000004840008001", country: "MX"},
	"tok_my": {number: "4000004580000002", country: "MY"},
	"tok_nl": {number: "4000005280000002", country: "NL"},
	"tok_no": {number: "4000005780000007", country: "NO"},
	"tok_nz": {number: "4000005540000008", country: "NZ"},
	"tok_pa": {number: "4000005910000000", country: "PA"},
	"tok_pe": {number: "4000006040000068", country: "PE"},
	"tok_pl": {number: "4000006160000005", country: "PL"},
	"tok_pt": {number: "4000006200000007", country: "PT"},
	"tok_py": {number: "4000006000000066", country: "PY"},
	"tok_ro": {number: "4000006420000001", country: "RO"},
	"tok_sa": {number: "4000006820000007", country: "SA"},
	"tok_se": {number: "4000007520000008", country: "SE"},
	"tok_sg": {number: "4000007020000003", country: "SG"},
	"tok_si": {number: "4000007050000006", country: "SI"},
	"tok_sk": {number: "4000007030000001", country: "SK"},
	"tok_tw": {number: "4000001580000008", country: "TW"},
	"tok_uy": {number: "4000008580000003", country: "UY"},

	"tok_gb_debit":      {number: "4000058260000005", country: "GB", funding: "debit"},
	"tok_gb_mastercard": {number: "5555558265554449", country: "GB", network: "mastercard"},
	"tok_th_credit":     {number: "4000007640000003", country: "TH"},
	"tok_th_debit":      {number: "4000057640000008", country: "TH", funding: "debit"},

	"tok_chargeDeclined":                  {number: "4000000000000002", decline: genericDecline},
	"tok_chargeDeclinedInsufficientFunds": {number: "4000000000009995", decline: insufficientFunds},
	"tok_chargeDeclinedLostCard":          {number: "4000000000009987", decline: lostCard},
	"tok_chargeDeclinedStolenCard":        {number: "4000000000009979", decline: stolenCard},
	"tok_chargeDeclinedExpiredCard":       {number: "4000000000000069", decline: expiredCard},
	"tok_chargeDeclinedIncorrectCvc":      {number: "4000000000000127", decline: incorrectCVC, checks: cardChecks{CVCCheck: "fail"}},
	"tok_chargeDeclinedProcessingError":   {number: "4000000000000119", decline: processingError},
	"tok_chargeDeclinedFraudulent":        {number: "4100000000000019", decline: fraudulentCharge, risk: "highest"},
	"tok_chargeCustomerFail":              {number: "4000000000000341", decline: genericDecline, attach: true},

	"tok_chargeDeclinedVelocityLimitExceeded": {number: "4000000000006975", decline: velocityExceeded},

	"tok_radarBlock":               {number: "4100000000000019", decline: fraudulentCharge, risk: "highest"},
	"tok_riskLevelHighest":         {number: "4000000000004954", decline: fraudulentCharge, risk: "highest"},
	"tok_riskLevelElevated":        {number: "4000000000009235", risk: "elevated", reviewed: true},
	"tok_cvcCheckFail":             {number: "4000000000000101", checks: cardChecks{CVCCheck: "fail"}},
	"tok_cvcCheckFailElevatedRisk": {number: "4000058400307872", risk: "elevated", checks: cardChecks{CVCCheck: "fail"}},
	"tok_avsZipFail":               {number: "4000000000000036", checks: cardChecks{AddressPostalCodeCheck: new("fail")}},
	"tok_avsZipFailElevatedRisk":   {number: "4000058400306072", risk: "elevated", checks: cardChecks{AddressPostalCodeCheck: new("fail")}},
	"tok_avsLine1Fail":             {number: "4000000000000028", checks: cardChecks{AddressLine1Check: new("fail")}},
	"tok_avsFail":                  {number: "4000000000000010", checks: cardChecks{AddressLine1Check: new("fail"), AddressPostalCodeCheck: new("fail")}},
	"tok_avsUnchecked": {
		number: "4000000000000044",
		checks: cardChecks{AddressLine1Check: new("unavailable"), AddressPostalCodeCheck: new("unavailable")},
	},

	"tok_createDispute":                   {number: "4000000000000259", disputed: true},
	"tok_createDisputeProductNotReceived": {number: "4000000000002685", disputed: true},
	"tok_createMultipleDisputes":          {number: "4000000404000079", disputed: true},
	"tok_createDisputeInquiry":            {number: "4000000000001976"}, // an inquiry takes no money back
	"tok_createIssuerFraudRecord":         {number: "4000000000005423"},

	"tok_pendingRefund": {number: "4000000000007726", refund: "pending"},
	"tok_refundFail":    {number: "4000000000005126", refund: "failed"},

	"tok_bypassPending":              {number: "4000000000000077"},
	"tok_bypassPendingInternational": {number: "4000003720000278", country: "IE"},
	"tok_domesticPricing":            {number: "4000000000000093"},

	"tok_authenticationRequired":                                {number: "4000002760003184", decline: authenticationRequired, attach: true},
	"tok_authenticationRequiredOnSetup":                         {number: "4000002500003155", attach: true},
	"tok_authenticationRequiredSetupForOffSession":              {number: "4000003800000446", attach: true},
	"tok_authenticationRequiredChargeDeclinedInsufficientFunds": {number: "4000008260003178", decline: authenticationRequired, attach: true},
	"tok_threeDSecure2Required":                                 {number: "4000000000003220", decline: authenticationRequired, attach: true},
	"tok_threeDSecureRequired":                                  {number: "4000000000003063", decline: authenticationRequired, attach: true},
	"tok_threeDSecureRequiredChargeDeclined":                    {number: "4000008400001629", decline: genericDecline, attach: true},
	"tok_threeDSecureRequiredProcessingError":                   {number: "4000008400001280", decline: authenticationRequired, attach: true},
	"tok_threeDSecureOptional":                                  {number: "4000000000003055"},
	"tok_threeDSecureOptionalProcessingError":                   {number: "4000000000003097"},
	"tok_amex_threeDSecureNotSupported":                         {number: "378282246310005", network: "amex"},
}

// findTestCard returns the test card of a token, and the token by its first name.
// The documentation has two names for some: tok_visa_chargeDeclined, as it is
// written now, is tok_chargeDeclined.
func findTestCard(token string) (name string, found bool) {
	if rest, ok := strings.CutPrefix(token, "tok_visa_charge"); ok {
		token = "tok_charge" + rest
	}
	_, found = testCards[token]
	return token, found
}

// tokenOfNumber returns the token of the test card with this number.
func tokenOfNumber(number string) (name string, found bool) {
	for token, card := range testCards {
		if card.number == number && (!found || token < name) {
			name, found = token, true
		}
	}
	return name, found
}

func (t testCard) last4() string { return t.number[max(len(t.number)-4, 0):] }

// brand returns the brand as card objects spell it.
func (t testCard) brand() string {
	switch t.network {
	case "mastercard":
		return "MasterCard"
	case "amex":
		return "American Express"
	case "discover":
		return "Discover"
	case "diners":
		return "Diners Club"
	case "jcb":
		return "JCB"
	case "unionpay":
		return "UnionPay"
	}
	return "Visa"
}

// riskScore returns a score, from 0 to 100, that fits the level of risk.
func (t testCard) riskScore() int {
	switch t.risk {
	case "highest":
		return 90
	case "elevated":
		return 70
	}
	return 20
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
		kept:        charge != "",
	}
}
