package stripetest_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestInvoiceIsADraftForItsItemsUntilItIsFinalized(t *testing.T) {
	a := memory(t)
	customer := a.create("/v1/customers", "")
	invoice := a.post("/v1/invoices", "currency=eur&description=D&metadata[a]=b&customer="+customer)
	for field, want := range map[string]any{
		"object": "invoice", "status": "draft", "customer": customer, "currency": "eur", "description": "D", "total": 0.0,
		"metadata": map[string]any{"a": "b"}, "collection_method": "charge_automatically", "auto_advance": false,
	} {
		require.Equal(t, want, invoice[field], field)
	}
	id := invoice["id"].(string)
	require.Regexp(t, "^in_1", id)
	item := a.create("/v1/invoiceitems", "amount=700&currency=eur&customer="+customer+"&invoice="+id)
	a.create("/v1/invoiceitems", "amount=-200&currency=eur&customer="+customer+"&invoice="+id)
	require.Equal(t, 500.0, a.get("/v1/invoices/" + id)["total"])
	require.Equal(t, "draft", a.get("/v1/invoiceitems/" + item + "?expand[]=invoice")["invoice"].(map[string]any)["status"])

	open := a.post("/v1/invoices/"+id+"/finalize", "")
	require.Equal(t, []any{"open", 500.0}, []any{open["status"], open["amount_due"]})
	require.NotNil(t, open["status_transitions"].(map[string]any)["finalized_at"])
	refusal{"POST", "/v1/invoices/" + id + "/finalize", "", 400, "", "", "This invoice is already finalized, "}.refuse(t, a, "")
	refusal{"POST", "/v1/invoices", "customer=cus_x", 400, "resource_missing", "customer", "No such customer: 'cus_x'"}.refuse(t, a, "")
	refusal{"GET", "/v1/invoices/in_x", "", 404, "resource_missing", "id", "No such invoice: 'in_x'"}.refuse(t, a, "")
}
