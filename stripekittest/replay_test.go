package stripekittest_test

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stripekit/stripekit"
	"github.com/stripekit/stripekit/stripekittest"
)

// files is a file system of names and texts.
func files(namesAndTexts ...string) fs.FS {
	fsys := fstest.MapFS{}
	for i := 0; i < len(namesAndTexts); i += 2 {
		fsys[namesAndTexts[i]] = &fstest.MapFile{Data: []byte(namesAndTexts[i+1])}
	}
	return fsys
}

func TestReplayRespondsFromAFolder(t *testing.T) {
	client := stripekittest.Replay(t, os.DirFS("testdata/checkout"))
	params := stripekit.ChargeCreateParams{Amount: 2000, Currency: "usd", Source: new("tok_chargeDeclined")}

	var response stripekit.Response
	_, err := client.Charges.Create(t.Context(), params, stripekit.CaptureResponse(&response))
	require.ErrorIs(t, err, stripekit.ErrCardDeclined)
	require.Equal(t, "req_declined", response.RequestID)
	require.Empty(t, response.Header.Get("Content-Length"), "that of the recording")

	params.Source = new("tok_visa")
	charge, err := client.Charges.Create(t.Context(), params, stripekit.CaptureResponse(&response))
	require.NoError(t, err)
	require.Equal(t, "ch_1", charge.ID)
	require.Equal(t, 200, response.Status)
	require.Equal(t, "application/json", response.Header.Get("Content-Type"))

	for _, want := range []string{"pending", "succeeded", "succeeded"} {
		charge, err = client.Charges.Get(t.Context(), "ch_1")
		require.NoError(t, err)
		require.EqualValues(t, want, charge.Status)
	}
}

func TestReplaySendsARecordedBodyToTheByte(t *testing.T) {
	recorded := "../testdata/fixtures/" + stripekit.APIVersion
	names, err := fs.Glob(os.DirFS(recorded), "*.json")
	require.NoError(t, err)
	require.NotEmpty(t, names)
	for _, name := range names {
		body, err := os.ReadFile(path.Join(recorded, name))
		require.NoError(t, err)
		body = append(body, " \r\n\n"...)
		client := stripekittest.Replay(t, files("a.http", "GET /v1/anything\n\n"+string(body)))
		var response stripekit.Response
		require.NoError(t, client.Call(t.Context(), "GET", "/v1/anything", nil, nil, stripekit.CaptureResponse(&response)), name)
		require.Equal(t, string(body), string(response.Body))
	}
}

func TestReplayChoosesTheFixtureWithTheMostParameters(t *testing.T) {
	respond := func(line string) string { return line + "\n\n{\"data\": [{\"id\": \"" + line + "\"}]}" }
	var all []string
	for i, line := range []string{
		"GET /v1/charges?customer=cus_1",
		"GET /v1/charges?customer=cus_1&limit=3",
		"GET /v1/charges?expand[0]=data.customer",
		"GET /v1/charges?limit=4 HTTP/1.1",
		"GET /v1/refunds  ",
		"GET /v1/charges/search?query=email:\"a@b.example\" AND amount>1",
		"GET /v1/products/A red shirt",
		"GET /v1/charges",
	} {
		all = append(all, string(rune('a'+i))+".http", respond(line))
	}
	client := stripekittest.Replay(t, files(all...))
	for _, test := range []struct {
		path   string
		params map[string]any
		want   string
	}{
		{"/v1/charges", nil, "GET /v1/charges"},
		{"/v1/charges", map[string]any{"limit": 3}, "GET /v1/charges"},
		{"/v1/charges", map[string]any{"customer": "cus_2"}, "GET /v1/charges"},
		{"/v1/charges", map[string]any{"customer": "cus_1"}, "GET /v1/charges?customer=cus_1"},
		{"/v1/charges", map[string]any{"customer": "cus_1", "limit": 5}, "GET /v1/charges?customer=cus_1"},
		{"/v1/charges", map[string]any{"customer": "cus_1", "limit": 3}, "GET /v1/charges?customer=cus_1&limit=3"},
		{"/v1/charges", map[string]any{"customer": "cus_1", "limit": 3}, "GET /v1/charges?customer=cus_1&limit=3"},
		{"/v1/charges", map[string]any{"expand": []string{"data.customer"}}, "GET /v1/charges?expand[0]=data.customer"},
		{"/v1/charges", map[string]any{"limit": 4}, "GET /v1/charges?limit=4 HTTP/1.1"},
		{"/v1/refunds", nil, "GET /v1/refunds  "},
		{"/v1/products/A%20red%20shirt", nil, "GET /v1/products/A red shirt"},
	} {
		var response stripekit.Response
		require.NoError(t, client.Call(t.Context(), "GET", test.path, test.params, nil, stripekit.CaptureResponse(&response)))
		require.Contains(t, string(response.Body), `"`+test.want+`"`, test)
	}
	require.NoError(t, client.Call(t.Context(), "GET", "/v1/charges/search", map[string]any{"query": `email:"a@b.example" AND amount>1`}, nil))
}

func TestReplayFailsTheTestByARequestWithoutFixture(t *testing.T) {
	for name, test := range map[string]struct {
		method, path string
		params       map[string]any
		want         string
	}{
		"path":      {"GET", "/v1/charges/ch_2", nil, "GET /v1/charges/ch_2"},
		"method":    {"DELETE", "/v1/charges/ch_1", nil, "DELETE /v1/charges/ch_1"},
		"no params": {"POST", "/v1/charges", nil, "POST /v1/charges\n\tb.http: POST /v1/charges?amount=2000&metadata[a]=1+2"},
		"query": {
			"GET", "/v1/customers",
			map[string]any{"limit": 5, "email": "a@b.example"},
			"GET /v1/customers?email=a%40b.example&limit=5\n\tc.http: GET /v1/customers?limit=",
		},
		"body": {
			"POST", "/v1/charges",
			map[string]any{"amount": 2000, "metadata": map[string]string{"a": "2"}},
			"POST /v1/charges?amount=2000&metadata[a]=2\n\tb.http: POST /v1/charges?amount=2000&metadata[a]=1+2",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				got := runTest(t, func(test2 testing.TB) {
					client := stripekittest.Replay(test2, files(
						"a.http", "GET /v1/charges/ch_1\n\n{}",
						"b.http", "POST /v1/charges?amount=2000&metadata[a]=1+2\n\n{}",
						"c.http", "GET /v1/customers?limit=\n\n{}",
					), stripekit.WithMaxRetries(5))
					err := client.Call(t.Context(), test.method, test.path, test.params, nil)
					var failed *stripekit.Error
					require.ErrorAs(t, err, &failed)
					require.Equal(t, "no fixture matches the request "+test.want, failed.Message)
					require.ErrorIs(t, err, stripekit.ErrInvalidRequest)
					require.NotErrorIs(t, err, stripekit.ErrOutcomeUnknown)
					require.Equal(t, 1, failed.Attempts)
				})
				require.Equal(t, []string{"stripekittest: no fixture matches the request " + test.want}, got.errors)
				require.Zero(t, time.Since(start))
			})
		})
	}
}

func TestReplayRetriesARecordedFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := stripekittest.Replay(t, files(
			"1.http", "GET /v1/charges/ch_1\n429\nRetry-After: 20\n\n{\"error\": {\"type\": \"invalid_request_error\"}}",
			"2.http", "GET /v1/charges/ch_1\n\n{\"id\": \"ch_1\"}",
		))
		start := time.Now()
		charge, err := client.Charges.Get(t.Context(), "ch_1")
		require.NoError(t, err)
		require.Equal(t, "ch_1", charge.ID)
		require.Equal(t, 20*time.Second, time.Since(start))
	})
}

func TestReplayTellsTheTimeUnlessTheFixtureDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := stripekittest.Replay(t, files(
			"1.http", "GET /v1/account\n\n{}",
			"2.http", "GET /v1/balance\r\nHTTP/1.1 200 OK\r\nDate: Fri, 13 Feb 2009 23:31:30 GMT\r\n\r\n{}",
		))
		for path, want := range map[string]string{
			"/v1/account": "Sat, 01 Jan 2000 00:00:00 GMT",
			"/v1/balance": "Fri, 13 Feb 2009 23:31:30 GMT",
		} {
			var response stripekit.Response
			require.NoError(t, client.Call(t.Context(), "GET", path, nil, nil, stripekit.CaptureResponse(&response)))
			require.Equal(t, want, response.Header.Get("Date"))
			require.Equal(t, "{}", string(response.Body))
		}
	})
}

func TestReplayFeedsAPoller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := stripekittest.Replay(t, files("account.http", "GET /v1/account\n\n{\"id\": \"acct_1\"}", "charges.http",
			"GET /v1/charges\n\n{\"object\": \"list\", \"data\": [{\"id\": \"ch_1\", \"created\": 946684790}], \"has_more\": false}"))
		poller, err := stripekit.NewPoller(client.Charges, stripekit.PollConfig{From: stripekit.FromBeginning})
		require.NoError(t, err)
		var delivered []string
		ctx, cancel := context.WithCancel(t.Context())
		err = poller.Run(ctx, func(_ context.Context, e stripekit.Event[stripekit.Charge]) error {
			delivered = append(delivered, e.ID)
			cancel()
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, []string{"ch_1"}, delivered)
	})
}

func TestReplayEndsAPollerThatHasNoFixture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := runTest(t, func(test testing.TB) {
			client := stripekittest.Replay(test, files("a.http", "GET /v1/account\n\n{\"id\": \"acct_1\"}"))
			poller, err := stripekit.NewPoller(client.Charges, stripekit.PollConfig{})
			require.NoError(t, err)
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			err = poller.Run(ctx, func(context.Context, stripekit.Event[stripekit.Charge]) error { return nil })
			require.ErrorContains(t, err, "no fixture matches the request GET /v1/charges?")
		})
		require.Len(t, got.errors, 1)
	})
}

func TestReplayNamesTheFixturesThatNoRequestUsed(t *testing.T) {
	got := runTest(t, func(test testing.TB) {
		client := stripekittest.Replay(test, files(
			"a.http", "GET /v1/account\n\n{\"id\": \"acct_1\"}",
			"deep/b.http", "GET /v1/charges?limit=3\n\n{}",
		))
		_, err := client.Check(t.Context())
		require.NoError(t, err)
	})
	require.Empty(t, got.errors)
	require.Equal(t, []string{"stripekittest: no request used the fixture deep/b.http: GET /v1/charges?limit=3"}, got.logs)
}

func TestReplayFailsNoTestForARequestAfterItsEnd(t *testing.T) {
	var client *stripekit.Client
	got := runTest(t, func(test testing.TB) {
		client = stripekittest.Replay(test, files("a.http", "GET /v1/account\n\n{}"))
	})
	_, err := client.Charges.Get(t.Context(), "ch_1")
	require.ErrorContains(t, err, "no fixture matches the request GET /v1/charges/ch_1")
	require.Empty(t, got.errors)
}

func TestReplayIsSafeForConcurrentUse(t *testing.T) {
	client := stripekittest.Replay(t, files(
		"1.http", "GET /v1/charges/ch_1\n\n{\"id\": \"ch_1\", \"status\": \"pending\"}",
		"2.http", "GET /v1/charges/ch_1\n\n{\"id\": \"ch_1\", \"status\": \"succeeded\"}",
	))
	var mu sync.Mutex
	var pending int
	var calls sync.WaitGroup
	start := make(chan struct{})
	for range 100 {
		calls.Go(func() {
			<-start
			charge, err := client.Charges.Get(t.Context(), "ch_1")
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			} else if charge.Status == "pending" {
				pending++
			}
		})
	}
	close(start)
	calls.Wait()
	require.Equal(t, 1, pending)
}

func TestReplayRefusesWhatIsNoFixture(t *testing.T) {
	const expected = `, such as GET /v1/charges/ch_1`
	for name, test := range map[string]struct {
		fsys fs.FS
		want string
	}{
		"no fixtures": {files("charge.json", "{}"), "stripekittest: no file of the file system has the extension .http"},
		"empty":       {files("a.http", ""), `stripekittest: fixture a.http: the first line is "": want a request` + expected},
		"a body":      {files("a.http", "{}\n"), `stripekittest: fixture a.http: the first line is "{}": want a request` + expected},
		"a method":    {files("a.http", "PUT /v1/charges\n\n{}"), `stripekittest: fixture a.http: the first line is "PUT /v1/charges": want a request` + expected},
		"an address": {
			files("b/a.http", "GET https://api.stripe.com/v1/charges\n\n{}"),
			`stripekittest: fixture b/a.http: the first line is "GET https://api.stripe.com/v1/charges": want a request` + expected,
		},
		"a host":         {files("a.http", "GET //api.stripe.com/v1\n\n{}"), `stripekittest: fixture a.http: the request "//api.stripe.com/v1" has no path, such as /v1/charges`},
		"no path":        {files("a.http", "GET //\n\n{}"), `stripekittest: fixture a.http: the request "//" has no path, such as /v1/charges`},
		"a fragment":     {files("a.http", "GET /v1/charges?metadata[a]=#1\n\n{}"), `stripekittest: fixture a.http: the request "/v1/charges?metadata[a]=#1" has a #: write %23`},
		"an escape":      {files("a.http", "GET /v1/charges?a=%zz\n\n{}"), `stripekittest: fixture a.http: invalid URL escape "%zz"`},
		"no empty line":  {files("a.http", "GET /v1/charges\n{\"data\": []}"), `stripekittest: fixture a.http: "{\"data\": []}" is neither a status line nor a header: an empty line comes before the body`},
		"a wrong status": {files("a.http", "GET /v1/charges\n99\n\n{}"), `stripekittest: fixture a.http: "99" is neither a status line nor a header: an empty line comes before the body`},
	} {
		t.Run(name, func(t *testing.T) {
			got := runTest(t, func(test2 testing.TB) {
				stripekittest.Replay(test2, test.fsys)
				t.Error("the test went on")
			})
			require.Equal(t, test.want, got.fatal)
		})
	}
	got := runTest(t, func(test testing.TB) {
		stripekittest.Replay(test, files("a.http", "GET /v1/account\n\n{}"), stripekit.WithTimeout(-1))
		t.Error("the test went on")
	})
	require.Equal(t, "stripekittest: stripe: WithTimeout: must not be negative", got.fatal)
}

func TestReplayRefusesAFolderThatIsMissing(t *testing.T) {
	got := runTest(t, func(test testing.TB) {
		stripekittest.Replay(test, os.DirFS("testdata/missing"))
		t.Error("the test went on")
	})
	require.Contains(t, got.fatal, "stripekittest: stat")
}

func TestReplayTakesFixturesWithoutABody(t *testing.T) {
	for _, text := range []string{"GET /v1/charges/ch_1\n503", "GET /v1/charges/ch_1\n503\n", "GET /v1/charges/ch_1\n503\n\n"} {
		client := stripekittest.Replay(t, files("a.http", text), stripekit.WithMaxRetries(0))
		var response stripekit.Response
		_, err := client.Charges.Get(t.Context(), "ch_1", stripekit.CaptureResponse(&response))
		require.ErrorIs(t, err, stripekit.ErrAPI)
		require.Equal(t, 503, response.Status)
		require.Empty(t, bytes.TrimSpace(response.Body))
	}
}
