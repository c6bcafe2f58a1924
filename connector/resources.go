package connector

import (
	"context"

	"github.com/stripekit/stripekit"
)

var (
	charges = resource[stripekit.ChargesService]{
		"charges", "charge", "charges",
		func(c *stripekit.Client) *stripekit.ChargesService { return c.Charges },
	}
	customers = resource[stripekit.CustomersService]{
		"customers", "customer", "customers",
		func(c *stripekit.Client) *stripekit.CustomersService { return c.Customers },
	}
	products = resource[stripekit.ProductsService]{
		"products", "product", "products",
		func(c *stripekit.Client) *stripekit.ProductsService { return c.Products },
	}
	refunds = resource[stripekit.RefundsService]{
		"refunds", "refund", "refunds",
		func(c *stripekit.Client) *stripekit.RefundsService { return c.Refunds },
	}
	orders = resource[stripekit.OrdersService]{
		"orders", "order", "orders",
		func(c *stripekit.Client) *stripekit.OrdersService { return c.Orders },
	}
	// The service for orders also reads returns.
	orderReturns = resource[stripekit.OrdersService]{
		"order_returns", "order return", "order returns",
		func(c *stripekit.Client) *stripekit.OrdersService { return c.Orders },
	}
	invoiceItems = resource[stripekit.InvoiceItemsService]{
		"invoice_items", "invoice item", "invoice items",
		func(c *stripekit.Client) *stripekit.InvoiceItemsService { return c.InvoiceItems },
	}
	events = resource[stripekit.EventsService]{
		"events", "event", "events",
		func(c *stripekit.Client) *stripekit.EventsService { return c.Events },
	}
)

// kinds are the objects of the catalog, in its order.
func kinds() []objectKind {
	return []objectKind{
		kindOf[stripekit.Charge](charges),
		kindOf[stripekit.Customer](customers),
		kindOf[stripekit.Product](products),
		kindOf[stripekit.Refund](refunds),
		kindOf[stripekit.Order](orders),
		kindOf[stripekit.OrderReturn](orderReturns),
		kindOf[stripekit.InvoiceItem](invoiceItems),
		kindOf[stripekit.AccountEvent](events),
	}
}

// operations are the actions of the catalog, in its order: the methods of the services.
func operations() []operation {
	returns := update(orders, "return", (*stripekit.OrdersService).Return)
	returns.object, returns.name = orderReturns.name, "orders.return"
	return []operation{
		create(charges, (*stripekit.ChargesService).Create),
		get(charges, (*stripekit.ChargesService).Get),
		update(charges, "update", (*stripekit.ChargesService).Update),
		update(charges, "capture", (*stripekit.ChargesService).Capture),
		list(charges, (*stripekit.ChargesService).Page),
		search(charges, (*stripekit.ChargesService).SearchPage),

		create(customers, (*stripekit.CustomersService).Create),
		get(customers, (*stripekit.CustomersService).Get),
		update(customers, "update", (*stripekit.CustomersService).Update),
		remove(customers, (*stripekit.CustomersService).Delete),
		list(customers, (*stripekit.CustomersService).Page),
		search(customers, (*stripekit.CustomersService).SearchPage),

		create(products, (*stripekit.ProductsService).Create),
		get(products, (*stripekit.ProductsService).Get),
		update(products, "update", (*stripekit.ProductsService).Update),
		remove(products, (*stripekit.ProductsService).Delete),
		list(products, (*stripekit.ProductsService).Page),
		search(products, (*stripekit.ProductsService).SearchPage),

		create(refunds, (*stripekit.RefundsService).Create),
		get(refunds, (*stripekit.RefundsService).Get),
		update(refunds, "update", (*stripekit.RefundsService).Update),
		cancel(refunds, (*stripekit.RefundsService).Cancel),
		list(refunds, (*stripekit.RefundsService).Page),

		create(orders, (*stripekit.OrdersService).Create),
		get(orders, (*stripekit.OrdersService).Get),
		update(orders, "update", (*stripekit.OrdersService).Update),
		update(orders, "pay", (*stripekit.OrdersService).Pay),
		returns,
		list(orders, (*stripekit.OrdersService).Page),
		list(orderReturns, (*stripekit.OrdersService).ReturnsPage),

		create(invoiceItems, (*stripekit.InvoiceItemsService).Create),
		get(invoiceItems, (*stripekit.InvoiceItemsService).Get),
		update(invoiceItems, "update", (*stripekit.InvoiceItemsService).Update),
		remove(invoiceItems, (*stripekit.InvoiceItemsService).Delete),
		list(invoiceItems, (*stripekit.InvoiceItemsService).Page),

		get(events, (*stripekit.EventsService).Get),
		list(events, (*stripekit.EventsService).Page),
	}
}

// flows are the triggers of the catalog, in its order.
func flows() []flowKind {
	return []flowKind{
		newObjects(charges, (*stripekit.ChargesService).Where),
		changedObjects(charges, (*stripekit.ChargesService).Changes),
		newObjects(customers, (*stripekit.CustomersService).Where),
		changedObjects(customers, (*stripekit.CustomersService).Changes),
		newObjects(products, (*stripekit.ProductsService).Where),
		changedObjects(products, (*stripekit.ProductsService).Changes),
		newObjects(refunds, (*stripekit.RefundsService).Where),
		changedObjects(refunds, (*stripekit.RefundsService).Changes),
		newObjects(orders, (*stripekit.OrdersService).Where),
		changedObjects(orders, (*stripekit.OrdersService).Changes),
		newReturns(),
		newObjects(invoiceItems, (*stripekit.InvoiceItemsService).Where),
		changedObjects(invoiceItems, (*stripekit.InvoiceItemsService).Changes),
		newObjects(events, (*stripekit.EventsService).Where),
	}
}

// newReturns is for the list that the library has no Where for.
func newReturns() flowKind {
	flow := newObjects(orderReturns, (*stripekit.OrdersService).Where)
	flow.config = typeOf[plainConfig]()
	flow.open = func(ctx context.Context, client *stripekit.Client, config any, o Options) (*Flow, error) {
		source, err := stripekit.NewSource[stripekit.OrderReturn](client, "/v1/order_returns", "created")
		if err != nil {
			return nil, err
		}
		return openFlow(ctx, source, config.(*plainConfig).Flow, o, rawObject)
	}
	return flow
}
