package stripetest

import (
	"cmp"
	"fmt"
	"strings"
)

// invoice is what invoice items need: a draft that items are added to, until it
// is finalized. It has the fields that this server knows, and no payments.
type invoice struct {
	ID                string             `json:"id"`
	Object            string             `json:"object"`
	AmountDue         int64              `json:"amount_due"` // smallest currency unit
	AmountPaid        int64              `json:"amount_paid"`
	AmountRemaining   int64              `json:"amount_remaining"`
	AutoAdvance       bool               `json:"auto_advance"`
	CollectionMethod  string             `json:"collection_method"`
	Created           int64              `json:"created"` // seconds
	Currency          string             `json:"currency"`
	Customer          string             `json:"customer"`
	Description       *string            `json:"description"`
	Livemode          bool               `json:"livemode"`
	Metadata          map[string]string  `json:"metadata"`
	PeriodEnd         int64              `json:"period_end"`
	PeriodStart       int64              `json:"period_start"`
	Status            string             `json:"status"` // draft or open
	StatusTransitions invoiceTransitions `json:"status_transitions"`
	Subtotal          int64              `json:"subtotal"`
	Total             int64              `json:"total"`
}

type invoiceTransitions struct {
	FinalizedAt           *int64 `json:"finalized_at"` // seconds
	MarkedUncollectibleAt null   `json:"marked_uncollectible_at"`
	PaidAt                null   `json:"paid_at"`
	VoidedAt              null   `json:"voided_at"`
}

func invoiceFields() fields {
	return fields{
		"auto_advance":      boolean,
		"collection_method": oneOf("charge_automatically", "send_invoice"),
		"currency":          currency,
		"customer":          nonEmpty,
		"description":       text,
		"expand":            list(text),
		"metadata":          metadata,
	}
}

// newInvoices makes a collection that is never listed.
func newInvoices() *collection[invoice] { return newCollection[invoice]("invoice", nil, nil) }

func createInvoice(c *call) (any, *apiError) {
	if failure := required(c.params, "customer"); failure != nil {
		return nil, failure
	}
	payer := c.params.string("customer")
	if _, ok := c.account.customers.get(payer); !ok {
		return nil, noSuch("customer", payer, "customer")
	}
	created := newInvoice(c, newID("in_1", 23), payer)
	c.account.invoices.add(created.ID, created.Created, created)
	return created, nil
}

func newInvoice(c *call, id, customer string) *invoice {
	now := c.time.Unix()
	return &invoice{
		ID:               id,
		Object:           "invoice",
		AutoAdvance:      c.params.boolean("auto_advance", false),
		CollectionMethod: cmp.Or(c.params.string("collection_method"), "charge_automatically"),
		Created:          now,
		Currency:         cmp.Or(strings.ToLower(c.params.string("currency")), "usd"),
		Customer:         customer,
		Description:      c.params.optional("description"),
		Livemode:         c.account.live,
		Metadata:         newMetadata(c.params),
		PeriodEnd:        now,
		PeriodStart:      now,
		Status:           "draft",
	}
}

// retrieveInvoice returns the invoice with the amounts of its items.
func retrieveInvoice(c *call) (any, *apiError) {
	found, failure := c.account.invoices.find(c.id)
	if failure != nil {
		return nil, failure
	}
	shown := *found
	for e := range c.account.invoiceItems.grouped("invoice", found.ID).ascend(everything) {
		shown.Total += e.read().Amount
	}
	shown.Subtotal, shown.AmountDue, shown.AmountRemaining = shown.Total, shown.Total, shown.Total
	return &shown, nil
}

func finalizeInvoice(c *call) (any, *apiError) {
	draft, failure := c.account.invoices.find(c.id)
	if failure != nil {
		return nil, failure
	}
	if draft.Status != "draft" {
		return nil, invalidRequest("", "", "This invoice is already finalized, you can't re-finalize a non-draft invoice.")
	}
	c.account.finalize(draft, c.time.Unix())
	return retrieveInvoice(c)
}

func (a *account) finalize(draft *invoice, second int64) {
	open := *draft
	open.Status, open.StatusTransitions.FinalizedAt = "open", &second
	a.invoices.replace(draft.ID, &open)
}

// checkInvoice refuses to add an item to an invoice that does not exist or is
// finalized, and to change an item of a finalized one.
func (a *account) checkInvoice(i *invoiceItem) *apiError {
	if i.Invoice == nil {
		return nil
	}
	known, ok := a.invoices.get(*i.Invoice)
	if !ok {
		return noSuch("invoice", *i.Invoice, "invoice")
	}
	if known.Status != "draft" {
		return invalidRequest("", "", fmt.Sprintf("Invoice %s is finalized: its invoice items can no longer be created, changed or deleted.", *i.Invoice))
	}
	return nil
}
