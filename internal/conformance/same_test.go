package conformance_test

import (
	"github.com/stripe/stripe-go/v85"

	"github.com/stripekit/stripekit"
)

// Objects of stripe-go as the library's types, with every field that both have.

func ourCustomer(c *stripe.Customer) *stripekit.Customer {
	ours := &stripekit.Customer{
		ID:             c.ID,
		Balance:        c.Balance,
		BusinessName:   c.BusinessName,
		Created:        stripekit.UnixTime(c.Created),
		Currency:       string(c.Currency),
		Deleted:        c.Deleted,
		Delinquent:     c.Delinquent,
		Description:    c.Description,
		Email:          c.Email,
		IndividualName: c.IndividualName,
		InvoicePrefix:  c.InvoicePrefix,
		Livemode:       c.Livemode,
		Metadata:       c.Metadata,
		Name:           c.Name,
		Phone:          c.Phone,
		Shipping:       ourShipping(c.Shipping),
		TaxExempt:      string(c.TaxExempt),
	}
	if c.Address != nil {
		ours.Address = new(ourAddress(c.Address))
	}
	if c.DefaultSource != nil {
		ours.DefaultSource.ID = c.DefaultSource.ID
	}
	return ours
}

func ourCharge(c *stripe.Charge) *stripekit.Charge {
	ours := &stripekit.Charge{
		ID:                   c.ID,
		Amount:               c.Amount,
		AmountCaptured:       c.AmountCaptured,
		AmountRefunded:       c.AmountRefunded,
		ApplicationFeeAmount: c.ApplicationFeeAmount,
		BillingDetails: stripekit.BillingDetails{
			Address: ourAddress(c.BillingDetails.Address),
			Email:   c.BillingDetails.Email,
			Name:    c.BillingDetails.Name,
			Phone:   c.BillingDetails.Phone,
		},
		Captured:       c.Captured,
		Created:        stripekit.UnixTime(c.Created),
		Currency:       string(c.Currency),
		Description:    c.Description,
		Disputed:       c.Disputed,
		FailureCode:    c.FailureCode,
		FailureMessage: c.FailureMessage,
		FraudDetails: stripekit.FraudDetails{
			StripeReport: string(c.FraudDetails.StripeReport),
			UserReport:   string(c.FraudDetails.UserReport),
		},
		Livemode: c.Livemode,
		Metadata: c.Metadata,
		Outcome: stripekit.ChargeOutcome{
			NetworkStatus: c.Outcome.NetworkStatus,
			Reason:        c.Outcome.Reason,
			RiskLevel:     c.Outcome.RiskLevel,
			SellerMessage: c.Outcome.SellerMessage,
			Type:          c.Outcome.Type,
		},
		Paid:                      c.Paid,
		PaymentMethod:             c.PaymentMethod,
		PaymentMethodDetails:      ourPaymentMethod(c.PaymentMethodDetails),
		ReceiptEmail:              c.ReceiptEmail,
		ReceiptNumber:             c.ReceiptNumber,
		ReceiptURL:                c.ReceiptURL,
		Refunded:                  c.Refunded,
		Shipping:                  ourShipping(c.Shipping),
		StatementDescriptor:       c.StatementDescriptor,
		StatementDescriptorSuffix: c.StatementDescriptorSuffix,
		Status:                    stripekit.ChargeStatus(c.Status),
		TransferGroup:             c.TransferGroup,
	}
	if c.BalanceTransaction != nil {
		ours.BalanceTransaction.ID = c.BalanceTransaction.ID
	}
	if c.Customer != nil {
		ours.Customer.ID = c.Customer.ID
	}
	if c.OnBehalfOf != nil {
		ours.OnBehalfOf.ID = c.OnBehalfOf.ID
	}
	if c.PaymentIntent != nil {
		ours.PaymentIntent.ID = c.PaymentIntent.ID
	}
	return ours
}

func ourPaymentMethod(d *stripe.ChargePaymentMethodDetails) stripekit.ChargePaymentMethodDetails {
	ours := stripekit.ChargePaymentMethodDetails{Type: string(d.Type)}
	if d.Card != nil {
		ours.Card = &stripekit.ChargeCard{
			Brand:    string(d.Card.Brand),
			Country:  d.Card.Country,
			ExpMonth: int(d.Card.ExpMonth),
			ExpYear:  int(d.Card.ExpYear),
			Funding:  string(d.Card.Funding),
			Last4:    d.Card.Last4,
		}
	}
	return ours
}

func ourShipping(s *stripe.ShippingDetails) *stripekit.Shipping {
	if s == nil {
		return nil
	}
	return &stripekit.Shipping{
		Name: s.Name, Phone: s.Phone, Address: ourAddress(s.Address), Carrier: s.Carrier, TrackingNumber: s.TrackingNumber,
	}
}

func ourAddress(a *stripe.Address) stripekit.Address {
	if a == nil {
		return stripekit.Address{}
	}
	return stripekit.Address{
		City: a.City, Country: a.Country, Line1: a.Line1, Line2: a.Line2, PostalCode: a.PostalCode, State: a.State,
	}
}

// theirAddress returns address as parameters of stripe-go.
func theirAddress() *stripe.AddressParams {
	a := address()
	return &stripe.AddressParams{
		City: &a.City, Country: &a.Country, Line1: &a.Line1, Line2: &a.Line2, PostalCode: &a.PostalCode, State: &a.State,
	}
}
