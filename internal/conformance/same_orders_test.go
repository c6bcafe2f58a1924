package conformance_test

import (
	stripe72 "github.com/stripe/stripe-go/v72"

	"github.com/stripekit/stripekit"
)

// Objects of the old stripe-go as the library's types; see ourCustomer.

func ourOrder(o *stripe72.Order) *stripekit.Order {
	ours := &stripekit.Order{
		ID:                 o.ID,
		Amount:             o.Amount,
		AmountReturned:     o.AmountReturned,
		Application:        o.Application,
		ApplicationFee:     o.ApplicationFee,
		Created:            stripekit.UnixTime(o.Created),
		Currency:           string(o.Currency),
		Customer:           stripekit.Ref[stripekit.Customer]{ID: o.Customer.ID},
		Email:              o.Email,
		ExternalCouponCode: o.ExternalCouponCode,
		Items:              ourOrderItems(o.Items),
		Livemode:           o.Livemode,
		Metadata:           o.Metadata,
		Returns:            ourReturns(o.Returns),
		Shipping:           ourOrderShipping(o.Shipping),
		Status:             o.Status,
		Updated:            stripekit.UnixTime(o.Updated),
		UpstreamID:         o.UpstreamID,
	}
	ours.StatusTransitions.Canceled = stripekit.UnixTime(o.StatusTransitions.Canceled)
	ours.StatusTransitions.Paid = stripekit.UnixTime(o.StatusTransitions.Paid)
	ours.StatusTransitions.Returned = stripekit.UnixTime(o.StatusTransitions.Returned)
	if o.Charge != nil {
		ours.Charge.ID = o.Charge.ID
	}
	if o.SelectedShippingMethod != nil {
		ours.SelectedShippingMethod = *o.SelectedShippingMethod
	}
	return ours
}

func ourReturns(list *stripe72.OrderReturnList) *stripekit.Page[stripekit.OrderReturn] {
	if list == nil {
		return nil
	}
	ours := &stripekit.Page[stripekit.OrderReturn]{Data: []*stripekit.OrderReturn{}, HasMore: list.HasMore, URL: list.URL}
	for _, r := range list.Data {
		ours.Data = append(ours.Data, ourOrderReturn(r))
	}
	return ours
}

func ourOrderShipping(s *stripe72.Shipping) *stripekit.Shipping {
	if s == nil {
		return nil
	}
	ours := &stripekit.Shipping{Name: s.Name, Phone: s.Phone, Carrier: s.Carrier, TrackingNumber: s.TrackingNumber}
	if a := s.Address; a != nil {
		ours.Address = stripekit.Address{
			City: a.City, Country: a.Country, Line1: a.Line1, Line2: a.Line2, PostalCode: a.PostalCode, State: a.State,
		}
	}
	return ours
}

// withoutFulfilled returns an order as the old stripe-go can read it: it
// expects "fulfilled" where the service writes "fulfiled".
func withoutFulfilled(o *stripekit.Order) *stripekit.Order {
	plain := *o
	plain.StatusTransitions.Fulfilled = 0
	return &plain
}

func ourOrderItems(items []*stripe72.OrderItem) []stripekit.OrderItem {
	ours := make([]stripekit.OrderItem, len(items))
	for i, item := range items {
		ours[i] = stripekit.OrderItem{
			Amount: item.Amount, Currency: string(item.Currency), Description: item.Description, Quantity: item.Quantity, Type: string(item.Type),
		}
		if item.Parent != nil {
			ours[i].Parent.ID = item.Parent.ID
		}
	}
	return ours
}

func ourOrderReturn(r *stripe72.OrderReturn) *stripekit.OrderReturn {
	ours := &stripekit.OrderReturn{
		ID:       r.ID,
		Amount:   r.Amount,
		Created:  stripekit.UnixTime(r.Created),
		Currency: string(r.Currency),
		Items:    ourOrderItems(r.Items),
		Livemode: r.Livemode,
	}
	if r.Order != nil {
		ours.Order.ID = r.Order.ID
	}
	if r.Refund != nil {
		ours.Refund.ID = r.Refund.ID
	}
	return ours
}
