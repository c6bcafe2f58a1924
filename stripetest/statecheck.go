package stripetest

import "errors"

// The methods below refuse loaded objects that the handlers could not work with,
// since no request can make such objects.

func (a *account) check() error {
	if a.profile == nil {
		return errors.New("profile: it is null")
	}
	if err := a.checkIntents(); err != nil {
		return err
	}
	return a.unpackEvents()
}

func (i *invoiceItem) check() error {
	if i.Pricing != nil && i.Pricing.UnitAmountDecimal == nil {
		return errors.New("pricing: unit_amount_decimal: it is missing")
	}
	return nil
}
