package stripetest

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
)

// maxAmount is the maximum amount of a charge in its smallest unit, of any
// currency.
const maxAmount = 99999999

// supportedCurrencies are those of an account in the United States, in the order
// in which Stripe's error names them (stripe-perl issue 156), with those added
// since (byn, sle) and without those withdrawn (eek, lvl, svc, vef, ltl). Such
// an account has none of the currencies with three decimals.
const supportedCurrencies = "usd, aed, afn, all, amd, ang, aoa, ars, aud, awg, azn, bam, bbd, bdt, bgn, bif, bmd, bnd, bob, brl, bsd, " +
	"bwp, byn, bzd, cad, cdf, chf, clp, cny, cop, crc, cve, czk, djf, dkk, dop, dzd, egp, etb, eur, fjd, fkp, gbp, gel, gip, gmd, gnf, " +
	"gtq, gyd, hkd, hnl, hrk, htg, huf, idr, ils, inr, isk, jmd, jpy, kes, kgs, khr, kmf, krw, kyd, kzt, lak, lbp, lkr, lrd, lsl, mad, " +
	"mdl, mga, mkd, mmk, mnt, mop, mro, mur, mvr, mwk, mxn, myr, mzn, nad, ngn, nio, nok, npr, nzd, pab, pen, pgk, php, pkr, pln, pyg, " +
	"qar, ron, rsd, rub, rwf, sar, sbd, scr, sek, sgd, shp, sle, sll, sos, srd, std, szl, thb, tjs, top, try, ttd, twd, tzs, uah, ugx, " +
	"uyu, uzs, vnd, vuv, wst, xaf, xcd, xof, xpf, yer, zar, zmw"

// currency accepts the code of a supported currency, in any case.
func currency(name string, v *value) *apiError {
	if failure := nonEmpty(name, v); failure != nil {
		return failure
	}
	if len(v.text) != 3 || !strings.Contains(", "+supportedCurrencies+",", ", "+strings.ToLower(v.text)+",") {
		return invalidRequest("", name, fmt.Sprintf("Invalid currency: %s. Stripe currently supports these currencies: %s", v.text, supportedCurrencies))
	}
	return nil
}

// minCharge returns the minimum amount of a charge, in the smallest unit of the
// currency, for an account that is paid out in the same one. The figures are those
// of Stripe's documentation of currencies as far as they are remembered: they were
// not compared with it. For a currency without a minimum there, Stripe converts the
// amount into the currency of the account; this server has no rates and takes 50.
func minCharge(currency string) int64 {
	switch currency {
	case "gbp":
		return 30
	case "bgn":
		return 100
	case "aed", "myr", "pln", "ron":
		return 200
	case "dkk":
		return 250
	case "nok", "sek":
		return 300
	case "hkd":
		return 400
	case "mxn", "thb":
		return 1000
	case "czk":
		return 1500
	case "huf":
		return 17500
	}
	return 50
}

// checkMoney checks the amount of a charge. The texts are those of EuroPython
// epcon issue 1259 ("Amount must be at least €0.50 eur"); before 2020 Stripe
// wrote "at least 50 cents".
func checkMoney(amount int64, currency string) *apiError {
	currency = strings.ToLower(currency)
	if least := minCharge(currency); amount < least {
		return invalidRequest("amount_too_small", "amount", fmt.Sprintf("Amount must be at least %s %s", formatNumber(least, currency), currency))
	}
	if amount > maxAmount {
		return tooLarge(maxAmount, currency)
	}
	return nil
}

// checkSize checks an amount that may be small or negative.
func checkSize(amount int64, currency string) *apiError {
	if amount < -maxAmount || amount > maxAmount {
		return tooLarge(maxAmount, currency)
	}
	return nil
}

func tooLarge(most int64, currency string) *apiError {
	return invalidRequest("amount_too_large", "amount", "Amount must be no more than "+formatMoney(most, currency))
}

// formatMoney formats an amount as in error messages: $1,000.00, 10.00 CHF.
func formatMoney(amount int64, currency string) string {
	if symbol(currency) == "" {
		return formatNumber(amount, currency) + " " + strings.ToUpper(currency)
	}
	return formatNumber(amount, currency)
}

// formatNumber is formatMoney without the code of the currency: $10.00, 10.00.
func formatNumber(amount int64, currency string) string {
	switch currency {
	case "bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "ugx", "vnd", "vuv", "xaf", "xof", "xpf":
		return symbol(currency) + grouped(amount) // these currencies have no smaller unit
	}
	return symbol(currency) + fmt.Sprintf("%s.%02d", grouped(amount/100), amount%100)
}

func symbol(currency string) string {
	switch currency {
	case "usd":
		return "$"
	case "eur":
		return "€"
	case "gbp":
		return "£"
	case "jpy":
		return "¥"
	}
	return ""
}

// grouped formats a number with a comma before every three digits.
func grouped(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
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
