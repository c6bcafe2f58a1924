package stripetest

import (
	"fmt"
	"math"
	"math/big"
	"strings"
)

const (
	minAmount = 50 // smallest currency unit; the same for all currencies
	maxAmount = 99999999
)

func checkMoney(amount int64, currency string) *apiError {
	if failure := checkCurrency("currency", currency); failure != nil {
		return failure
	}
	if amount < minAmount {
		return invalidRequest("amount_too_small", "amount", fmt.Sprintf("Amount must be at least %d (%s, smallest unit)", minAmount, currency))
	}
	if amount > maxAmount {
		return tooLarge(maxAmount, currency)
	}
	return nil
}

func checkCurrency(param, currency string) *apiError {
	if len(currency) != 3 || strings.ContainsFunc(currency, notLetter) {
		return invalidRequest("", param, "Invalid currency: "+currency)
	}
	return nil
}

func notLetter(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
}

// checkSize checks an amount that may be small or negative.
func checkSize(amount int64, currency string) *apiError {
	if amount < -maxAmount || amount > maxAmount {
		return tooLarge(maxAmount, currency)
	}
	return nil
}

func tooLarge(most int64, currency string) *apiError {
	return invalidRequest("amount_too_large", "amount", fmt.Sprintf("Amount must be no more than %d (%s, smallest unit)", most, currency))
}

// formatMoney formats an amount as in error messages: $10.00.
func formatMoney(amount int64, currency string) string {
	number := fmt.Sprintf("%d.%02d", amount/100, amount%100)
	switch currency {
	case "bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "ugx", "vnd", "vuv", "xaf", "xof", "xpf":
		number = fmt.Sprint(amount) // these currencies have no smaller unit
	}
	switch currency {
	case "usd":
		return "$" + number
	case "eur":
		return "€" + number
	case "gbp":
		return "£" + number
	case "jpy":
		return "¥" + number
	}
	return number + " " + strings.ToUpper(currency)
}

// multiply returns a unit amount times a quantity, both decimals, rounded to
// the smallest currency unit, with halves away from zero.
func multiply(unitAmount, quantity string) int64 {
	amount := rational(unitAmount)
	amount.Mul(amount, rational(quantity))
	half := big.NewRat(int64(amount.Sign()), 2)
	amount.Add(amount, half)
	product := new(big.Int).Quo(amount.Num(), amount.Denom())
	if !product.IsInt64() {
		return math.MaxInt64 // above any allowed amount
	}
	return product.Int64()
}

func rational(decimal string) *big.Rat {
	r, ok := new(big.Rat).SetString(decimal)
	if !ok {
		return new(big.Rat) // empty means zero
	}
	return r
}
