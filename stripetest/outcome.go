package stripetest

// outcome is the result of the card network and the risk check for a charge.
type outcome struct {
	AdviceCode         null    `json:"advice_code"`
	NetworkAdviceCode  null    `json:"network_advice_code"`
	NetworkDeclineCode null    `json:"network_decline_code"`
	NetworkStatus      string  `json:"network_status"`
	Reason             *string `json:"reason"`
	RiskLevel          string  `json:"risk_level"`
	RiskScore          int     `json:"risk_score"`
	SellerMessage      string  `json:"seller_message"`
	Type               string  `json:"type"`
}

func newOutcome(token testToken) *outcome {
	o := &outcome{
		NetworkStatus: "approved_by_network",
		RiskLevel:     token.risk.level,
		RiskScore:     token.risk.score,
		SellerMessage: "Payment complete.",
		Type:          "authorized",
	}
	if d := token.decline; d != nil {
		o.NetworkStatus, o.Type = "declined_by_network", "issuer_declined"
		o.Reason = &d.reason
		o.SellerMessage = "The bank declined this payment."
	}
	return o
}

// paymentMethod is the payment_method_details of a charge.
type paymentMethod struct {
	Card cardDetails `json:"card"`
	Type string      `json:"type"`
}

type cardDetails struct {
	AmountAuthorized         *int64       `json:"amount_authorized"`
	AuthorizationCode        null         `json:"authorization_code"`
	Brand                    string       `json:"brand"`
	Checks                   cardChecks   `json:"checks"`
	Country                  string       `json:"country"`
	ExpMonth                 int          `json:"exp_month"`
	ExpYear                  int          `json:"exp_year"`
	ExtendedAuthorization    feature      `json:"extended_authorization"`
	Fingerprint              string       `json:"fingerprint"`
	Funding                  string       `json:"funding"`
	IncrementalAuthorization feature      `json:"incremental_authorization"`
	Installments             null         `json:"installments"`
	Last4                    string       `json:"last4"`
	Mandate                  null         `json:"mandate"`
	Multicapture             feature      `json:"multicapture"`
	Network                  string       `json:"network"`
	NetworkToken             networkToken `json:"network_token"`
	NetworkTransactionID     null         `json:"network_transaction_id"`
	Overcapture              overcapture  `json:"overcapture"`
	RegulatedStatus          string       `json:"regulated_status"`
	ThreeDSecure             null         `json:"three_d_secure"`
	TransactionLinkID        null         `json:"transaction_link_id"`
	Wallet                   null         `json:"wallet"`
}

type cardChecks struct {
	AddressLine1Check      null   `json:"address_line1_check"`
	AddressPostalCodeCheck null   `json:"address_postal_code_check"`
	CVCCheck               string `json:"cvc_check"`
}

type feature struct {
	Status string `json:"status"`
}

type networkToken struct {
	Used bool `json:"used"`
}

type overcapture struct {
	MaximumAmountCapturable int64  `json:"maximum_amount_capturable"`
	Status                  string `json:"status"`
}

func newPaymentMethod(card *card, amount int64) *paymentMethod {
	details := cardDetails{
		Brand:                    card.token.network,
		Checks:                   cardChecks{CVCCheck: card.CVCCheck},
		Country:                  card.Country,
		ExpMonth:                 card.ExpMonth,
		ExpYear:                  card.ExpYear,
		ExtendedAuthorization:    feature{"disabled"},
		Fingerprint:              card.Fingerprint,
		Funding:                  card.Funding,
		IncrementalAuthorization: feature{"unavailable"},
		Last4:                    card.Last4,
		Multicapture:             feature{"unavailable"},
		Network:                  card.token.network,
		Overcapture:              overcapture{amount, "unavailable"},
		RegulatedStatus:          card.RegulatedStatus,
	}
	if card.token.decline == nil {
		details.AmountAuthorized = &amount
	}
	return &paymentMethod{Card: details, Type: "card"}
}
