package stripekit_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/stripekit/stripekit"
)

func ExampleCustomersService_Update() {
	client, server := newExampleClient()
	defer server.Close()
	ctx := context.Background()

	customer := must(client.Customers.Create(ctx, stripekit.CustomerCreateParams{
		Name: new("Ada"), Description: new("met at the fair"), Metadata: stripekit.Metadata{"source": "fair", "badge": "17"},
	}))
	customer = must(client.Customers.Update(ctx, customer.ID, stripekit.CustomerUpdateParams{
		Description: new(""),                           // set but empty: unset
		Metadata:    stripekit.Metadata{"badge": ""},   // merged: this key is removed, the other stays
		Address:     &stripekit.Address{City: "Turin"}, // Name is nil: it stays as it is
	}))
	fmt.Printf("%s, %q, %v, %s\n", customer.Name, customer.Description, customer.Metadata, customer.Address.City)
	// Output: Ada, "", map[source:fair], Turin
}

func ExampleChargesService_Capture() {
	client, server := newExampleClient()
	defer server.Close()
	ctx := context.Background()

	charge := must(client.Charges.Create(ctx, stripekit.ChargeCreateParams{
		Amount: 2000, Currency: "usd", Source: new("tok_visa"), Capture: new(false),
	}))
	fmt.Println(charge.Captured, charge.AmountCaptured)
	charge = must(client.Charges.Capture(ctx, charge.ID, stripekit.ChargeCaptureParams{Amount: new(int64(1500))}))
	fmt.Println(charge.Captured, charge.AmountCaptured, charge.AmountRefunded)
	// Output:
	// false 0
	// true 1500 500
}

func ExampleProductsService_Search() {
	client, server := newExampleClient()
	defer server.Close()
	ctx := context.Background()

	for _, name := range []string{"Tea pot", "Coffee pot", "Spoon"} {
		must(client.Products.Create(ctx, stripekit.ProductCreateParams{Name: name}))
	}
	for product, err := range client.Products.Search(ctx, `name~"pot" AND active:"true"`) {
		if err != nil {
			panic(err)
		}
		fmt.Println(product.Name)
	}
	// Output:
	// Coffee pot
	// Tea pot
}

func ExampleRefundsService_Create() {
	client, server := newExampleClient()
	defer server.Close()
	ctx := context.Background()

	charge := must(client.Charges.Create(ctx, stripekit.ChargeCreateParams{Amount: 2000, Currency: "usd", Source: new("tok_visa")}))
	refund := must(client.Refunds.Create(ctx, stripekit.RefundCreateParams{Charge: &charge.ID, Amount: new(int64(500))}))
	fmt.Println(refund.Amount, refund.Status)

	_, err := client.Refunds.Create(ctx, stripekit.RefundCreateParams{Charge: &charge.ID, Amount: new(int64(2000))})
	fmt.Println(err.(*stripekit.Error).Message)
	// Output:
	// 500 succeeded
	// Refund amount ($20.00) is greater than unrefunded amount on charge ($15.00)
}

func ExampleOrdersService_Pay() {
	client, server := newExampleClient()
	defer server.Close()
	ctx := context.Background()

	order := must(client.Orders.Create(ctx, stripekit.OrderCreateParams{
		Currency: "usd", Email: new("ada@example.com"),
		Items: []stripekit.OrderItemParams{{Type: new("sku"), Parent: new("sku_teapot"), Amount: new(int64(2400)), Quantity: new(int64(1))}},
	}))
	fmt.Println(order.Status, order.Amount)
	order = must(client.Orders.Pay(ctx, order.ID, stripekit.OrderPayParams{Source: new("tok_visa")}))
	fmt.Println(order.Status)
	returned := must(client.Orders.Return(ctx, order.ID, stripekit.OrderReturnParams{}))
	fmt.Println("returned", returned.Amount)
	// Output:
	// created 2400
	// paid
	// returned 2400
}

func ExampleInvoiceItemsService_Create() {
	client, server := newExampleClient()
	defer server.Close()
	ctx := context.Background()

	customer := must(client.Customers.Create(ctx, stripekit.CustomerCreateParams{}))
	item := must(client.InvoiceItems.Create(ctx, stripekit.InvoiceItemCreateParams{
		Customer: &customer.ID, Amount: new(int64(1200)), Currency: new("usd"), Description: new("setup"),
	}))
	fmt.Println(item.Description, item.Amount, item.Currency)
	item = must(client.InvoiceItems.Delete(ctx, item.ID))
	fmt.Println(item.Deleted)
	// Output:
	// setup 1200 usd
	// true
}

func ExampleWithExpand() {
	client, server := newExampleClient()
	defer server.Close()
	ctx := context.Background()

	customer := must(client.Customers.Create(ctx, stripekit.CustomerCreateParams{Name: new("Ada"), Source: new("tok_visa")}))
	charge := must(client.Charges.Create(ctx, stripekit.ChargeCreateParams{Amount: 2000, Currency: "usd", Customer: &customer.ID}))
	fmt.Println(charge.Customer.Object == nil)
	charge = must(client.Charges.Get(ctx, charge.ID, stripekit.WithExpand("customer")))
	fmt.Println(charge.Customer.Object.Name)
	// Output:
	// true
	// Ada
}

func ExampleWithIdempotencyKey() {
	client, server := newExampleClient()
	defer server.Close()
	ctx := context.Background()

	// The key has the card, so that another card is another attempt.
	pay := func(order, card string) (*stripekit.Charge, bool, error) {
		var response stripekit.Response
		charge, err := client.Charges.Create(ctx, stripekit.ChargeCreateParams{Amount: 2000, Currency: "usd", Source: &card},
			stripekit.WithIdempotencyKey("pay-"+order+"-"+card), stripekit.CaptureResponse(&response))
		return charge, response.IdempotentReplayed, err
	}
	_, _, err := pay("1234", "tok_chargeDeclined")
	fmt.Println(errors.Is(err, stripekit.ErrCardDeclined))
	first, replayed, _ := pay("1234", "tok_visa")
	fmt.Println(first.Status, replayed)
	again, replayed, _ := pay("1234", "tok_visa") // a second click
	fmt.Println(again.ID == first.ID, replayed)
	// Output:
	// true
	// succeeded false
	// true true
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
