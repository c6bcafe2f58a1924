package stripetest_test

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMinimumOfAChargeIsThatOfItsCurrency(t *testing.T) {
	for currency, test := range map[string]struct {
		least   int
		message string
	}{
		"usd": {50, "Amount must be at least $0.50 usd"},
		"USD": {50, "Amount must be at least $0.50 usd"},
		"eur": {50, "Amount must be at least €0.50 eur"},
		"gbp": {30, "Amount must be at least £0.30 gbp"},
		"jpy": {50, "Amount must be at least ¥50 jpy"},
		"dkk": {250, "Amount must be at least 2.50 dkk"},
		"huf": {17500, "Amount must be at least 175.00 huf"},
		"krw": {50, "Amount must be at least 50 krw"},
	} {
		a := memory(t)
		form := "source=tok_visa&currency=" + currency + "&amount="
		refusal{"POST", "/v1/charges", form + strconv.Itoa(test.least-1), 400, "amount_too_small", "amount", test.message}.refuse(t, a, "")
		a.post("/v1/charges", form+strconv.Itoa(test.least))
	}
}

func TestMaximumOfAChargeIsInTheWordsOfItsCurrency(t *testing.T) {
	for currency, message := range map[string]string{
		"usd": "Amount must be no more than $999,999.99", "jpy": "Amount must be no more than ¥99,999,999", "chf": "Amount must be no more than 999,999.99 CHF",
	} {
		form := "source=tok_visa&amount=100000000&currency=" + currency
		refusal{"POST", "/v1/charges", form, 400, "amount_too_large", "amount", message}.refuse(t, memory(t), "")
	}
}

func TestUnknownCurrencyIsRefusedWithTheListOfKnownOnes(t *testing.T) {
	a := memory(t)
	product := a.create("/v1/products", "name=P")
	for name, test := range map[string]struct{ path, form, param string }{
		"charge":        {"/v1/charges", "amount=1000&source=tok_visa&currency=zzz", "currency"},
		"invoice item":  {"/v1/invoiceitems", "customer_account=acct_1&amount=1000&currency=zzz", "currency"},
		"default price": {"/v1/products", "name=P&default_price_data[unit_amount]=5&default_price_data[currency]=zzz", "default_price_data[currency]"},
		"price data": {
			"/v1/invoiceitems", "customer_account=acct_1&price_data[unit_amount]=5&price_data[product]=" + product + "&price_data[currency]=zzz",
			"price_data[currency]",
		},
	} {
		t.Run(name, func(t *testing.T) {
			refusal{"POST", test.path, test.form, 400, "", test.param, "Invalid currency: zzz. Stripe currently supports these currencies: usd, aed, afn, "}.refuse(t, a, "")
		})
	}
	for _, text := range []string{"us", ", a", "usd,", "d, "} {
		refusal{"POST", "/v1/charges", "amount=1000&source=tok_visa&currency=" + text, 400, "", "currency", "Invalid currency: " + text + ". "}.refuse(t, a, "")
	}
	require.Equal(t, "eur", a.post("/v1/charges", "amount=1000&source=tok_visa&currency=Eur")["currency"])
}
