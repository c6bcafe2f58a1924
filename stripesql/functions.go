package stripesql

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/ncruces/go-sqlite3"
)

// pure are the flags of a function whose result depends on its arguments alone.
const pure = sqlite3.DETERMINISTIC | sqlite3.INNOCUOUS

// addFunctions registers the functions that SQLite lacks.
func (c *conn) addFunctions() error {
	return errors.Join(
		c.db.CreateWindowFunction("median", 1, pure, c.percentiles("median", 0)),
		c.db.CreateWindowFunction("percentile", 2, pure, c.percentiles("percentile", 100)),
		c.db.CreateWindowFunction("percentile_cont", 2, pure, c.percentiles("percentile_cont", 1)),
		c.db.CreateWindowFunction(discrete, 2, pure, c.percentiles(discrete, 1)),
		c.db.CreateWindowFunction("var_pop", 1, pure, variances("var_pop", false, false)),
		c.db.CreateWindowFunction("var_samp", 1, pure, variances("var_samp", true, false)),
		c.db.CreateWindowFunction("stddev_pop", 1, pure, variances("stddev_pop", false, true)),
		c.db.CreateWindowFunction("stddev_samp", 1, pure, variances("stddev_samp", true, true)),
		c.db.CreateFunction("amount_decimal", 2, pure, amountDecimal),
	)
}

// number returns the number that is an argument of a function, and false for NULL.
func number(function string, v sqlite3.Value) (n float64, ok bool, err error) {
	switch v.NumericType() {
	case sqlite3.INTEGER, sqlite3.FLOAT:
		return v.Float(), true, nil
	case sqlite3.NULL:
		return 0, false, nil
	}
	return 0, false, fmt.Errorf("%s: an argument is not a number", function)
}

// amountDecimal is the function amount_decimal(amount, currency).
func amountDecimal(ctx sqlite3.Context, args ...sqlite3.Value) {
	amount, currency := args[0], strings.ToLower(args[1].Text())
	switch {
	case amount.Type() == sqlite3.NULL || !isCurrency(currency):
		ctx.ResultNull()
	case amount.Type() != sqlite3.INTEGER:
		ctx.ResultError(errors.New("amount_decimal: the amount must be an integer"))
	default:
		ctx.ResultText(shiftPoint(amount.Int64(), decimalsOf(currency)))
	}
}

// isCurrency reports whether a text may be the code of a currency: three letters.
func isCurrency(code string) bool {
	return len(code) == 3 && strings.Trim(code, "abcdefghijklmnopqrstuvwxyz") == ""
}

// decimalsOf returns how many decimals the amounts of a currency have in the API. For
// ISK and UGX these are two, which are always 00, although the currencies have none.
func decimalsOf(currency string) int {
	switch currency {
	case "bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf":
		return 0
	case "bhd", "jod", "kwd", "omr", "tnd":
		return 3
	}
	return 2
}

// shiftPoint returns an amount with a number of decimals as text.
func shiftPoint(amount int64, decimals int) string {
	digits, negative := strings.CutPrefix(strconv.FormatInt(amount, 10), "-")
	if decimals > 0 {
		digits = strings.Repeat("0", max(0, decimals+1-len(digits))) + digits
		digits = digits[:len(digits)-decimals] + "." + digits[len(digits)-decimals:]
	}
	if negative {
		return "-" + digits
	}
	return digits
}
