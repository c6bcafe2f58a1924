package conformance_test

import (
	"strconv"

	"github.com/stripe/stripe-go/v85"

	"github.com/stripekit/stripekit"
)

// More objects of stripe-go as the library's types; see ourCustomer.

func ourRefund(r *stripe.Refund) *stripekit.Refund {
	ours := &stripekit.Refund{
		ID:                r.ID,
		Amount:            r.Amount,
		Created:           stripekit.UnixTime(r.Created),
		Currency:          string(r.Currency),
		Description:       r.Description,
		FailureReason:     string(r.FailureReason),
		InstructionsEmail: r.InstructionsEmail,
		Metadata:          r.Metadata,
		PendingReason:     string(r.PendingReason),
		Reason:            string(r.Reason),
		ReceiptNumber:     r.ReceiptNumber,
		Status:            string(r.Status),
	}
	if r.BalanceTransaction != nil {
		ours.BalanceTransaction.ID = r.BalanceTransaction.ID
	}
	if r.Charge != nil {
		ours.Charge.ID = r.Charge.ID
	}
	if r.PaymentIntent != nil {
		ours.PaymentIntent.ID = r.PaymentIntent.ID
	}
	return ours
}

func ourProduct(p *stripe.Product) *stripekit.Product {
	ours := &stripekit.Product{
		ID:                  p.ID,
		Active:              p.Active,
		Created:             stripekit.UnixTime(p.Created),
		Deleted:             p.Deleted,
		Description:         p.Description,
		Images:              p.Images,
		Livemode:            p.Livemode,
		MarketingFeatures:   []stripekit.MarketingFeature{},
		Metadata:            p.Metadata,
		Name:                p.Name,
		Shippable:           p.Shippable,
		StatementDescriptor: p.StatementDescriptor,
		Type:                string(p.Type),
		UnitLabel:           p.UnitLabel,
		Updated:             stripekit.UnixTime(p.Updated),
		URL:                 p.URL,
	}
	for _, feature := range p.MarketingFeatures {
		ours.MarketingFeatures = append(ours.MarketingFeatures, stripekit.MarketingFeature{Name: feature.Name})
	}
	if p.DefaultPrice != nil {
		ours.DefaultPrice.ID = p.DefaultPrice.ID
	}
	if d := p.PackageDimensions; d != nil {
		ours.PackageDimensions = &stripekit.PackageDimensions{Height: d.Height, Length: d.Length, Weight: d.Weight, Width: d.Width}
	}
	if p.TaxCode != nil {
		ours.TaxCode.ID = p.TaxCode.ID
	}
	return ours
}

func ourInvoiceItem(i *stripe.InvoiceItem) *stripekit.InvoiceItem {
	ours := &stripekit.InvoiceItem{
		ID:              i.ID,
		Amount:          i.Amount,
		Currency:        string(i.Currency),
		CustomerAccount: i.CustomerAccount,
		Date:            stripekit.UnixTime(i.Date),
		Deleted:         i.Deleted,
		Description:     i.Description,
		Discountable:    i.Discountable,
		Discounts:       []stripekit.Ref[stripekit.Discount]{},
		Livemode:        i.Livemode,
		Metadata:        i.Metadata,
		NetAmount:       i.NetAmount,
		Period:          stripekit.Period{Start: stripekit.UnixTime(i.Period.Start), End: stripekit.UnixTime(i.Period.End)},
		Proration:       i.Proration,
		Quantity:        i.Quantity,
		QuantityDecimal: decimal(i.QuantityDecimal),
	}
	if i.Customer != nil {
		ours.Customer.ID = i.Customer.ID
	}
	for _, discount := range i.Discounts {
		ours.Discounts = append(ours.Discounts, stripekit.Ref[stripekit.Discount]{ID: discount.ID})
	}
	if i.Invoice != nil {
		ours.Invoice.ID = i.Invoice.ID
	}
	ourParent(ours, i.Parent)
	ourPricing(ours, i.Pricing)
	return ours
}

func ourParent(ours *stripekit.InvoiceItem, parent *stripe.InvoiceItemParent) {
	if parent == nil {
		return
	}
	ours.Parent = &stripekit.InvoiceItemParent{Type: string(parent.Type)}
	if details := parent.SubscriptionDetails; details != nil {
		ours.Parent.SubscriptionDetails.Subscription.ID = details.Subscription
		ours.Parent.SubscriptionDetails.SubscriptionItem = details.SubscriptionItem
	}
	ours.Subscription = ours.Parent.SubscriptionDetails.Subscription
	ours.SubscriptionItem = ours.Parent.SubscriptionDetails.SubscriptionItem
}

func ourPricing(ours *stripekit.InvoiceItem, pricing *stripe.InvoiceItemPricing) {
	if pricing == nil {
		return
	}
	ours.Pricing = &stripekit.InvoiceItemPricing{Type: string(pricing.Type), UnitAmountDecimal: decimal(pricing.UnitAmountDecimal)}
	if details := pricing.PriceDetails; details != nil {
		ours.Pricing.PriceDetails.Price.ID = details.Price.ID
		ours.Pricing.PriceDetails.Product.ID = details.Product
	}
	ours.Price = ours.Pricing.PriceDetails.Price
	ours.UnitAmountDecimal = ours.Pricing.UnitAmountDecimal
	if whole := int64(pricing.UnitAmountDecimal); float64(whole) == pricing.UnitAmountDecimal {
		ours.UnitAmount = whole
	}
}

// decimal formats a number as the service does.
func decimal(n float64) string {
	return strconv.FormatFloat(n, 'f', -1, 64)
}
