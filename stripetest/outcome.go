package stripetest

import "cmp"

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

func newOutcome(test testCard) *outcome {
	o := &outcome{
		NetworkStatus: "approved_by_network",
		RiskLevel:     cmp.Or(test.risk, "normal"),
		RiskScore:     test.riskScore(),
		SellerMessage: "Payment complete.",
		Type:          "authorized",
	}
	switch d := test.decline; {
	case d == nil:
	case d.blocked:
		o.NetworkStatus, o.Type = "not_sent_to_network", "blocked"
		o.Reason = new("highest_risk_level")
		o.SellerMessage = "Stripe blocked this payment as too risky."
	default:
		o.NetworkStatus, o.Type = "declined_by_network", "issuer_declined"
		o.Reason = &d.reason
		o.SellerMessage = "The bank declined this payment."
	}
	return o
}

// paymentDetails is the payment_method_details of a charge.
type paymentDetails struct {
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
	AddressLine1Check      *string `json:"address_line1_check"`
	AddressPostalCodeCheck *string `json:"address_postal_code_check"`
	CVCCheck               string  `json:"cvc_check"`
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

func newPaymentDetails(card *card, amount int64) *paymentDetails {
	network := cmp.Or(card.behaviour().network, "visa")
	details := cardDetails{
		Brand:                    network,
		Checks:                   cardChecks{card.AddressLine1Check, card.AddressZipCheck, card.CVCCheck},
		Country:                  card.Country,
		ExpMonth:                 card.ExpMonth,
		ExpYear:                  card.ExpYear,
		ExtendedAuthorization:    feature{"disabled"},
		Fingerprint:              card.Fingerprint,
		Funding:                  card.Funding,
		IncrementalAuthorization: feature{"unavailable"},
		Last4:                    card.Last4,
		Multicapture:             feature{"unavailable"},
		Network:                  network,
		Overcapture:              overcapture{amount, "unavailable"},
		RegulatedStatus:          card.RegulatedStatus,
	}
	if card.behaviour().decline == nil {
		details.AmountAuthorized = &amount
	}
	return &paymentDetails{Card: details, Type: "card"}
}
