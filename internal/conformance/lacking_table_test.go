package conformance_test

import "regexp"

// lackingTable has the parameters that Stripe's descriptions have and the
// library's structs lack, with the reason. They can be sent with Extra.
var lackingTable = []struct {
	operations *regexp.Regexp
	params     *regexp.Regexp
	reason     string
}{
	{
		regexp.MustCompile(`.`), regexp.MustCompile(`^expand\[\]$`),
		"WithExpand sends it",
	},
	{
		regexp.MustCompile(`\.Search(Page)?$`), regexp.MustCompile(`^page$`),
		"the iteration sends it",
	},
	{
		regexp.MustCompile(`^(Charges\.Create|Customers\.Update)$`), regexp.MustCompile(`^(card|bank_account)(\[.*)?$`),
		"raw card and bank data puts whoever handles it under the card industry's rules: a token does not",
	},
	{
		regexp.MustCompile(`^Customers\.Update$`), regexp.MustCompile(`^default_(card|bank_account|alipay_account)$`),
		"former names of default_source",
	},
	{
		regexp.MustCompile(`^Charges\.(Create|Capture)$`), regexp.MustCompile(`^(application_fee|destination(\[.*)?)$`),
		"former names of application_fee_amount and transfer_data",
	},
}

// lacking returns the reason why an operation lacks a parameter, "" if it does
// not.
func lacking(operation, param string) string {
	for _, row := range lackingTable {
		if row.operations.MatchString(operation) && row.params.MatchString(param) {
			return row.reason
		}
	}
	return ""
}
