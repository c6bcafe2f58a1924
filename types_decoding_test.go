package stripekit

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/internal/listing"
)

// The result of decoding is the same in one pass and in two, and so is what it
// allocates. Only the time differs.
func TestTypesWithFormerFieldsAreDecodedInOnePass(t *testing.T) {
	for _, out := range []any{
		new(Customer), new(Product), new(InvoiceItem), new(AccountEvent), new(changeEvent),
		new(Page[Customer]), new(Page[Product]), new(Page[InvoiceItem]), new(Page[AccountEvent]),
	} {
		require.True(t, decoding(out) == inOnePass, "%T", out)
	}
	for _, out := range []any{new(Charge), new(Refund), new(Order), new(Page[Charge]), new(Page[Refund]), new(Page[Order])} {
		require.True(t, decoding(out) == listing.Lenient, "%T", out)
	}
}
