package conformance_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit/stripetest"
)

// requireCurl skips the test where curl or a shell is missing.
func requireCurl(t *testing.T) {
	t.Helper()
	for _, program := range []string{"curl", "sh"} {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("STRIPEKIT_REQUIRE_SERVERS") == "1" {
				t.Fatalf("%s is not installed", program)
			}
			t.Skipf("%s is not installed: its examples are left out", program)
		}
	}
}

// shell runs lines with curl, and requires that no response is an error.
func shell(t *testing.T, dir, lines string) string {
	t.Helper()
	lines = strings.ReplaceAll(lines, "curl ", "curl --silent --show-error --fail-with-body ")
	cmd := exec.CommandContext(t.Context(), "sh", "-ec", lines)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s\n%s", lines, out)
	return string(out)
}

// TestCurlAsStripeDocumentsIt makes the requests of Stripe's API reference, as it
// shows them for curl. {…} stands for a field of an earlier response.
func TestCurlAsStripeDocumentsIt(t *testing.T) {
	requireCurl(t)
	server := stripetest.New()
	defer server.Close()
	objects := map[string]map[string]any{}
	for _, example := range []struct{ name, curl, object string }{
		{"customer", `curl https://api.stripe.com/v1/customers -u "sk_test_BQokikJOvBiI2HlWgH4olfQ2:" -d name="Jenny Rosen" --data-urlencode email="jennyrosen@example.com" -d source=tok_visa`, "customer"},
		{"", `curl https://api.stripe.com/v1/customers/{customer} -u "sk_test_BQokikJOvBiI2HlWgH4olfQ2:" -d "metadata[order_id]"=6735`, "customer"},
		{"", `curl https://api.stripe.com/v1/customers/{customer} -u "sk_test_BQokikJOvBiI2HlWgH4olfQ2:"`, "customer"},
		{"", `curl -G https://api.stripe.com/v1/customers -u "sk_test_BQokikJOvBiI2HlWgH4olfQ2:" -d limit=3`, "list"},
		{"", `curl -G https://api.stripe.com/v1/customers/search -u "sk_test_BQokikJOvBiI2HlWgH4olfQ2:" --data-urlencode query="name:'Jenny Rosen' AND metadata['order_id']:'6735'"`, "search_result"},
		{"charge", `curl https://api.stripe.com/v1/charges -u "sk_test_BQokikJOvBiI2HlWgH4olfQ2:" -d amount=1099 -d currency=usd -d source=tok_visa`, "charge"},
		{"held", `curl https://api.stripe.com/v1/charges -u sk_test_BQokikJOvBiI2HlWgH4olfQ2: -H "Idempotency-Key: KG5LxwFBepaKHyUD" -d amount=2000 -d currency=usd -d description="My First Test Charge (created for API docs)" -d capture=false -d customer={customer}`, "charge"},
		{"", `curl -X POST https://api.stripe.com/v1/charges/{held}/capture -u "sk_test_BQokikJOvBiI2HlWgH4olfQ2:"`, "charge"},
		{"", `curl https://api.stripe.com/v1/charges/{charge} -u "sk_test_BQokikJOvBiI2HlWgH4olfQ2:" -d "shipping[name]"=Jenny -d "shipping[address][line1]"="510 Townsend St"`, "charge"},
		{"", `curl https://api.stripe.com/v1/charges/{charge} -u sk_test_BQokikJOvBiI2HlWgH4olfQ2: -d "expand[]"=customer -d "expand[]"=balance_transaction -G`, "charge"},
		{"", `curl -G https://api.stripe.com/v1/charges/search -u "sk_test_BQokikJOvBiI2HlWgH4olfQ2:" --data-urlencode query="amount>999 AND metadata['order_id']:null"`, "search_result"},
		{"refund", `curl https://api.stripe.com/v1/refunds -u "sk_test_BQokikJOvBiI2HlWgH4olfQ2:" -d charge={charge}`, "refund"},
		{"", `curl https://api.stripe.com/v1/refunds/{refund} -u "sk_test_BQokikJOvBiI2HlWgH4olfQ2:" -d "metadata[order_id]"=6735`, "refund"},
		{"method", `curl https://api.stripe.com/v1/payment_methods/pm_card_visa/attach -u "sk_test_BQokikJOvBiI2HlWgH4olfQ2:" -d customer={customer}`, "payment_method"},
		{"intent", `curl https://api.stripe.com/v1/payment_intents -u "sk_test_BQokikJOvBiI2HlWgH4olfQ2:" -d amount=2000 -d currency=usd -d customer={customer} -d capture_method=manual -d "automatic_payment_methods[enabled]"=true`, "payment_intent"},
		{"", `curl https://api.stripe.com/v1/payment_intents/{intent} -u "sk_test_BQokikJOvBiI2HlWgH4olfQ2:" -d "metadata[order_id]"=6735`, "payment_intent"},
		{"", `curl https://api.stripe.com/v1/payment_intents/{intent}/confirm -u "sk_test_BQokikJOvBiI2HlWgH4olfQ2:" -d payment_method={method} --data-urlencode return_url="https://www.example.com"`, "payment_intent"},
		{"", `curl https://api.stripe.com/v1/payment_intents/{intent}/capture -u "sk_test_BQokikJOvBiI2HlWgH4olfQ2:" -d amount_to_capture=750`, "payment_intent"},
		{"", `curl -G https://api.stripe.com/v1/payment_intents -u "sk_test_BQokikJOvBiI2HlWgH4olfQ2:" -d limit=3`, "list"},
		{"", `curl -G https://api.stripe.com/v1/payment_intents/search -u "sk_test_BQokikJOvBiI2HlWgH4olfQ2:" --data-urlencode query="status:'succeeded' AND metadata['order_id']:'6735'"`, "search_result"},
		{"", `curl -G https://api.stripe.com/v1/customers/{customer}/payment_methods -u "sk_test_BQokikJOvBiI2HlWgH4olfQ2:" -d limit=3`, "list"},
		{"product", `curl https://api.stripe.com/v1/products -u "sk_test_BQokikJOvBiI2HlWgH4olfQ2:" -d name="Gold Plan"`, "product"},
		{"", `curl -G https://api.stripe.com/v1/products/search -u "sk_test_BQokikJOvBiI2HlWgH4olfQ2:" --data-urlencode query="active:'true' AND name~'gold'"`, "search_result"},
		{"item", `curl https://api.stripe.com/v1/invoiceitems -u "sk_test_BQokikJOvBiI2HlWgH4olfQ2:" -d customer={customer} -d amount=1099 -d currency=usd`, "invoiceitem"},
		{"", `curl https://api.stripe.com/v1/invoiceitems/{item} -u "sk_test_BQokikJOvBiI2HlWgH4olfQ2:" -d amount=1500`, "invoiceitem"},
		{"", `curl -X DELETE https://api.stripe.com/v1/invoiceitems/{item} -u "sk_test_BQokikJOvBiI2HlWgH4olfQ2:"`, "invoiceitem"},
		{"", `curl https://api.stripe.com/v1/account -H "Authorization: Bearer sk_test_BQokikJOvBiI2HlWgH4olfQ2" -H "Stripe-Version: 2020-08-27"`, "account"},
	} {
		line := strings.ReplaceAll(example.curl, "https://api.stripe.com", server.URL)
		for name, object := range objects {
			line = strings.ReplaceAll(line, "{"+name+"}", fmt.Sprint(object["id"]))
		}
		var got map[string]any
		out := shell(t, t.TempDir(), line)
		require.NoError(t, json.Unmarshal([]byte(out), &got), out)
		require.Equal(t, example.object, got["object"], line)
		if example.name != "" {
			objects[example.name] = got
		}
		if data, ok := got["data"].([]any); ok {
			require.NotEmpty(t, data, line)
		}
	}
}

// TestCurlLinesOfTheDocumentRun runs the curl lines of docs/fakestripe.md, block
// after block, against one server.
func TestCurlLinesOfTheDocumentRun(t *testing.T) {
	requireCurl(t)
	document, err := os.ReadFile("../../docs/fakestripe.md")
	require.NoError(t, err)
	server := stripetest.New(stripetest.WithControl())
	defer server.Close()
	dir := t.TempDir()
	lines := 0
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(document), -1) {
		if !strings.HasPrefix(block[1], "curl ") {
			continue
		}
		shell(t, dir, strings.ReplaceAll(block[1], "http://127.0.0.1:12111", server.URL))
		lines += strings.Count(block[1], "curl ")
	}
	require.Greater(t, lines, 20)
}

// TestProgramsOfTheDocumentAreTheTestedOnes compares the programs in Node and Python
// in the document with the files that are run in tests.
func TestProgramsOfTheDocumentAreTheTestedOnes(t *testing.T) {
	document, err := os.ReadFile("../../docs/fakestripe.md")
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?s)<!-- (\\S+) -->\n```(?:js|python)\n(.*?)```").FindAllStringSubmatch(string(document), -1)
	require.Len(t, blocks, 2)
	for _, block := range blocks {
		source, err := os.ReadFile("../../" + block[1])
		require.NoError(t, err)
		require.Equal(t, string(source), block[2], block[1])
	}
}
